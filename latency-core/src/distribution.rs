//! What is known about one path, as distributions: of its median RTT, and of one measurement on it.
//!
//! **The path's median** is uncertain because the path was never measured. Its logarithm is normal, with a standard
//! deviation of its own on each side of `ln(p50)`, so that 5 % lie below `low` and 5 % above `high`.
//!
//! **One measurement** lies around that median: in log space by `scale · (E − ln 2)`, E exponential with mean 1. The sum
//! of both is an exponentially modified Gaussian (Grushka 1972, Analytical Chemistry 44 (11)) on each side. Paths differ
//! in how far their measurements scatter, so the tail over all of them is longer than any exponential's: the scale
//! rises from that of the 90 % quantile to that of the 99 % quantile. Models without a spread predict quantiles of one
//! measurement directly; between them, its logarithm is a straight line over the normal quantile.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LN_10};
use std::sync::OnceLock;

/// The 95 % quantile of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_2;

const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

/// A log-space width below which a distribution is a point.
const POINT: f64 = 1e-9;

/// The distribution of a path's median RTT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PathMedian {
    pub p50: f64,
    /// Standard deviations of the logarithm below and above `p50`.
    pub below: f64,
    pub above: f64,
}

impl PathMedian {
    /// From p50, and the logarithms of the lower end of the 90 % interval, p50, and the upper end.
    pub fn from_logarithms(p50: f64, [low, middle, high]: [f64; 3]) -> Self {
        Self { p50, below: ((middle - low) / Z95).max(POINT), above: ((high - middle) / Z95).max(POINT) }
    }

    #[cfg(test)]
    pub fn new(low: f64, p50: f64, high: f64) -> Self {
        Self::from_logarithms(p50, [low, p50, high].map(libm::log))
    }

    /// The median at a normal quantile.
    #[cfg(test)]
    pub fn at(&self, z: f64) -> f64 {
        self.p50 * libm::exp(z * if z < 0.0 { self.below } else { self.above })
    }

    /// The normal quantile of a median, from its logarithm over `p50`.
    pub fn z(&self, excess: f64) -> f64 {
        excess / if excess < 0.0 { self.below } else { self.above }
    }
}

/// The distribution of one measurement, in ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measurement {
    shape: Shape,
    p50: f64,
    /// No measurement is predicted below it.
    floor: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// Path uncertainty and scatter.
    Spread(Scatter),
    /// Logarithms over p50: slope over the normal quantile below p50, then from p50 to p90, then beyond.
    Quantiles { below: f64, p90: f64, p99: f64 },
}

impl Measurement {
    /// Of a path with this median, whose measurements scatter with these scales in log space.
    pub fn around(median: PathMedian, scales: Scales, floor: f64) -> Self {
        let scatter = Scatter { below: median.below, above: median.above, scales };
        Self { shape: Shape::Spread(scatter), p50: median.p50, floor }
    }

    /// Through quantiles that a model predicts: `0 < p50 ≤ p90 ≤ p99`.
    pub fn through(median: PathMedian, p90: f64, p99: f64, floor: f64) -> Self {
        let ln = |level: f64| libm::log(level / median.p50);
        let p90 = ln(p90).max(POINT);
        let shape = Shape::Quantiles { below: median.below, p90, p99: ln(p99).max(p90 + POINT) };
        Self { shape, p50: median.p50, floor }
    }

    /// The RTT below which a measurement stays with probability `p`, between 0 and 1, ms.
    pub fn quantile(&self, p: f64) -> f64 {
        // To the bit what predictions show.
        if let Some(index) = [P90.p, P99.p].iter().position(|shown| *shown == p) {
            return self.p90_and_p99()[index];
        }
        let excess = match self.shape {
            Shape::Spread(scatter) => scatter.quantile(p),
            Shape::Quantiles { below, p90, p99 } => {
                let z = normal_quantile(p);
                let (z90, z99) = (P90.z, P99.z);
                if z < 0.0 {
                    z * below
                } else if z < z90 {
                    z / z90 * p90
                } else {
                    p90 + (z - z90) / (z99 - z90) * (p99 - p90)
                }
            }
        };
        (self.p50 * libm::exp(excess)).max(self.floor)
    }

