//! From the trees' margins to a prediction: calibration, inverse transform, floor, order; then the scatter of single
//! measurements.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::distribution::{Measurement, PathMedian, Scales};
use crate::error::{Error, ErrorKind, Result};
use crate::geo;
use crate::notes::{Notes, Warning};
use crate::schema::{Base, Output, OutputName, Schema, Transform};
use crate::spread::SpreadPlan;

/// What is predicted for one path. Times in milliseconds.
///
/// ```
/// use latency_core::{Path, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let prediction = Predictor::bundled()?.predict(&Path::between("London", "Tokyo")?)?;
/// assert!(prediction.floor_ms.unwrap() <= prediction.low_ms && prediction.low_ms <= prediction.p50_ms);
/// assert!(prediction.p50_ms <= prediction.p90_ms && prediction.p90_ms <= prediction.p99_ms);
/// assert!(prediction.missing.contains(&"src_access".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prediction {
    /// The path's median RTT, ms.
    pub p50_ms: f32,
    /// Lower end of the 90 % interval for that median on places that training never saw, ms.
    pub low_ms: f32,
    /// Upper end of that interval, ms.
    pub high_ms: f32,
    /// 90 % quantile of one measurement, ms.
    pub p90_ms: f32,
    /// 99 % quantile of one measurement, ms. An extrapolation: no training source holds one.
    pub p99_ms: f32,
    /// Light in fibre along the great circle, there and back, ms; none for models without coordinates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor_ms: Option<f32>,
    /// Great-circle distance, km; none for models without coordinates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distance_km: Option<f32>,
    /// What to know before relying on it.
    pub warnings: Vec<Warning>,
    /// The optional fields that were not given, in the order of the schema; the model took them as unknown.
    pub missing: Vec<Arc<str>>,
}

/// The names of a prediction's numbers, in the order of the contract; models without coordinates have the first five.
///
/// ```
/// assert_eq!(latency_core::NUMBERS[0], "p50_ms");
/// ```
pub const NUMBERS: [&str; 7] = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"];

impl Prediction {
    pub(crate) fn new(numbers: &[f32; 7], geographic: bool, warnings: Vec<Warning>, missing: Vec<Arc<str>>) -> Self {
        let [p50_ms, low_ms, high_ms, p90_ms, p99_ms, floor, distance] = *numbers;
        let [floor_ms, distance_km] = [floor, distance].map(|number| geographic.then_some(number));
        Self { p50_ms, low_ms, high_ms, p90_ms, p99_ms, floor_ms, distance_km, warnings, missing }
    }

    /// The numbers by name, in the order of [`NUMBERS`].
    ///
    /// ```
    /// use latency_core::{NUMBERS, Path, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let prediction = Predictor::bundled()?.predict(&Path::between("London", "Tokyo")?)?;
    /// assert_eq!(prediction.numbers().map(|(name, _)| name).collect::<Vec<_>>(), NUMBERS);
    /// # Ok(())
    /// # }
    /// ```
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, f32)> {
        let [p50, low, high, p90, p99] = [self.p50_ms, self.low_ms, self.high_ms, self.p90_ms, self.p99_ms].map(Some);
        let numbers = [p50, low, high, p90, p99, self.floor_ms, self.distance_km];
        NUMBERS.into_iter().zip(numbers).filter_map(|(name, number)| number.map(|number| (name, number)))
    }
}

/// The f64 with the same shortest decimal form as this f32: 0.1 stays 0.1 in languages that only have doubles, and
/// rounding it to f32 again gives the same bits.
///
/// ```
/// assert_eq!(latency_core::shortest(0.1_f32), 0.1_f64);
/// assert_ne!(f64::from(0.1_f32), 0.1_f64);
/// ```
#[must_use]
pub fn shortest(number: f32) -> f64 {
    // The decimal form of a number is always a number.
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

/// Predictions for a batch, column by column; row i of each column belongs to row i of the batch.
///
/// ```
/// use latency_core::{Batch, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let batch = Batch::new().with("src", ["London", "Paris"]).with("dst", ["Tokyo", "Tokyo"]);
/// let predictions = Predictor::bundled()?.predict_batch(&batch)?;
/// assert_eq!(predictions.p50_ms.len(), 2);
/// assert_eq!(predictions.get(1).unwrap().p50_ms, predictions.p50_ms[1]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Predictions {
    /// The paths' median RTT, ms.
    pub p50_ms: Vec<f32>,
    /// Lower ends of the 90 % intervals for those medians, ms.
    pub low_ms: Vec<f32>,
    /// Upper ends, ms.
    pub high_ms: Vec<f32>,
    /// 90 % quantiles of one measurement, ms.
    pub p90_ms: Vec<f32>,
    /// 99 % quantiles of one measurement, ms; an extrapolation.
    pub p99_ms: Vec<f32>,
    /// Floors, ms; none for models without coordinates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor_ms: Option<Vec<f32>>,
    /// Great-circle distances, km; none for models without coordinates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distance_km: Option<Vec<f32>>,
    /// Warnings, missing fields, ignored columns.
    pub notes: Notes,
}

