//! Batches that `lib/batch.js`, which alone calls these functions, feeds in pieces, so that the event loop gets its turn, and
//! what comes out of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latency_core::{Cancel, Error, Predictions, RowBatch, Warning};
use napi::bindgen_prelude::{
    AsyncTask, Env, External, Float32Array, Float64ArraySlice, JsObjectValue, Object, Uint8Array, Unknown,
};
use napi_derive::napi;

use crate::background::{self, Background, Work};
use crate::columns::{Columns, of_one_row};
use crate::error::{self, Failure};
use crate::predictor::Predictor;
use crate::row;
use crate::value::Pace;

/// A batch that is being filled.
pub struct Batch {
    predictor: latency_core::Predictor,
    cancel: Cancel,
    /// Whether a row at fault fails the batch.
    strict: bool,
    rows: RowBatch,
    columns: Columns,
    /// What is wrong with rows that could not be read, or that were refused.
    faults: BTreeMap<usize, Error>,
    answer: Arc<Mutex<Answer>>,
}

/// Starts a batch.
#[napi(skip_typescript)]
pub fn start_batch(predictor: &Predictor, strict: bool) -> External<Batch> {
    let cancel = Cancel::new();
    let predictor = predictor.inner().with_cancel(cancel.clone());
    let rows = predictor.row_batch();
    let (columns, faults, answer) = Default::default();
    External::new(Batch { predictor, cancel, strict, rows, columns, faults, answer })
}

/// Reads rows of an array from `from`, for a short time; returns the first one that is not read yet.
#[napi(skip_typescript, catch_unwind)]
pub fn read_rows(env: Env, batch: &mut External<Batch>, rows: Object<'_>, from: u32, to: u32) -> napi::Result<u32> {
    let Batch { rows: batch, faults, strict, .. } = &mut **batch;
    let mut read = || {
        let mut pace = Pace::start();
        for index in from..to {
            if pace.is_over() {
                return Ok(index);
            }
            let row: Unknown = rows.get_element(index)?;
            let row = match row::from_js(&row) {
                Ok(row) => Ok(row),
                Err(Failure::Core(error)) => Err(error),
                Err(js) => return Err(js),
            };
            if let Err(error) = batch.push(row.as_ref().map_err(|_| error::unread())) {
                let error = row.err().map_or(error, |error| error.with_row(index as usize));
                note(faults, *strict, error.into())?;
            }
        }
        Ok(u32::MAX)
    };
    read().map_err(|failure: Failure| failure.into_js(env))
}

/// Reads a column, or goes on with it at the cell `from`, for a short time; returns the first one that is not read yet.
#[napi(skip_typescript, catch_unwind)]
#[allow(clippy::needless_pass_by_value)] // napi makes no &str.
pub fn read_column(
    env: Env,
    batch: &mut External<Batch>,
    name: String,
    column: Unknown<'_>,
    from: u32,
) -> napi::Result<u32> {
    let Batch { predictor, columns, faults, strict, .. } = &mut **batch;
    columns
        .read(env, predictor.schema(), &name, &column, from, |failure| note(faults, *strict, failure))
        .map_err(|failure| failure.into_js(env))
}

/// Predicts what was read, and columns that are borrowed meanwhile.
#[napi(skip_typescript, catch_unwind)]
pub fn predict_filled_sync(
    env: Env,
    batch: &mut External<Batch>,
    names: Vec<String>,
    columns: Vec<Float64ArraySlice<'_>>,
) -> napi::Result<()> {
    let borrowed: Vec<_> = names.into_iter().zip(columns).collect();
    batch.take().predict(&borrowed).map_err(|error| Failure::from(error).into_js(env))
}

/// Predicts what was read on another thread.
#[napi(skip_typescript, catch_unwind)]
pub fn predict_filled(batch: &mut External<Batch>) -> AsyncTask<Background<Filled>> {
    background::start(batch.take())
}

/// Stops a prediction that is under way.
#[napi(skip_typescript)]
pub fn cancel_batch(batch: &External<Batch>) {
    batch.cancel.cancel();
}

impl Batch {
    fn take(&mut self) -> Filled {
        Filled {
            rows: std::mem::replace(&mut self.rows, self.predictor.row_batch()),
            columns: std::mem::take(&mut self.columns),
            faults: std::mem::take(&mut self.faults),
            predictor: self.predictor.clone(),
            strict: self.strict,
            answer: Arc::clone(&self.answer),
        }
    }
}

/// Keeps the first error of a row, or fails with it.
fn note(faults: &mut BTreeMap<usize, Error>, strict: bool, failure: Failure) -> Result<(), Failure> {
    let error = of_one_row(failure)?;
    if strict {
        return Err(error.into());
    }
    faults.entry(error.row().unwrap_or_default()).or_insert(error);
    Ok(())
}

