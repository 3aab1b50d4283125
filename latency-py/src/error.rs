//! Core errors → the exception classes of `latency_predictor.errors`.

use std::error::Error as _;

use latency_core::{Error, ErrorGroup, ErrorKind};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// What can go wrong while Python's values are read: they are not what is allowed, or Python itself fails.
pub enum Failure {
    /// Of the core, or put like one of its errors.
    Core(Error),
    /// An exception of Python's.
    Python(PyErr),
}

impl Failure {
    /// The same for one row of many.
    pub fn in_row(self, row: usize) -> Self {
        match self {
            Self::Core(error) => Self::Core(error.with_row(row)),
            Self::Python(error) => Self::Python(error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

/// Turns a core error into its Python exception, with `code`, `field`, `row` and `__cause__`.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).map_or_else(|error| error, PyErr::from_value)
}

/// The exception itself, not raised.
pub fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let class = match (error.kind().group(), error.kind()) {
        (ErrorGroup::Input, _) => "InvalidInputError",
        (ErrorGroup::Model, _) => "ModelError",
        (_, ErrorKind::RuntimeNotLoaded) => "RuntimeLoadError",
        _ => "InferenceError",
    };
    let class = py.import("latency_predictor.errors")?.getattr(class)?;
    let value = class.call1((PyString::new(py, &error.to_string()), error.code(), error.field(), error.row()))?;
    let python = PyErr::from_value(value.clone());
    python.set_cause(py, error.source().map(|source| PyRuntimeError::new_err(source.to_string())));
    Ok(value)
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

impl<T> OrRaise<T> for Result<T, Failure> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|failure| match failure {
            Failure::Core(error) => to_python(py, &error),
            Failure::Python(error) => error,
        })
    }
}
