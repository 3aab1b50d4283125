//! The process's one ONNX Runtime environment: made here, or given by the host application.

use std::any::{Any, type_name};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::{Environment, EnvironmentBuilder};

use super::library::LibraryOptions;
use crate::error::{Error, ErrorKind, Result};

/// The one version of `ort` whose types this crate understands; Cargo.toml pins it.
const ORT_VERSION: &str = "2.0.0-rc.15";

/// What `ort` says to whoever asks for a second environment.
const SECOND_ENVIRONMENT: &str = "only one environment is allowed per process";

/// Never dropped: ONNX Runtime must outlive every session, and tearing it down at exit is where other bindings crash.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    environment: Environment,
    /// Its file, if this crate opened one.
    library: Option<PathBuf>,
}

/// Where a predictor takes ONNX Runtime from.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuntimeOptions {
    pub host: Option<HostEnvironment>,
    pub library: LibraryOptions,
}

/// How the library comes into the process: opened at run time, or linked.
pub(super) trait Library {
    /// Begins an environment; names the file that was opened, if one was.
    fn start(&self) -> Result<(EnvironmentBuilder, Option<PathBuf>)>;

    /// Refuses options that ask for another library than the one in use. `None`: the host's, or the linked one.
    fn check_in_use(&self, library: Option<&Path>) -> Result<()>;
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
        options.library.check_in_use(None)?;
        // `ort` makes one environment per process, so that any that is loaded already is this one.
        loaded.get_or_insert_with(|| Loaded { environment: environment.clone(), library: None });
        return Ok(environment.clone());
    }
    if let Some(loaded) = &*loaded {
        options.library.check_in_use(loaded.library.as_deref())?;
        return Ok(loaded.environment.clone());
    }
    let (builder, library) = options.library.start()?;
    let environment = builder
        .with_name("latency-core")
        .with_telemetry(false)
        .build()
        .map_err(|error| not_started(&error).with_source(error))?;
    Ok(loaded.insert(Loaded { environment, library }).environment.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_ort_in_messages_is_the_pinned_one() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("ort = {{ version = \"={ORT_VERSION}\"")), "{ORT_VERSION}");
    }
}
