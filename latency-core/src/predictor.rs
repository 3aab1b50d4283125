//! The predictor: a model file, loaded and checked, that answers.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::batch::Batch;
use crate::encode::{EncodedRows, category_index};
use crate::error::{Error, ErrorKind, Result};
use crate::features::FeaturePlan;
use crate::prediction::{Calibration, Prediction, Predictions, Warning, WarningCode};
use crate::row::Row;
use crate::runtime::{HostEnvironment, RuntimeOptions, SessionOptions, SessionPool};
use crate::schema::{FieldKind, GoldenRow, METADATA_KEY, Schema};

/// The bundled model's file.
const BUNDLED_MODEL: &[u8] = include_bytes!("../assets/latency.onnx");

/// Relative tolerance of golden rows: a model must load on every CPU, and CPUs differ in the last bits of ONNX Runtime's
/// sums.
const GOLDEN_TOLERANCE: f64 = 1e-5;

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
#[derive(Debug, Clone)]
pub struct Predictor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    schema: Schema,
    plan: FeaturePlan,
    calibration: Calibration,
    pool: SessionPool,
    info: ModelInfo,
}

/// What is loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The model's name.
    pub name: String,
    /// The first 12 hex digits of the file's SHA-256.
    pub version: String,
    /// What evaluates the trees.
    pub engine: &'static str,
    /// SHA-256 of the model file, hex.
    pub sha256: String,
    /// Size of the model file, bytes.
    pub bytes: usize,
    /// Columns of the matrix that the trees eat.
    pub features: usize,
    /// Where the model comes from: data sets, rows, dates, metrics.
    pub provenance: serde_json::Map<String, serde_json::Value>,
}

/// The short form of [`ModelInfo`] that stands beside predictions over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelTag<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The first 12 hex digits of the file's SHA-256.
    pub version: &'a str,
    /// What evaluates the trees.
    pub engine: &'a str,
}

impl ModelInfo {
    /// Name, version and engine.
    #[must_use]
    pub fn tag(&self) -> ModelTag<'_> {
        ModelTag { name: &self.name, version: &self.version, engine: self.engine }
    }
}

/// Says which model to load, and how to run it.
#[derive(Debug, Clone)]
pub struct PredictorBuilder {
    model: ModelSource,
    options: SessionOptions,
    check_golden_rows: bool,
}

#[derive(Debug, Clone)]
enum ModelSource {
    Bundled,
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Predictor {
    /// The model that ships inside this crate.
    ///
    /// # Errors
    /// [`ErrorKind::RuntimeNotLoaded`] if no ONNX Runtime library is found; the message says where it was looked for.
    pub fn bundled() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts from the bundled model with default options.
    #[must_use]
    pub fn builder() -> PredictorBuilder {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        PredictorBuilder {
            model: ModelSource::Bundled,
            options: SessionOptions { sessions: cores, threads: 1, runtime: RuntimeOptions::default() },
            check_golden_rows: true,
        }
    }

    /// The file of the bundled model.
    #[must_use]
    pub fn bundled_model() -> &'static [u8] {
        BUNDLED_MODEL
    }

    /// Predicts one path. Equal to the bit to the same row in a batch.
    ///
    /// # Errors
    /// An error of group [`Input`](crate::ErrorGroup::Input) that names the field, if the row does not fit the model's
    /// schema: a required field missing, an unknown one, a value that is not allowed.
    pub fn predict(&self, row: &Row) -> Result<Prediction> {
        let rows = self.0.schema.encode_row(row)?;
        let predictions = self.predict_encoded(rows).map_err(Error::without_row)?;
        predictions.get(0).ok_or_else(|| Error::new(ErrorKind::InferenceFailed, "the model gave no answer"))
    }

    /// Predicts many paths. Row i of the answer belongs to row i of the batch; an empty batch gives an empty answer.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), naming the first row at fault, and [`ErrorKind::InvalidBatch`] if the columns do
    /// not fit together. Columns that the model does not know are no error: they are listed in
    /// [`Predictions::ignored_columns`].
    pub fn predict_batch(&self, batch: &Batch<'_>) -> Result<Predictions> {
        self.predict_encoded(self.0.schema.encode_batch(batch)?)
    }

