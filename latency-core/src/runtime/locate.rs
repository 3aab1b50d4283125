//! Which ONNX Runtime library to load: a policy that only looks, and never loads.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The environment variables that name the library, the first one set wins.
pub const LIBRARY_VARIABLES: [&str; 2] = ["LATENCY_ORT_DYLIB_PATH", "ORT_DYLIB_PATH"];

const CURE: &str = "install it with `pip install onnxruntime` and name the file \
                    `onnxruntime/capi/libonnxruntime.so.*` of that package in LATENCY_ORT_DYLIB_PATH";

/// What the library's file is called on this platform, without a version: `libonnxruntime.so` on Linux.
#[must_use]
pub fn library_file_name() -> String {
    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The library to load: `explicit`, else the first environment variable that is set, else the first that exists in the
/// folders that the package's binding names, then beside the running program.
///
/// Whatever is asked for by name must be there: falling back silently would run another version than the one named.
pub(crate) fn locate(explicit: Option<&Path>, folders: &[PathBuf]) -> Result<PathBuf> {
    if let Some(path) = explicit {
        return check(path, "the library path given to the builder");
    }
    for variable in LIBRARY_VARIABLES {
        if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
            return check(Path::new(&path), variable);
        }
    }
    let program = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_path_buf));
    let folders: Vec<_> = folders.iter().cloned().chain(program).collect();
    folders.iter().find_map(|folder| find_in(folder)).ok_or_else(|| {
        Error::new(
            ErrorKind::RuntimeNotLoaded,
            format!(
                "found no ONNX Runtime library: {} are not set, and no {} lies beside the package; {CURE}",
                LIBRARY_VARIABLES.join(" and "),
                library_file_name()
            ),
        )
        .with_context(
            "looked in",
            folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
        )
    })
}

fn check(path: &Path, named_by: &str) -> Result<PathBuf> {
    let fail = |what: &str| {
        Err(Error::new(ErrorKind::RuntimeNotLoaded, format!("{named_by} names {}, {what}; {CURE}", path.display()))
            .with_context("library", path.display().to_string()))
    };
    if !path.is_absolute() {
        return fail("which is not an absolute path");
    }
    match path.metadata() {
        Err(error) => fail(&format!("which cannot be read ({error})")),
        Ok(found) if found.is_dir() => fail("which is a folder; allowed: the library's file"),
        Ok(_) => Ok(path.to_path_buf()),
    }
}

/// `libonnxruntime.so`, or the versioned file that the pip package holds.
fn find_in(folder: &Path) -> Option<PathBuf> {
    let name = library_file_name();
    let plain = folder.join(&name);
    if plain.is_file() {
        return std::path::absolute(plain).ok();
    }
    let versioned = format!("{name}.");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.is_file() && path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&versioned))
        })
        .collect();
    found.sort();
    found.pop().and_then(|path| std::path::absolute(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_path_must_be_an_existing_absolute_file() {
        let folder = tempfile::tempdir().unwrap();
        for (path, what) in [
            (PathBuf::from("libonnxruntime.so"), "not an absolute path"),
            (folder.path().join("missing.so"), "cannot be read"),
            (folder.path().to_path_buf(), "is a folder"),
        ] {
            let error = locate(Some(&path), &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RuntimeNotLoaded);
            assert!(error.message().contains(what), "{error}");
            assert!(error.message().contains("pip install onnxruntime"), "{error}");
        }
    }

    #[test]
    fn a_versioned_library_in_a_package_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find_in(folder.path()), None);
        let versioned = folder.path().join(format!("{}.1.32.0", library_file_name()));
        std::fs::write(&versioned, "").unwrap();
        assert_eq!(find_in(folder.path()), Some(versioned));
        let plain = folder.path().join(library_file_name());
        std::fs::write(&plain, "").unwrap();
        assert_eq!(find_in(folder.path()), Some(plain));
    }
}
