//! The class that Python's `Predictor` wraps.

use std::borrow::Cow;
use std::path::PathBuf;

use latency_core::{Place, Schema};
use numpy::{IntoPyArray, PyArray2, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::convert::{self, Columns};
use crate::error::OrRaise;

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
    #[pyo3(signature = (model=None, *, library=None, library_folder=None, sessions=None, threads=None, golden_rows=true))]
    fn new(
        py: Python<'_>,
        model: Option<Model>,
        library: Option<PathBuf>,
        library_folder: Option<PathBuf>,
        sessions: Option<usize>,
        threads: Option<usize>,
        golden_rows: bool,
    ) -> PyResult<Self> {
        let mut builder = latency_core::Predictor::builder();
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
        let row = convert::row(values)?;
        let prediction = py.detach(|| self.inner.predict(&row)).or_raise(py)?;
        convert::prediction(py, &prediction)
    }

    /// Columns → `(columns of f32 arrays, warnings, ignored column names)`.
    #[allow(clippy::type_complexity)] // A plain tuple that the Python side unpacks at once.
    fn predict_batch<'py>(
        &self,
        py: Python<'py>,
        columns: &Bound<'py, PyDict>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<(usize, String, String, String)>, Vec<String>)> {
        let columns = Columns::extract(columns)?;
        let batch = columns.batch();
        let predictions = py.detach(|| self.inner.predict_batch(&batch)).or_raise(py)?;
        let answer = PyDict::new(py);
        for (name, column) in predictions.columns() {
            answer.set_item(name, column.to_pyarray(py))?;
        }
        let warnings = predictions
            .notes
            .warnings
            .into_iter()
            .map(|(row, warning)| (row, warning.code.as_str().to_owned(), warning.field, warning.message));
        Ok((answer, warnings.collect(), predictions.notes.ignored_columns))
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

/// The matrix that a model with this schema sees for these columns: what training uses.
#[pyfunction]
pub fn featurize<'py>(
    py: Python<'py>,
    schema_json: &str,
    columns: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let schema = Schema::from_json(schema_json).or_raise(py)?;
    let columns = Columns::extract(columns)?;
    let batch = columns.batch();
    let matrix = py.detach(|| latency_core::featurize(&schema, &batch)).or_raise(py)?;
    Ok(matrix.into_pyarray(py))
}

/// `(name, region, country, lat, lon, provider)` of a place.
#[pyfunction]
#[allow(clippy::type_complexity)] // A plain tuple that the Python side unpacks at once.
pub fn find_place(
    py: Python<'_>,
    query: &str,
) -> PyResult<(String, Option<String>, Option<String>, f64, f64, Option<&'static str>)> {
    let place = Place::find(query).or_raise(py)?;
    let provider = place.provider().map(latency_core::Provider::as_str);
    let [region, country] = [place.region, place.country].map(|part| part.map(Cow::into_owned));
    Ok((place.name.into_owned(), region, country, place.lat, place.lon, provider))
}
