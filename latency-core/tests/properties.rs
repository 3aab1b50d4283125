//! What holds for every input in range.

use std::sync::LazyLock;

use latency_core::{Batch, Column, Predictor, Row};
use proptest::option;
use proptest::prelude::*;

static PREDICTOR: LazyLock<Predictor> = LazyLock::new(|| Predictor::bundled().expect("the bundled model loads"));

#[derive(Debug, Clone)]
struct End {
    lat: f64,
    lon: f64,
    access: Option<&'static str>,
    provider: Option<&'static str>,
    tier: Option<&'static str>,
}

fn end() -> impl Strategy<Value = End> {
    let word = |words: &'static [&'static str]| option::of(prop::sample::select(words));
    (
        -90.0..=90.0_f64,
        -180.0..=180.0_f64,
        word(&["server", "wired", "wifi", "cellular", "starlink", "residential"]),
        word(&["aws", "azure", "gcp", "other"]),
        word(&["premium", "standard"]),
    )
        .prop_map(|(lat, lon, access, provider, tier)| End { lat, lon, access, provider, tier })
}

fn row(src: &End, dst: &End) -> Row {
    let mut row = Row::new();
    for (name, end) in [("src", src), ("dst", dst)] {
        row.set(format!("{name}_lat"), end.lat);
        row.set(format!("{name}_lon"), end.lon);
        row.set(format!("{name}_access"), end.access);
        row.set(format!("{name}_provider"), end.provider);
        row.set(format!("{name}_tier"), end.tier);
    }
    row
}

fn batch(paths: &[(End, End)]) -> Batch<'static> {
    let mut batch = Batch::new();
    for (name, side) in [("src", 0), ("dst", 1)] {
        let ends = || paths.iter().map(move |(src, dst)| if side == 0 { src } else { dst });
        batch.push(format!("{name}_lat"), ends().map(|end| end.lat).collect::<Vec<_>>());
        batch.push(format!("{name}_lon"), ends().map(|end| end.lon).collect::<Vec<_>>());
        batch.push(format!("{name}_access"), ends().map(|end| end.access).collect::<Column>());
        batch.push(format!("{name}_provider"), ends().map(|end| end.provider).collect::<Column>());
        batch.push(format!("{name}_tier"), ends().map(|end| end.tier).collect::<Column>());
    }
    batch
}

proptest! {
    #[test]
    fn predictions_are_finite_ordered_and_not_below_the_floor((src, dst) in (end(), end())) {
        let found = PREDICTOR.predict(&row(&src, &dst)).unwrap();
        prop_assert!(found.numbers().all(|(_, number)| number.is_finite()));
        prop_assert!(found.floor_ms.unwrap() <= found.low_ms);
        prop_assert!(found.low_ms <= found.p50_ms && found.p50_ms <= found.high_ms);
        prop_assert!(found.p50_ms <= found.p90_ms && found.p90_ms <= found.p99_ms);
    }

    #[test]
    fn swapping_the_ends_changes_nothing((src, dst) in (end(), end())) {
        let (there, back) = (PREDICTOR.predict(&row(&src, &dst)).unwrap(), PREDICTOR.predict(&row(&dst, &src)).unwrap());
        let bits = |prediction: &latency_core::Prediction| prediction.numbers().map(|(_, n)| n.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&there), bits(&back));
    }

    #[test]
    fn a_batch_is_its_rows_to_the_bit_in_any_order(paths in prop::collection::vec((end(), end()), 0..40)) {
        let forward = PREDICTOR.predict_batch(&batch(&paths)).unwrap();
        let reversed: Vec<_> = paths.iter().rev().cloned().collect();
        let backward = PREDICTOR.predict_batch(&batch(&reversed)).unwrap();
        prop_assert_eq!(forward.len(), paths.len());
        for (index, (src, dst)) in paths.iter().enumerate() {
            let single = PREDICTOR.predict(&row(src, dst)).unwrap();
            prop_assert_eq!(forward.get(index), Some(single.clone()));
            prop_assert_eq!(backward.get(paths.len() - 1 - index), Some(single));
        }
    }

    #[test]
    fn no_json_panics(json in any::<String>()) {
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(&json) {
            let _ = Row::from_json(&json).and_then(|row| PREDICTOR.predict(&row));
        }
    }
}
