//! The class that Python's `Predictor` wraps.

use std::path::PathBuf;

use latency_core::{Engine, Error, Notes, Row, Schema};
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::columns::Columns;
use crate::convert;
use crate::error::{Failure, OrRaise, exception};

/// A loaded model.
#[pyclass(frozen, module = "latency_predictor._core")]
pub struct Predictor {
    inner: latency_core::Predictor,
}

/// What to load: nothing (the bundled model), a path, or bytes.
#[derive(FromPyObject)]
pub enum Model {
    /// The bytes of an ONNX file.
    Bytes(Vec<u8>),
    /// Its path.
    Path(PathBuf),
}

#[pymethods]
impl Predictor {
    #[new]
    #[allow(clippy::too_many_arguments)] // Keywords in Python.
    #[pyo3(signature = (model=None, *, library=None, library_folder=None, engine=None, sessions=None, threads=None, golden_rows=true))]
    fn new(
        py: Python<'_>,
        model: Option<Model>,
        library: Option<PathBuf>,
        library_folder: Option<PathBuf>,
        engine: Option<&str>,
        sessions: Option<usize>,
        threads: Option<usize>,
        golden_rows: bool,
    ) -> PyResult<Self> {
        let mut builder = latency_core::Predictor::builder();
        if let Some(word) = engine {
            let engine: Engine = word.parse().map_err(|error: Error| error.with_field("engine")).or_raise(py)?;
            builder = builder.engine(engine);
        }
        if let Some(sessions) = sessions {
            builder = builder.sessions(sessions);
        }
        if let Some(threads) = threads {
            builder = builder.threads(threads);
        }
        builder = match model {
            None => builder,
            Some(Model::Bytes(bytes)) => builder.bytes(bytes),
            Some(Model::Path(path)) => builder.file(path),
        };
        if let Some(library) = library {
            builder = builder.library(library);
        }
        if let Some(folder) = library_folder {
            builder = builder.library_folder(folder);
        }
        if !golden_rows {
            builder = builder.without_golden_rows();
        }
        let inner = py.detach(|| builder.build()).or_raise(py)?;
        Ok(Self { inner })
    }

