//! One prediction, with everything that comes with it: `cargo run --example single -- Berlin aws:us-east-1 wifi`.
//!
//! Arguments, all optional: source, destination, and how the source is connected.

use std::process::ExitCode;

use latency_core::{Path, Predictor, Result};

fn run(src: &str, dst: &str, access: Option<&str>) -> Result<()> {
    let predictor = Predictor::bundled()?;
    let mut path = Path::between(src, dst)?;
    if let Some(access) = access {
        path.src = path.src.with_access(access.parse()?);
    }
    let found = predictor.predict(&path)?;

    let model = predictor.model_info();
    println!("{src} to {dst}, model {} {}", model.name, model.version);
    println!("median RTT                {:7.1} ms, {:.1} to {:.1} ms", found.p50_ms, found.low_ms, found.high_ms);
    println!("90 % of measurements below {:6.1} ms", found.p90_ms);
    println!("99 % (an extrapolation)    {:6.1} ms", found.p99_ms);
    // Models without coordinates have neither.
    if let (Some(floor), Some(distance)) = (found.floor_ms, found.distance_km) {
        println!("light in fibre             {floor:6.1} ms there and back over {distance:.0} km");
    }
    for warning in &found.warnings {
        println!("{}: {warning}", warning.code);
    }
    println!("not given: {}", found.missing.join(", "));
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    match run(argument(0).unwrap_or("London"), argument(1).unwrap_or("aws:ap-northeast-1"), argument(2)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
