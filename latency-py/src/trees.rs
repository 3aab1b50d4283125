//! The native engine alone, for the gate before a model file.

use latency_core::{Error, ErrorKind, NativeModel};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::error::OrRaise;

/// The trees of an ONNX file, with or without a schema.
#[pyclass(frozen, module = "latency_predictor._core")]
pub struct Trees {
    inner: NativeModel,
}

#[pymethods]
impl Trees {
    #[new]
    fn new(py: Python<'_>, model: &[u8]) -> PyResult<Self> {
        NativeModel::from_onnx(model).map(|inner| Self { inner }).or_raise(py)
    }

    /// A C-contiguous matrix of features → one of margins, a column for each target.
    #[allow(clippy::needless_pass_by_value)] // As pyo3 gives it.
    fn run<'py>(&self, py: Python<'py>, matrix: PyReadonlyArray2<'py, f32>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let ((rows, found), (columns, targets)) = ((matrix.shape()[0], matrix.shape()[1]), self.inner.shape());
        let cells = matrix.as_slice().ok().filter(|_| found == columns);
        let cells = cells
            .ok_or_else(|| {
                let message =
                    format!("found a matrix of {found} columns; allowed: {columns} columns, row by row in memory");
                Error::new(ErrorKind::InvalidBatch, message)
            })
            .or_raise(py)?;
        let mut margins = vec![0.0; rows * targets];
        self.inner.fill(cells, &mut margins);
        PyArray1::from_vec(py, margins).reshape([rows, targets])
    }
}
