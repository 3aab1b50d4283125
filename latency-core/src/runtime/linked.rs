//! The ONNX Runtime library, linked when the program was built.

use std::path::{Path, PathBuf};

use ort::environment::EnvironmentBuilder;

use super::environment::Library;
use super::probe::{self, OLDEST_MINOR};
use crate::error::{Error, ErrorKind, Result};

/// The linker found the library: nothing is left to choose.
#[derive(Debug, Clone, Default)]
pub(crate) struct LibraryOptions;

impl Library for LibraryOptions {
    fn start(&self) -> Result<(EnvironmentBuilder, Option<PathBuf>)> {
        probe::linked().map_err(|why| {
            Error::new(
                ErrorKind::RuntimeNotLoaded,
                format!(
                    "the ONNX Runtime that this program is linked to is not usable: {why}; allowed: version \
                     1.{OLDEST_MINOR} or a later 1.x; put such a library where the system's linker finds it"
                ),
            )
        })?;
        Ok((ort::init(), None))
    }

    fn check_in_use(&self, _library: Option<&Path>) -> Result<()> {
        Ok(())
    }
}
