//! The ONNX Runtime library, opened at run time.

use std::path::{Path, PathBuf};

use ort::environment::EnvironmentBuilder;

use super::environment::Library;
use super::locate::locate;
use crate::error::{Error, ErrorKind, Result};

/// Which library to open.
#[derive(Debug, Clone, Default)]
pub(crate) struct LibraryOptions {
    pub path: Option<PathBuf>,
    pub folders: Vec<PathBuf>,
}

impl Library for LibraryOptions {
    fn start(&self) -> Result<(EnvironmentBuilder, Option<PathBuf>)> {
        let path = locate(self.path.as_deref(), &self.folders)?;
        let environment = ort::init_from(&path).map_err(|error| {
            Error::new(
                ErrorKind::RuntimeNotLoaded,
                format!(
                    "{} is not a usable ONNX Runtime library: {}; allowed: version 1.20 or later, for this machine's \
                     architecture, such as the one in the pip package `onnxruntime`",
                    path.display(),
                    load_failure(&error)
                ),
            )
            .with_context("library", path.display().to_string())
            .with_source(error)
        })?;
        Ok((environment, Some(path)))
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

/// Why a library does not load, with the linker's own words, which say whether it is missing something, no library at
/// all, or made for another machine.
fn load_failure(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        }
        ort::LoadDynamicError::MissingApi { .. } => "it does not export `OrtGetApiBase`".to_owned(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => format!("it is version {version_str}"),
        ort::LoadDynamicError::InvalidVersionString => error.to_string(),
    }
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
