//! Any text as the JSON of a row, through the bundled model's schema, and through the model if `LATENCY_ORT_DYLIB_PATH`
//! is set.

#![no_main]

use std::borrow::Cow;
use std::sync::LazyLock;

use latency_core::{Batch, Column, ErrorGroup, Prediction, Predictor, Row, Schema, Value, featurize};
use latency_core_fuzz::bundled_schema;
use libfuzzer_sys::{Corpus, fuzz_target};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::from_json(bundled_schema()).expect("the bundled schema"));
static PREDICTOR: LazyLock<Option<Predictor>> = LazyLock::new(|| {
    let named = latency_core::LIBRARY_VARIABLES.iter().any(|name| std::env::var_os(name).is_some());
    named.then(|| Predictor::builder().sessions(1).build().expect("the bundled model loads"))
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let row = match Row::from_json_str(text) {
        Ok(row) => row,
        Err(error) => {
            assert_eq!(error.kind().group(), ErrorGroup::Input);
            return Corpus::Keep;
        }
    };
    let parsed = serde_json::from_str(text).expect("text that was read as a row is JSON");
    let parsed = Row::from_json(&parsed).expect("what is a row as text is one as a value");
    assert_eq!(parsed.iter().count(), row.iter().count());
    assert!(row.iter().all(|(name, value)| parsed.get(name) == Some(value)));

    let batch = one_row(&row);
    let features = featurize(&SCHEMA, &batch);
    if let Ok(features) = &features {
        assert_eq!(features.shape()[1], SCHEMA.features.len());
    }
    if let Some(predictor) = &*PREDICTOR {
        match predictor.predict(&row) {
            Ok(prediction) => {
                check(&prediction);
                features.expect("what is predicted has features");
                let predictions = predictor.predict_batch(&batch).expect("a row that is predicted, as a batch");
                assert_eq!(predictions.get(0), Some(prediction));
                assert!(predictions.notes.ignored_columns.is_empty());
            }
            Err(error) => assert_eq!(error.kind().group(), ErrorGroup::Input, "{error}"),
        }
    }
    Corpus::Keep
});

fn one_row(row: &Row) -> Batch<'_> {
    let mut batch = Batch::new();
    for (name, value) in row.iter() {
        let column = match value {
            Value::Number(number) => Column::from(vec![*number]),
            Value::Text(text) => Column::Texts(vec![Some(Cow::Borrowed(text.as_str()))]),
            Value::Missing => Column::Texts(vec![None]),
        };
        batch.push(name, column);
    }
    batch
}

fn check(found: &Prediction) {
    assert!(found.numbers().all(|(_, number)| number.is_finite()), "{found:?}");
    assert!(found.floor_ms.is_some_and(|floor| floor <= found.low_ms), "{found:?}");
    assert!(found.low_ms <= found.p50_ms && found.p50_ms <= found.high_ms, "{found:?}");
    assert!(found.p50_ms <= found.p90_ms && found.p90_ms <= found.p99_ms, "{found:?}");
}