    /// Predicts many rows, each of which may fail alone: what an array of JSON objects needs.
    ///
    /// # Errors
    /// Only what concerns all rows, such as [`ErrorKind::InferenceFailed`].
    pub fn predict_rows<'r>(&self, rows: impl IntoIterator<Item = Result<&'r Row>>) -> Result<Vec<Result<Prediction>>> {
        let mut good = EncodedRows { values: Vec::new(), rows: 0, ignored: Vec::new() };
        let answers: Vec<Result<()>> = rows
            .into_iter()
            .map(|row| {
                good.values.extend(self.0.schema.encode_row(row?)?.values);
                good.rows += 1;
                Ok(())
            })
            .collect();
        let predictions = self.predict_encoded(good)?;
        let mut predictions = predictions.iter();
        answers
            .into_iter()
            .map(|answer| match answer {
                Ok(()) => predictions
                    .next()
                    .map(Ok)
                    .ok_or_else(|| Error::new(ErrorKind::InferenceFailed, "the model gave too few answers")),
                Err(error) => Ok(Err(error)),
            })
            .collect()
    }

    /// The f32 matrix that the trees see for a batch, row-major, one column per feature of the schema.
    ///
    /// # Errors
    /// As [`predict_batch`](Self::predict_batch).
    pub fn features(&self, batch: &Batch<'_>) -> Result<ndarray::Array2<f32>> {
        featurize(&self.0.schema, batch)
    }

    /// What the model takes and gives.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    /// What is loaded.
    #[must_use]
    pub fn model_info(&self) -> &ModelInfo {
        &self.0.info
    }

    fn predict_encoded(&self, rows: EncodedRows) -> Result<Predictions> {
        let inner = &*self.0;
        let matrix = inner.plan.matrix(&rows);
        let predict = |margins: &[f32]| inner.calibration.apply(margins, &rows, &matrix);
        // ONNX Runtime refuses matrices without rows.
        let predictions = if rows.rows == 0 {
            predict(&[])?
        } else {
            inner.pool.run(&matrix.values, rows.rows, inner.plan.width(), predict)??
        };
        Ok(Predictions {
            warnings: self.warnings(&rows, &matrix.distances_km),
            ignored_columns: rows.ignored,
            ..predictions
        })
    }

    fn warnings(&self, rows: &EncodedRows, distances_km: &[f64]) -> Vec<(usize, Warning)> {
        let schema = &self.0.schema;
        let mut warnings = Vec::new();
        let out_of_range =
            |field: &str, message: String| Warning { code: WarningCode::OutOfRange, field: field.to_owned(), message };
        let seen_distance = schema.coordinates.as_ref().and_then(|coordinates| coordinates.seen_distance_km);
        for (index, row) in rows.values.chunks_exact(schema.fields.len().max(1)).enumerate() {
            for (field, value) in schema.fields.iter().zip(row).filter(|(_, value)| !value.is_nan()) {
                let message = match &field.kind {
                    FieldKind::Number { seen: Some([low, high]), .. } if value < low || value > high => {
                        format!("found {value}; training saw {low} to {high}: the prediction is an extrapolation")
                    }
                    FieldKind::Category { categories, seen } => {
                        match category_index(*value).and_then(|index| categories.get(index)) {
                            Some(word) if !seen.contains(word) => format!(
                                "found {word}; training saw {}: the prediction is an extrapolation",
                                if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
                            ),
                            _ => continue,
                        }
                    }
                    FieldKind::Number { .. } => continue,
                };
                warnings.push((index, out_of_range(&field.name, message)));
            }
            if let (Some([low, high]), Some(distance)) = (seen_distance, distances_km.get(index))
                && !(low..=high).contains(distance)
            {
                let message = format!(
                    "found {distance:.0} km; training saw {low:.0} to {high:.0} km: the prediction is an extrapolation"
                );
                warnings.push((index, out_of_range("distance_km", message)));
            }
        }
        warnings
    }

    fn check_golden_rows(&self) -> Result<()> {
        if self.0.schema.golden.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidSchema,
                "the model holds no golden rows to check; write it again with `latency train`",
            ));
        }
        for (index, GoldenRow { row, prediction: expected }) in self.0.schema.golden.iter().enumerate() {
            let found = self.predict(&row.iter().map(|(name, value)| (name.as_str(), value.clone())).collect())?;
            for (name, number) in found.numbers() {
                let expected = expected.get(name).copied().unwrap_or(f32::NAN);
                let difference = (f64::from(number) - f64::from(expected)).abs();
                let agrees = difference <= GOLDEN_TOLERANCE * f64::from(expected).abs().max(f64::MIN_POSITIVE);
                if !agrees {
                    return Err(Error::new(
                        ErrorKind::GoldenMismatch,
                        format!(
                            "golden row {index} gives {name} = {number}, but the model file says {expected}; the file was \
                             changed, or this ONNX Runtime computes something else: get the model again, or use another \
                             version of ONNX Runtime"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The f32 matrix that a model with this schema would see, row-major, one column per feature: what training uses.
///
/// # Errors
/// As [`Predictor::predict_batch`].
pub fn featurize(schema: &Schema, batch: &Batch<'_>) -> Result<ndarray::Array2<f32>> {
    let plan = FeaturePlan::new(schema);
    let rows = schema.encode_batch(batch)?;
    let shape = (rows.rows, plan.width());
    let values = plan.matrix(&rows).values;
    ndarray::Array2::from_shape_vec(shape, values)
        .map_err(|error| Error::new(ErrorKind::InvalidBatch, "the matrix has an impossible shape").with_source(error))
}

impl PredictorBuilder {
    /// Loads this file instead of the bundled model.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.model = ModelSource::File(path.as_ref().to_path_buf());
        self
    }

    /// Loads these bytes instead of the bundled model.
    #[must_use]
    pub fn bytes(mut self, model: impl Into<Vec<u8>>) -> Self {
        self.model = ModelSource::Bytes(model.into());
        self
    }

    /// How many calls can run at the same time; default: one per core.
    #[must_use]
    pub fn sessions(mut self, sessions: usize) -> Self {
        self.options.sessions = sessions.max(1);
        self
    }

    /// Threads inside one call; default 1. With more, sums may differ in their last bits.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// The ONNX Runtime library to load: an absolute path. It wins over `LATENCY_ORT_DYLIB_PATH` and `ORT_DYLIB_PATH`.
    #[cfg(feature = "load-dynamic")]
    #[must_use]
    pub fn library(mut self, path: impl AsRef<Path>) -> Self {
        self.options.runtime.library.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// A folder to look for the ONNX Runtime library in, if neither [`library`](Self::library) nor the environment names
    /// one: how bindings name the copy that their package brings.
    #[cfg(feature = "load-dynamic")]
    #[must_use]
    pub fn library_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.options.runtime.library.folders.push(folder.as_ref().to_path_buf());
        self
    }

    /// The environment of a host application that uses the crate `ort` itself: a process can have one. Give a clone of the
    /// `ort::environment::Environment`, of exactly ort 2.0.0-rc.15; [`build`](Self::build) refuses anything else. The type
    /// is not in the signature because ort is a release candidate.
    ///
    /// The library that the host loaded is used, so no other is looked for, and the option `library` is an error.
    /// The environment is kept to the end of the process, and later predictors that are given none run in it as well. A
    /// host that makes its environment after the first predictor is refused by ort: make it first.
    #[must_use]
    pub fn environment(mut self, environment: impl Any + Send + Sync) -> Self {
        self.options.runtime.host = Some(HostEnvironment::new(environment));
        self
    }

    /// Loads a model whose golden rows are not written yet: training needs the predictions to write them.
    #[doc(hidden)]
    #[must_use]
    pub fn without_golden_rows(mut self) -> Self {
        self.check_golden_rows = false;
        self
    }

    /// Loads the model and checks it: the file, its schema, and that it reproduces its golden rows.
    ///
    /// # Errors
    /// [`ErrorKind::ModelNotReadable`], [`ErrorKind::InvalidModel`], [`ErrorKind::InvalidSchema`],
    /// [`ErrorKind::GoldenMismatch`], or [`ErrorKind::RuntimeNotLoaded`].
    pub fn build(self) -> Result<Predictor> {
        let read;
        let model: &[u8] = match &self.model {
            ModelSource::Bundled => BUNDLED_MODEL,
            ModelSource::Bytes(bytes) => bytes,
            ModelSource::File(path) => {
                read = read_model(path)?;
                &read
            }
        };
        let predictor = load(model, &self.options)?;
        if self.check_golden_rows {
            predictor.check_golden_rows()?;
        }
        Ok(predictor)
    }
}

fn read_model(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(
            ErrorKind::ModelNotReadable,
            format!(
                "cannot read the model file {}: {error}; give the path of an .onnx file written by `latency train`",
                path.display()
            ),
        )
        .with_context("file", path.display().to_string())
        .with_source(error)
    })
}

fn load(model: &[u8], options: &SessionOptions) -> Result<Predictor> {
    let (pool, graph) = SessionPool::load(model, METADATA_KEY, options)?;
    let text = graph.metadata.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidSchema,
            format!(
                "this ONNX model has no metadata `{METADATA_KEY}`; write it with `latency train`, which puts it there"
            ),
        )
    })?;
    let schema = Schema::from_json(&text)?;
    let plan = FeaturePlan::new(&schema);
    for (what, found, expected) in
        [("columns in", graph.inputs, plan.width()), ("columns out", graph.outputs, schema.outputs.len())]
    {
        if found != expected {
            return Err(Error::new(
                ErrorKind::InvalidSchema,
                format!("the graph has {found} {what}, but its schema says {expected}; write the model again"),
            ));
        }
    }
    let sha256 = hex(&Sha256::digest(model));
    let info = ModelInfo {
        name: schema.name.clone(),
        version: sha256[..12].to_owned(),
        engine: "onnxruntime",
        sha256,
        bytes: model.len(),
        features: plan.width(),
        provenance: schema.provenance.clone(),
    };
    let calibration = Calibration::new(&schema);
    Ok(Predictor(Arc::new(Inner { schema, plan, calibration, pool, info })))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
