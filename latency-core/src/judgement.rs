//! Whether a measured RTT can be true.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::distribution::Measurement;
use crate::error::number;
use crate::geo;
use crate::prediction::Prediction;

/// What a measurement looks like beside the prediction.
///
/// ```
/// assert_eq!(latency_core::Verdict::Suspicious.as_str(), "suspicious");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Between the floor and the 99 % quantile.
    Plausible,
    /// Beyond the 99 % quantile of one measurement.
    Slow,
    /// Below the floor, light in fibre along the great circle: a wrong position, or microwave or laser links.
    Suspicious,
    /// Below light in vacuum over the distance, even if both ends are as near to each other as their positions allow.
    Impossible,
}

impl Verdict {
    /// The word, the same in every language.
    ///
    /// ```
    /// assert_eq!(latency_core::Verdict::Slow.as_str(), "slow");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plausible => "plausible",
            Self::Slow => "slow",
            Self::Suspicious => "suspicious",
            Self::Impossible => "impossible",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A verdict with its reason, as [`Predictor::judge`](crate::Predictor::judge) gives it.
///
/// ```
/// use latency_core::{Path, Predictor, Verdict};
/// # fn main() -> latency_core::Result<()> {
/// let judgement = Predictor::bundled()?.judge(&Path::between("London", "Tokyo")?, 40.0)?;
/// assert_eq!(judgement.verdict, Verdict::Impossible);
/// assert!(judgement.message.starts_with("40 ms is less than light in vacuum needs"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The probability that a measurement on this path is this fast or faster; 0 below the floor.
    pub quantile: f64,
    /// The reason, for people.
    pub message: String,
    /// What is predicted for the path.
    #[serde(flatten)]
    pub prediction: Prediction,
}

/// The verdict on a measurement; the ends may be nearer to each other by `uncertainty_km`.
pub(crate) fn judge(
    measured_ms: f64,
    distance_km: f64,
    uncertainty_km: f64,
    measurement: &Measurement,
    prediction: Prediction,
) -> Judgement {
    let floor_ms = geo::floor_ms(distance_km);
    let vacuum_ms = 2.0 * (distance_km - uncertainty_km).max(0.0) / geo::LIGHT_KM_PER_MS;
    let quantile = measurement.probability_within(measured_ms);
    let measured = number(measured_ms);
    let (verdict, message) = if measured_ms < vacuum_ms {
        (
            Verdict::Impossible,
            format!(
                "{measured} ms is less than light in vacuum needs, {vacuum_ms:.1} ms there and back over {distance_km:.0} km \
                 less the {uncertainty_km:.0} km by which the positions may be wrong: an end is somewhere else, or the clock is \
                 wrong"
            ),
        )
    } else if measured_ms < floor_ms {
        (
            Verdict::Suspicious,
            format!(
                "{measured} ms is less than light in fibre needs, {floor_ms:.1} ms there and back over {distance_km:.0} km: an \
                 end is somewhere else, or the path runs through the air"
            ),
        )
    } else if quantile > 0.99 {
        let p99_ms = prediction.p99_ms;
        (
            Verdict::Slow,
            format!(
                "{measured} ms is more than 99 % of measurements on such paths show ({p99_ms:.1} ms), quantile {quantile:.4}"
            ),
        )
    } else {
        let p50_ms = prediction.p50_ms;
        (
            Verdict::Plausible,
            format!(
                "{measured} ms is what such paths show: the median is {p50_ms:.1} ms, this is quantile {quantile:.2}"
            ),
        )
    };
    Judgement { verdict, quantile, message, prediction }
}
