//! Where a model is loaded from.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use latency_core::Predictor;

/// Where a model is loaded from, at the start and whenever it is loaded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is part of the program.
    Bundled,
    /// A file that `latency train` wrote.
    File(PathBuf),
}

impl Source {
    /// Loads it, and checks it against the golden rows that it holds.
    ///
    /// # Errors
    /// Those of [`PredictorBuilder::build`](latency_core::PredictorBuilder::build).
    pub fn load(&self, sessions: Option<NonZeroUsize>) -> latency_core::Result<Predictor> {
        self.load_with(sessions, None)
    }

    /// As [`load`](Self::load), with this file of ONNX Runtime, which the process keeps from the first load on.
    pub(crate) fn load_with(
        &self,
        sessions: Option<NonZeroUsize>,
        library: Option<&Path>,
    ) -> latency_core::Result<Predictor> {
        let mut builder = Predictor::builder();
        if let Self::File(path) = self {
            builder = builder.file(path);
        }
        if let Some(library) = library {
            builder = builder.library(library);
        }
        if let Some(sessions) = sessions {
            builder = builder.sessions(sessions.get());
        }
        builder.build()
    }

    /// What kind of place it is, for those who may not know paths of this machine.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bundled => "bundled",
            Self::File(_) => "file",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("the bundled model"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}
