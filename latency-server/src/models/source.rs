//! Where a model is loaded from.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use latency_core::{Engine, Predictor};

use super::registry::{Registry, RegistryError, Version};

/// Where a model is loaded from, at the start and whenever it is loaded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is part of the program.
    Bundled,
    /// A file that `latency train` wrote.
    File(PathBuf),
    /// A version of a registered model.
    Registry(Registry),
}

/// A model that was loaded and checked.
#[derive(Debug)]
pub struct Loaded {
    /// The model.
    pub predictor: Predictor,
    /// Its version in the registry, if it came from one.
    pub version: Option<Version>,
}

impl From<Predictor> for Loaded {
    fn from(predictor: Predictor) -> Self {
        Self { predictor, version: None }
    }
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] latency_core::Error),
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl LoadError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Model(error) => error.code(),
            Self::Registry(error) => error.code(),
        }
    }
}

/// How a model is loaded, at the start and again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loading {
    /// How many predictions can run at the same time; none for one per core.
    pub sessions: Option<NonZeroUsize>,
    /// What evaluates its trees; none for what the core chooses.
    pub engine: Option<Engine>,
}

impl From<Option<NonZeroUsize>> for Loading {
    fn from(sessions: Option<NonZeroUsize>) -> Self {
        Self { sessions, engine: None }
    }
}

/// How a model is loaded, and with which library.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// What stays the same when it is loaded again.
    pub loading: Loading,
    /// The file of ONNX Runtime, which the process keeps from the first load on.
    pub library: Option<&'a Path>,
}

impl Source {
    /// Loads it, and checks it against the golden rows that it holds.
    ///
    /// # Errors
    /// Those of [`PredictorBuilder::build`](latency_core::PredictorBuilder::build), and of a registry.
    pub fn load(&self, options: Options<'_>) -> Result<Loaded, LoadError> {
        match self {
            Self::Bundled => Ok(Loaded { predictor: build(None, options)?, version: None }),
            Self::File(path) => Ok(Loaded { predictor: build(Some(path), options)?, version: None }),
            Self::Registry(registry) => {
                let version = registry.wanted()?;
                let path = registry.fetch(&version)?;
                let predictor = build(Some(&path), options)?;
                registry.keep(&version);
                Ok(Loaded { predictor, version: Some(version) })
            }
        }
    }

    /// As [`load`](Self::load) when the server starts: a registry that gives no model is no reason not to. The version
    /// that was good last answers then, or the bundled model, until the registry gives one.
    ///
    /// # Errors
    /// Those of [`PredictorBuilder::build`](latency_core::PredictorBuilder::build).
    pub fn load_first(&self, options: Options<'_>) -> latency_core::Result<Loaded> {
        let Self::Registry(registry) = self else {
            let file = if let Self::File(path) = self { Some(path.as_path()) } else { None };
            return Ok(Loaded { predictor: build(file, options)?, version: None });
        };
        let error = match self.load(options) {
            Ok(loaded) => return Ok(loaded),
            Err(error) => error,
        };
        if let Some((version, path)) = registry.kept() {
            log::warn!("{}: {error}; version {}, which was good last, answers", registry.uri, version.version);
            return Ok(Loaded { predictor: build(Some(&path), options)?, version: Some(version) });
        }
        log::warn!("{}: {error}; the bundled model answers until there is one", registry.uri);
        Ok(Loaded { predictor: build(None, options)?, version: None })
    }

    /// What kind of place it is, for those who may not know paths of this machine.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bundled => "bundled",
            Self::File(_) => "file",
            Self::Registry(_) => "registry",
        }
    }
}

fn build(file: Option<&Path>, options: Options<'_>) -> latency_core::Result<Predictor> {
    let mut builder = Predictor::builder();
    if let Some(path) = file {
        builder = builder.file(path);
    }
    if let Some(library) = options.library {
        builder = builder.library(library);
    }
    if let Some(sessions) = options.loading.sessions {
        builder = builder.sessions(sessions.get());
    }
    if let Some(engine) = options.loading.engine {
        builder = builder.engine(engine);
    }
    builder.build()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("the bundled model"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Registry(registry) => write!(f, "{}", registry.uri),
        }
    }
}
