//! The class `Predictor`.

use std::path::PathBuf;
use std::sync::OnceLock;

use latency_core::{Engine, Error, ErrorKind, PredictorBuilder, Row};
use napi::bindgen_prelude::{AsyncTask, Either3, Env, ObjectFinalize, Uint8ArraySlice, Unknown};
use napi_derive::napi;

use crate::background::{self, Background, Work};
use crate::error::Failure;
use crate::prediction::Prediction;
use crate::row;
use crate::value::{self, Value, entries};

/// The folder of the addon, where its package brings an ONNX Runtime library.
static LIBRARY_FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The first caller wins: it is the loader, once per thread, always with the same folder.
#[napi(skip_typescript)]
pub fn set_library_folder(folder: String) {
    LIBRARY_FOLDER.get_or_init(|| folder.into());
}

/// A loaded model. Keep it: loading takes tens of milliseconds, predicting microseconds.
#[napi(custom_finalize)]
pub struct Predictor {
    inner: latency_core::Predictor,
    /// What the garbage collector is told that this object holds.
    bytes: i64,
}

impl ObjectFinalize for Predictor {
    fn finalize(self, env: Env) -> napi::Result<()> {
        env.adjust_external_memory(-self.bytes).map(|_| ())
    }
}

#[napi]
impl Predictor {
    /// Loads the model that ships inside this package.
    #[napi(catch_unwind, ts_args_type = "options?: LoadOptions")]
    pub fn bundled(env: Env, options: Unknown<'_>) -> napi::Result<Self> {
        let load = || Loading::new(latency_core::Predictor::builder(), &options)?.load(env);
        load().map_err(|failure| failure.into_js(env))
    }

    /// Loads a model file that `latency train` wrote: by its path, or from its bytes.
    #[napi(catch_unwind, ts_args_type = "model: string | Uint8Array, options?: LoadOptions")]
    pub fn load(env: Env, model: Model<'_>, options: Unknown<'_>) -> napi::Result<Self> {
        let load = || Loading::new(with_model(model, false)?, &options)?.load(env);
        load().map_err(|failure| failure.into_js(env))
    }

    /// Predicts one path, in microseconds, on the calling thread.
    #[napi(catch_unwind, ts_args_type = "row: AnyRow")]
    pub fn predict_sync(&self, env: Env, row: Unknown<'_>) -> napi::Result<Prediction> {
        let predict = || Ok(self.inner.predict(&row::from_js(&row)?)?.into());
        predict().map_err(|failure: Failure| failure.into_js(env))
    }

    /// What is loaded.
    #[napi(catch_unwind, ts_return_type = "ModelInfo")]
    pub fn model_info<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        value::to_js(env, self.inner.model_info())
    }

    /// What the model takes and gives.
    #[napi(catch_unwind, ts_return_type = "Schema")]
    pub fn schema<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        value::to_js(env, self.inner.schema())
    }
}

/// `Predictor.loadAsync`, but what is wrong with its arguments is thrown.
#[napi(skip_typescript, catch_unwind)]
pub fn load_async(env: Env, model: Model<'_>, options: Unknown<'_>) -> napi::Result<AsyncTask<Background<Loading>>> {
    let load = || Ok(background::start(Loading::new(with_model(model, true)?, &options)?));
    load().map_err(|failure: Failure| failure.into_js(env))
}

/// `predictor.predict`, but what is wrong with the row is thrown.
#[napi(skip_typescript, catch_unwind)]
pub fn predict(env: Env, predictor: &Predictor, row: Unknown<'_>) -> napi::Result<AsyncTask<Background<Predicting>>> {
    let predict = || {
        let row = row::from_js(&row)?;
        Ok(background::start(Predicting { predictor: predictor.inner.clone(), row }))
    };
    predict().map_err(|failure: Failure| failure.into_js(env))
}

impl Predictor {
    pub fn inner(&self) -> &latency_core::Predictor {
        &self.inner
    }
}

/// A path, bytes, or what is neither.
type Model<'a> = Either3<String, Uint8ArraySlice<'a>, Unknown<'a>>;

