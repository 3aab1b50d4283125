//! What callers decide by a prediction: where to go, how long to wait, whether to believe a measurement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Predictor;
use crate::encode::{Encode, EncodedRows, Input};
use crate::error::{Error, ErrorKind, Result, number};
use crate::judgement::{self, Judgement};
use crate::path::{Endpoint, Ends};
use crate::prediction::{Answer, Prediction, Predictions};
use crate::ranking::{self, Candidate, Ranked};

/// A quantile of one measurement, as [`Predictor::quantiles`] gives it.
///
/// ```
/// use latency_core::{Path, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let (_, quantiles) = Predictor::bundled()?.quantiles(&Path::between("London", "Tokyo")?, &[0.95])?;
/// assert!(quantiles[0].ms > 200.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quantile {
    /// The probability.
    pub quantile: f64,
    /// The RTT that one measurement stays below with this probability, ms.
    pub ms: f32,
}

/// How long to wait, as [`Predictor::timeout`] gives it.
///
/// ```
/// use latency_core::{Path, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let timeout = Predictor::bundled()?.timeout(&Path::between("London", "Tokyo")?, 0.95)?;
/// assert!(timeout.timeout_ms > timeout.prediction.p90_ms && timeout.timeout_ms < timeout.prediction.p99_ms);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timeout {
    /// The RTT that one measurement stays below with probability `quantile`, ms.
    pub timeout_ms: f32,
    /// The quantile that was asked for.
    pub quantile: f64,
    /// What is predicted for the path.
    #[serde(flatten)]
    pub prediction: Prediction,
}

impl Timeout {
    /// The same time as what sockets and timers take.
    ///
    /// ```
    /// use latency_core::{Path, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let wait = Predictor::bundled()?.timeout(&Path::between("London", "Tokyo")?, 0.99)?.duration();
    /// assert!(wait.as_millis() > 200);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn duration(&self) -> Duration {
        // Predictions are finite, and paths of models with coordinates take no negative time.
        Duration::try_from_secs_f64(f64::from(self.timeout_ms) / 1000.0).unwrap_or(Duration::MAX)
    }
}

impl Predictor {
    /// Orders candidates by their predicted median RTT from `src`, the lowest first, each with the probability that it is
    /// the best, and that one measurement stays within `budget_ms` if that is given.
    ///
    /// **Method.** The logarithm of each path's median is taken as normal, with a standard deviation of its own on each
    /// side that puts 5 % below `low_ms` and 5 % above `high_ms`; the medians of different candidates are taken as
    /// independent, and the probability that each is the lowest is integrated numerically. What all candidates share,
    /// such as a slow access at the source, makes them no less distinguishable in truth, so that a clear winner tends to
    /// be clearer than its `p_best` says. The budget is compared with the distribution that `p90_ms` and `p99_ms` come
    /// from: that median, with the scatter of single measurements around it.
    ///
    /// ```
    /// use latency_core::{Endpoint, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let regions = [Endpoint::find("aws:us-east-1")?, Endpoint::find("aws:eu-west-2")?];
    /// let ranked = Predictor::bundled()?.rank(&Endpoint::find("Madrid")?, &regions, None)?;
    /// assert_eq!(ranked[0].index, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for models without coordinates, [`ErrorKind::InvalidField`] if the budget is no number
    /// above 0, and what the model does not know of an end, with the candidate's index as [`Error::row`].
    pub fn rank(&self, src: &Endpoint, candidates: &[Endpoint], budget_ms: Option<f64>) -> Result<Vec<Ranked>> {
        self.rank_encoded(candidates.iter().map(|dst| Ends { src, dst }), budget_ms)
    }

    /// [`rank`](Self::rank) for whole paths, which may differ in both ends, or be [`Row`](crate::Row)s.
    ///
    /// ```
    /// use latency_core::{Predictor, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// let rows = [Row::between("Madrid", "Tokyo")?, Row::between("Madrid", "Paris")?.with("src_access", "wifi")];
    /// let ranked = Predictor::bundled()?.rank_paths(&rows, Some(50.0))?;
    /// assert_eq!(ranked[0].index, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`rank`](Self::rank).
    pub fn rank_paths<'r, I: Input + 'r>(
        &self,
        paths: impl IntoIterator<Item = &'r I>,
        budget_ms: Option<f64>,
    ) -> Result<Vec<Ranked>> {
        self.rank_encoded(paths, budget_ms)
    }

    /// How long to wait for an answer over this path: the RTT that one measurement stays below with probability
    /// `quantile`, 0.5 to 0.999.
    ///
    /// It is the round trip of one small packet, from the distribution that `p90_ms` and `p99_ms` come from. Add what the
    /// other side needs to answer; opening a TCP connection with TLS 1.3 takes two such round trips. Beyond 0.9 it is
    /// an extrapolation, as `p99_ms` is.
    ///
    /// ```
    /// use latency_core::{Path, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let timeout = Predictor::bundled()?.timeout(&Path::between("London", "Tokyo")?, 0.99)?;
    /// assert_eq!(timeout.timeout_ms, timeout.prediction.p99_ms);
    /// let wait = timeout.duration();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] for other quantiles, [`ErrorKind::Unsupported`] for models without coordinates, and
    /// the errors of [`predict`](Self::predict).
    pub fn timeout(&self, path: &(impl Input + ?Sized), quantile: f64) -> Result<Timeout> {
        self.require_coordinates("timeout")?;
        require_quantile(quantile).map_err(|error| error.with_field("quantile"))?;
        let (answer, prediction) = self.answer(path)?;
        let timeout_ms = quantile_ms(&answer, &prediction, quantile);
        Ok(Timeout { timeout_ms, quantile, prediction })
    }