    /// The 90 % and 99 % quantiles, ms.
    pub fn p90_and_p99(&self) -> [f64; 2] {
        let excesses = match self.shape {
            Shape::Spread(scatter) => scatter.p90_and_p99(),
            Shape::Quantiles { p90, p99, .. } => [p90, p99],
        };
        excesses.map(|excess| (self.p50 * libm::exp(excess)).max(self.floor))
    }

    /// The probability that a measurement stays at or below this RTT.
    pub fn probability_within(&self, ms: f64) -> f64 {
        if ms < self.floor || ms <= 0.0 {
            return 0.0;
        }
        let excess = libm::log(ms / self.p50);
        match self.shape {
            Shape::Spread(scatter) => scatter.probability_within(excess),
            Shape::Quantiles { below, p90, p99 } => {
                let (z90, z99) = (P90.z, P99.z);
                normal_probability(if excess < 0.0 {
                    excess / below
                } else if excess < p90 {
                    excess / p90 * z90
                } else {
                    z90 + (excess - p90) / (p99 - p90) * (z99 - z90)
                })
            }
        }
    }
}

/// A probability with its quantile of the standard normal distribution.
#[derive(Clone, Copy)]
struct Level {
    p: f64,
    z: f64,
}

const P90: Level = Level { p: 0.90, z: 1.281_551_565_544_600_4 };
const P99: Level = Level { p: 0.99, z: 2.326_347_874_040_841 };

/// How far measurements scatter around their path's median, in log space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scales {
    /// Up to the 90 % quantile.
    pub p90: f64,
    /// From the 99 % quantile on; not below the other, or a tail would end before it begins.
    pub p99: f64,
}

impl Scales {
    /// From how far the two quantiles of one measurement lie above the median of a path that is known, as shares of it.
    pub fn from_excesses(p90: f64, p99: f64) -> Self {
        // The exponential's quantiles are ln 10 and ln 100, less the median's ln 2.
        let p90 = libm::log1p(p90) / (LN_10 - LN_2);
        Self { p90, p99: (libm::log1p(p99) / (2.0 * LN_10 - LN_2)).max(p90) }
    }

    /// The scale at a quantile, from how often it is exceeded: its logarithm is a straight line over `ln rest`.
    fn at(&self, rest: f64) -> f64 {
        let share = (-libm::log(rest) / LN_10 - 1.0).clamp(0.0, 1.0);
        self.p90 * libm::exp(share * libm::log(self.p99 / self.p90))
    }
}

/// How far one measurement lies above the predicted median in log space, whose scale depends on the quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scatter {
    below: f64,
    above: f64,
    scales: Scales,
}

impl Scatter {
    fn with_scale(&self, scale: f64) -> Excess {
        Excess { below: self.below, above: self.above, scale }
    }

    fn quantile(&self, p: f64) -> f64 {
        self.with_scale(self.scales.at(1.0 - p)).quantile(p)
    }

    /// The 90 % and 99 % quantiles, which every prediction holds.
    fn p90_and_p99(&self) -> [f64; 2] {
        let Scales { p90, p99 } = self.scales;
        [self.with_scale(p90).interpolated(&tables().p90, P90), self.with_scale(p99).interpolated(&tables().p99, P99)]
    }