fn with_model(model: Model<'_>, may_be_bundled: bool) -> Result<PredictorBuilder, Failure> {
    let builder = latency_core::Predictor::builder();
    match model {
        Either3::A(path) => Ok(builder.file(path)),
        Either3::B(bytes) => Ok(builder.bytes(&*bytes)),
        Either3::C(other) => match Value::read(&other)? {
            Value::Undefined | Value::Null if may_be_bundled => Ok(builder),
            other => Err(Failure::found("model", &other, "the path of a model file, or its bytes as a Uint8Array")),
        },
    }
}

/// A model that is to be loaded.
pub struct Loading {
    builder: Option<PredictorBuilder>,
    sessions: usize,
}

/// How many bytes of memory a session takes for each byte of the model's file, and for a model without any; measured with
/// the bundled model, and as what the allocator maps for a small one.
const SESSION_BYTES_PER_BYTE: usize = 7;
const SESSION_BYTES: usize = 1 << 20;
/// The native engine needs no sessions; what it makes of the bundled model is as large as the file.
const NATIVE_BYTES_PER_BYTE: usize = 1;
const NATIVE_BYTES: usize = 1 << 16;

/// More sessions or threads are always a mistake, and could ask for more memory than there is.
const MOST: u32 = 1024;

impl Loading {
    fn new(mut builder: PredictorBuilder, options: &Unknown<'_>) -> Result<Self, Failure> {
        let mut sessions = std::thread::available_parallelism().map_or(1, usize::from);
        match Value::read(options)? {
            Value::Undefined | Value::Null => {}
            Value::Object(options) => {
                for (name, value) in entries(&options)? {
                    builder = match (name.as_str(), value) {
                        ("engine" | "library" | "sessions" | "threads", Value::Null) => builder,
                        ("engine", Value::Text(word)) => {
                            builder.engine(word.parse().map_err(|error: Error| error.with_field(name))?)
                        }
                        ("engine", other) => return Err(Failure::found(name, &other, "onnxruntime, native")),
                        ("library", Value::Text(path)) => builder.library(path),
                        ("library", other) => {
                            return Err(Failure::found(name, &other, "the absolute path of the library's file"));
                        }
                        ("sessions", value) => {
                            sessions = value.count(&name, MOST)?;
                            builder.sessions(sessions)
                        }
                        ("threads", value) => builder.threads(value.count(&name, MOST)?),
                        _ => {
                            let message = "unknown option; allowed: engine, library, sessions, threads";
                            return Err(Error::new(ErrorKind::UnknownField, message).with_field(name).into());
                        }
                    };
                }
            }
            other => return Err(Failure::found("options", &other, "an object")),
        }
        if let Some(folder) = LIBRARY_FOLDER.get() {
            builder = builder.library_folder(folder);
        }
        Ok(Self { builder: Some(builder), sessions })
    }

    fn load(mut self, env: Env) -> Result<Predictor, Failure> {
        let output = self.run()?;
        Ok(Self::finish(env, output)?)
    }
}

impl Work for Loading {
    type Output = (latency_core::Predictor, usize);
    type Js = Predictor;

    fn run(&mut self) -> latency_core::Result<Self::Output> {
        let builder = self.builder.take().unwrap_or_else(latency_core::Predictor::builder);
        Ok((builder.build()?, self.sessions))
    }

    fn finish(env: Env, (inner, sessions): Self::Output) -> napi::Result<Predictor> {
        let info = inner.model_info();
        let (copies, per_byte, least) = if info.engine == Engine::Native.as_str() {
            (1, NATIVE_BYTES_PER_BYTE, NATIVE_BYTES)
        } else {
            (sessions, SESSION_BYTES_PER_BYTE, SESSION_BYTES)
        };
        let copy = info.bytes.saturating_mul(per_byte).saturating_add(least);
        let bytes = i64::try_from(copy.saturating_mul(copies)).unwrap_or(i64::MAX);
        env.adjust_external_memory(bytes)?;
        Ok(Predictor { inner, bytes })
    }
}

/// A path that is to be predicted.
pub struct Predicting {
    predictor: latency_core::Predictor,
    row: Row,
}

impl Work for Predicting {
    type Output = latency_core::Prediction;
    type Js = Prediction;

    fn run(&mut self) -> latency_core::Result<Self::Output> {
        self.predictor.predict(&self.row)
    }

    fn finish(_: Env, prediction: Self::Output) -> napi::Result<Prediction> {
        Ok(prediction.into())
    }
}
