//! The best cloud regions for a client: `cargo run --example rank_regions -- "São Paulo" aws: 80 wifi`.
//!
//! Arguments, all optional: the client's place, the beginning of the regions' names (`aws:`, `gcp:europe`), a budget in
//! ms for one round trip, and how the client is connected.

use std::process::ExitCode;

use latency_core::{Endpoint, Place, Predictor, Result};

/// Lines that are shown.
const SHOWN: usize = 10;

fn run(client: &str, prefix: &str, budget_ms: f64, access: &str) -> Result<()> {
    let regions: Vec<_> = Place::cloud_regions().filter(|region| region.to_string().starts_with(prefix)).collect();
    let candidates: Vec<Endpoint> = regions.iter().cloned().map(Endpoint::from).collect();
    let client = Endpoint::find(client)?.with_access(access.parse()?);
    let ranked = Predictor::bundled()?.rank(&client, &candidates, Some(budget_ms))?;

    println!("{} regions {prefix} from {:.2},{:.2} over {access}", regions.len(), client.lat(), client.lon());
    println!("{:24} {:>8} {:>16} {:>7} {:>9}", "region", "p50 ms", "90 % interval", "p_best", within(budget_ms));
    for found in ranked.iter().take(SHOWN) {
        let prediction = &found.prediction;
        println!(
            "{:24} {:8.1} {:>16} {:7.3} {:9.3}",
            regions[found.index].to_string(),
            prediction.p50_ms,
            format!("{:.1} to {:.1}", prediction.low_ms, prediction.high_ms),
            found.p_best,
            found.p_within_budget.unwrap_or(f64::NAN),
        );
    }
    Ok(())
}

fn within(budget_ms: f64) -> String {
    format!("P(≤{budget_ms})")
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default| arguments.get(index).map_or(default, String::as_str);
    let Ok(budget_ms) = argument(2, "80").parse() else {
        eprintln!("the budget is a number of ms");
        return ExitCode::FAILURE;
    };
    match run(argument(0, "Lisbon"), argument(1, "aws:"), budget_ms, argument(3, "wifi")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
