//! The class `Predictor`.

use std::path::PathBuf;
use std::sync::OnceLock;

use latency_core::{Error, ErrorKind, PredictorBuilder};
use napi::bindgen_prelude::{Either3, Env, Uint8ArraySlice, Unknown};
use napi_derive::napi;

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

/// A loaded model. Keep it: loading takes milliseconds, predicting microseconds.
#[napi]
pub struct Predictor {
    inner: latency_core::Predictor,
}

#[napi]
impl Predictor {
    /// Loads the model that ships inside this package.
    #[napi(catch_unwind, ts_args_type = "options?: LoadOptions")]
    pub fn bundled(env: Env, options: Unknown<'_>) -> napi::Result<Self> {
        load(latency_core::Predictor::builder(), &options).map_err(|failure| failure.into_js(env))
    }

    /// Loads a model file that `latency train` wrote: by its path, or from its bytes.
    #[napi(catch_unwind, ts_args_type = "model: string | Uint8Array, options?: LoadOptions")]
    pub fn load(
        env: Env,
        model: Either3<String, Uint8ArraySlice<'_>, Unknown<'_>>,
        options: Unknown<'_>,
    ) -> napi::Result<Self> {
        let builder = latency_core::Predictor::builder();
        let builder = match model {
            Either3::A(path) => Ok(builder.file(path)),
            Either3::B(bytes) => Ok(builder.bytes(&*bytes)),
            Either3::C(other) => Err(refuse(&other, "model", "the path of a model file, or its bytes as a Uint8Array")),
        };
        builder.and_then(|builder| load(builder, &options)).map_err(|failure| failure.into_js(env))
    }

    /// Predicts one path, in microseconds, on the calling thread.
    #[napi(catch_unwind, ts_args_type = "row: Row")]
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

fn load(mut builder: PredictorBuilder, options: &Unknown<'_>) -> Result<Predictor, Failure> {
    match Value::read(options)? {
        Value::Undefined | Value::Null => {}
        Value::Object(options) => {
            for (name, value) in entries(&options)? {
                builder = set_option(builder, &name, value)?;
            }
        }
        other => return Err(Failure::invalid("options", format!("found {}; allowed: an object", other.kind()))),
    }
    if let Some(folder) = LIBRARY_FOLDER.get() {
        builder = builder.library_folder(folder);
    }
    Ok(Predictor { inner: builder.build()? })
}

fn set_option(builder: PredictorBuilder, name: &str, value: Value<'_>) -> Result<PredictorBuilder, Failure> {
    match (name, value) {
        ("library" | "sessions" | "threads", Value::Null) => Ok(builder),
        ("library", Value::Text(path)) => Ok(builder.library(path)),
        ("library", other) => Err(Failure::invalid(
            name,
            format!("found {}; allowed: the absolute path of the library's file", other.kind()),
        )),
        ("sessions", value) => Ok(builder.sessions(count(name, &value)?)),
        ("threads", value) => Ok(builder.threads(count(name, &value)?)),
        _ => {
            let message = "unknown option; allowed: library, sessions, threads";
            Err(Error::new(ErrorKind::UnknownField, message).with_field(name).into())
        }
    }
}

/// More is always a mistake, and could ask for more memory than there is.
const MOST: f64 = 1024.0;

#[allow(clippy::cast_sign_loss)] // Between 1 and MOST.
fn count(name: &str, value: &Value<'_>) -> Result<usize, Failure> {
    match value {
        Value::Number(number) if number.fract() == 0.0 && (1.0..=MOST).contains(number) => Ok(*number as usize),
        Value::Number(number) => {
            Err(Failure::invalid(name, format!("found {number}; allowed: a whole number from 1 to {MOST}")))
        }
        other => {
            Err(Failure::invalid(name, format!("found {}; allowed: a whole number from 1 to {MOST}", other.kind())))
        }
    }
}

fn refuse(value: &Unknown<'_>, name: &str, allowed: &str) -> Failure {
    match Value::read(value) {
        Ok(value) => Failure::invalid(name, format!("found {}; allowed: {allowed}", value.kind())),
        Err(error) => error.into(),
    }
}
