//! A model of your own: `cargo run --example own_model -- mine.onnx hops=5 link=fibre`.
//!
//! Arguments, all optional: the model's file, as `latency train --data` writes it, and values of its fields. Without a
//! file, a small model of this crate's tests.

use std::process::ExitCode;

use latency_core::schema::FieldKind;
use latency_core::{Predictor, Result, Row};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/own.onnx");

fn describe(predictor: &Predictor) {
    let model = predictor.model_info();
    println!("model {} {}, {} bytes", model.name, model.version, model.bytes);
    for field in &predictor.schema().fields {
        let allowed = match &field.kind {
            FieldKind::Number { unit, seen: Some([low, high]), .. } => format!("{low} to {high} in training {unit}"),
            FieldKind::Number { unit, .. } => format!("a number {unit}"),
            FieldKind::Category { categories, .. } => categories.join(", "),
        };
        let required = if field.required { "required" } else { "optional" };
        println!("  {:10} {required}  {}", field.name, allowed.trim_end());
    }
}

/// `hops=5` as a number, `link=fibre` as text.
fn row<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> Row {
    values.fold(Row::new(), |row, (field, text)| match text.parse::<f64>() {
        Ok(number) => row.with(field, number),
        Err(_) => row.with(field, text),
    })
}

fn run(file: &str, values: &[String]) -> Result<()> {
    let predictor = Predictor::builder().file(file).sessions(1).build()?;
    describe(&predictor);
    let row = row(values.iter().filter_map(|value| value.split_once('=')));
    let found = predictor.predict(&row)?;
    println!(
        "median {:.1} ms, {:.1} to {:.1} ms, p90 {:.1} ms",
        found.p50_ms, found.low_ms, found.high_ms, found.p90_ms
    );
    for warning in &found.warnings {
        println!("{warning}");
    }
    if !found.missing.is_empty() {
        println!("not given: {}", found.missing.join(", "));
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, values) = arguments.split_first().map_or((OWN, [].as_slice()), |(file, values)| (file, values));
    let values = if arguments.is_empty() { &["hops=5".to_owned(), "link=fibre".to_owned()] } else { values };
    match run(file, values) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
