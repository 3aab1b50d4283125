//! From the trees' margins to a prediction: calibration, inverse transform, floor, order; then the spread of single
//! measurements.

use serde::Serialize;

use crate::encode::{EncodedRows, category_index};
use crate::error::{Error, ErrorKind};
use crate::features::{Matrix, floors_ms};
use crate::schema::{Base, FieldKind, OutputName, Schema, Transform};

/// The 95 % quantile of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_2;

/// A probability with its quantile of the standard normal distribution.
#[derive(Clone, Copy)]
struct Level {
    p: f64,
    z: f64,
}

const P90: Level = Level { p: 0.90, z: 1.281_551_565_544_600_4 };
const P99: Level = Level { p: 0.99, z: 2.326_347_874_040_841 };

/// What is predicted for one path. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_ms: Option<f32>,
    /// Great-circle distance, km; none for models without coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_km: Option<f32>,
    /// What to know before relying on it.
    pub warnings: Vec<Warning>,
}

impl Prediction {
    /// The numbers by name, in the order of the contract.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, f32)> {
        [
            ("p50_ms", Some(self.p50_ms)),
            ("low_ms", Some(self.low_ms)),
            ("high_ms", Some(self.high_ms)),
            ("p90_ms", Some(self.p90_ms)),
            ("p99_ms", Some(self.p99_ms)),
            ("floor_ms", self.floor_ms),
            ("distance_km", self.distance_km),
        ]
        .into_iter()
        .filter_map(|(name, number)| number.map(|number| (name, number)))
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

/// Something to know about a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Warning {
    /// Stable name of the kind of warning.
    pub code: WarningCode,
    /// The field it is about, by its flat name.
    pub field: String,
    /// What was found, and what training saw.
    pub message: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum WarningCode {
    /// The value lies outside what training saw: the prediction is an extrapolation.
    OutOfRange,
}

impl WarningCode {
    /// The stable name, the same in every language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfRange => "OUT_OF_RANGE",
        }
    }
}

/// Predictions for a batch, column by column; row i of each column belongs to row i of the batch.
#[derive(Debug, Clone, Default, PartialEq)]
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
    pub floor_ms: Option<Vec<f32>>,
    /// Great-circle distances, km; none for models without coordinates.
    pub distance_km: Option<Vec<f32>>,
    /// Warnings with their row, in the order of rows.
    pub warnings: Vec<(usize, Warning)>,
    /// Columns of the batch that the model has no field for.
    pub ignored_columns: Vec<String>,
}

impl Predictions {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.p50_ms.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.p50_ms.is_empty()
    }

    /// The prediction of one row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Prediction> {
        let first = self.warnings.partition_point(|(other, _)| *other < row);
        Some(Prediction {
            p50_ms: *self.p50_ms.get(row)?,
            low_ms: self.low_ms[row],
            high_ms: self.high_ms[row],
            p90_ms: self.p90_ms[row],
            p99_ms: self.p99_ms[row],
            floor_ms: self.floor_ms.as_ref().map(|floors| floors[row]),
            distance_km: self.distance_km.as_ref().map(|distances| distances[row]),
            warnings: self.warnings[first..]
                .iter()
                .take_while(|(other, _)| *other == row)
                .map(|(_, warning)| warning.clone())
                .collect(),
        })
    }

    /// The predictions one by one.
    pub fn iter(&self) -> impl Iterator<Item = Prediction> {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// The columns by name, in the order of the contract.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        [
            ("p50_ms", Some(&self.p50_ms)),
            ("low_ms", Some(&self.low_ms)),
            ("high_ms", Some(&self.high_ms)),
            ("p90_ms", Some(&self.p90_ms)),
            ("p99_ms", Some(&self.p99_ms)),
            ("floor_ms", self.floor_ms.as_ref()),
            ("distance_km", self.distance_km.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, column)| column.map(|column| (name, column.as_slice())))
    }
}

/// Everything after the trees.
#[derive(Debug, Clone)]
pub(crate) struct Calibration {
    /// Per output: its place among the five numbers, and its offset.
    outputs: Vec<(OutputName, f64)>,
    transform: Transform,
    spread: Option<SpreadPlan>,
    geographic: bool,
    base: Option<Base>,
}

