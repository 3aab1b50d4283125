//! How long to wait for an answer, and when to ask a second server: `cargo run --example timeout -- London Tokyo 15`.
//!
//! Arguments, all optional: source, destination, and what the server needs for its answer, ms.

use std::process::ExitCode;
use std::time::Duration;

use latency_core::{Path, Predictor, Result};

/// TCP and TLS 1.3 take two round trips, the question and its answer one.
const ROUND_TRIPS: f32 = 3.0;

fn wait(predictor: &Predictor, path: &Path, quantile: f64) -> Result<Duration> {
    let found = predictor.timeout(path, quantile)?;
    Ok(found.duration())
}

fn run(src: &str, dst: &str, server: Duration) -> Result<()> {
    let predictor = Predictor::bundled()?;
    let path = Path::between(src, dst)?;

    // A kept connection: one round trip. After the 95 % quantile, one question in twenty goes to a second server too.
    let hedge = wait(&predictor, &path, 0.95)? + server;
    let timeout = wait(&predictor, &path, 0.99)? + server;
    // As if all three were slow together.
    let connect = wait(&predictor, &path, 0.99)?.mul_f32(ROUND_TRIPS) + server;

    println!("{src} to {dst}, of which the server {} ms", server.as_millis());
    println!("ask a second server after  {:5} ms", hedge.as_millis());
    println!("give up after              {:5} ms", timeout.as_millis());
    println!("with a new TLS connection  {:5} ms", connect.as_millis());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default| arguments.get(index).map_or(default, String::as_str);
    let server = argument(2, "10").parse().ok().and_then(|ms: f64| Duration::try_from_secs_f64(ms / 1000.0).ok());
    let Some(server) = server else {
        eprintln!("the server's time is a number of ms");
        return ExitCode::FAILURE;
    };
    match run(argument(0, "London"), argument(1, "aws:ap-northeast-1"), server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