    /// The inverse of `quantile`.
    fn probability_within(&self, y: f64) -> f64 {
        let within = |scale: f64| self.with_scale(scale).distribution(y).0.clamp(0.0, 1.0);
        let at_p90 = within(self.scales.p90);
        if at_p90 <= P90.p || self.scales.p99 == self.scales.p90 {
            return at_p90;
        }
        let at_p99 = within(self.scales.p99);
        if at_p99 >= P99.p {
            return at_p99;
        }
        // In between, p is where the distribution with its own scale gives p. False position, by Dowell and Jarratt's
        // Illinois rule.
        let error = |p: f64| within(self.scales.at(1.0 - p)) - p;
        let (mut low, mut high) = ((P90.p, at_p90 - P90.p), (P99.p, at_p99 - P99.p));
        for _ in 0..50 {
            let p = (low.0 * high.1 - high.0 * low.1) / (high.1 - low.1);
            let found = error(p);
            if found.abs() < 1e-13 || high.0 - low.0 < 1e-13 {
                return p;
            }
            if found > 0.0 {
                low = (p, found);
                high.1 *= 0.5;
            } else {
                high = (p, found);
                low.1 *= 0.5;
            }
        }
        0.5 * (low.0 + high.0)
    }
}

/// How far one measurement lies above the predicted median in log space: a normal with a standard deviation on each
/// side of 0, plus `scale · (E − ln 2)`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Excess {
    below: f64,
    above: f64,
    scale: f64,
}

impl Excess {
    /// The distribution function and its derivative.
    ///
    /// With t = y + scale · ln 2 and one σ the function is Φ(t/σ) − T, its derivative T/scale, where
    /// T = exp(σ²/2s² − t/s) · Φ(t/σ − σ/s). With a σ for each side, T above 0 changes by
    /// exp(−t/s) · (m(σ₊/s) − m(σ₋/s)), m(r) = exp(r²/2) · Φ(−r): the half of the paths that lie below p50.
    fn distribution(&self, y: f64) -> (f64, f64) {
        let t = y + self.scale * LN_2;
        let sigma = if t > 0.0 { self.above } else { self.below };
        let (z, ratio) = (t / sigma, sigma / self.scale);
        let mut tail = exponential_tail(z, ratio);
        let both_sides = if t > 0.0 && self.above != self.below { libm::exp(-t / self.scale) } else { 0.0 };
        if both_sides > f64::EPSILON {
            tail -= both_sides * (mills(ratio) - mills(self.below / self.scale));
        }
        (normal_probability(z) - tail, tail / self.scale)
    }

    fn quantile(&self, p: f64) -> f64 {
        let z = normal_quantile(p);
        let sigma = if z < 0.0 { self.below } else { self.above };
        self.solve(p, z * sigma + self.scale * (1.0 - LN_2))
    }

    /// One of the quantiles that every prediction holds, to eight digits.
    fn interpolated(&self, table: &[[f64; 4]], level: Level) -> f64 {
        let ratio = self.above / self.scale;
        let at = Interpolation::at_ratio(ratio);
        // By how much the half of the paths below p50 differs from the half above it.
        let mills = |at: &Interpolation| at.of(&tables().mills)[0];
        let asymmetry = mills(&at) - mills(&Interpolation::at_ratio(self.below / self.scale));
        let [symmetric, first, second, third] = at.of(table);
        let shift = asymmetry * (first + asymmetry * (second + asymmetry * third));
        let excess = (symmetric + level.z * ratio + shift) * self.scale;
        // The series in the asymmetry is good while its first term is small.
        if (asymmetry * first).abs() < 0.01 { excess } else { self.solve(level.p, excess) }
    }

    /// Newton's method, inside a bracket that is halved where Newton leaves it.
    fn solve(&self, p: f64, start: f64) -> f64 {
        // A measurement exceeds its path's median by −scale · ln 2 at least, and the normal by this z at most.
        let reach = 40.0 * self.above.max(self.below) - self.scale * libm::log1p(-p) + self.scale;
        let (mut low, mut high) = (-reach, reach);
        let mut y = start;
        // A step this small leaves an error of its square, far below the last bit of an f32.
        let enough = 1e-4 * self.scale.min(self.above).min(self.below);
        for _ in 0..100 {
            let (found, density) = self.distribution(y);
            let error = found - p;
            if error > 0.0 {
                high = y;
            } else {
                low = y;
            }
            let newton = y - error / density;
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            if (next - y).abs() <= enough {
                return next;
            }
            y = next;
        }
        y
    }
}

