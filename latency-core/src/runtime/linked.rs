//! The ONNX Runtime library, linked when the program was built.

use std::path::{Path, PathBuf};

use ort::environment::EnvironmentBuilder;

use super::environment::Library;
use crate::error::Result;

/// The linker found the library: nothing is left to choose.
#[derive(Debug, Clone, Default)]
pub(crate) struct LibraryOptions;

impl Library for LibraryOptions {
    fn start(&self) -> Result<(EnvironmentBuilder, Option<PathBuf>)> {
        Ok((ort::init(), None))
    }

    fn check_in_use(&self, _library: Option<&Path>) -> Result<()> {
        Ok(())
    }
}