impl Predictions {
    /// No predictions, with room for some.
    pub(crate) fn with_capacity(rows: usize, geographic: bool) -> Self {
        let column = || Vec::with_capacity(rows);
        Self {
            p50_ms: column(),
            low_ms: column(),
            high_ms: column(),
            p90_ms: column(),
            p99_ms: column(),
            floor_ms: geographic.then(column),
            distance_km: geographic.then(column),
            notes: Notes::default(),
        }
    }

    pub(crate) fn push(&mut self, numbers: &[f32; 7]) {
        let [p50, low, high, p90, p99, floor, distance] = *numbers;
        self.p50_ms.push(p50);
        self.low_ms.push(low);
        self.high_ms.push(high);
        self.p90_ms.push(p90);
        self.p99_ms.push(p99);
        self.floor_ms.iter_mut().for_each(|floors| floors.push(floor));
        self.distance_km.iter_mut().for_each(|distances| distances.push(distance));
    }

    /// The same predictions as rows `numbers` of `rows`, the others without a number.
    pub(crate) fn spread(self, numbers: &[usize], rows: usize) -> Self {
        let spread = |column: Vec<f32>| {
            let mut wide = vec![f32::NAN; rows];
            numbers.iter().zip(column).for_each(|(row, number)| wide[*row] = number);
            wide
        };
        Self {
            p50_ms: spread(self.p50_ms),
            low_ms: spread(self.low_ms),
            high_ms: spread(self.high_ms),
            p90_ms: spread(self.p90_ms),
            p99_ms: spread(self.p99_ms),
            floor_ms: self.floor_ms.map(spread),
            distance_km: self.distance_km.map(spread),
            notes: self.notes.spread(numbers, rows),
        }
    }

    /// The number of rows.
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// assert_eq!(Predictor::bundled()?.predict_batch(&Batch::new())?.len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.p50_ms.len()
    }

    /// Whether there are no rows.
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// assert!(Predictor::bundled()?.predict_batch(&Batch::new())?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.p50_ms.is_empty()
    }

    /// The prediction of one row.
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]);
    /// let predictions = Predictor::bundled()?.predict_batch(&batch)?;
    /// assert!(predictions.get(0).unwrap().p50_ms > 95.0);
    /// assert_eq!(predictions.get(1), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Prediction> {
        let warnings = &self.notes.warnings;
        let first = warnings.partition_point(|(other, _)| *other < row);
        Some(Prediction {
            p50_ms: *self.p50_ms.get(row)?,
            low_ms: *self.low_ms.get(row)?,
            high_ms: *self.high_ms.get(row)?,
            p90_ms: *self.p90_ms.get(row)?,
            p99_ms: *self.p99_ms.get(row)?,
            floor_ms: self.floor_ms.as_ref().and_then(|floors| floors.get(row).copied()),
            distance_km: self.distance_km.as_ref().and_then(|distances| distances.get(row).copied()),
            warnings: warnings[first..]
                .iter()
                .take_while(|(other, _)| *other == row)
                .map(|(_, warning)| warning.clone())
                .collect(),
            missing: self.notes.missing_names(row),
        })
    }

    /// The predictions one by one.
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London", "Paris"]).with("dst", ["Tokyo", "Tokyo"]);
    /// for prediction in Predictor::bundled()?.predict_batch(&batch)?.iter() {
    ///     println!("{} ms", prediction.p50_ms);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Prediction> {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// The columns by name, in the order of [`NUMBERS`].
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]);
    /// for (name, column) in Predictor::bundled()?.predict_batch(&batch)?.columns() {
    ///     println!("{name}: {column:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        let [p50, low, high, p90, p99] =
            [&self.p50_ms, &self.low_ms, &self.high_ms, &self.p90_ms, &self.p99_ms].map(Some);
        let columns = [p50, low, high, p90, p99, self.floor_ms.as_ref(), self.distance_km.as_ref()];
        NUMBERS.into_iter().zip(columns).filter_map(|(name, column)| column.map(|column| (name, column.as_slice())))
    }

    /// The columns themselves by name, in the order of [`NUMBERS`].
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]);
    /// let columns: Vec<(&str, Vec<f32>)> = Predictor::bundled()?.predict_batch(&batch)?.into_columns().collect();
    /// assert_eq!(columns[0].0, "p50_ms");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_columns(self) -> impl Iterator<Item = (&'static str, Vec<f32>)> {
        let [p50, low, high, p90, p99] = [self.p50_ms, self.low_ms, self.high_ms, self.p90_ms, self.p99_ms].map(Some);
        let columns = [p50, low, high, p90, p99, self.floor_ms, self.distance_km];
        NUMBERS.into_iter().zip(columns).filter_map(|(name, column)| column.map(|column| (name, column)))
    }
}