/// exp(r²/2 − r·z) · Φ(z − r), without overflow.
fn exponential_tail(z: f64, r: f64) -> f64 {
    let u = z - r;
    if u < 0.0 {
        // exp(r²/2 − r·z) = exp(u²/2 − z²/2).
        0.5 * scaled_erfc(-u * FRAC_1_SQRT_2) * libm::exp(-0.5 * z * z)
    } else {
        libm::exp(-r * (u + 0.5 * r)) * normal_probability(u)
    }
}

/// exp(r²/2) · Φ(−r) for r ≥ 0: Mills' ratio, scaled.
fn mills(r: f64) -> f64 {
    0.5 * scaled_erfc(r * FRAC_1_SQRT_2)
}

/// exp(x²) · erfc(x) for x ≥ 0.
fn scaled_erfc(x: f64) -> f64 {
    if x < 20.0 {
        return libm::exp(x * x) * libm::erfc(x);
    }
    // Abramowitz & Stegun 7.1.23; the next term is below 1e-13.
    let y = 0.5 / (x * x);
    (1.0 - y * (1.0 - 3.0 * y * (1.0 - 5.0 * y * (1.0 - 7.0 * y)))) / (x * std::f64::consts::PI.sqrt())
}

/// Functions of a ratio σ / scale, tabulated over v = ratio / (1 + ratio).
struct Tables {
    mills: Box<[[f64; 1]]>,
    /// Of an excess with scale 1: the quantile for one σ on both sides, minus z · σ, and the first three coefficients of
    /// its series in the asymmetry.
    p90: Box<[[f64; 4]]>,
    p99: Box<[[f64; 4]]>,
}

/// Steps of v.
const STEPS: usize = 1024;

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    let ratio = |step: usize| {
        let v = (step as f64 / STEPS as f64).clamp(1e-9, 1.0 - 1e-6);
        v / (1.0 - v)
    };
    TABLES.get_or_init(|| Tables {
        mills: table(STEPS, |step| [mills(ratio(step))]),
        p90: table(STEPS, |step| quantile_series(P90, ratio(step))),
        p99: table(STEPS, |step| quantile_series(P99, ratio(step))),
    })
}

/// A function at 0, 1, … `last`, with a point beyond each end, which the cubic needs: on a parabola.
fn table<const N: usize>(last: usize, entry: impl Fn(usize) -> [f64; N]) -> Box<[[f64; N]]> {
    let beyond = |[a, b, c]: [[f64; N]; 3]| std::array::from_fn(|k| 3.0 * (a[k] - b[k]) + c[k]);
    let mut table = vec![beyond([0, 1, 2].map(&entry))];
    table.extend((0..=last).map(&entry));
    table.push(beyond([last, last - 1, last - 2].map(&entry)));
    table.into()
}

/// Between two entries of a table.
struct Interpolation {
    index: usize,
    weights: [f64; 4],
}

impl Interpolation {
    /// In a table over v = ratio / (1 + ratio).
    fn at_ratio(ratio: f64) -> Self {
        Self::at(ratio / (1.0 + ratio) * STEPS as f64, STEPS)
    }

    /// Catmull and Rom's cubic, between 0 and `last`.
    #[expect(clippy::cast_sign_loss, reason = "at least 0")]
    fn at(at: f64, last: usize) -> Self {
        let index = (at as usize).min(last - 1);
        let t = at - index as f64;
        let weights = [
            -0.5 * t * (1.0 - t) * (1.0 - t),
            1.0 + 0.5 * t * t * (3.0 * t - 5.0),
            0.5 * t * (1.0 + t * (4.0 - 3.0 * t)),
            -0.5 * t * t * (1.0 - t),
        ];
        Self { index, weights }
    }

