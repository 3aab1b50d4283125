//! Memory stays flat: `make memory`. Tests of one process, one after the other, because they measure the process.
#![cfg(target_os = "linux")]

use latency_core::{Batch, Column, Predictor, Row};

const CITIES: [&str; 6] = ["London", "Tokyo", "Lima", "Nairobi", "Sydney", "Paris"];
/// Room for the allocator's habits. A leak of 8 bytes in each of a million predictions is above it.
const ALLOWED_KB: i64 = 6_000;

fn resident_kb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs `turns` of it after a warm-up, in which caches fill and the allocator grows, and compares.
fn stays_flat(what: &str, warm_up: usize, turns: usize, mut turn: impl FnMut(usize)) {
    (0..warm_up).for_each(&mut turn);
    let before = resident_kb();
    let mut highest = before;
    for step in 0..10 {
        (step * turns / 10..(step + 1) * turns / 10).for_each(&mut turn);
        highest = highest.max(resident_kb());
    }
    let after = resident_kb();
    println!("{turns} {what}: {before} kB after {warm_up} of them, {after} kB at the end, {highest} kB at most");
    assert!(after - before <= ALLOWED_KB, "{what}: memory grew by {} kB", after - before);
}

fn rows() -> Vec<Row> {
    CITIES.iter().flat_map(|src| CITIES.iter().map(move |dst| Row::between(src, dst).unwrap())).collect()
}

#[test]
#[ignore = "takes a minute: `make memory`"]
fn over_a_million_predictions() {
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    let rows = rows();
    stays_flat("predictions", 50_000, 1_000_000, |turn| {
        assert!(predictor.predict(&rows[turn % rows.len()]).unwrap().p50_ms > 0.0);
    });
}

#[test]
#[ignore = "takes a minute: `make memory`"]
fn over_batches_of_different_sizes() {
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    let cities: Vec<_> = CITIES.into_iter().cycle().take(1_000).collect();
    stays_flat("batches", 100, 2_000, |turn| {
        let (src, dst) = (&cities[..=turn % 997], &cities[..=turn % 997]);
        let batch = Batch::new().with("src", Column::from(src)).with("dst", Column::from(dst));
        assert_eq!(predictor.predict_batch(&batch).unwrap().len(), turn % 997 + 1);
    });
}

#[test]
#[ignore = "takes a minute: `make memory`"]
fn over_a_million_errors() {
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    let wrong = rows()[1].clone().with("src_lat", 91.0);
    stays_flat("errors", 50_000, 1_000_000, |_| {
        predictor.predict(&wrong).unwrap_err();
    });
}

#[test]
#[ignore = "takes a minute: `make memory`"]
fn over_a_thousand_loads_and_drops() {
    let row = &rows()[1];
    stays_flat("loads", 50, 1_000, |_| {
        let predictor = Predictor::builder().sessions(2).build().unwrap();
        assert!(predictor.predict(row).unwrap().p50_ms > 0.0);
    });
}

#[test]
#[ignore = "takes a minute: `make memory`"]
fn over_a_thousand_refused_models() {
    let model = &Predictor::bundled_model()[..100_000];
    stays_flat("refused models", 50, 1_000, |_| {
        Predictor::builder().sessions(2).bytes(model).build().unwrap_err();
    });
}
