//! `latency-server`: see `--help`.

use std::process::ExitCode;

use latency_server::arguments::Arguments;
use latency_server::start;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => start::run(arguments),
        Err(error) => {
            eprintln!("latency-server: {error}; `latency-server --help` lists the flags");
            ExitCode::from(start::CONFIG_ERROR)
        }
    }
}