#[derive(Debug, Clone)]
struct SpreadPlan {
    fields: Vec<(usize, Vec<f64>)>,
    missing: f64,
}

impl Calibration {
    pub fn new(schema: &Schema) -> Self {
        let spread = schema.spread.as_ref().map(|spread| SpreadPlan {
            fields: spread
                .fields
                .iter()
                .filter_map(|name| {
                    let index = schema.field_index(name)?;
                    let FieldKind::Category { categories, .. } = &schema.fields[index].kind else { return None };
                    let scales =
                        categories.iter().map(|word| spread.scale.get(word).copied().unwrap_or(spread.missing));
                    Some((index, scales.collect()))
                })
                .collect(),
            missing: spread.missing,
        });
        let outputs = schema.outputs.iter().map(|output| (output.name, output.offset)).collect();
        Self {
            outputs,
            transform: schema.target.transform,
            spread,
            geographic: schema.coordinates.is_some(),
            base: schema.target.base,
        }
    }

    /// Margins (row-major, one column per output) → predictions, without warnings.
    ///
    /// In this order: base and offset in target space, inverse transform, clamp to the floor, sort.
    ///
    /// # Errors
    /// If the trees gave something that is no number.
    pub fn apply(&self, margins: &[f32], rows: &EncodedRows, matrix: &Matrix) -> Result<Predictions, Error> {
        let Matrix { values, distances_km } = matrix;
        let mut predictions = Predictions {
            floor_ms: self.geographic.then(|| floors_ms(distances_km).map(|floor| floor as f32).collect()),
            distance_km: self.geographic.then(|| distances_km.iter().map(|distance| *distance as f32).collect()),
            ..Predictions::default()
        };
        let mut floors = floors_ms(distances_km);
        let fields = rows.values.len() / rows.rows.max(1);
        for (index, margins) in margins.chunks_exact(self.outputs.len()).enumerate() {
            // Without coordinates there is no floor: a target may even be negative.
            let floor = floors.next().unwrap_or(f64::NEG_INFINITY);
            let base = self.base.map_or(0.0, |Base { feature, add }| {
                let columns = values.len() / rows.rows;
                libm::log(f64::from(values[index * columns + feature]) + add)
            });
            let [mut low, mut p50, mut high, mut p90, mut p99] = self.levels(margins, base, floor);
            (low, p50, high) = sort3(low, p50, high);
            if let Some(spread) = &self.spread {
                let scale = spread.scale(&rows.values[index * fields..(index + 1) * fields]);
                let sigma = libm::log(high / p50) / Z95;
                p90 = p50 * libm::exp(excess_quantile(P90, sigma, scale));
                p99 = p50 * libm::exp(excess_quantile(P99, sigma, scale));
            }
            p90 = p90.max(p50);
            p99 = p99.max(p90);
            if ![low, p50, high, p90, p99].iter().all(|number| number.is_finite()) {
                return Err(Error::new(
                    ErrorKind::InferenceFailed,
                    "the model gave something that is not a finite number",
                )
                .with_row(index));
            }
            predictions.low_ms.push(low as f32);
            predictions.p50_ms.push(p50 as f32);
            predictions.high_ms.push(high as f32);
            predictions.p90_ms.push(p90 as f32);
            predictions.p99_ms.push(p99 as f32);
        }
        Ok(predictions)
    }

    /// `[low, p50, high, p90, p99]`; what the model has no output for is the floor, and replaced later.
    fn levels(&self, margins: &[f32], base: f64, floor: f64) -> [f64; 5] {
        let mut levels = [floor; 5];
        for ((name, offset), margin) in self.outputs.iter().zip(margins) {
            let level = f64::from(*margin) + base + offset;
            let level = if self.transform == Transform::Log { libm::exp(level) } else { level };
            levels[*name as usize] = level.max(floor);
        }
        levels
    }
}

