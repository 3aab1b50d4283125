//! Predictions as JSON, written row by row from their columns: no row is made into a value of its own.

use latency_core::{Predictions, Warning};

use crate::errors::{Failure, unwritten};

/// About how many bytes a row takes.
const ROW_BYTES: usize = 320;

/// The most bytes that are set aside before anything is written.
const MAX_RESERVED: usize = 1024 * 1024;

/// Room for so many rows.
pub fn room(rows: usize) -> Vec<u8> {
    Vec::with_capacity((rows * ROW_BYTES).min(MAX_RESERVED))
}

/// Writes rows as [`latency_core::Prediction`] shows itself, to the byte.
pub struct RowsJson<'p> {
    predictions: &'p Predictions,
    /// What stands before each number, and the numbers of all rows.
    numbers: Vec<(String, &'p [f32])>,
}

impl<'p> RowsJson<'p> {
    pub fn new(predictions: &'p Predictions) -> Self {
        let start = |index: usize| if index == 0 { '{' } else { ',' };
        let columns = predictions.columns().enumerate();
        Self {
            predictions,
            numbers: columns.map(|(at, (name, column))| (format!("{}\"{name}\":", start(at)), column)).collect(),
        }
    }

    /// Appends a row; nothing if there is none of this number.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
        for (name, column) in &self.numbers {
            let Some(number) = column.get(row) else { return Ok(()) };
            out.extend_from_slice(name.as_bytes());
            append(out, number)?;
        }
        out.extend_from_slice(b",\"warnings\":[");
        for (index, warning) in warnings_of(self.predictions, row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            append(out, warning)?;
        }
        out.extend_from_slice(b"],\"missing\":[");
        for (index, field) in self.predictions.notes.missing(row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            append(out, field)?;
        }
        out.extend_from_slice(b"]}");
        Ok(())
    }
}

/// What there is to know about one row.
pub fn warnings_of(predictions: &Predictions, row: usize) -> impl Iterator<Item = &Warning> {
    let warnings = &predictions.notes.warnings;
    let first = warnings.partition_point(|(other, _)| *other < row);
    warnings[first..].iter().take_while(move |(other, _)| *other == row).map(|(_, warning)| warning)
}

/// Appends the JSON of a value.
pub fn append(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Failure> {
    serde_json::to_writer(out, value).map_err(|error| unwritten(&error))
}

#[cfg(test)]
mod tests {
    use latency_core::{Batch, Predictor};

    use super::*;

    #[test]
    fn rows_are_written_as_predictions_show_themselves() {
        let access = [Some("wifi"), None, Some("wifi")].into_iter().collect::<latency_core::Column>();
        let batch = Batch::new()
            .with("src", ["London", "-77.85,166.67", "Nowhereville"])
            .with("dst", ["Tokyo", "-5.58,-4.35", "Tokyo"])
            .with("src_access", access.clone())
            .with("dst_access", access);
        // A row that cannot be answered has no numbers.
        let (predictions, _) = Predictor::bundled().unwrap().predict_valid_rows(&batch).unwrap();
        let rows = RowsJson::new(&predictions);
        for row in 0..predictions.len() {
            let mut out = b"before".to_vec();
            rows.write(row, &mut out).unwrap();
            let expected = serde_json::to_string(&predictions.get(row).unwrap()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
        }
        assert!(warnings_of(&predictions, 1).count() > 1);
        let mut out = Vec::new();
        rows.write(3, &mut out).unwrap();
        assert!(out.is_empty());
    }
}
