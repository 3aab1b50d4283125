//! Rows that are answered all together, or not at all: for protocols that have no errors of single rows.

use std::borrow::Cow;
use std::sync::Arc;

use latency_core::{Entry, Predictions, RowBatch, RowReader};
use rocket::http::Status;

use crate::errors::Failure;
use crate::logging::spawn_blocking;
use crate::metrics::Question;
use crate::models::Served;
use crate::parquet::{Leave, ParquetRows};
use crate::predict::{MAX_ROWS, too_many_rows};
use crate::rows_json::warnings_of;
use crate::spans;

const ENDS: [&str; 2] = ["src", "dst"];

/// The rows of a request, each checked when it is added.
pub struct AllRows {
    served: Arc<Served>,
    batch: RowBatch,
    reader: RowReader,
}

impl AllRows {
    pub fn new(served: Arc<Served>) -> Self {
        Self { batch: served.predictor.row_batch(), served, reader: RowReader::new() }
    }

    /// Whether the model takes this name: that of a field, or of an end if it knows places.
    pub fn takes(&self, name: &str) -> bool {
        self.served.predictor.schema().takes(name)
    }

    /// Adds a row; values that are not known are left out.
    pub fn push(&mut self, row: Result<Vec<(String, Entry)>, Failure>) -> Result<(), Failure> {
        let number = self.batch.len();
        if number >= MAX_ROWS {
            return Err(too_many_rows(&format!("more than {MAX_ROWS}")));
        }
        let mut ends = [false; 2];
        let read = row.and_then(|entries| {
            ends = ENDS.map(|end| entries.iter().any(|(name, _)| name == end));
            let row = self.reader.entries(entries)?;
            Ok(self.batch.push(Ok(&row))?)
        });
        read.map_err(|failure| {
            // Named as it was given: `src.lat` is part of `src`, and where there is none, a field of its own.
            let field = failure.field.map(|field| {
                let flat = ENDS.iter().zip(ends).find_map(|(end, given)| {
                    let part = field.strip_prefix(end)?.strip_prefix('.')?;
                    (!given).then(|| format!("{end}_{part}"))
                });
                flat.unwrap_or(field)
            });
            Failure { row: Some(number), field, ..failure }
        })
    }

    /// Predicts and counts them.
    pub fn predict(self) -> Result<Predictions, Failure> {
        let span = spans::of_rows(&self.served, self.batch.len());
        let predictions = self.batch.predict()?;
        drop(span);
        count(&self.served, std::slice::from_ref(&predictions));
        Ok(predictions)
    }
}

/// Predicts and counts the rows of a file of Parquet, in parts.
pub fn predict_file(served: &Served, file: Vec<u8>, leave: Leave) -> Result<Vec<Predictions>, Failure> {
    let mut rows = ParquetRows::of(file, leave);
    let mut parts = Vec::new();
    while rows.is_waiting() {
        let (predictions, failures) = rows.predict(&served.predictor)?;
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure);
        }
        parts.push(predictions);
    }
    count(served, &parts);
    Ok(parts)
}

fn count(served: &Served, parts: &[Predictions]) {
    let Some(seen) = served.seen() else { return };
    let mut seen = seen.rows(Question::Predict);
    for part in parts {
        for (row, p50_ms) in part.p50_ms.iter().enumerate() {
            seen.note_row(*p50_ms, warnings_of(part, row));
        }
    }
}

/// Rows that do not fit together, or not the model.
pub fn invalid_batch(message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Status::BadRequest, "INVALID_BATCH", message)
}

/// Smaller bodies are worked off where they were read: microseconds are not worth another thread.
const SMALL_BYTES: usize = 2 * 1024;

/// Works off a body of so many bytes.
pub async fn work<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if bytes <= SMALL_BYTES {
        return work();
    }
    spawn_blocking(work).await.unwrap_or_else(|error| {
        log::error!("rows were not answered: {error}");
        Err(Failure::internal())
    })
}