impl SpreadPlan {
    fn scale(&self, row: &[f64]) -> f64 {
        let scales = self.fields.iter().map(|(field, scales)| {
            category_index(row[*field]).and_then(|index| scales.get(index)).copied().unwrap_or(self.missing)
        });
        scales.fold(0.0, f64::max)
    }
}

fn sort3(a: f64, b: f64, c: f64) -> (f64, f64, f64) {
    let (a, b) = (a.min(b), a.max(b));
    let (b, c) = (b.min(c), b.max(c));
    (a.min(b), a.max(b), c)
}

/// The quantile at `p` of `sigma · Z + scale · (E − ln 2)`, Z standard normal and E exponential with mean 1: how far, in
/// log space, one measurement lies above the predicted median when the path's own median is uncertain.
///
/// The sum is an exponentially modified Gaussian (Grushka 1972, Analytical Chemistry 44 (11)), whose distribution
/// function is Φ(y/σ) − T with T = exp(σ²/2θ² − y/θ) · Φ(y/σ − σ/θ) and density T/θ; solved by Newton's method inside a
/// bracket that halves where Newton leaves it.
fn excess_quantile(Level { p, z }: Level, sigma: f64, scale: f64) -> f64 {
    let shift = scale * std::f64::consts::LN_2;
    let exponential = -scale * libm::log1p(-p);
    if sigma <= scale * 1e-6 {
        return exponential - shift;
    }
    let ratio = sigma / scale;
    if ratio > 30.0 {
        // Skewness below 1e-4: the sum is normal, and exp(σ²/2θ²) would soon overflow.
        return scale + z * libm::sqrt(sigma * sigma + scale * scale) - shift;
    }
    let (mut low, mut high) = (sigma * z, sigma * z + exponential + scale + sigma);
    let mut y = scale + z * libm::sqrt(sigma * sigma + scale * scale);
    for _ in 0..60 {
        let tail = libm::exp(0.5 * ratio * ratio - y / scale) * normal_cdf(y / sigma - ratio);
        let error = normal_cdf(y / sigma) - tail - p;
        if error > 0.0 {
            high = y;
        } else {
            low = y;
        }
        let newton = y - error * scale / tail;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - y).abs() <= 1e-12 * (1.0 + y.abs()) {
            return next - shift;
        }
        y = next;
    }
    y - shift
}

fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distribution function of the excess, by numerical integration over the exponential part.
    fn excess_cdf(x: f64, sigma: f64, scale: f64) -> f64 {
        let steps = 200_000;
        let width = 40.0 / f64::from(steps);
        (0..steps)
            .map(|step| {
                let e = (f64::from(step) + 0.5) * width;
                libm::exp(-e) * normal_cdf((x - scale * (e - std::f64::consts::LN_2)) / sigma) * width
            })
            .sum()
    }

    #[test]
    fn excess_quantile_agrees_with_numerical_integration() {
        for level in [P90, P99] {
            for (sigma, scale) in [(0.05, 0.2), (0.2, 0.05), (0.3, 0.011), (0.01, 0.3), (0.2, 0.2), (0.31, 0.01)] {
                let x = excess_quantile(level, sigma, scale);
                let found = excess_cdf(x, sigma, scale);
                assert!(
                    (found - level.p).abs() < 1e-4,
                    "p {}, sigma {sigma}, scale {scale}: x {x}, cdf {found}",
                    level.p
                );
            }
        }
    }

    #[test]
    fn without_path_uncertainty_the_excess_is_exponential() {
        let expected = 0.1 * (10.0_f64.ln() - std::f64::consts::LN_2);
        assert!((excess_quantile(P90, 0.0, 0.1) - expected).abs() < 1e-12);
    }

    #[test]
    fn sort3_sorts() {
        for (a, b, c) in
            [(1.0, 2.0, 3.0), (3.0, 2.0, 1.0), (2.0, 3.0, 1.0), (2.0, 1.0, 3.0), (3.0, 1.0, 2.0), (1.0, 1.0, 0.0)]
        {
            let (x, y, z) = sort3(a, b, c);
            assert!(x <= y && y <= z && x + y + z == a + b + c);
        }
    }
}
