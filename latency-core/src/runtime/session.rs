//! ONNX Runtime sessions: the only file that names `ort`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::locate::locate;
use super::pool::Pool;
use crate::error::{Error, ErrorKind, Result};

/// The process's one environment and the library it came from. It is never dropped: ONNX Runtime must outlive every
/// session, and tearing it down at exit is where other bindings crash.
static LOADED: Mutex<Option<(Environment, PathBuf)>> = Mutex::new(None);

/// How to run a model.
#[derive(Debug, Clone)]
pub(crate) struct SessionOptions {
    pub sessions: usize,
    pub threads: usize,
    pub library: Option<PathBuf>,
    pub library_folders: Vec<PathBuf>,
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

/// Several sessions of one model, because a session runs one call at a time.
#[derive(Debug)]
pub(crate) struct SessionPool {
    sessions: Pool<Session>,
    outputs: usize,
}

/// The environment; the library is loaded on the first call that finds one, and stays.
fn environment(explicit: Option<&Path>, folders: &[PathBuf]) -> Result<Environment> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((environment, path)) = &*loaded {
        return match explicit {
            Some(other) if other != path => Err(Error::new(
                ErrorKind::RuntimeNotLoaded,
                format!(
                    "ONNX Runtime is already loaded from {}, and a process can hold one copy; asked for {}; \
                     name the same library for every predictor",
                    path.display(),
                    other.display()
                ),
            )),
            _ => Ok(environment.clone()),
        };
    }
    let path = locate(explicit, folders)?;
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
        .map_err(|error| {
            Error::new(ErrorKind::RuntimeNotLoaded, format!("ONNX Runtime does not start: {error}")).with_source(error)
        })?;
    Ok(loaded.insert((environment, path)).0.clone())
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

impl SessionPool {
    /// Loads a model; `key` is the metadata entry to read.
    pub fn load(model: &[u8], key: &str, options: &SessionOptions) -> Result<(Self, ModelGraph)> {
        let environment = environment(options.library.as_deref(), &options.library_folders)?;
        let sessions = (0..options.sessions.max(1))
            .map(|_| session(&environment, model, options.threads.max(1)))
            .collect::<Result<Vec<_>>>()?;
        let graph = graph(&sessions[0], key)?;
        Ok((Self { sessions: Pool::new(sessions), outputs: graph.outputs }, graph))
    }

    /// Runs the model on a row-major matrix and hands its row-major outputs to `read`.
    pub fn run<T>(&self, matrix: &[f32], rows: usize, columns: usize, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
        let failed = |error: ort::Error| {
            Error::new(ErrorKind::InferenceFailed, "ONNX Runtime failed while predicting").with_source(error)
        };
        let input = TensorRef::from_array_view(([rows, columns], matrix)).map_err(failed)?;
        let mut session = self.sessions.lease();
        let outputs = session.run([input.into()]).map_err(failed)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        if values.len() != rows * self.outputs {
            return Err(Error::new(
                ErrorKind::InferenceFailed,
                format!("ONNX Runtime gave {} numbers for {rows} rows of {} outputs", values.len(), self.outputs),
            ));
        }
        Ok(read(values))
    }
}

fn session(environment: &Environment, model: &[u8], threads: usize) -> Result<Session> {
    let invalid = |error: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::InvalidModel,
            format!(
                "ONNX Runtime cannot load this model of {} bytes: {error}; the file may be cut short or not be an ONNX \
                 model; check its SHA-256, or write it again with `latency train`",
                model.len()
            ),
        )
    };
    let mut builder = Session::builder(environment)
        .map_err(|error| invalid(&error))?
        // One thread adds the trees in one order: single rows and batches agree to the bit.
        .with_intra_threads(threads)
        .map_err(|error| invalid(&error))?
        .with_inter_threads(1)
        .map_err(|error| invalid(&error))?
        .with_optimization_level(GraphOptimizationLevel::Level1)
        .map_err(|error| invalid(&error))?;
    builder.commit_from_memory(model).map_err(|error| invalid(&error).with_source(error))
}

fn graph(session: &Session, key: &str) -> Result<ModelGraph> {
    let invalid = |what: String| {
        Error::new(
            ErrorKind::InvalidModel,
            format!("{what}; allowed: one f32 matrix in, one f32 matrix out, as `latency train` writes"),
        )
    };
    let width = |outlets: &[Outlet], side: &str| match outlets {
        [outlet] => match outlet.dtype() {
            ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } if shape.len() == 2 && shape[1] > 0 => {
                usize::try_from(shape[1]).map_err(|_| invalid(format!("found an {side} of {} columns", shape[1])))
            }
            other => Err(invalid(format!("found an {side} of type {other}"))),
        },
        several => Err(invalid(format!("found {} {side}s", several.len()))),
    };
    let metadata = session
        .metadata()
        .map_err(|error| invalid("the model's metadata cannot be read".into()).with_source(error))?
        .custom(key);
    Ok(ModelGraph { metadata, inputs: width(session.inputs(), "input")?, outputs: width(session.outputs(), "output")? })
}