    fn of<const N: usize>(&self, table: &[[f64; N]]) -> [f64; N] {
        let points = &table[self.index..self.index + 4];
        let mut sum = [0.0; N];
        for (weight, point) in self.weights.iter().zip(points) {
            for (sum, value) in sum.iter_mut().zip(point) {
                *sum += weight * value;
            }
        }
        sum
    }
}

/// With scale 1 and asymmetry D the quantile y solves F(y) + D · exp(−t) = p, where t = y + ln 2 and F is the
/// distribution function for one σ on both sides: its value at D = 0, and its series in D.
fn quantile_series(level: Level, ratio: f64) -> [f64; 4] {
    let excess = Excess { below: ratio, above: ratio, scale: 1.0 };
    let y = excess.solve(level.p, level.z * ratio + 1.0 - LN_2);
    let t = y + LN_2;
    let density = excess.distribution(y).1;
    let normal = FRAC_1_SQRT_2PI * libm::exp(-0.5 * (t / ratio) * (t / ratio)) / ratio;
    let decay = libm::exp(-t);
    // F″ = φ(t/σ)/σ − F′, and F‴ = −t/σ² · φ(t/σ)/σ − F″.
    let (f1, f2) = (density, normal - density);
    let f3 = -t / (ratio * ratio) * normal - f2;
    // Implicit differentiation, with e = exp(−t): F′y′ = −e, and so on.
    let y1 = -decay / f1;
    let y2 = (2.0 * decay * y1 - f2 * y1 * y1) / f1;
    let y3 = (3.0 * decay * (y2 - y1 * y1) - 3.0 * f2 * y1 * y2 - f3 * y1 * y1 * y1) / f1;
    [y - level.z * ratio, y1, y2 / 2.0, y3 / 6.0]
}

