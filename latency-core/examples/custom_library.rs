//! An ONNX Runtime library of your choice: `cargo run --example custom_library -- /opt/onnxruntime/lib/libonnxruntime.so`.
//!
//! Argument, optional: the library's absolute path. A wrong one is an error to match on, not a crash; the exit code is 2.

use std::process::ExitCode;

use latency_core::{ErrorKind, LIBRARY_VARIABLES, Path, Predictor, Result};

fn run(library: Option<String>) -> Result<()> {
    let predictor = match library {
        Some(library) => Predictor::builder().library(library),
        None => Predictor::builder(),
    }
    .build()?;
    let found = predictor.predict(&Path::between("London", "Tokyo")?)?;
    println!("{}: London to Tokyo {:.1} ms", predictor.model_info().engine, found.p50_ms);
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().nth(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::RuntimeNotLoaded => {
            eprintln!("{}: {error}", error.code());
            for (name, value) in error.context() {
                eprintln!("  {name}: {value}");
            }
            eprintln!("without an argument, the library is the one in {}", LIBRARY_VARIABLES.join(" or "));
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
