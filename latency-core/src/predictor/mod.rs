//! The predictor: a loaded model that answers.

mod builder;
mod cancel;
mod decisions;
mod row_batch;
mod share;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, ArrayViewMut2};

pub use self::builder::PredictorBuilder;
pub use self::cancel::Cancel;
pub use self::decisions::{Quantile, Timeout};
pub use self::row_batch::RowBatch;
use crate::batch::Batch;
use crate::encode::{EncodedRows, Encoder, Input, ValidRows};
use crate::engine::Trees;
use crate::error::{Error, ErrorKind, Result};
use crate::features::{FeaturePlan, Matrix};
use crate::model_info::ModelInfo;
use crate::notes::{NotePlan, Notes};
use crate::prediction::{Answer, Calibration, Prediction, Predictions};
use crate::ranges::{self, FieldRange};
use crate::schema::Schema;

/// Rows that go through the model at once: their matrix stays in the cache.
const CHUNK_ROWS: usize = 1024;

/// A loaded model. Cheap to clone, and shared between threads without locking by its user.
///
/// ```
/// use latency_core::{Predictor, Row};
/// # fn main() -> latency_core::Result<()> {
/// let predictor = Predictor::bundled()?;
/// let prediction = predictor.predict(&Row::between("London", "Tokyo")?)?;
/// assert!(prediction.p50_ms > prediction.floor_ms.unwrap());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Predictor {
    inner: Arc<Inner>,
    cancel: Option<Cancel>,
}

/// What one prediction needs on the way, kept by each thread for the next one.
#[derive(Default)]
struct Scratch {
    values: Vec<f64>,
    matrix: Matrix,
}

thread_local!(static SCRATCH: Cell<Scratch> = Cell::default());

struct Inner {
    encoder: Encoder,
    plan: FeaturePlan,
    calibration: Calibration,
    notes: NotePlan,
    trees: Trees,
    info: ModelInfo,
}

/// The model in short: its schema and trees would fill many pages.
impl fmt::Debug for Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor").field("model", &self.inner.info.tag()).finish_non_exhaustive()
    }
}

impl Predictor {
    /// The model that ships inside this crate.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert_eq!(predictor.model_info().name, "latency");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::RuntimeNotLoaded`] if no ONNX Runtime library is found; the message says where it was looked for.
    #[cfg(feature = "bundled-model")]
    pub fn bundled() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts from the bundled model with default options.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = latency_core::Predictor::builder().sessions(2).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder() -> PredictorBuilder {
        PredictorBuilder::default_model()
    }

