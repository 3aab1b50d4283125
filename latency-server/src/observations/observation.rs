//! One measured RTT beside what was predicted for it.

use latency_core::{Prediction, Predictor, Row, Value, Verdict};
use serde::Serialize;
use serde_json::{Map, value};
use sha2::{Digest, Sha256};

use crate::rfc3339::unix_ms;

/// A measurement as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The caller's name for it, by which it is stored once for each model.
    pub id: Option<String>,
    /// What the same id must come with.
    pub digest: [u8; 32],
    /// The name under which the model is served.
    pub model: String,
    pub version: String,
    /// When it was measured, ms of Unix time.
    pub at_ms: i64,
    pub received_at_ms: i64,
    /// What the model was given, as a JSON object by field.
    pub path: String,
    pub distance_km: Option<f64>,
    pub measured_ms: f64,
    pub predicted: Predicted,
    pub verdict: Option<Verdict>,
}

/// What was predicted at the time; the names are those of the contract.
#[expect(clippy::struct_field_names, reason = "times have their unit in their name")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Predicted {
    pub p50_ms: f32,
    pub low_ms: f32,
    pub high_ms: f32,
    pub p90_ms: f32,
    pub p99_ms: f32,
}

impl From<&Prediction> for Predicted {
    fn from(prediction: &Prediction) -> Self {
        let Prediction { p50_ms, low_ms, high_ms, p90_ms, p99_ms, .. } = *prediction;
        Self { p50_ms, low_ms, high_ms, p90_ms, p99_ms }
    }
}

/// What a caller says of a measurement.
pub struct Report {
    pub row: Row,
    pub measured_ms: f64,
    pub at_ms: Option<i64>,
    pub id: Option<String>,
}

impl Observation {
    /// What the model that answers under the name `model` says to it.
    pub fn new(predictor: &Predictor, model: &str, report: Report) -> latency_core::Result<Self> {
        let Report { row, measured_ms, at_ms, id } = report;
        let (prediction, verdict) = if predictor.schema().coordinates.is_some() {
            let judgement = predictor.judge(&row, measured_ms)?;
            (judgement.prediction, Some(judgement.verdict))
        } else {
            (predictor.predict(&row)?, None)
        };
        let given =
            predictor.ranges(&row)?.into_iter().filter(|range| predictor.schema().field(&range.field).is_some());
        let path: Map<String, value::Value> = given.map(|range| (range.field, in_json(range.given))).collect();
        let path = value::Value::Object(path).to_string();
        let received_at_ms = unix_ms(std::time::SystemTime::now());
        let mut digest = Sha256::new();
        for part in
            [path.as_bytes(), &measured_ms.to_le_bytes(), at_ms.map(i64::to_le_bytes).as_ref().map_or(b"", |at| at)]
        {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Ok(Self {
            id,
            digest: digest.finalize().into(),
            model: model.to_owned(),
            version: predictor.model_info().version.clone(),
            at_ms: at_ms.unwrap_or(received_at_ms),
            received_at_ms,
            path,
            distance_km: prediction.distance_km.map(latency_core::shortest),
            measured_ms,
            predicted: Predicted::from(&prediction),
            verdict,
        })
    }
}

fn in_json(value: Value) -> value::Value {
    match value {
        Value::Number(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Missing => value::Value::Null,
    }
}

/// The verdict of this name, as [`label`](super::figures::label) writes it.
pub fn verdict(name: &str) -> Option<Verdict> {
    VERDICTS.into_iter().find(|verdict| verdict.as_str() == name)
}

/// Every verdict.
pub const VERDICTS: [Verdict; 4] = [Verdict::Plausible, Verdict::Slow, Verdict::Suspicious, Verdict::Impossible];