/// Everything after the trees.
#[derive(Debug)]
pub(crate) struct Calibration {
    /// Per output: its place among the five numbers, and its offset.
    outputs: Vec<(OutputName, Offset)>,
    /// Whether an offset depends on the distance.
    by_distance: bool,
    transform: Transform,
    spread: Option<SpreadPlan>,
    base: Option<Base>,
}

/// The conformal correction of one output.
#[derive(Debug)]
struct Offset {
    constant: f64,
    /// Logarithm of a distance in km, ascending, and what is added there.
    knots: Vec<(f64, f64)>,
}

impl Offset {
    fn new(output: &Output) -> Self {
        let knots = output.offset_by_distance.iter().map(|(km, offset)| (libm::log(*km), *offset)).collect();
        Self { constant: output.offset, knots }
    }

    fn at(&self, ln_km: f64) -> f64 {
        let next = self.knots.partition_point(|(knot, _)| *knot <= ln_km);
        let added = match (next.checked_sub(1).map(|before| self.knots[before]), self.knots.get(next)) {
            (Some((left, low)), Some((right, high))) => low + (ln_km - left) / (right - left) * (high - low),
            (Some((_, only)), None) | (None, Some(&(_, only))) => only,
            (None, None) => 0.0,
        };
        self.constant + added
    }
}

/// One row, answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    low: f64,
    p50: f64,
    high: f64,
    p90: f64,
    p99: f64,
    median: Option<PathMedian>,
    /// The scales of measurements around the median, for models with a spread.
    scales: Option<Scales>,
    floor: f64,
    distance_km: f64,
}

impl Answer {
    /// In the order of [`NUMBERS`]; the last two mean nothing without coordinates.
    pub fn numbers(&self) -> [f32; 7] {
        [self.p50, self.low, self.high, self.p90, self.p99, self.floor, self.distance_km].map(|number| number as f32)
    }

    /// The distribution of the path's median. For models with coordinates.
    pub fn median(&self) -> PathMedian {
        self.median.unwrap_or_else(|| {
            // Two ends at one place have a floor of 0, which has no logarithm.
            let [low, p50, high] = [self.low, self.p50, self.high].map(|level| level.max(f64::from(f32::MIN_POSITIVE)));
            PathMedian::from_logarithms(p50, [low, p50, high].map(libm::log))
        })
    }

    /// The distribution of one measurement. For models with coordinates.
    pub fn measurement(&self) -> Measurement {
        let median = self.median();
        match self.scales {
            Some(scales) => Measurement::around(median, scales, self.floor),
            None => Measurement::through(median, self.p90.max(median.p50), self.p99.max(median.p50), self.floor),
        }
    }

    pub fn distance_km(&self) -> f64 {
        self.distance_km
    }
}

impl Calibration {
    pub fn new(schema: &Schema) -> Self {
        Self {
            outputs: schema.outputs.iter().map(|output| (output.name, Offset::new(output))).collect(),
            by_distance: schema.outputs.iter().any(|output| !output.offset_by_distance.is_empty()),
            transform: schema.target.transform,
            spread: schema.spread.as_ref().map(|spread| SpreadPlan::new(schema, spread)),
            base: schema.target.base,
        }
    }

