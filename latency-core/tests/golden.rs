//! The golden vectors that all languages share: single and batch give their bits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use latency_core::{Batch, Column, Prediction, Predictor, Row, Value};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    model: Model,
    rows: Vec<BTreeMap<String, Value>>,
    predictions: Vec<BTreeMap<String, f32>>,
}

#[derive(Deserialize)]
struct Model {
    sha256: String,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/paths.json");
    let text = std::fs::read_to_string(path).expect("the golden vectors are in the repository");
    serde_json::from_str(&text).expect("the golden vectors are JSON")
}

fn row(values: &BTreeMap<String, Value>) -> Row {
    values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}

fn assert_same_bits(index: usize, found: &Prediction, expected: &BTreeMap<String, f32>) {
    assert_eq!(found.numbers().count(), expected.len(), "row {index}");
    for (name, number) in found.numbers() {
        assert_eq!(
            number.to_bits(),
            expected[name].to_bits(),
            "row {index}: {name} = {number}, expected {}",
            expected[name]
        );
    }
}

#[test]
fn single_rows_and_batches_give_the_golden_bits() {
    let golden = golden();
    let predictor = Predictor::bundled().unwrap();
    assert_eq!(predictor.model_info().sha256, golden.model.sha256, "run data/golden/make_golden.py after training");
    assert_eq!(golden.rows.len(), 1000);

    for (index, (values, expected)) in golden.rows.iter().zip(&golden.predictions).enumerate() {
        assert_same_bits(index, &predictor.predict(&row(values)).unwrap(), expected);
    }

    let mut batch = Batch::new();
    for name in predictor.schema().field_names() {
        let numbers = golden.rows.iter().any(|row| matches!(row.get(name), Some(Value::Number(_))));
        batch.push(name, if numbers { numbers_of(&golden.rows, name) } else { texts_of(&golden.rows, name) });
    }
    let predictions = predictor.predict_batch(&batch).unwrap();
    for (index, (found, expected)) in predictions.iter().zip(&golden.predictions).enumerate() {
        assert_same_bits(index, &found, expected);
    }

    let rows: Vec<_> = golden.rows.iter().map(row).collect();
    let one_by_one = predictor.predict_rows(rows.iter().map(Ok)).unwrap();
    for (index, (found, expected)) in one_by_one.iter().zip(&golden.predictions).enumerate() {
        assert_same_bits(index, found.as_ref().unwrap(), expected);
    }
}

fn numbers_of(rows: &[BTreeMap<String, Value>], name: &str) -> Column<'static> {
    let cell = |row: &BTreeMap<String, Value>| {
        if let Some(Value::Number(number)) = row.get(name) { *number } else { f64::NAN }
    };
    Column::Numbers(rows.iter().map(cell).collect())
}

fn texts_of<'r>(rows: &'r [BTreeMap<String, Value>], name: &str) -> Column<'r> {
    let cell = |row: &'r BTreeMap<String, Value>| {
        if let Some(Value::Text(text)) = row.get(name) { Some(Cow::Borrowed(text.as_str())) } else { None }
    };
    Column::Texts(rows.iter().map(cell).collect())
}