    /// The file of the bundled model.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// use latency_core::Predictor;
    ///
    /// let same = Predictor::builder().bytes(Predictor::bundled_model()).build()?;
    /// assert_eq!(same.model_info(), Predictor::bundled()?.model_info());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "bundled-model")]
    #[must_use]
    pub fn bundled_model() -> &'static [u8] {
        builder::BUNDLED_MODEL
    }

    /// Predicts one path, given as a [`Path`](crate::Path) or as a [`Row`](crate::Row) by names. Equal to the bit to the
    /// same row in a batch.
    ///
    /// ```
    /// use latency_core::{Path, Predictor, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = Predictor::bundled()?;
    /// let by_path = predictor.predict(&Path::between("51.51,-0.13", "35.68,139.69")?)?;
    /// let row = Row::new().with("src_lat", 51.51).with("src_lon", -0.13).with("dst_lat", 35.68).with("dst_lon", 139.69);
    /// assert_eq!(predictor.predict(&row)?, by_path);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An error of group [`Input`](crate::ErrorGroup::Input) that names the field, if the input does not fit the model's
    /// schema: a required field missing, an unknown one, a value that is not allowed.
    pub fn predict(&self, input: &(impl Input + ?Sized)) -> Result<Prediction> {
        self.answer(input).map(|(_, prediction)| prediction)
    }

    /// Predicts many paths. Row i of the answer belongs to row i of the batch; an empty batch gives an empty answer.
    ///
    /// ```
    /// use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London", "Paris"]).with("dst", ["Tokyo", "Tokyo"]);
    /// assert_eq!(Predictor::bundled()?.predict_batch(&batch)?.p50_ms.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`predict`](Self::predict), naming the first row at fault, and [`ErrorKind::InvalidBatch`] if the columns do
    /// not fit together. Columns that the model does not know are no error: they are listed in
    /// [`Notes::ignored_columns`].
    pub fn predict_batch(&self, batch: &Batch<'_>) -> Result<Predictions> {
        self.predict_encoded(&self.schema().encode_batch(batch)?)
    }

    /// Predicts the rows of a batch that can be predicted, and says what is wrong with each of the others: those have NaN in
    /// all numbers, nothing in the notes, and one error each, in their order, whose [`Error::row`] says which one it is.
    ///
    /// ```
    /// use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London", "Nowhereville"]).with("dst", ["Tokyo", "Tokyo"]);
    /// let (predictions, errors) = Predictor::bundled()?.predict_valid_rows(&batch)?;
    /// assert!(predictions.p50_ms[0] > 95.0 && predictions.p50_ms[1].is_nan());
    /// assert_eq!((errors[0].row(), errors[0].code()), (Some(1), "UNKNOWN_PLACE"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What concerns all rows: columns that do not fit together, a required one that is not there, and
    /// [`ErrorKind::InferenceFailed`].
    pub fn predict_valid_rows(&self, batch: &Batch<'_>) -> Result<(Predictions, Vec<Error>)> {
        let ValidRows { rows, numbers, errors } = self.schema().encode_valid_rows(batch, || self.check_cancel())?;
        Ok((self.predict_among(&rows, &numbers, batch.len())?, errors))
    }

    /// Predicts many paths into the caller's memory: one row for each row of the batch, one column for each of the
    /// [`NUMBERS`](crate::NUMBERS), which are the first five for models without coordinates. Any layout will do; a
    /// column-major array holds each number in one piece.
    ///
    /// ```
    /// use latency_core::{Batch, NUMBERS, Predictor};
    /// use ndarray::Array2;
    /// # fn main() -> latency_core::Result<()> {
    /// let mut numbers = Array2::zeros((2, NUMBERS.len()));
    /// let batch = Batch::new().with("src", ["London", "Paris"]).with("dst", ["Tokyo", "Tokyo"]);
    /// Predictor::bundled()?.predict_batch_into(&batch, numbers.view_mut())?;
    /// assert!(numbers[[1, 0]] > 95.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`predict_batch`](Self::predict_batch), and [`ErrorKind::InvalidBatch`] if the array has another shape. What it
    /// holds after an error is not defined.
    pub fn predict_batch_into(&self, batch: &Batch<'_>, mut numbers: ArrayViewMut2<'_, f32>) -> Result<Notes> {
        let rows = self.schema().encode_batch(batch)?;
        let columns = if self.schema().coordinates.is_some() { 7 } else { 5 };
        if numbers.dim() != (rows.rows, columns) {
            let (found_rows, found_columns) = numbers.dim();
            return Err(Error::new(
                ErrorKind::InvalidBatch,
                format!(
                    "found an array of {found_rows} rows and {found_columns} columns for the numbers; allowed: {} rows \
                     and {columns} columns; give an array of that shape",
                    rows.rows
                ),
            ));
        }
        self.run(&rows, |index, answer| {
            numbers.row_mut(index).iter_mut().zip(answer.numbers()).for_each(|(cell, number)| *cell = number);
        })
    }

    /// Predicts many inputs, each of which may fail alone: what an array of JSON objects needs.
    ///
    /// ```
    /// use latency_core::{Predictor, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// let rows = [Row::between("London", "Tokyo")?, Row::new().with("src_lat", 91)];
    /// let answers = Predictor::bundled()?.predict_rows(rows.iter().map(Ok))?;
    /// assert!(answers[0].is_ok() && answers[1].is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Only what concerns all rows, such as [`ErrorKind::InferenceFailed`].
    pub fn predict_rows<'r, I: Input + 'r>(
        &self,
        inputs: impl IntoIterator<Item = Result<&'r I>>,
    ) -> Result<Vec<Result<Prediction>>> {
        let mut rows = self.row_batch();
        let faults: Vec<Option<Error>> =
            inputs.into_iter().map(|input| rows.push(input).err().map(Error::without_row)).collect();
        let predictions = rows.predict()?;
        faults
            .into_iter()
            .enumerate()
            .map(|(row, fault)| match fault {
                None => predictions.get(row).map(Ok).ok_or_else(no_answer),
                Some(error) => Ok(Err(error)),
            })
            .collect()
    }

    /// An empty batch of rows, to be filled one by one and predicted together.
    ///
    /// ```
    /// use latency_core::{Path, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let mut rows = Predictor::bundled()?.row_batch();
    /// rows.push(Ok(&Path::between("London", "Tokyo")?))?;
    /// assert!(rows.predict()?.p50_ms[0] > 95.0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn row_batch(&self) -> RowBatch {
        RowBatch::new(self.clone())
    }

    /// The same predictor for work that can be stopped: once `cancel` says so, from whatever thread, its calls fail with
    /// [`ErrorKind::Cancelled`], after at most a thousand rows.
    ///
    /// ```
    /// use latency_core::{Batch, Cancel, ErrorKind, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let cancel = Cancel::new();
    /// let predictor = Predictor::bundled()?.with_cancel(cancel.clone());
    /// let batch = Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]);
    /// assert!(predictor.predict_batch(&batch).is_ok());
    /// cancel.cancel();
    /// assert_eq!(predictor.predict_batch(&batch).unwrap_err().kind(), ErrorKind::Cancelled);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self { inner: Arc::clone(&self.inner), cancel: Some(cancel) }
    }

    /// For each value that is given, and for the distance, what training saw: in the order of the schema.
    ///
    /// ```
    /// use latency_core::{Path, Predictor, Seen};
    /// # fn main() -> latency_core::Result<()> {
    /// let ranges = Predictor::bundled()?.ranges(&Path::between("-77.85,166.67", "London")?)?;
    /// assert_eq!((ranges[0].field.as_str(), ranges[0].within), ("src_lat", false));
    /// assert!(matches!(ranges[0].seen, Some(Seen::Between([low, _])) if low > -77.85));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`predict`](Self::predict).
    pub fn ranges(&self, input: &(impl Input + ?Sized)) -> Result<Vec<FieldRange>> {
        let mut rows = EncodedRows::default();
        rows.push(&self.inner.encoder, input)?;
        Ok(ranges::ranges(self.schema(), &rows.values))
    }

    /// The f32 matrix that the trees see for a batch, row-major, one column per feature of the schema.
    ///
    /// ```
    /// use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = Predictor::bundled()?;
    /// let matrix = predictor.features(&Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]))?;
    /// assert_eq!(matrix.dim(), (1, predictor.schema().features.len()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`predict_batch`](Self::predict_batch).
    pub fn features(&self, batch: &Batch<'_>) -> Result<Array2<f32>> {
        matrix(&self.inner.plan, &self.schema().encode_batch(batch)?)
    }

    /// What the model takes and gives.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert!(predictor.schema().field("src_lat").unwrap().required);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.inner.encoder.schema
    }

    /// What is loaded.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert!(predictor.model_info().sha256.starts_with(&predictor.model_info().version));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn model_info(&self) -> &ModelInfo {
        &self.inner.info
    }

    /// One input, with nothing allocated but what the prediction holds.
    fn answer(&self, input: &(impl Input + ?Sized)) -> Result<(Answer, Prediction)> {
        // Taken, and put back: whatever happens in between, nobody finds it half used.
        let mut scratch = SCRATCH.take();
        let answer = self.answer_with(&mut scratch, input);
        SCRATCH.set(scratch);
        answer
    }

    fn answer_with(
        &self,
        Scratch { values, matrix }: &mut Scratch,
        input: &(impl Input + ?Sized),
    ) -> Result<(Answer, Prediction)> {
        let Inner { encoder, plan, calibration, notes, trees, .. } = &*self.inner;
        values.clear();
        input.encode(encoder, values)?;
        self.check_cancel()?;
        plan.fill(values, matrix);
        let distance_km = matrix.distances_km.first().copied();
        let answer = trees.run(&matrix.values, 1, plan.width(), |margins| {
            calibration.answer(margins, values, &matrix.values, distance_km)
        })??;
        let (warnings, missing) = notes.note_one(&encoder.schema, values, distance_km);
        Ok((answer, Prediction::new(&answer.numbers(), encoder.schema.coordinates.is_some(), warnings, missing)))
    }

    fn predict_encoded(&self, rows: &EncodedRows) -> Result<Predictions> {
        let mut predictions = Predictions::with_capacity(rows.rows, self.schema().coordinates.is_some());
        predictions.notes = self.run(rows, |_, answer| predictions.push(&answer.numbers()))?;
        Ok(predictions)
    }

    /// Predicts the rows that are `numbers` of `rows`; the others have NaN.
    fn predict_among(&self, encoded: &EncodedRows, numbers: &[usize], rows: usize) -> Result<Predictions> {
        let predictions = self.predict_encoded(encoded).map_err(|error| match error.row() {
            Some(row) => error.with_row(numbers[row]),
            None => error,
        })?;
        Ok(if encoded.rows == rows { predictions } else { predictions.spread(numbers, rows) })
    }

    fn check_cancel(&self) -> Result<()> {
        self.cancel.as_ref().map_or(Ok(()), Cancel::check)
    }

    /// Features, trees, calibration, notes; `take` gets each row's answer in order.
    fn run(&self, rows: &EncodedRows, mut take: impl FnMut(usize, &Answer)) -> Result<Notes> {
        let mut notes = self.inner.notes.start(rows);
        let threads = self.inner.trees.threads().min(rows.rows.div_ceil(CHUNK_ROWS));
        if threads <= 1 {
            self.answer_rows(0, &rows.values, &mut Matrix::default(), &mut notes, take)?;
            return Ok(notes);
        }
        let chunk = CHUNK_ROWS * self.schema().fields.len();
        let answer = |matrix: &mut Matrix, number: usize| {
            let values = &rows.values[number * chunk..];
            let (mut answers, mut notes) = (Vec::with_capacity(CHUNK_ROWS), self.inner.notes.start_share());
            let first = number * CHUNK_ROWS;
            let values = &values[..chunk.min(values.len())];
            self.answer_rows(first, values, matrix, &mut notes, |_, answer| answers.push(*answer))?;
            Ok((first, answers, notes))
        };
        share::in_order(rows.rows.div_ceil(CHUNK_ROWS), threads - 1, answer, |answered: Result<_>| {
            let (first, answers, found) = answered?;
            answers.iter().zip(first..).for_each(|(answer, index)| take(index, answer));
            notes.append(found);
            Ok::<_, Error>(())
        })?;
        Ok(notes)
    }

    /// The same in this thread, for rows of which the first has this number.
    fn answer_rows(
        &self,
        first: usize,
        values: &[f64],
        matrix: &mut Matrix,
        notes: &mut Notes,
        mut take: impl FnMut(usize, &Answer),
    ) -> Result<()> {
        let Inner { encoder, plan, calibration, notes: note_plan, trees, .. } = &*self.inner;
        let (fields, width, outputs) = (encoder.schema.fields.len(), plan.width(), calibration.outputs());
        for (chunk, values) in values.chunks(CHUNK_ROWS * fields).enumerate() {
            self.check_cancel()?;
            plan.fill(values, matrix);
            let distance_km = |row: usize| matrix.distances_km.get(row).copied();
            let (first, count) = (first + chunk * CHUNK_ROWS, values.len() / fields);
            trees.run(&matrix.values, count, width, |margins| {
                for row in 0..count {
                    let index = first + row;
                    let answer = calibration
                        .answer(
                            &margins[row * outputs..(row + 1) * outputs],
                            &values[row * fields..(row + 1) * fields],
                            &matrix.values[row * width..(row + 1) * width],
                            distance_km(row),
                        )
                        .map_err(|error| error.with_row(index))?;
                    take(index, &answer);
                }
                Ok(())
            })??;
            for (row, values) in values.chunks_exact(fields).enumerate() {
                note_plan.note(notes, &encoder.schema, first + row, values, distance_km(row));
            }
        }
        Ok(())
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::InferenceFailed, "the model gave too few answers; load it again")
}

/// The f32 matrix that a model with this schema would see, row-major, one column per feature: what training uses.
///
/// ```
/// use latency_core::{Batch, Predictor, featurize};
/// # fn main() -> latency_core::Result<()> {
/// let predictor = Predictor::bundled()?;
/// let batch = Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]);
/// assert_eq!(featurize(predictor.schema(), &batch)?, predictor.features(&batch)?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Predictor::predict_batch`], and [`ErrorKind::InvalidSchema`] if the schema contradicts itself.
pub fn featurize(schema: &Schema, batch: &Batch<'_>) -> Result<Array2<f32>> {
    // Its fields are public: it may have been changed since it was read.
    schema
        .check()
        .map_err(|fault| Error::new(ErrorKind::InvalidSchema, format!("the schema is not sound: {fault}")))?;
    matrix(&FeaturePlan::new(schema), &schema.encode_batch(batch)?)
}

fn matrix(plan: &FeaturePlan, rows: &EncodedRows) -> Result<Array2<f32>> {
    Array2::from_shape_vec((rows.rows, plan.width()), plan.matrix(&rows.values).values)
        .map_err(|error| Error::new(ErrorKind::InvalidBatch, "the matrix has an impossible shape").with_source(error))
}
