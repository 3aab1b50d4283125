//! Any bytes as the trees of an ONNX file, for the native engine. What is accepted gives the same bits with and without
//! special instructions, for a row alone and among others.

#![no_main]

use latency_core::{ErrorGroup, NativeModel};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Enough for the kernel of batches.
const ROWS: usize = 33;
/// What is wider costs time, and finds nothing.
const MOST_COLUMNS: usize = 64;

fuzz_target!(|data: &[u8]| -> Corpus {
    let native = match NativeModel::from_onnx(data) {
        Ok(native) => native,
        Err(error) => {
            assert_eq!(error.kind().group(), ErrorGroup::Model);
            return Corpus::Keep;
        }
    };
    let (columns, targets) = native.shape();
    if columns > MOST_COLUMNS || targets > MOST_COLUMNS {
        return Corpus::Keep;
    }
    // Values from the file itself: its thresholds are among them.
    let words = data.windows(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let edges = [0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1.0];
    let values: Vec<f32> = words.chain(edges).cycle().take(ROWS * columns).collect();
    let run = |native: &NativeModel, rows: &[f32]| {
        let mut margins = vec![f32::NAN; rows.len() / columns * targets];
        native.fill(rows, &mut margins);
        margins.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let batch = run(&native, &values);
    for (row, expected) in values.chunks(columns).zip(batch.chunks(targets)) {
        assert_eq!(run(&native, row), expected);
    }
    assert_eq!(run(&native.portable(), &values), batch);
    Corpus::Keep
});
