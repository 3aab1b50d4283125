//! Python bindings of `latency-core`, thin: convert, call, map errors.

mod columns;
mod convert;
mod error;
mod place;
mod predictor;
mod trees;

use pyo3::prelude::*;

/// The native module `latency_predictor._core`.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::place::Place;
    #[pymodule_export]
    use super::predictor::{Predictor, featurize};
    #[pymodule_export]
    use super::trees::Trees;

    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let codes: Vec<_> = latency_core::ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        module.add("ERROR_CODES", codes)
    }
}
