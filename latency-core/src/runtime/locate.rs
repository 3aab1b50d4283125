//! Which ONNX Runtime library to load: a policy that only looks, and never loads.

use std::path::{Path, PathBuf};

use super::probe::OLDEST_MINOR;
use crate::error::{Error, ErrorKind, Result, list};

/// The environment variables that name the library, the first one set wins.
///
/// ```
/// let named = latency_core::LIBRARY_VARIABLES.iter().find_map(std::env::var_os);
/// println!("{}", named.map_or("none is set".into(), |path| path.display().to_string()));
/// # assert_eq!(latency_core::LIBRARY_VARIABLES[0], "LATENCY_ORT_DYLIB_PATH");
/// ```
pub const LIBRARY_VARIABLES: [&str; 2] = ["LATENCY_ORT_DYLIB_PATH", "ORT_DYLIB_PATH"];

/// What the pip package calls the library.
const PACKAGE_FILE: &str = if cfg!(windows) {
    "onnxruntime/capi/onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "onnxruntime/capi/libonnxruntime.*.dylib"
} else {
    "onnxruntime/capi/libonnxruntime.so.*"
};

/// What the library's file is called on this platform, without a version: `libonnxruntime.so` on Linux.
///
/// ```
/// assert!(latency_core::library_file_name().contains("onnxruntime"));
/// ```
#[must_use]
pub fn library_file_name() -> String {
    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// A library's file, and who asked for it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub path: PathBuf,
    /// `LATENCY_ORT_DYLIB_PATH names`.
    asked_by: String,
}

impl Candidate {
    /// The error for a file that is not a usable library, because "it ...".
    pub fn unusable(&self, why: &str) -> Error {
        self.refuse(&format!("which is not a usable ONNX Runtime library: {why}"))
    }

    fn refuse(&self, what: &str) -> Error {
        let path = self.path.display().to_string();
        Error::new(
            ErrorKind::RuntimeNotLoaded,
            format!("{} {path}, {what}; {}; {}", self.asked_by, allowed(), cure("name its file")),
        )
        .with_context("library", path)
    }

    fn check(self) -> Result<Self> {
        if !self.path.is_absolute() {
            return Err(self.refuse("which is not an absolute path"));
        }
        match self.path.metadata() {
            Err(error) => Err(self.refuse(&format!("which cannot be read ({error})"))),
            Ok(found) if found.is_dir() => Err(self.refuse("which is a folder")),
            // Reading one, such as a pipe, could wait for ever.
            Ok(found) if !found.is_file() => Err(self.refuse("which is not a file")),
            Ok(found) if found.len() == 0 => Err(self.unusable("it is empty")),
            Ok(_) => self.check_machine(),
        }
    }

    #[cfg(target_os = "linux")]
    fn check_machine(self) -> Result<Self> {
        use super::elf;

        match (elf::machine(&self.path), elf::own()) {
            (Err(error), _) => Err(self.refuse(&format!("which cannot be read ({error})"))),
            (Ok(None), _) => Err(self.unusable("it is no shared library (it has no ELF header)")),
            (Ok(Some(found)), Some(own)) if found != own => {
                Err(self.unusable(&format!("it is built for another machine ({found}; this program: {own})")))
            }
            (Ok(Some(_)), _) => Ok(self),
        }
    }

    /// The linker of other systems says it clearly.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "it is the other half of the one for Linux")]
    fn check_machine(self) -> Result<Self> {
        Ok(self)
    }
}

fn allowed() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("allowed: the absolute path of ONNX Runtime 1.{OLDEST_MINOR} or a later 1.x for {os} {arch}")
}

fn cure(name_its_file: &str) -> String {
    format!("run `pip install onnxruntime`, and {name_its_file} `{PACKAGE_FILE}`")
}

/// The library to load: `explicit`, else the first environment variable that is set, else the first that exists in the
/// folders that the package's binding names, then beside the running program.
///
/// Whatever is asked for by name must be there: falling back silently would run another version than the one named.
pub(super) fn locate(explicit: Option<&Path>, folders: &[PathBuf]) -> Result<Candidate> {
    if let Some(path) = explicit {
        return Candidate { path: path.to_path_buf(), asked_by: "the option `library` names".into() }.check();
    }
    for variable in LIBRARY_VARIABLES {
        if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
            return Candidate { path: path.into(), asked_by: format!("{variable} names") }.check();
        }
    }
    let program = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_path_buf));
    let folders: Vec<_> = folders.iter().cloned().chain(program).collect();
    if let Some(path) = folders.iter().find_map(|folder| find_in(folder)) {
        return Candidate { path, asked_by: "the package's folder or the program's holds".into() }.check();
    }
    let folders = list(folders.iter().map(|folder| folder.display()));
    Err(Error::new(
        ErrorKind::RuntimeNotLoaded,
        format!(
            "found no ONNX Runtime library: {} are not set, and there is no {} in {folders}; {}; {}",
            LIBRARY_VARIABLES.join(" and "),
            library_file_name(),
            allowed(),
            cure(&format!("set {} to its file", LIBRARY_VARIABLES[0]))
        ),
    )
    .with_context("looked in", folders))
}

/// `libonnxruntime.so`, or the versioned file that the pip package holds.
fn find_in(folder: &Path) -> Option<PathBuf> {
    let name = library_file_name();
    let plain = folder.join(&name);
    if plain.is_file() {
        return std::path::absolute(plain).ok();
    }
    // `libonnxruntime.so.1.32.0` on Linux, `libonnxruntime.1.32.0.dylib` on macOS.
    let prefix = format!("{}onnxruntime.", std::env::consts::DLL_PREFIX);
    let named = |file: &str| file.starts_with(&prefix) && file.contains(std::env::consts::DLL_SUFFIX);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.file_name().is_some_and(|file| named(&file.to_string_lossy())))
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
