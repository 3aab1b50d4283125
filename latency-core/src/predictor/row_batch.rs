//! Rows that come one by one, and are predicted together.

use crate::encode::{EncodedRows, Input};
use crate::error::Result;
use crate::prediction::Predictions;

use super::Predictor;

/// A batch that is filled row by row, each checked when it is added: for callers that read their rows in pieces, and
/// want to predict them at once. See [`Predictor::row_batch`].
///
/// ```
/// use latency_core::{Predictor, Row};
/// # fn main() -> latency_core::Result<()> {
/// let mut rows = Predictor::bundled()?.row_batch();
/// for dst_lat in [48.86, 91.0] {
///     let row = Row::new().with("src_lat", 51.51).with("src_lon", -0.13).with("dst_lat", dst_lat).with("dst_lon", 2.35);
///     if let Err(error) = rows.push(Ok(&row)) {
///         println!("{error}");
///     }
/// }
/// let predictions = rows.predict()?;
/// assert!(predictions.p50_ms[0] > 3.0 && predictions.p50_ms[1].is_nan());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RowBatch {
    predictor: Predictor,
    good: EncodedRows,
    /// Which rows of the batch the good ones are.
    numbers: Vec<usize>,
    rows: usize,
}

impl RowBatch {
    pub(super) fn new(predictor: Predictor) -> Self {
        Self { predictor, good: EncodedRows::default(), numbers: Vec::new(), rows: 0 }
    }

    /// Checks an input and adds it as the last row. A row that is refused, or that is an error already, counts all the
    /// same: its numbers will be NaN.
    ///
    /// ```
    /// use latency_core::{Predictor, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// let mut rows = Predictor::bundled()?.row_batch();
    /// let error = rows.push(Ok(&Row::new().with("src_lat", 91))).unwrap_err();
    /// assert_eq!((error.row(), rows.len()), (Some(0), 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Predictor::predict`], or the error that was given, with the row's number.
    pub fn push<I: Input + ?Sized>(&mut self, input: Result<&I>) -> Result<()> {
        let row = self.rows;
        self.rows += 1;
        input
            .and_then(|input| self.good.push(&self.predictor.inner.encoder, input))
            .map_err(|error| error.with_row(row))?;
        self.numbers.push(row);
        Ok(())
    }

    /// The number of rows, with those that were refused.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// assert_eq!(latency_core::Predictor::bundled()?.row_batch().len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was added.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// assert!(latency_core::Predictor::bundled()?.row_batch().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Predicts all rows; those that were refused have NaN in all numbers, and nothing in the notes.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// assert!(latency_core::Predictor::bundled()?.row_batch().predict()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What concerns all rows: [`ErrorKind::InferenceFailed`](crate::ErrorKind::InferenceFailed) and
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn predict(&self) -> Result<Predictions> {
        self.predictor.predict_among(&self.good, &self.numbers, self.rows)
    }
}
