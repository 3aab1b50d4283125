//! The process's one ONNX Runtime environment: made here, or given by the host application.

use std::any::{Any, type_name};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use super::locate::locate;
use crate::error::{Error, ErrorKind, Result};

/// The one version of `ort` whose types this crate understands; Cargo.toml pins it.
const ORT_VERSION: &str = "2.0.0-rc.15";

/// What `ort` says to whoever asks for a second environment.
const SECOND_ENVIRONMENT: &str = "only one environment is allowed per process";

/// Never dropped: ONNX Runtime must outlive every session, and tearing it down at exit is where other bindings crash.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    environment: Environment,
    /// The file it came from; none if the host loaded it.
    library: Option<PathBuf>,
}

/// Where a predictor takes ONNX Runtime from.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuntimeOptions {
    pub host: Option<HostEnvironment>,
    pub library: Option<PathBuf>,
    pub library_folders: Vec<PathBuf>,
}

/// What the host gave as its environment: that, or the name of the type that it gave instead.
#[derive(Debug, Clone)]
pub(crate) struct HostEnvironment(Result<Environment, &'static str>);

impl HostEnvironment {
    pub fn new<T: Any>(environment: T) -> Self {
        let environment: Box<dyn Any> = Box::new(environment);
        Self(environment.downcast::<Environment>().map(|environment| *environment).map_err(|_| type_name::<T>()))
    }

    fn get(&self) -> Result<&Environment> {
        self.0.as_ref().map_err(|found| {
            Error::new(
                ErrorKind::RuntimeNotLoaded,
                format!(
                    "the environment given to the builder is a `{found}`; allowed: an `ort::environment::Environment` \
                     of ort {ORT_VERSION}; depend on `ort = \"={ORT_VERSION}\"` and give a clone of its environment"
                ),
            )
        })
    }
}

/// The environment to run in. The first one is kept to the end of the process, and serves every later predictor.
pub(super) fn environment(options: &RuntimeOptions) -> Result<Environment> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = &options.host {
        let environment = host.get()?;
        if let Some(library) = &options.library {
            return Err(refused(
                library,
                "but the environment given to the builder has already loaded one; give the environment or the library",
            ));
        }
        // `ort` makes one environment per process, so that any that is loaded already is this one.
        loaded.get_or_insert_with(|| Loaded { environment: environment.clone(), library: None });
        return Ok(environment.clone());
    }
    if let Some(Loaded { environment, library }) = &*loaded {
        return match (&options.library, library) {
            (None, _) => Ok(environment.clone()),
            (Some(asked), Some(library)) if same_file(asked, library) => Ok(environment.clone()),
            (Some(asked), library) => Err(refused(
                asked,
                &format!(
                    "but this process has already loaded {}, and can hold one copy of ONNX Runtime; name the same \
                     library for every predictor, or leave it out",
                    library.as_ref().map_or("that of the host's environment".into(), |path| path.display().to_string())
                ),
            )),
        };
    }
    let (environment, library) = load(options)?;
    Ok(loaded.insert(Loaded { environment, library: Some(library) }).environment.clone())
}

fn refused(library: &Path, why: &str) -> Error {
    let library = library.display().to_string();
    Error::new(ErrorKind::RuntimeNotLoaded, format!("the option `library` names {library}, {why}"))
        .with_context("library", library)
}

/// Links and detours do not make another library.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn load(options: &RuntimeOptions) -> Result<(Environment, PathBuf)> {
    let path = locate(options.library.as_deref(), &options.library_folders)?;
    let environment = ort::init_from(&path)
        .map_err(|error| {
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
        })?
        .with_name("latency-core")
        .with_telemetry(false)
        .build()
        .map_err(|error| not_started(&error).with_source(error))?;
    Ok((environment, path))
}

fn not_started(error: &ort::Error) -> Error {
    let message = if error.message() == SECOND_ENVIRONMENT {
        format!(
            "other code in this process has made an ONNX Runtime environment with the crate `ort`; allowed: one per \
             process, shared; keep it, and give a clone of it to `PredictorBuilder::environment` (ort {ORT_VERSION})"
        )
    } else {
        format!("ONNX Runtime does not start: {error}; allowed: a library that starts; install ONNX Runtime again")
    };
    Error::new(ErrorKind::RuntimeNotLoaded, message)
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
    fn the_version_of_ort_in_messages_is_the_pinned_one() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("ort = {{ version = \"={ORT_VERSION}\"")), "{ORT_VERSION}");
    }

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
