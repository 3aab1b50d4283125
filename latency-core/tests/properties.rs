//! What holds for every input in range.

use std::sync::LazyLock;

use latency_core::{Batch, Column, Endpoint, Path, Predictor, Row, Verdict};
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

fn endpoint(end: &End) -> Endpoint {
    let mut found = Endpoint::at(end.lat, end.lon).unwrap();
    if let Some(access) = end.access {
        found = found.with_access(access.parse().unwrap());
    }
    if let Some(provider) = end.provider {
        found = found.with_provider(provider.parse().unwrap());
    }
    if let Some(tier) = end.tier {
        found = found.with_tier(tier.parse().unwrap());
    }
    found
}

proptest! {
    #[test]
    fn a_typed_path_is_its_row_to_the_bit((src, dst) in (end(), end())) {
        let path = Path::new(endpoint(&src), endpoint(&dst));
        let found = PREDICTOR.predict(&path).unwrap();
        prop_assert_eq!(&found, &PREDICTOR.predict(&row(&src, &dst)).unwrap());
        prop_assert_eq!(&found, &PREDICTOR.predict(&Row::from(&path)).unwrap());
        let json = serde_json::to_string(&path).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Path>(&json).unwrap(), &path);
        prop_assert_eq!(&serde_json::from_str::<latency_core::Prediction>(&serde_json::to_string(&found).unwrap()).unwrap(), &found);
    }

    #[test]
    fn ranks_are_sorted_complete_and_share_one_probability(
        src in end(), ends in prop::collection::vec(end(), 1..30), budget in 1.0..500.0_f64
    ) {
        let candidates: Vec<_> = ends.iter().map(endpoint).collect();
        let ranked = PREDICTOR.rank(&endpoint(&src), &candidates, Some(budget)).unwrap();
        prop_assert!(ranked.is_sorted_by(|a, b| a.prediction.p50_ms <= b.prediction.p50_ms));
        let mut indices: Vec<_> = ranked.iter().map(|found| found.index).collect();
        indices.sort_unstable();
        prop_assert_eq!(indices, (0..ends.len()).collect::<Vec<_>>());
        prop_assert!((ranked.iter().map(|found| found.p_best).sum::<f64>() - 1.0).abs() < 1e-9);
        for found in &ranked {
            let single = PREDICTOR.predict(&row(&src, &ends[found.index])).unwrap();
            prop_assert_eq!(&found.prediction, &single);
            let within = found.p_within_budget.unwrap();
            prop_assert!((0.0..=1.0).contains(&found.p_best) && (0.0..=1.0).contains(&within));
            // The budget and the quantiles tell the same story.
            prop_assert!(budget <= f64::from(single.p90_ms) * 1.000_01 || within >= 0.899_99, "{within} {single:?}");
            prop_assert!(budget >= f64::from(single.p99_ms) * 0.999_99 || within <= 0.990_01, "{within} {single:?}");
        }
    }

    #[test]
    fn timeouts_rise_with_the_quantile_and_meet_p90_and_p99((src, dst) in (end(), end()), p in 0.5..0.998_f64) {
        let path = row(&src, &dst);
        let timeout = |quantile| PREDICTOR.timeout(&path, quantile).unwrap();
        prop_assert!(timeout(p).timeout_ms <= timeout(p + 0.001).timeout_ms);
        let found = timeout(p).prediction;
        prop_assert!(timeout(p).timeout_ms >= found.p50_ms);
        for (quantile, expected) in [(0.9, found.p90_ms), (0.99, found.p99_ms)] {
            prop_assert_eq!(timeout(quantile).timeout_ms.to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn a_verdict_follows_from_the_numbers((src, dst) in (end(), end()), measured in 0.01..2000.0_f64) {
        let judged = PREDICTOR.judge(&row(&src, &dst), measured).unwrap();
        let found = &judged.prediction;
        let floor = f64::from(found.floor_ms.unwrap());
        prop_assert!((0.0..=1.0).contains(&judged.quantile));
        match judged.verdict {
            // Rows of coordinates are taken as right to 10 km at each end.
            Verdict::Impossible => prop_assert!(measured < 2.0 / 3.0 * floor && judged.quantile == 0.0),
            Verdict::Suspicious => prop_assert!(measured <= floor * 1.000_001 && judged.quantile == 0.0),
            Verdict::Slow => prop_assert!(measured >= f64::from(found.p99_ms) * 0.999_99 && judged.quantile >= 0.99),
            Verdict::Plausible => {
                prop_assert!(measured >= floor * 0.999_999 && measured <= f64::from(found.p99_ms) * 1.000_01);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

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
