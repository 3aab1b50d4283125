//! Asks a library what it is before `ort` does.
//!
//! `ort` keeps a library for the life of the process and then panics if it has no base or no API, and reads address 0 if
//! it has no version: neither could be reported as an error, and no good library could follow in the same process.

#![expect(unsafe_code, reason = "a library can be asked only by calling it; no safe crate, and nothing in ort, does")]

use std::ffi::CStr;
#[cfg(feature = "load-dynamic")]
use std::path::Path;

use ort::sys::{ORT_API_VERSION, OrtApiBase};

/// The oldest 1.x that is tested; newer, if a host turns on an API of ort that needs more.
pub(super) const OLDEST_MINOR: u32 = if ort::MINOR_VERSION > 20 { ort::MINOR_VERSION } else { 20 };

/// Opens the library and examines it; it stays open as long as what is returned.
#[cfg(feature = "load-dynamic")]
pub(super) fn open(path: &Path) -> Result<libloading::Library, String> {
    // SAFETY: opening runs the file's initialisers, whatever they are: the user chose to run them by naming the file, or
    // by putting it into the package. ONNX Runtime's have no conditions.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| linker_words(&error, path))?;
    let base = {
        // SAFETY: ONNX Runtime's header declares this function so, and nobody else's library has the name.
        let base = unsafe { library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase") }
            .map_err(|_| "it does not export `OrtGetApiBase`")?;
        // SAFETY: as above; it can be called at any time.
        unsafe { base() }
    };
    examine(base)?;
    Ok(library)
}

/// Examines the library that is linked.
#[cfg(not(feature = "load-dynamic"))]
pub(super) fn linked() -> Result<(), String> {
    // SAFETY: it can be called at any time.
    examine(unsafe { ort::sys::OrtGetApiBase() })
}

fn examine(base: *const OrtApiBase) -> Result<(), String> {
    // SAFETY: what ONNX Runtime returns, if it is not NULL, is a static of its own.
    let base = unsafe { base.as_ref() }.ok_or("its `OrtGetApiBase` returns NULL")?;
    // SAFETY: it can be called at any time.
    let version = unsafe { (base.GetVersionString)() };
    if version.is_null() {
        return Err("it gives no version (NULL)".to_owned());
    }
    // SAFETY: not NULL, and ONNX Runtime's is a literal: NUL-terminated, and never changed.
    let version = unsafe { CStr::from_ptr(version) }.to_string_lossy();
    match version_numbers(&version) {
        None => return Err(format!("it gives the malformed version {version:?}")),
        Some((1, minor)) if minor >= OLDEST_MINOR => {}
        Some(_) => return Err(format!("it is version {version}")),
    }
    // SAFETY: it can be called at any time, and answers NULL for a number that it does not know.
    if unsafe { (base.GetApi)(ORT_API_VERSION) }.is_null() {
        return Err(format!("it is version {version}, but does not offer version {ORT_API_VERSION} of its API"));
    }
    Ok(())
}

/// Major and minor of `1.32.0`.
fn version_numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The linker's own words say whether the file lacks something, or is cut short; they begin with the path once more.
#[cfg(feature = "load-dynamic")]
fn linker_words(error: &libloading::Error, path: &Path) -> String {
    let words = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let words = words.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&words);
    format!("it does not load ({words})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (version, numbers) in [
            ("1.32.0", Some((1, 32))),
            ("1.20.1-rc1", Some((1, 20))),
            ("2.0", Some((2, 0))),
            ("", None),
            ("1", None),
            ("1.x.0", None),
            ("v1.32.0", None),
            ("-1.32.0", None),
        ] {
            assert_eq!(version_numbers(version), numbers, "{version}");
        }
    }
}
