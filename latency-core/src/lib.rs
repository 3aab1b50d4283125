//! Predict network latency before a connection is made.
//!
//! A [`Predictor`] loads a model from one ONNX file and answers in-process: the round-trip time (RTT) of the path between
//! two places, with an interval for it and quantiles of single measurements. The bundled model knows coordinates, access
//! technologies and cloud providers; models of your own, trained with `latency train`, have your fields.
//!
//! ```
//! use latency_core::{Predictor, Row};
//!
//! # fn main() -> latency_core::Result<()> {
//! let predictor = Predictor::bundled()?;
//! let row = Row::between("London", "aws:ap-northeast-1")?.with("src_access", "wifi");
//! let prediction = predictor.predict(&row)?;
//! println!("{} ms, 90 % of measurements below {} ms", prediction.p50_ms, prediction.p90_ms);
//! # assert!(prediction.p50_ms > 95.0 && prediction.p50_ms < 400.0 && prediction.p90_ms > prediction.p50_ms);
//! # Ok(())
//! # }
//! ```
//!
//! # ONNX Runtime
//!
//! The trees are evaluated by ONNX Runtime 1.20 or later, which is loaded when the first predictor is built. Its library is
//! looked for in this order: [`PredictorBuilder::library`], the environment variables `LATENCY_ORT_DYLIB_PATH` and
//! `ORT_DYLIB_PATH`, folders that a binding names, the folder of the running program. The pip package `onnxruntime`
//! holds one: `onnxruntime/capi/libonnxruntime.so.*`.
//!
//! # Same numbers everywhere
//!
//! Features are computed in f64 with pure-Rust mathematics, and sums run in one thread in one order: [`Predictor::predict`]
//! equals [`Predictor::predict_batch`] to the bit, in Rust, Python, Node.js and over HTTP.

#![warn(missing_debug_implementations)]

#[cfg(doctest)]
#[doc = include_str!("../../docs/rust.md")]
mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod batch;
mod continents;
mod distribution;
mod encode;
mod error;
mod features;
pub mod geo;
mod hubs;
mod judgement;
mod labels;
mod notes;
mod path;
mod places;
mod prediction;
mod predictor;
mod ranking;
mod row;
mod row_json;
mod runtime;
pub mod schema;

pub use batch::{Batch, Column, Strided};
pub use continents::Continent;
pub use encode::Input;
pub use error::{Error, ErrorGroup, ErrorKind, Result};
pub use judgement::{Judgement, Verdict};
pub use labels::{Access, Provider, Tier};
pub use notes::{Notes, Warning, WarningCode};
pub use path::{Endpoint, Path};
#[cfg(feature = "places")]
pub use places::ATTRIBUTION;
pub use places::{Place, PlaceKind};
pub use prediction::{NUMBERS, Prediction, Predictions, shortest};
pub use predictor::{ModelInfo, ModelTag, Predictor, PredictorBuilder, Timeout, featurize};
pub use ranking::Ranked;
pub use row::{Entry, Row, Value};
#[cfg(feature = "load-dynamic")]
pub use runtime::{LIBRARY_VARIABLES, library_file_name};
pub use schema::Schema;
