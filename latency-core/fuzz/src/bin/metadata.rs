//! Any text as a model's schema. What is accepted keeps its meaning when it is written and read again, and gives features
//! for rows that it allows.

#![no_main]

use std::borrow::Cow;

use latency_core::schema::{Field, FieldKind};
use latency_core::{Batch, Column, ErrorGroup, Schema, featurize};
use latency_core_fuzz::mutate_json;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};

const ROWS: usize = 3;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let schema = match Schema::from_json(text) {
        Ok(schema) => schema,
        Err(error) => {
            assert_eq!(error.kind().group(), ErrorGroup::Model);
            return Corpus::Keep;
        }
    };
    let written = schema.to_json();
    let read = Schema::from_json(&written).expect("what was written is read");
    assert_eq!(read, schema);
    assert_eq!(read.to_json(), written);

    let mut batch = Batch::new();
    for field in &schema.fields {
        batch.push(field.name.as_str(), column(field));
    }
    let possible = schema.fields.iter().all(|field| match &field.kind {
        FieldKind::Number { min, max, .. } => min.unwrap_or(f64::MIN) <= max.unwrap_or(f64::MAX),
        FieldKind::Category { .. } => true,
    });
    match featurize(&schema, &batch) {
        Ok(features) => assert_eq!(features.shape(), [ROWS, schema.features.len()]),
        Err(error) => assert!(!possible, "{error}"),
    }
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Bytes are mutated too, for the parser's sake.
    let edited = std::str::from_utf8(&data[..size])
        .ok()
        .filter(|_| !seed.is_multiple_of(4))
        .and_then(|text| mutate_json(text, seed));
    match edited {
        Some(text) if text.len() <= max_size => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// The smallest value, the largest, and none where that is allowed.
fn column(field: &Field) -> Column<'_> {
    match &field.kind {
        FieldKind::Number { min, max, .. } => {
            let (low, high) = (min.unwrap_or(f64::MIN), max.unwrap_or(f64::MAX));
            Column::from(vec![low, high, if field.required { low } else { f64::NAN }])
        }
        FieldKind::Category { categories, .. } => {
            let (first, last) = (categories.first(), categories.last());
            let cells = [first, last, first.filter(|_| field.required)];
            Column::Texts(cells.map(|word| word.map(|word| Cow::Borrowed(word.as_str()))).into())
        }
    }
}
