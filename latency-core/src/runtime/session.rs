//! Sessions: a model, ready to run.

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::environment::{RuntimeOptions, environment};
use super::exit::{self, Running};
use super::pool::Pool;
use crate::engine::ModelGraph;
use crate::error::{Error, ErrorKind, Result};

/// How to run a model.
#[derive(Debug, Clone)]
pub(crate) struct SessionOptions {
    pub sessions: usize,
    pub threads: usize,
    pub runtime: RuntimeOptions,
}

/// Several sessions of one model, because a session runs one call at a time.
#[derive(Debug)]
pub(crate) struct SessionPool {
    sessions: Pool<Session>,
    outputs: usize,
}

impl SessionPool {
    /// Loads a model; `key` is the metadata entry to read.
    pub fn load(model: &[u8], key: &str, options: &SessionOptions) -> Result<(Self, ModelGraph)> {
        let environment = environment(&options.runtime)?;
        let _running = Running::begin()?;
        let sessions = (0..options.sessions.max(1))
            .map(|_| session(&environment, model, options.threads.max(1)))
            .collect::<Result<Vec<_>>>()?;
        let graph = graph(&sessions[0], key)?;
        Ok((Self { sessions: Pool::new(sessions), outputs: graph.outputs }, graph))
    }

    /// Runs the model on a row-major matrix and hands its row-major outputs to `read`.
    pub fn run<T>(&self, matrix: &[f32], rows: usize, columns: usize, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
        let failed = |error: ort::Error| {
            let message = format!(
                "ONNX Runtime failed while predicting: {}; the model may not be one that `latency train` writes: get it \
                 again, or use another version of ONNX Runtime",
                words(&error)
            );
            Error::new(ErrorKind::InferenceFailed, message).with_source(error)
        };
        let mut session = self.sessions.lease();
        let _running = Running::begin()?;
        let input = TensorRef::from_array_view(([rows, columns], matrix)).map_err(failed)?;
        let outputs = session.run([input.into()]).map_err(failed)?;
        exit::watch();
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        if values.len() != rows * self.outputs {
            return Err(Error::new(
                ErrorKind::InferenceFailed,
                format!(
                    "ONNX Runtime gave {} numbers, but the model file promises {rows} rows of {}; write the model again with \
                     `latency train`",
                    values.len(),
                    self.outputs
                ),
            ));
        }
        Ok(read(values))
    }
}

fn session(environment: &Environment, model: &[u8], threads: usize) -> Result<Session> {
    let invalid = |words: String| {
        Error::new(
            ErrorKind::InvalidModel,
            format!(
                "ONNX Runtime cannot load this model of {} bytes: {words}; the file may be cut short or not be an ONNX \
                 model; check its SHA-256, or write it again with `latency train`",
                model.len()
            ),
        )
    };
    let mut builder = Session::builder(environment)
        .map_err(|error| invalid(words(&error)))?
        // One thread adds the trees in one order: single rows and batches agree to the bit.
        .with_intra_threads(threads)
        .map_err(|error| invalid(words(&error)))?
        .with_inter_threads(1)
        .map_err(|error| invalid(words(&error)))?
        .with_optimization_level(GraphOptimizationLevel::Level1)
        .map_err(|error| invalid(words(&error)))?;
    builder.commit_from_memory(model).map_err(|error| invalid(words(&error)).with_source(error))
}

/// What ONNX Runtime says, which may have several lines, on one.
fn words<R>(error: &ort::Error<R>) -> String {
    error.message().split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
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
