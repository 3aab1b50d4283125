//! `latency-server`: see `--help`.

use std::process::ExitCode;

use latency_server::start::{self, Command};
use lexopt::prelude::*;

fn main() -> ExitCode {
    match command() {
        Ok(command) => start::run(command),
        Err(error) => {
            eprintln!("{error}; `latency-server --help` lists the flags");
            ExitCode::from(start::CONFIG_ERROR)
        }
    }
}

fn command() -> Result<Command, lexopt::Error> {
    let mut command = Command::Serve;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("check-config") => command = Command::CheckConfig,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(command)
}
