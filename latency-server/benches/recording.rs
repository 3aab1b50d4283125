//! What counting costs: `cargo bench -p latency-server --bench recording`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use latency_core::{Path, Predictor};
use latency_server::metrics::{Metrics, Question};
use latency_server::models::{Models, Source};

/// Median of several runs, in nanoseconds for one.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    const TURNS: u32 = 20_000;
    let mut runs: Vec<_> = (0..21)
        .map(|_| {
            let start = Instant::now();
            (0..TURNS).for_each(|_| work());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let predictor = Predictor::bundled()?;
    let path = Path::between("London", "Tokyo")?;
    let prediction = predictor.predict(&path)?;
    let models = Models::new(predictor.clone(), Source::Bundled, None);
    let metrics = Metrics::new()?;
    metrics.watch(models.default_slot());
    let served = models.default_slot().served().ok_or("the model answers")?;
    let seen = served.seen().ok_or("the slot is not watched")?;

    let request = nanoseconds(|| {
        let in_flight = metrics.begin();
        metrics.answered(black_box("/predict"), false, "POST", 200, black_box(Duration::from_micros(80)));
        drop(in_flight);
    });
    let prediction_noted = nanoseconds(|| seen.note(Question::Predict, black_box(&prediction)));
    let mut rows = seen.rows(Question::Predict);
    let row_noted = nanoseconds(|| rows.note(black_box(&prediction)));
    drop(rows);
    let predict = nanoseconds(|| drop(black_box(predictor.predict(&path))));
    println!("one request counted       {request:8.0} ns");
    println!("one prediction counted    {prediction_noted:8.0} ns");
    println!("one row of a batch        {row_noted:8.0} ns");
    println!("for comparison: predicted {predict:8.0} ns");
    Ok(())
}
