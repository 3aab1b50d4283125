//! Many predictions in one call, in three ways: `cargo run --release --example batch -- 100000`.
//!
//! Argument, optional: the number of rows of the timed part.

use std::time::Instant;

use latency_core::{Batch, Column, NUMBERS, Predictor, Result};
use ndarray::{Array2, ShapeBuilder};

/// The columns of a matrix of paths.
const COORDINATES: [&str; 4] = ["src_lat", "src_lon", "dst_lat", "dst_lon"];

/// Columns: names of places and categories are text, `None` where the value is not known.
fn columns(predictor: &Predictor) -> Result<()> {
    let players = ["Lisbon", "Warsaw", "Nairobi"];
    let access: Column = [Some("wifi"), Some("wired"), None].into_iter().collect();
    let batch = Batch::new().with("src", players).with("dst", ["aws:eu-west-2"; 3]).with("src_access", access);
    let found = predictor.predict_batch(&batch)?;
    for (row, player) in players.iter().enumerate() {
        println!("{player:8} {:6.1} ms, missing {}", found.p50_ms[row], found.notes.missing(row).count());
    }
    Ok(())
}

/// A matrix of numbers is read where it lies, row-major or column-major.
fn matrix(predictor: &Predictor) -> Result<()> {
    let paths = ndarray::array![[38.72, -9.14, 51.51, -0.13], [52.23, 21.01, 51.51, -0.13], [-89.0, 0.0, 51.51, -0.13]];
    let found = predictor.predict_batch(&Batch::from_matrix(&COORDINATES, &paths.view())?)?;
    println!("floors {:.1?} ms", found.floor_ms.as_deref().unwrap_or_default());
    for (row, warning) in &found.notes.warnings {
        println!("row {row}: {warning}");
    }
    Ok(())
}

/// Into the caller's memory, again and again: one column for each of the `NUMBERS`.
fn into(predictor: &Predictor, rows: usize) -> Result<()> {
    let paths = Array2::from_shape_fn((rows, 4), |(row, column)| match column {
        0 | 2 => (row * (7 + column)) as f64 % 120.0 - 60.0,
        _ => (row * (11 + column)) as f64 % 360.0 - 180.0,
    });
    let batch = Batch::from_matrix(&COORDINATES, &paths.view())?;
    // Column-major: each number lies in one piece.
    let mut numbers = Array2::<f32>::zeros((rows, NUMBERS.len()).f());
    let started = Instant::now();
    let notes = predictor.predict_batch_into(&batch, numbers.view_mut())?;
    let seconds = started.elapsed().as_secs_f64();
    let mean = numbers.column(0).mean().unwrap_or_default();
    println!("{rows} rows in {seconds:.3} s, mean {} {mean:.1} ms, {} warnings", NUMBERS[0], notes.warnings.len());
    Ok(())
}

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(10_000);
    let predictor = Predictor::bundled()?;
    columns(&predictor)?;
    matrix(&predictor)?;
    into(&predictor, rows)
}