/// Φ(z).
fn normal_probability(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// ln Φ(−z), the logarithm of the probability that a standard normal exceeds z: interpolated, to seven digits.
pub(crate) fn log_survival(z: f64) -> f64 {
    const FROM: f64 = -8.0;
    /// Beyond this the probability is 0 for all purposes, and its logarithm still a number.
    const TO: f64 = 36.0;
    const PER_UNIT: f64 = 64.0;
    const LAST: usize = 44 * 64;
    static TABLE: OnceLock<Box<[[f64; 1]]>> = OnceLock::new();
    let table =
        TABLE.get_or_init(|| table(LAST, |step| [libm::log(normal_probability(-(FROM + step as f64 / PER_UNIT)))]));
    let [logarithm] = Interpolation::at((z.clamp(FROM, TO) - FROM) * PER_UNIT, LAST).of(table);
    logarithm.min(0.0)
}

/// Φ⁻¹(p) for p between 0 and 1: Newton's method on the tail that is the smaller, from a start by Abramowitz & Stegun
/// 26.2.23.
fn normal_quantile(p: f64) -> f64 {
    let q = p.min(1.0 - p);
    let t = libm::sqrt(-2.0 * libm::log(q));
    let mut z =
        t - (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    for _ in 0..4 {
        let tail = normal_probability(-z);
        // The logarithm of the tail is nearly a parabola: Newton on it does not overshoot.
        let density = FRAC_1_SQRT_2PI * libm::exp(-0.5 * z * z);
        z += libm::log(tail / q) * tail / density;
    }
    if p < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [(f64, f64, f64); 10] = [
        (0.05, 0.05, 0.2),
        (0.2, 0.3, 0.05),
        (0.3, 0.1, 0.011),
        (0.01, 0.02, 0.3),
        (0.2, 0.2, 0.2),
        (0.31, 0.5, 0.01),
        (0.4, 0.05, 0.15),
        (0.05, 0.4, 0.15),
        (1e-9, 1e-9, 0.1),
        (0.5, 0.6, 0.001),
    ];

    fn excess((below, above, scale): (f64, f64, f64)) -> Excess {
        Excess { below, above, scale }
    }

    /// The distribution function of the excess, by numerical integration over the exponential part.
    fn integrated(shape: Excess, y: f64) -> f64 {
        let steps = 200_000;
        let width = 40.0 / f64::from(steps);
        let at = |step: i32| {
            let e = (f64::from(step) + 0.5) * width;
            let rest = y - shape.scale * (e - LN_2);
            let sigma = if rest < 0.0 { shape.below } else { shape.above };
            libm::exp(-e) * normal_probability(rest / sigma) * width
        };
        (0..steps).map(at).sum()
    }

    #[test]
    fn quantiles_agree_with_numerical_integration() {
        for shape in SHAPES.map(excess) {
            for p in [0.001, 0.05, 0.3, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999] {
                let y = shape.quantile(p);
                let found = integrated(shape, y);
                assert!((found - p).abs() < 2e-4, "{shape:?} at {p}: y {y}, integrated {found}");
            }
        }
    }

    #[test]
    fn distribution_and_quantile_are_inverse_and_rise() {
        for shape in SHAPES.map(excess) {
            let mut last = f64::NEG_INFINITY;
            for step in 1..1000 {
                let p = f64::from(step) / 1000.0;
                let y = shape.quantile(p);
                assert!(y > last, "{shape:?}: {y} at {p} after {last}");
                let (found, density) = shape.distribution(y);
                assert!((found - p).abs() < 1e-7 && density > 0.0, "{shape:?} at {p}: {found}");
                last = y;
            }
        }
    }

    #[test]
    fn the_derivative_is_the_slope() {
        for shape in SHAPES.map(excess).into_iter().filter(|shape| shape.above > 1e-6) {
            for p in [0.1, 0.4, 0.6, 0.95] {
                let y = shape.quantile(p);
                let step = 1e-5 * shape.scale.min(shape.below).min(shape.above);
                let slope = (shape.distribution(y + step).0 - shape.distribution(y - step).0) / (2.0 * step);
                let density = shape.distribution(y).1;
                assert!((slope - density).abs() < 1e-4 * density, "{shape:?} at {p}: {slope} and {density}");
            }
        }
    }

    #[test]
    fn without_path_uncertainty_the_excess_is_exponential() {
        let shape = excess((POINT, POINT, 0.1));
        let expected = 0.1 * (10.0_f64.ln() - LN_2);
        assert!((shape.quantile(0.9) - expected).abs() < 1e-9);
    }

    #[test]
    fn interpolated_quantiles_are_exact_to_eight_digits() {
        for scale in [0.001, 0.01, 0.1, 0.4] {
            for above in 1..60 {
                for below in 1..60 {
                    let shape = excess((f64::from(below * below) * 4e-4, f64::from(above * above) * 4e-4, scale));
                    for (table, level) in [(&tables().p90, P90), (&tables().p99, P99)] {
                        let found = shape.interpolated(table, level);
                        let exact = shape.quantile(level.p);
                        assert!(
                            (found - exact).abs() < 2e-8 * (1.0 + exact),
                            "{shape:?} p {}: {found}, {exact}",
                            level.p
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn an_excess_that_is_given_is_the_quantile_of_a_known_path() {
        for (p90, p99) in [(0.01, 0.03), (0.2, 4.0), (30.0, 900.0), (0.5, 0.5)] {
            let median = PathMedian::new(10.0, 10.0, 10.0);
            let measurement = Measurement::around(median, Scales::from_excesses(p90, p99), 0.0);
            // An exponential that has reached p90 is above it at 99 %.
            let p99 = p99.max(libm::pow(1.0 + p90, libm::log(50.0) / libm::log(5.0)) - 1.0);
            for (p, expected) in [(0.9, 10.0 * (1.0 + p90)), (0.99, 10.0 * (1.0 + p99))] {
                let found = measurement.quantile(p);
                assert!((found / expected - 1.0).abs() < 1e-7, "{p}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn quantiles_with_two_scales_rise_without_a_step_and_have_an_inverse() {
        for (below, above, p90) in SHAPES {
            for times in [1.0, 1.3, 4.0, 30.0] {
                let scatter = Scatter { below, above, scales: Scales { p90, p99: times * p90 } };
                // Half a thousandth from 0.85 on, and near the ends of the part in between.
                let steps = (0..300).map(|step| 0.85 + f64::from(step) * 5e-4);
                let ends = [0.9 - 1e-6, 0.9, 0.9 + 1e-6, 0.99 - 1e-6, 0.99, 0.99 + 1e-6];
                let mut levels: Vec<f64> = [0.01, 0.5, 0.8].into_iter().chain(steps).chain(ends).collect();
                levels.sort_by(f64::total_cmp);
                levels.dedup();
                let mut last = f64::NEG_INFINITY;
                for &p in &levels {
                    let y = scatter.quantile(p);
                    assert!(y > last, "{scatter:?}: {y} at {p} after {last}");
                    let found = scatter.probability_within(y);
                    assert!((found - p).abs() < 1e-7, "{scatter:?} at {p}: {found}");
                    last = y;
                }
                let mut within = 0.0;
                for step in 0..2000 {
                    let y = scatter.quantile(0.85) + f64::from(step) * 1e-3 * (last - scatter.quantile(0.85));
                    let found = scatter.probability_within(y);
                    assert!(found >= within - 1e-12, "{scatter:?}: {found} at {y} after {within}");
                    within = found;
                }
                for (p, shown) in [P90.p, P99.p].into_iter().zip(scatter.p90_and_p99()) {
                    let near = 1e-7 * (1.0 + shown);
                    assert!((scatter.quantile(p - 1e-12) - shown).abs() < near, "{scatter:?} at {p}");
                    assert!((scatter.quantile(p + 1e-12) - shown).abs() < near, "{scatter:?} at {p}");
                }
            }
        }
    }

    #[test]
    fn logarithms_of_tails_are_exact_to_seven_digits() {
        for step in -900..3600 {
            let z = f64::from(step) / 100.0 + 1e-3;
            let exact = libm::log(normal_probability(-z));
            assert!((log_survival(z) - exact).abs() < 2e-8, "{z}: {}, {exact}", log_survival(z));
        }
        assert_eq!(log_survival(1e9), log_survival(36.0));
    }

    #[test]
    fn normal_quantiles_are_exact() {
        for (p, z) in
            [(0.5, 0.0), (0.9, P90.z), (0.95, Z95), (0.99, P99.z), (0.05, -Z95), (1e-12, -7.034_483_825_301_131)]
        {
            assert!((normal_quantile(p) - z).abs() < 1e-12, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn the_median_keeps_its_interval() {
        let median = PathMedian::new(80.0, 100.0, 150.0);
        for (z, expected) in [(-Z95, 80.0), (0.0, 100.0), (Z95, 150.0)] {
            assert!((median.at(z) - expected).abs() < 1e-9);
            assert!((median.z(libm::log(expected / 100.0)) - z).abs() < 1e-9);
        }
    }

    #[test]
    fn measurements_know_their_floor_and_their_quantiles() {
        let median = PathMedian::new(80.0, 100.0, 150.0);
        let spread = Measurement::around(median, Scales { p90: 0.05, p99: 0.2 }, 75.0);
        let through = Measurement::through(median, 140.0, 200.0, 75.0);
        assert!((through.quantile(0.9) - 140.0).abs() < 1e-9 && (through.quantile(0.99) - 200.0).abs() < 1e-9);
        for measurement in [spread, through] {
            assert_eq!(measurement.quantile(1e-6), 75.0);
            assert_eq!(measurement.probability_within(74.9), 0.0);
            assert_eq!(measurement.probability_within(-1.0), 0.0);
            for p in [0.2, 0.5, 0.6, 0.9, 0.97, 0.995] {
                let ms = measurement.quantile(p);
                assert!((measurement.probability_within(ms) - p).abs() < 1e-7, "{p}: {ms}");
            }
        }
    }
}
