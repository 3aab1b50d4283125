//! Predict network latency before a connection is made.
//!
//! A [`Predictor`] loads a model from one ONNX file and answers in-process: the round-trip time (RTT) of the path between
//! two places, with an interval for it and quantiles of single measurements. The bundled model knows coordinates, access
//! technologies and cloud providers; models of your own, trained with `latency train`, have your fields.
//!
//! ```
//! use latency_core::{Access, Endpoint, Path, Predictor};
//!
//! # fn main() -> latency_core::Result<()> {
//! let predictor = Predictor::bundled()?;
//! let client = Endpoint::find("London")?.with_access(Access::Wifi);
//! let tokyo = Endpoint::find("aws:ap-northeast-1")?;
//!
//! let prediction = predictor.predict(&Path::new(client.clone(), tokyo.clone()))?;
//! println!("{} ms, 90 % of measurements below {} ms", prediction.p50_ms, prediction.p90_ms);
//! # assert!(prediction.p50_ms > 95.0 && prediction.p50_ms < 400.0 && prediction.p90_ms > prediction.p50_ms);
//!
//! let regions = [tokyo, Endpoint::find("aws:us-east-1")?, Endpoint::find("aws:eu-west-1")?];
//! let best = &predictor.rank(&client, &regions, None)?[0];
//! println!("number {} is the best with probability {:.2}", best.index, best.p_best);
//! # assert_eq!(best.index, 2);
//! # Ok(())
//! # }
//! ```
//!
//! | question | method | takes |
//! | --- | --- | --- |
//! | How long is one path? | [`Predictor::predict`] | a [`Path`], or a [`Row`] by names |
//! | And many? | [`Predictor::predict_batch`], [`predict_batch_into`](Predictor::predict_batch_into) | a [`Batch`] of columns |
//! | And many, each of which may be wrong? | [`Predictor::predict_rows`], [`Predictor::row_batch`] | paths or rows |
//! | Which destination is the best, and how sure is that? | [`Predictor::rank`] | [`Endpoint`]s |
//! | How long to wait for an answer? | [`Predictor::timeout`] | a path and a quantile |
//! | What does one measurement stay below, how likely? | [`Predictor::quantiles`] | a path and quantiles |
//! | Can this measurement be true? | [`Predictor::judge`] | a path and an RTT |
//! | Had training seen such values? | [`Predictor::ranges`] | a path |
//! | What is at this name? | [`Place::find`] | `London`, `LHR`, `aws:eu-west-2`, `51.51,-0.13` |
//!
//! # Errors
//!
//! Every failure is an [`Error`]. Its message says what was found, what is allowed, and the cure; programs look at its
//! [`kind`](Error::kind), [`field`](Error::field) and [`row`](Error::row). A prediction for values that training never saw
//! is no failure: it has [`warnings`](Prediction::warnings).
//!
//! # Cargo features
//!
//! All but `arrow` are on by default.
//!
//! - `onnxruntime`: the engine [`Engine::OnnxRuntime`], the default where it is there.
//! - `load-dynamic`: ONNX Runtime is opened at run time. Without it, it is linked when you build, with
//!   `ORT_LIB_PATH=<its folder> ORT_PREFER_DYNAMIC_LINK=1`.
//! - `native`: the engine [`Engine::Native`]. With it alone, nothing but Rust is built, and no library is loaded.
//! - `bundled-model`: the model inside the crate, `Predictor::bundled`.
//! - `places`: names of cities, airports and cloud regions. Without it, a place is `lat,lon`.
//! - `arrow`: tables of Apache Arrow as batches, `ArrowTable`.
//!
//! # Engines
//!
//! The trees are evaluated by ONNX Runtime, or by this crate itself, several times faster and to the same bits:
//! [`PredictorBuilder::engine`] or the environment variable `LATENCY_ENGINE` says which.
//!
//! ONNX Runtime must be 1.20 or later, and is loaded when the first predictor with that engine is built. Its library is
//! looked for in this order: `PredictorBuilder::library`, the environment variables `LATENCY_ORT_DYLIB_PATH` and
//! `ORT_DYLIB_PATH`, folders that a binding names, the folder of the running program. The pip package `onnxruntime`
//! holds one: `onnxruntime/capi/libonnxruntime.so.*`. A program that uses the crate `ort` itself gives its environment to
//! `PredictorBuilder::environment`.
//!
//! # Threads
//!
//! A [`Predictor`] is `Send + Sync`, cheap to clone, and runs as many calls at once as there are, or with ONNX Runtime as
//! it has [sessions](PredictorBuilder::sessions), each in its caller's thread. Nothing is done in the background.
//!
//! # Same numbers everywhere
//!
//! Features are computed in f64 with pure-Rust mathematics, and sums run in one thread in one order: [`Predictor::predict`]
//! equals [`Predictor::predict_batch`] to the bit, in Rust, Python, Node.js and over HTTP.

#![warn(missing_debug_implementations)]

#[cfg(doctest)]
#[doc = include_str!("../GUIDE.md")]
mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(feature = "arrow")]
mod arrow;
mod batch;
mod continents;
mod distribution;
mod encode;
mod engine;
mod error;
mod features;
pub mod geo;
mod hubs;
mod judgement;
mod labels;
mod model_info;
mod monitoring;
mod notes;
mod path;
mod places;
mod prediction;
mod predictor;
mod ranges;
mod ranking;
mod row;
mod row_json;
mod row_reader;
#[cfg(feature = "onnxruntime")]
mod runtime;
pub mod schema;
mod spread;

#[cfg(feature = "arrow")]
pub use arrow::{ArrowColumn, ArrowTable};
/// The arrays of [`ArrowTable`], in the version that it takes.
#[cfg(feature = "arrow")]
pub use arrow_array;
#[cfg(feature = "arrow")]
pub use arrow_schema;
pub use batch::{Batch, Column, Strided};
pub use continents::Continent;
pub use encode::Input;
pub use engine::Engine;
#[cfg(feature = "native")]
#[doc(hidden)]
pub use engine::NativeModel;
pub use error::{Error, ErrorGroup, ErrorKind, Result};
pub use judgement::{Judgement, Verdict};
/// The arrays of [`Batch::from_matrix`] and [`Predictor::predict_batch_into`], in the version that they take.
pub use ndarray;

pub use labels::{Access, Provider, Tier};
pub use model_info::{ModelInfo, ModelTag};
pub use monitoring::{Histogram, pinball_loss};
pub use notes::{Notes, Warning, WarningCode};
pub use path::{Endpoint, Path};
#[cfg(feature = "places")]
pub use places::ATTRIBUTION;
pub use places::{Place, PlaceKind};
pub use prediction::{NUMBERS, Prediction, Predictions, shortest};
pub use predictor::{Cancel, Predictor, PredictorBuilder, Quantile, RowBatch, Timeout, featurize};
pub use ranges::{FieldRange, Seen};
pub use ranking::Ranked;
pub use row::{Entry, Row, Value};
pub use row_reader::RowReader;
#[cfg(feature = "load-dynamic")]
pub use runtime::{LIBRARY_VARIABLES, library_file_name};
pub use schema::Schema;