    /// What is predicted for a path, and the RTTs that one measurement stays below with these probabilities, 0.5 to 0.999: what
    /// [`timeout`](Self::timeout) gives for each, in one go.
    ///
    /// ```
    /// use latency_core::{Path, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let path = Path::between("London", "Tokyo")?;
    /// let (prediction, quantiles) = Predictor::bundled()?.quantiles(&path, &[0.5, 0.99])?;
    /// assert_eq!((quantiles[1].quantile, quantiles[1].ms), (0.99, prediction.p99_ms));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`timeout`](Self::timeout), with the field `quantiles`.
    pub fn quantiles(&self, path: &(impl Input + ?Sized), quantiles: &[f64]) -> Result<(Prediction, Vec<Quantile>)> {
        self.require_coordinates("quantiles")?;
        for quantile in quantiles {
            require_quantile(*quantile).map_err(|error| error.with_field("quantiles"))?;
        }
        let (answer, prediction) = self.answer(path)?;
        let at = |quantile: &f64| Quantile { quantile: *quantile, ms: quantile_ms(&answer, &prediction, *quantile) };
        let quantiles = quantiles.iter().map(at).collect();
        Ok((prediction, quantiles))
    }

    /// Whether a measured RTT can be true for this path: plausible, slow, suspicious or impossible.
    ///
    /// Below the floor it is suspicious; below light in vacuum it is impossible, after the distance is shortened by as much
    /// as the positions of both ends may be wrong ([`Endpoint::with_uncertainty_km`]). Beyond the 99 % quantile of one
    /// measurement it is slow.
    ///
    /// ```
    /// use latency_core::{Path, Predictor, Verdict};
    /// # fn main() -> latency_core::Result<()> {
    /// let path = Path::between("London", "Tokyo")?;
    /// let predictor = Predictor::bundled()?;
    /// for (measured_ms, verdict) in
    ///     [(30.0, Verdict::Impossible), (80.0, Verdict::Suspicious), (240.0, Verdict::Plausible), (2000.0, Verdict::Slow)]
    /// {
    ///     assert_eq!(predictor.judge(&path, measured_ms)?.verdict, verdict);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] if the measurement is no number above 0, [`ErrorKind::Unsupported`] for models without
    /// coordinates, and the errors of [`predict`](Self::predict).
    pub fn judge(&self, path: &(impl Input + ?Sized), measured_ms: f64) -> Result<Judgement> {
        self.require_coordinates("judge")?;
        require_positive("measured_ms", measured_ms)?;
        let (answer, prediction) = self.answer(path)?;
        Ok(judgement::judge(
            measured_ms,
            answer.distance_km(),
            path.uncertainty_km(),
            &answer.measurement(),
            prediction,
        ))
    }

    fn rank_encoded(
        &self,
        paths: impl IntoIterator<Item = impl Encode>,
        budget_ms: Option<f64>,
    ) -> Result<Vec<Ranked>> {
        self.require_coordinates("rank")?;
        if let Some(budget) = budget_ms {
            require_positive("budget_ms", budget)?;
        }
        let mut rows = EncodedRows::default();
        for (index, path) in paths.into_iter().enumerate() {
            rows.push(&self.inner.encoder, &path).map_err(|error| error.with_row(index))?;
        }
        let mut candidates = Vec::with_capacity(rows.rows);
        let mut predictions = Predictions::with_capacity(rows.rows, true);
        predictions.notes = self.run(&rows, |_, answer| {
            predictions.push(&answer.numbers());
            candidates.push(Candidate { median: answer.median(), measurement: answer.measurement() });
        })?;
        Ok(ranking::rank(&candidates, predictions.iter(), budget_ms))
    }

    fn require_coordinates(&self, question: &str) -> Result<()> {
        if self.schema().coordinates.is_some() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("this model knows no places, which `{question}` needs; use `predict`, or a model with coordinates"),
        ))
    }
}

fn require_quantile(quantile: f64) -> Result<()> {
    if (0.5..=0.999).contains(&quantile) {
        return Ok(());
    }
    let found = number(quantile);
    Err(Error::new(
        ErrorKind::InvalidField,
        format!("found {found}; allowed: a number from 0.5 to 0.999, beyond which nothing was measured"),
    ))
}

fn quantile_ms(answer: &Answer, prediction: &Prediction, quantile: f64) -> f32 {
    (answer.measurement().quantile(quantile) as f32).max(prediction.p50_ms)
}

fn require_positive(field: &str, ms: f64) -> Result<()> {
    if ms.is_finite() && ms > 0.0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidField, format!("found {}; allowed: a number above 0 (ms)", number(ms)))
        .with_field(field))
}
