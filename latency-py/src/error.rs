//! Core errors → the exception classes of `latency_predictor.errors`.

use std::error::Error as _;

use latency_core::ErrorGroup;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Turns a core error into its Python exception, with `code`, `field`, `row` and `__cause__`.
pub fn to_python(py: Python<'_>, error: &latency_core::Error) -> PyErr {
    let class = match (error.kind().group(), error.kind()) {
        (ErrorGroup::Input, _) => "InvalidInputError",
        (ErrorGroup::Model, _) => "ModelError",
        (_, latency_core::ErrorKind::RuntimeNotLoaded) => "RuntimeLoadError",
        _ => "InferenceError",
    };
    exception(py, class, error).unwrap_or_else(|error| error)
}

fn exception(py: Python<'_>, class: &str, error: &latency_core::Error) -> PyResult<PyErr> {
    let class = py.import("latency_predictor.errors")?.getattr(class)?;
    let value = class.call1((PyString::new(py, &error.to_string()), error.code(), error.field(), error.row()))?;
    let python = PyErr::from_value(value);
    python.set_cause(py, error.source().map(|source| PyRuntimeError::new_err(source.to_string())));
    Ok(python)
}

/// `?` on core results inside functions that Python calls.
pub trait OrRaise<T> {
    /// The value, or the Python exception for the error.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for latency_core::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_python(py, &error))
    }
}