    fn predict<'py>(&self, py: Python<'py>, values: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let row = convert::row(values).or_raise(py)?;
        let prediction = py.detach(|| self.inner.predict(&row)).or_raise(py)?;
        convert::prediction(py, &prediction)
    }

    /// A table → columns of f32 arrays, and the names of the columns that were ignored.
    #[allow(clippy::type_complexity)] // A plain tuple that the Python side unpacks at once.
    fn predict_batch<'py>(
        &self,
        py: Python<'py>,
        table: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
        let columns = Columns::extract(table, |name| self.inner.schema().takes(name)).or_raise(py)?;
        let batch = columns.batch();
        let predictions = py.detach(|| self.inner.predict_batch(&batch)).or_raise(py)?;
        let ignored = predictions.notes.ignored_columns.clone();
        Ok((arrays(py, predictions)?, ignored))
    }

    /// Likewise, but rows at fault have NaN; with the exception of each, warnings by row, and for each optional field
    /// which rows do not give it.
    #[allow(clippy::type_complexity)] // A plain tuple that the Python side unpacks at once.
    fn predict_batch_with_notes<'py>(
        &self,
        py: Python<'py>,
        table: &Bound<'py, PyAny>,
    ) -> PyResult<(
        Bound<'py, PyDict>,
        Vec<String>,
        Vec<Bound<'py, PyAny>>,
        Vec<(&'static str, String, String, usize)>,
        Bound<'py, PyDict>,
    )> {
        let columns = Columns::extract(table, |name| self.inner.schema().takes(name)).or_raise(py)?;
        let batch = columns.batch();
        let (mut predictions, errors) = py.detach(|| self.inner.predict_valid_rows(&batch)).or_raise(py)?;
        let notes: Notes = std::mem::take(&mut predictions.notes);
        let missing = PyDict::new(py);
        for (field, rows) in notes.missing_by_field() {
            missing.set_item(field, rows.collect::<Vec<bool>>().into_pyarray(py))?;
        }
        let errors = errors.iter().map(|error| exception(py, error)).collect::<PyResult<_>>()?;
        let warnings = notes
            .warnings
            .into_iter()
            .map(|(row, warning)| (warning.code.as_str(), warning.field, warning.message, row))
            .collect();
        Ok((arrays(py, predictions)?, notes.ignored_columns, errors, warnings, missing))
    }

    /// Paths → for each, in their order by median, `(index, p_best, p_within_budget, prediction)`.
    #[allow(clippy::type_complexity)] // A plain tuple that the Python side unpacks at once.
    fn rank<'py>(
        &self,
        py: Python<'py>,
        paths: &Bound<'py, PyList>,
        budget_ms: Option<f64>,
    ) -> PyResult<Vec<(usize, f64, Option<f64>, Bound<'py, PyDict>)>> {
        let rows: Vec<Row> = paths
            .iter()
            .enumerate()
            .map(|(index, path)| {
                let values = path.cast_into::<PyDict>().map_err(PyErr::from)?;
                convert::row(&values).map_err(|failure| failure.in_row(index))
            })
            .collect::<Result<_, Failure>>()
            .or_raise(py)?;
        let ranked = py.detach(|| self.inner.rank_paths(&rows, budget_ms)).or_raise(py)?;
        ranked
            .iter()
            .map(|one| Ok((one.index, one.p_best, one.p_within_budget, convert::prediction(py, &one.prediction)?)))
            .collect()
    }

    /// A path → `(timeout_ms, prediction)`.
    fn timeout<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyDict>,
        quantile: f64,
    ) -> PyResult<(f64, Bound<'py, PyDict>)> {
        let row = convert::row(values).or_raise(py)?;
        let timeout = py.detach(|| self.inner.timeout(&row, quantile)).or_raise(py)?;
        Ok((latency_core::shortest(timeout.timeout_ms), convert::prediction(py, &timeout.prediction)?))
    }

    /// A path and a measurement → `(verdict, quantile, message, prediction)`.
    #[allow(clippy::type_complexity)] // A plain tuple that the Python side unpacks at once.
    fn judge<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyDict>,
        measured_ms: f64,
    ) -> PyResult<(&'static str, f64, String, Bound<'py, PyDict>)> {
        let row = convert::row(values).or_raise(py)?;
        let found = py.detach(|| self.inner.judge(&row, measured_ms)).or_raise(py)?;
        Ok((found.verdict.as_str(), found.quantile, found.message, convert::prediction(py, &found.prediction)?))
    }

    fn schema_json(&self) -> String {
        self.inner.schema().to_json()
    }

    fn model_info_json(&self) -> PyResult<String> {
        serde_json::to_string(self.inner.model_info())
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
    }

    #[staticmethod]
    fn bundled_model(py: Python<'_>) -> Bound<'_, PyBytes> {
        PyBytes::new(py, latency_core::Predictor::bundled_model())
    }
}

fn arrays(py: Python<'_>, predictions: latency_core::Predictions) -> PyResult<Bound<'_, PyDict>> {
    let columns = PyDict::new(py);
    for (name, column) in predictions.into_columns() {
        columns.set_item(name, column.into_pyarray(py))?;
    }
    Ok(columns)
}

/// The matrix that a model with this schema sees for these columns: what training uses.
#[pyfunction]
pub fn featurize<'py>(
    py: Python<'py>,
    schema_json: &str,
    columns: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let schema = Schema::from_json(schema_json).or_raise(py)?;
    let columns = Columns::extract(columns.as_any(), |_| false).or_raise(py)?;
    let batch = columns.batch();
    let matrix = py.detach(|| latency_core::featurize(&schema, &batch)).or_raise(py)?;
    Ok(matrix.into_pyarray(py))
}
