//! What evaluates the trees: ONNX Runtime, or this crate's own engine.

#[cfg(all(feature = "native", target_arch = "x86_64"))]
mod avx2;
#[cfg(feature = "native")]
mod deep;
#[cfg(feature = "native")]
mod ensemble;
#[cfg(feature = "native")]
mod native;
#[cfg(feature = "native")]
mod onnx;
#[cfg(feature = "native")]
mod packed;
#[cfg(feature = "native")]
mod portable;
#[cfg(feature = "native")]
mod wire;

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "native")]
pub use self::native::NativeModel;
use crate::error::{Error, ErrorKind, Result, list, text};
#[cfg(feature = "onnxruntime")]
use crate::runtime::{RuntimeOptions, SessionOptions, SessionPool};

/// The environment variable that names the engine of predictors that are not told which.
const ENGINE_VARIABLE: &str = "LATENCY_ENGINE";

/// What evaluates the trees of a model. Both read the same files, and give the same bits.
///
/// ```
/// use latency_core::{Engine, Path, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let path = Path::between("London", "Tokyo")?;
/// let [a, b] = [Engine::OnnxRuntime, Engine::Native].map(|engine| Predictor::builder().engine(engine).build());
/// assert_eq!(a?.predict(&path)?, b?.predict(&path)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// `onnxruntime`: ONNX Runtime, whose library is loaded. The reference, and the default of builds that have it.
    OnnxRuntime,
    /// `native`: this crate's own code, for models that are trees alone, as `latency train` writes them. Needs no library.
    Native,
}

impl Engine {
    /// All of them.
    ///
    /// ```
    /// assert_eq!(latency_core::Engine::ALL.len(), 2);
    /// ```
    pub const ALL: &'static [Self] = &[Self::OnnxRuntime, Self::Native];

    /// The word for it, as in the environment variable `LATENCY_ENGINE` and in
    /// [`ModelInfo::engine`](crate::ModelInfo::engine).
    ///
    /// ```
    /// assert_eq!(latency_core::Engine::Native.as_str(), "native");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "onnxruntime",
            Self::Native => "native",
        }
    }

    /// Whether this build has it: each is a cargo feature of its name.
    ///
    /// ```
    /// # #[cfg(feature = "native")]
    /// assert!(latency_core::Engine::Native.is_built_in());
    /// ```
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::OnnxRuntime => cfg!(feature = "onnxruntime"),
            Self::Native => cfg!(feature = "native"),
        }
    }

    /// The one to use if the caller names none: what the environment says, else the first that this build has.
    pub(crate) fn preferred() -> Result<Self> {
        match std::env::var(ENGINE_VARIABLE) {
            Ok(word) if !word.is_empty() => word.parse().map_err(|error: Error| error.with_field(ENGINE_VARIABLE)),
            Err(std::env::VarError::NotUnicode(word)) => {
                word.to_string_lossy().parse().map_err(|error: Error| error.with_field(ENGINE_VARIABLE))
            }
            _ => Ok(Self::ALL.iter().copied().find(|engine| engine.is_built_in()).unwrap_or(Self::OnnxRuntime)),
        }
    }

    /// The error for an engine that this build does not have.
    #[cfg(not(all(feature = "onnxruntime", feature = "native")))]
    fn not_built_in(self) -> Error {
        let others: Vec<_> = Self::ALL.iter().filter(|engine| engine.is_built_in()).collect();
        let allowed = if others.is_empty() { "none".to_owned() } else { list(others) };
        Error::new(
            ErrorKind::RuntimeNotLoaded,
            format!(
                "the engine `{self}` is not in this build; allowed: {allowed}; build latency-core with its feature `{self}`, \
                 or choose another engine"
            ),
        )
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Engine {
    type Err = Error;

    /// From the word, in any case.
    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.iter().find(|engine| engine.as_str().eq_ignore_ascii_case(word)).copied().ok_or_else(|| {
            Error::new(ErrorKind::InvalidField, format!("found {}; allowed: {}", text(word), list(Self::ALL)))
        })
    }
}

/// What the graph of a model file says of itself.
#[derive(Debug, Clone)]
pub(crate) struct ModelGraph {
    /// The text under the metadata key that was asked for.
    pub metadata: Option<String>,
    /// Columns of the input matrix.
    pub inputs: usize,
    /// Columns of the output matrix.
    pub outputs: usize,
}

/// How to run a model.
#[derive(Debug, Clone)]
pub(crate) struct EngineOptions {
    /// None: the preferred one.
    pub engine: Option<Engine>,
    /// Calls that ONNX Runtime can run at the same time; the native engine has no limit.
    pub sessions: usize,
    /// Threads inside one call.
    pub threads: usize,
    #[cfg(feature = "onnxruntime")]
    pub runtime: RuntimeOptions,
}

/// A model in its engine, ready to run.
#[derive(Debug)]
pub(crate) enum Trees {
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(SessionPool),
    #[cfg(feature = "native")]
    Native { model: NativeModel, threads: usize },
}

impl Trees {
    /// Loads a model; `key` is the metadata entry to read.
    pub fn load(model: &[u8], key: &str, options: &EngineOptions) -> Result<(Self, ModelGraph)> {
        match options.engine.map_or_else(Engine::preferred, Ok)? {
            #[cfg(feature = "onnxruntime")]
            Engine::OnnxRuntime => {
                let EngineOptions { sessions, threads, runtime, .. } = options.clone();
                let (pool, graph) = SessionPool::load(model, key, &SessionOptions { sessions, threads, runtime })?;
                Ok((Self::OnnxRuntime(pool), graph))
            }
            #[cfg(feature = "native")]
            Engine::Native => {
                let (model, graph) = NativeModel::load(model, key)?;
                Ok((Self::Native { model, threads: options.threads }, graph))
            }
            #[cfg(not(all(feature = "onnxruntime", feature = "native")))]
            engine => {
                let _ = (model, key);
                Err(engine.not_built_in())
            }
        }
    }

    pub fn engine(&self) -> Engine {
        match *self {
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime(_) => Engine::OnnxRuntime,
            #[cfg(feature = "native")]
            Self::Native { .. } => Engine::Native,
        }
    }

    /// In how many threads the caller is to run many rows. ONNX Runtime shares them out itself.
    pub fn threads(&self) -> usize {
        match *self {
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime(_) => 1,
            #[cfg(feature = "native")]
            Self::Native { threads, .. } => threads,
        }
    }

    /// Runs the model on a row-major matrix and hands its row-major outputs to `read`.
    // Without ONNX Runtime nothing fails here, and without any engine nothing happens.
    #[cfg_attr(not(feature = "onnxruntime"), allow(clippy::unnecessary_wraps))]
    #[cfg_attr(not(any(feature = "onnxruntime", feature = "native")), allow(unused_variables))]
    pub fn run<T>(&self, matrix: &[f32], rows: usize, columns: usize, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
        match *self {
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime(ref pool) => pool.run(matrix, rows, columns, read),
            #[cfg(feature = "native")]
            Self::Native { ref model, .. } => Ok(model.run(&matrix[..rows * columns], read)),
        }
    }
}
