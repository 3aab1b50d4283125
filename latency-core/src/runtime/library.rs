//! The ONNX Runtime library, opened at run time.

use std::path::{Path, PathBuf};

use ort::environment::EnvironmentBuilder;

use super::environment::Library;
use super::locate::locate;
use super::probe;
use crate::error::{Error, ErrorKind, Result};

/// Which library to open.
#[derive(Debug, Clone, Default)]
pub(crate) struct LibraryOptions {
    pub path: Option<PathBuf>,
    pub folders: Vec<PathBuf>,
}

impl Library for LibraryOptions {
    fn start(&self) -> Result<(EnvironmentBuilder, Option<PathBuf>)> {
        let library = locate(self.path.as_deref(), &self.folders)?;
        // Held until `ort` has it: what was examined is what is used, and is opened once.
        let _open = probe::open(&library.path).map_err(|why| library.unusable(&why))?;
        let environment =
            ort::init_from(&library.path).map_err(|error| library.unusable(&error.to_string()).with_source(error))?;
        Ok((environment, Some(library.path)))
    }

    fn check_in_use(&self, library: Option<&Path>) -> Result<()> {
        let (Some(asked), in_use) = (&self.path, library) else { return Ok(()) };
        let why = match in_use {
            Some(library) if same_file(asked, library) => return Ok(()),
            Some(library) => format!(
                "but this process has already loaded {}; allowed: one ONNX Runtime library per process; name the same \
                 one for every predictor, or leave the option out",
                library.display()
            ),
            None => {
                "but this process runs in the environment of its host, which has loaded a library; allowed: one per \
                     process; leave the option out"
                    .to_owned()
            }
        };
        let asked = asked.display().to_string();
        Err(Error::new(ErrorKind::RuntimeNotLoaded, format!("the option `library` names {asked}, {why}"))
            .with_context("library", asked))
    }
}

/// Links and detours do not make another library.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_library_is_the_same_library() {
        let folder = tempfile::tempdir().unwrap();
        let [library, other] = ["a.so", "b.so"].map(|name| folder.path().join(name));
        std::fs::write(&library, "").unwrap();
        std::fs::write(&other, "").unwrap();
        assert!(same_file(&library, &folder.path().join(".").join("a.so")));
        assert!(!same_file(&library, &other));
        assert!(!same_file(&library, &folder.path().join("missing.so")));
    }
}
