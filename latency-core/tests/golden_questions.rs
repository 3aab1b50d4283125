//! The golden answers that all languages share: `rank`, `timeout` and `judge` give their bits.

use latency_core::{Predictor, Row};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Golden {
    model: Value,
    rank: Vec<Rank>,
    timeout: Vec<Timeout>,
    judge: Vec<Judge>,
}

#[derive(Deserialize)]
struct Rank {
    src: Value,
    candidates: Vec<Value>,
    budget_ms: f64,
    answer: Vec<Value>,
}

#[derive(Deserialize)]
struct Timeout {
    src: Value,
    dst: Value,
    quantile: f64,
    answer: Value,
}

#[derive(Deserialize)]
struct Judge {
    src: Value,
    dst: Value,
    measured_ms: f64,
    answer: Value,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/questions.json");
    let text = std::fs::read_to_string(path).expect("the golden questions are in the repository");
    serde_json::from_str(&text).expect("the golden questions are JSON")
}

fn row(src: &Value, dst: &Value) -> Row {
    Row::from_json_str(&json!({"src": src, "dst": dst}).to_string()).unwrap()
}

/// Compared as JSON text read again: written in their shortest form, equal numbers are equal bits. A value made without
/// text would hold the f32 as f64.
fn assert_same(found: impl serde::Serialize, expected: &Value, asked: &str) {
    let found: Value = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(found, *expected, "{asked}");
}

#[test]
fn questions_have_their_golden_answers() {
    let golden = golden();
    let predictor = Predictor::bundled().unwrap();
    assert_eq!(predictor.model_info().sha256, golden.model["sha256"], "run data/golden/make_golden.py after training");

    for Rank { src, candidates, budget_ms, answer } in &golden.rank {
        let paths: Vec<_> = candidates.iter().map(|dst| row(src, dst)).collect();
        let ranked = predictor.rank_paths(&paths, Some(*budget_ms)).unwrap();
        assert_same(ranked, &answer.clone().into(), &format!("rank from {src}"));
    }
    for Timeout { src, dst, quantile, answer } in &golden.timeout {
        assert_same(predictor.timeout(&row(src, dst), *quantile).unwrap(), answer, &format!("timeout {src} {dst}"));
    }
    for Judge { src, dst, measured_ms, answer } in &golden.judge {
        assert_same(predictor.judge(&row(src, dst), *measured_ms).unwrap(), answer, &format!("judge {src} {dst}"));
    }
    let counts = [golden.rank.len(), golden.timeout.len(), golden.judge.len()];
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
}