    /// Number of margins per row.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// One row's margins → its answer, from its fields, its features, and its distance for models with coordinates.
    ///
    /// In this order: base and offset in target space, inverse transform, clamp to the floor, sort.
    ///
    /// # Errors
    /// If the trees gave something that is no number.
    pub fn answer(
        &self,
        margins: &[f32],
        fields: &[f64],
        features: &[f32],
        distance_km: Option<f64>,
    ) -> Result<Answer> {
        // Without coordinates there is no floor: a target may even be negative.
        let floor = distance_km.map_or(f64::NEG_INFINITY, geo::floor_ms);
        let base = self.base.map_or(0.0, |Base { feature, add }| libm::log(f64::from(features[feature]) + add));
        // In target space first: what the model has no output for stays there, and is replaced later.
        let mut levels = [f64::NEG_INFINITY; 5];
        let ln_km = distance_km.filter(|_| self.by_distance).map_or(0.0, |km| libm::log(km.max(1.0)));
        for ((name, offset), margin) in self.outputs.iter().zip(margins) {
            levels[*name as usize] = f64::from(*margin) + base + offset.at(ln_km);
        }
        let [low, p50, high, p90, p99] = levels;
        let targets = sort3(low, p50, high);
        let level = |target: f64| match self.transform {
            Transform::Log => libm::exp(target).max(floor),
            Transform::Identity => target.max(floor),
        };
        let [low, p50, high] = targets.map(level);
        let distance_km = distance_km.unwrap_or(f64::NAN);
        let mut answer =
            Answer { low, p50, high, p90: floor, p99: floor, median: None, scales: None, floor, distance_km };
        if let Some(spread) = &self.spread {
            // Away from the floor the logarithms are at hand.
            answer.median = (low > floor).then(|| PathMedian::from_logarithms(p50, targets));
            answer.scales = Some(spread.scales(fields, answer.median().p50));
            [answer.p90, answer.p99] = answer.measurement().p90_and_p99();
        } else {
            (answer.p90, answer.p99) = (level(p90), level(p99));
        }
        answer.p90 = answer.p90.max(p50);
        answer.p99 = answer.p99.max(answer.p90);
        // As f32, because that is what callers get.
        let finite = answer.numbers()[..5].iter().all(|number| number.is_finite());
        if !finite {
            return Err(Error::new(
                ErrorKind::InferenceFailed,
                "the model gave something that is not a finite number; train it again, on targets within the range of an f32",
            ));
        }
        Ok(answer)
    }
}

fn sort3(a: f64, b: f64, c: f64) -> [f64; 3] {
    let (a, b) = (a.min(b), a.max(b));
    let (b, c) = (b.min(c), b.max(c));
    [a.min(b), a.max(b), c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_by_distance_are_linear_in_its_logarithm_and_constant_beyond() {
        let output = serde_json::json!({
            "name": "high_ms", "quantile": 0.95, "offset": 0.5, "offset_by_distance": [[100.0, 0.4], [1000.0, 0.2]]
        });
        let offset = Offset::new(&serde_json::from_value(output).unwrap());
        for (km, expected) in [(1.0, 0.9), (100.0, 0.9), (316.227_766, 0.8), (1000.0, 0.7), (20_000.0, 0.7)] {
            assert!((offset.at(libm::log(km)) - expected).abs() < 1e-8, "{km}: {}", offset.at(libm::log(km)));
        }
        let plain = serde_json::json!({"name": "high_ms", "quantile": 0.95, "offset": 0.5});
        assert_eq!(Offset::new(&serde_json::from_value(plain).unwrap()).at(3.0), 0.5);
    }

    #[test]
    fn sort3_sorts() {
        for (a, b, c) in
            [(1.0, 2.0, 3.0), (3.0, 2.0, 1.0), (2.0, 3.0, 1.0), (2.0, 1.0, 3.0), (3.0, 1.0, 2.0), (1.0, 1.0, 0.0)]
        {
            let [x, y, z] = sort3(a, b, c);
            assert!(x <= y && y <= z && x + y + z == a + b + c);
        }
    }
}