/// A batch that is complete.
pub struct Filled {
    predictor: latency_core::Predictor,
    strict: bool,
    rows: RowBatch,
    columns: Columns,
    faults: BTreeMap<usize, Error>,
    answer: Arc<Mutex<Answer>>,
}

impl Filled {
    fn predict(&mut self, borrowed: &[(String, Float64ArraySlice<'_>)]) -> latency_core::Result<()> {
        let mut faults = std::mem::take(&mut self.faults);
        let mut filler = Vec::new();
        let batch = self.columns.batch(borrowed, &mut filler);
        let predictions = match (self.rows.is_empty(), self.strict) {
            (false, _) => self.rows.predict()?,
            (true, true) => self.predictor.predict_batch(&batch)?,
            (true, false) => {
                let (predictions, refused) = self.predictor.predict_valid_rows(&batch)?;
                for error in refused {
                    faults.entry(error.row().unwrap_or_default()).or_insert(error);
                }
                predictions
            }
        };
        *lock(&self.answer) = Answer::new(predictions, faults);
        Ok(())
    }
}

impl Work for Filled {
    type Output = ();
    type Js = ();

    fn run(&mut self) -> latency_core::Result<()> {
        self.predict(&[])
    }

    fn finish(_: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

/// What came out, to be taken once.
#[derive(Default)]
struct Answer {
    rows: usize,
    columns: Vec<(&'static str, Vec<f32>)>,
    ignored_columns: Vec<String>,
    warnings: std::vec::IntoIter<(usize, Warning)>,
    /// By optional field, 1 for each row that does not give it.
    missing: Vec<(String, Vec<u8>)>,
    faults: BTreeMap<usize, Error>,
}

impl Answer {
    fn new(mut predictions: Predictions, faults: BTreeMap<usize, Error>) -> Self {
        let notes = std::mem::take(&mut predictions.notes);
        let missing = notes.missing_by_field();
        Self {
            rows: predictions.len(),
            columns: predictions.into_columns().collect(),
            missing: missing.map(|(field, rows)| (field.to_owned(), rows.map(u8::from).collect())).collect(),
            ignored_columns: notes.ignored_columns,
            warnings: notes.warnings.into_iter(),
            faults,
        }
    }
}

/// Only a panic could poison it, after which there is no answer: the one before is empty.
fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something to know about the prediction of a row.
#[napi(object, object_from_js = false)]
pub struct RowWarning {
    pub row: u32,
    #[napi(ts_type = "WarningCode")]
    pub code: &'static str,
    pub field: String,
    pub message: String,
}

/// The columns by name, the number of rows, and what the model has no field for. Nothing is copied.
#[napi(skip_typescript)]
pub fn take_numbers<'env>(env: &'env Env, batch: &External<Batch>) -> napi::Result<Object<'env>> {
    let mut answer = lock(&batch.answer);
    let mut object = Object::new(env)?;
    object.set_named_property("length", answer.rows as f64)?;
    for (name, column) in std::mem::take(&mut answer.columns) {
        object.set_named_property(name, Float32Array::new(column))?;
    }
    object.set_named_property("ignored_columns", std::mem::take(&mut answer.ignored_columns))?;
    Ok(object)
}

/// Warnings that were not taken yet, as many as become objects in a short time.
#[napi(skip_typescript)]
pub fn take_warnings(batch: &External<Batch>) -> Vec<RowWarning> {
    let warning = |(row, warning): (usize, Warning)| RowWarning {
        row: row as u32,
        code: warning.code.as_str(),
        field: warning.field,
        message: warning.message,
    };
    lock(&batch.answer).warnings.by_ref().take(PIECE).map(warning).collect()
}

/// Errors that were not taken yet, likewise.
#[napi(skip_typescript)]
pub fn take_errors<'env>(env: &'env Env, batch: &External<Batch>) -> napi::Result<Vec<Object<'env>>> {
    let mut answer = lock(&batch.answer);
    let faults = std::iter::from_fn(|| answer.faults.pop_first());
    faults.take(PIECE).map(|(_, error)| error::to_object(env, &error)).collect()
}

/// For each optional field one byte for each row: 1 where it was not given.
#[napi(skip_typescript)]
pub fn take_missing<'env>(env: &'env Env, batch: &External<Batch>) -> napi::Result<Object<'env>> {
    let mut object = Object::new(env)?;
    for (field, rows) in std::mem::take(&mut lock(&batch.answer).missing) {
        object.set_named_property(&field, Uint8Array::new(rows))?;
    }
    Ok(object)
}

/// How many warnings or errors become objects before others get their turn: a millisecond or two.
const PIECE: usize = 100;
