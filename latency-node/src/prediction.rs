//! Predictions → plain JavaScript objects.

use napi::bindgen_prelude::{Float32ArraySlice, Float64Array};
use napi_derive::napi;

/// What is predicted for one path. Times in milliseconds.
#[napi(object, object_from_js = false)]
pub struct Prediction {
    /// The path's median RTT, ms.
    #[napi(js_name = "p50_ms")]
    pub p50_ms: f64,
    /// Lower end of the 90 % interval for that median on places that training never saw, ms.
    #[napi(js_name = "low_ms")]
    pub low_ms: f64,
    /// Upper end of that interval, ms.
    #[napi(js_name = "high_ms")]
    pub high_ms: f64,
    /// 90 % quantile of one measurement, ms.
    #[napi(js_name = "p90_ms")]
    pub p90_ms: f64,
    /// 99 % quantile of one measurement, ms. An extrapolation: no training source holds one.
    #[napi(js_name = "p99_ms")]
    pub p99_ms: f64,
    /// Light in fibre along the great circle, there and back, ms; absent for models without coordinates.
    #[napi(js_name = "floor_ms")]
    pub floor_ms: Option<f64>,
    /// Great-circle distance, km; absent for models without coordinates.
    #[napi(js_name = "distance_km")]
    pub distance_km: Option<f64>,
    /// What to know before relying on it; empty if there is nothing.
    pub warnings: Vec<Warning>,
    /// The optional fields that were not given, by their flat names; the model took them as unknown.
    pub missing: Vec<String>,
}

/// Something to know about a prediction.
#[napi(object, object_from_js = false)]
pub struct Warning {
    /// Stable name of the kind of warning.
    #[napi(ts_type = "WarningCode")]
    pub code: &'static str,
    /// What it is about: a field by its flat name, `src` or `dst` for where that end is, `distance_km`.
    pub field: String,
    /// What was found, and what training saw.
    pub message: String,
}

impl From<latency_core::Prediction> for Prediction {
    fn from(prediction: latency_core::Prediction) -> Self {
        Self {
            p50_ms: latency_core::shortest(prediction.p50_ms),
            low_ms: latency_core::shortest(prediction.low_ms),
            high_ms: latency_core::shortest(prediction.high_ms),
            p90_ms: latency_core::shortest(prediction.p90_ms),
            p99_ms: latency_core::shortest(prediction.p99_ms),
            floor_ms: prediction.floor_ms.map(latency_core::shortest),
            distance_km: prediction.distance_km.map(latency_core::shortest),
            warnings: prediction.warnings.into_iter().map(Warning::from).collect(),
            missing: prediction.missing.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<latency_core::Warning> for Warning {
    fn from(warning: latency_core::Warning) -> Self {
        Self { code: warning.code.as_str(), field: warning.field, message: warning.message }
    }
}

/// A column of predictions in the form that single predictions have: the shortest decimals, 1.1 and not 1.100000023841858.
#[napi(skip_typescript)]
pub fn shortest(column: Float32ArraySlice<'_>) -> Float64Array {
    column.iter().copied().map(latency_core::shortest).collect::<Vec<_>>().into()
}
