//! What one model was asked, and what it said.

use latency_core::{Prediction, Schema, Warning};
use prometheus::local::LocalHistogram;
use prometheus::{Histogram, IntCounter, IntCounterVec};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What is the RTT?
    Predict,
    /// Which of these is nearest?
    Rank,
    /// Is this measurement plausible?
    Judge,
    /// How long to wait?
    Timeout,
}

impl Question {
    /// Every kind there is.
    pub const ALL: [Self; 4] = [Self::Predict, Self::Rank, Self::Judge, Self::Timeout];

    /// Its label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Rank => "rank",
            Self::Judge => "judge",
            Self::Timeout => "timeout",
        }
    }
}

/// Counts what one model answers; its series are looked up once.
#[derive(Debug)]
pub struct Seen {
    model: String,
    predictions: [IntCounter; Question::ALL.len()],
    predicted: Histogram,
    batch_rows: Histogram,
    out_of_range: IntCounterVec,
    row_errors: IntCounterVec,
}

impl Seen {
    pub(super) fn new(
        model: &str,
        predictions: [IntCounter; Question::ALL.len()],
        predicted: Histogram,
        batch_rows: Histogram,
        out_of_range: IntCounterVec,
        row_errors: IntCounterVec,
    ) -> Self {
        Self { model: model.to_owned(), predictions, predicted, batch_rows, out_of_range, row_errors }
    }

    /// What warnings of a model with this schema can be about, before the first.
    pub(crate) fn expect(&self, schema: &Schema) {
        let ends: &[&str] = if schema.coordinates.is_some() { &["src", "dst", "distance_km"] } else { &[] };
        for field in schema.fields.iter().map(|field| &*field.name).chain(ends.iter().copied()) {
            self.out_of_range.with_label_values(&[self.model.as_str(), field]);
        }
    }

    /// The answer to a question about one path.
    pub fn note(&self, question: Question, prediction: &Prediction) {
        self.predictions[question as usize].inc();
        self.predicted.observe(seconds(prediction.p50_ms));
        self.warned(&prediction.warnings);
    }

    /// The answers to a question about several paths, which are noted one by one, and counted when the value is
    /// dropped.
    #[must_use]
    pub fn rows(&self, question: Question) -> Rows<'_> {
        self.some(question, true)
    }

    /// As [`Self::rows`], for some of a batch that comes in pieces; see [`Self::batch`].
    #[must_use]
    pub fn piece(&self, question: Question) -> Rows<'_> {
        self.some(question, false)
    }

    fn some(&self, question: Question, whole: bool) -> Rows<'_> {
        Rows { seen: self, question, predicted: self.predicted.local(), answered: 0, failed: 0, whole }
    }

    /// A batch that came in pieces had so many rows.
    pub fn batch(&self, rows: usize) {
        self.batch_rows.observe(rows as f64);
    }

    /// Their fields are those of the schema: nothing that a caller wrote.
    fn warned<'w>(&self, warnings: impl IntoIterator<Item = &'w Warning>) {
        for warning in warnings {
            self.out_of_range.with_label_values(&[self.model.as_str(), warning.field.as_str()]).inc();
        }
    }
}

/// Answers to a question about several paths.
#[derive(Debug)]
pub struct Rows<'a> {
    seen: &'a Seen,
    question: Question,
    predicted: LocalHistogram,
    answered: u64,
    failed: u64,
    /// Whether these are all rows of their batch.
    whole: bool,
}

impl Rows<'_> {
    /// One row was answered.
    pub fn note(&mut self, prediction: &Prediction) {
        self.note_row(prediction.p50_ms, &prediction.warnings);
    }

    /// The same for a row of a batch.
    pub fn note_row<'w>(&mut self, p50_ms: f32, warnings: impl IntoIterator<Item = &'w Warning>) {
        self.answered += 1;
        self.predicted.observe(seconds(p50_ms));
        self.seen.warned(warnings);
    }

    /// One row has an error of this code in its place.
    pub fn failed(&mut self, code: &'static str) {
        self.failed += 1;
        self.seen.row_errors.with_label_values(&[code]).inc();
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        self.predicted.flush();
        self.seen.predictions[self.question as usize].inc_by(self.answered);
        if self.whole {
            self.seen.batch_rows.observe((self.answered + self.failed) as f64);
        }
    }
}

fn seconds(p50_ms: f32) -> f64 {
    f64::from(p50_ms) / 1000.0
}
