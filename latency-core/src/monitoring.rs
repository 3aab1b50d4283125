//! How well predictions do against what was measured later, and whether what is asked still looks like what was learned.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::row::Value;

/// More words than any field may have would make a model file large.
const MAX_WORDS: usize = 1_000;

/// The pinball loss (Koenker and Bassett, Regression Quantiles, Econometrica 46, 1978) of a predicted quantile, in the unit
/// of the values. On average it is lowest for the true quantile.
///
/// ```
/// use latency_core::pinball_loss;
///
/// // Below a 90 % quantile each ms costs a tenth, above it nine tenths.
/// assert!((pinball_loss(90.0, 100.0, 0.9) - 1.0).abs() < 1e-12);
/// assert!((pinball_loss(110.0, 100.0, 0.9) - 9.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn pinball_loss(measured: f64, predicted: f64, quantile: f64) -> f64 {
    let error = measured - predicted;
    (quantile * error).max((quantile - 1.0) * error)
}

/// How often the values of a field lie in which bin: numbers between their deciles and beyond all of them, words one
/// by one, missing values.
///
/// ```
/// use latency_core::{Histogram, Value};
///
/// let values: Vec<Value> = (0..1000).map(Value::from).collect();
/// let histogram = Histogram::of(&values);
/// assert!(histogram.psi(&values) < 1e-6);
/// assert!(histogram.psi(&values[500..]) > 0.25);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Histogram {
    /// Where a bin of numbers ends, ascending: each holds the numbers up to and with its end, and one more those beyond.
    #[serde(default)]
    pub cuts: Vec<f64>,
    /// The words, each a bin.
    #[serde(default)]
    pub words: Vec<String>,
    /// How many values were in each bin: missing ones, other words, each of the words, each of the bins of numbers.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The histogram of these values, with bins made for them.
    ///
    /// ```
    /// use latency_core::{Histogram, Value};
    ///
    /// let histogram = Histogram::of(&[Value::from("wifi"), Value::from("wifi"), Value::Missing]);
    /// assert_eq!((histogram.words, histogram.counts), (vec!["wifi".to_owned()], vec![1, 0, 2, 0]));
    /// ```
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value, IntoIter: Clone>) -> Self {
        let values = values.into_iter();
        let mut numbers: Vec<f64> = values.clone().filter_map(number).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        let deciles = (1..10).filter_map(|tenth| numbers.get(tenth * numbers.len() / 10));
        // What comes later may lie below the smallest or beyond the largest, also where all are the same.
        let below = numbers.first().map(|smallest| smallest.next_down());
        let mut cuts: Vec<f64> = below.into_iter().chain(deciles.chain(numbers.last()).copied()).collect();
        cuts.dedup();
        let words: BTreeSet<&str> = values.clone().filter_map(word).take(MAX_WORDS).collect();
        let mut histogram = Self { cuts, words: words.into_iter().map(str::to_owned).collect(), counts: Vec::new() };
        histogram.counts = histogram.count(values);
        histogram
    }

    /// The population stability index of these values against the histogram: Σ (p − q) ln (p / q) over the bins (Siddiqi,
    /// Credit Risk Scorecards, 2006), 0 if they are spread alike. Below 0.1 little has moved, above 0.25 much.
    ///
    /// Half a value is added to each bin that holds any, so that empty ones do not make it endless. Few values stray by
    /// themselves: expect (bins − 1) (1/n + 1/m) from nothing but chance (Yurdakul, 2018).
    ///
    /// ```
    /// use latency_core::{Histogram, Value};
    ///
    /// let wifi_and_wired = |wifi: usize| (0..100).map(move |at| Value::from(if at < wifi { "wifi" } else { "wired" }));
    /// let then: Vec<Value> = wifi_and_wired(50).collect();
    /// let now: Vec<Value> = wifi_and_wired(80).collect();
    /// assert!(Histogram::of(&then).psi(&now) > 0.25);
    /// ```
    pub fn psi<'a>(&self, values: impl IntoIterator<Item = &'a Value>) -> f64 {
        let counts = self.count(values);
        let bins = || self.counts.iter().zip(&counts).filter(|(then, now)| **then > 0 || **now > 0);
        let used = bins().count() as f64;
        let total = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>() + used / 2.0;
        let (then, now) = (total(&self.counts), total(&counts));
        bins()
            .map(|(expected, actual)| {
                let (q, p) = ((*expected as f64 + 0.5) / then, (*actual as f64 + 0.5) / now);
                (p - q) * libm::log(p / q)
            })
            .sum()
    }

    fn count<'a>(&self, values: impl IntoIterator<Item = &'a Value>) -> Vec<u64> {
        let mut counts = vec![0; self.bins()];
        for value in values {
            counts[self.bin(value)] += 1;
        }
        counts
    }

    fn bins(&self) -> usize {
        2 + self.words.len() + self.cuts.len() + 1
    }

    fn bin(&self, value: &Value) -> usize {
        match value {
            Value::Missing => 0,
            Value::Text(text) => self.words.iter().position(|word| word == text).map_or(1, |index| 2 + index),
            Value::Number(number) if number.is_nan() => 0,
            Value::Number(number) => 2 + self.words.len() + self.cuts.partition_point(|cut| cut < number),
        }
    }

    /// What is wrong with a histogram from a model file, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let ascending = self.cuts.windows(2).all(|pair| pair[0].partial_cmp(&pair[1]) == Some(Ordering::Less));
        if ascending
            && self.words.len() <= MAX_WORDS
            && self.cuts.len() <= MAX_WORDS
            && self.counts.len() == self.bins()
        {
            return Ok(());
        }
        Err(format!(
            "found a histogram of {} cuts, {} words and {} counts; allowed: up to {MAX_WORDS} ascending cuts and words, and a \
             count for each: missing values, other words, each word, and one more bin of numbers than cuts",
            self.cuts.len(),
            self.words.len(),
            self.counts.len()
        ))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) if !number.is_nan() => Some(*number),
        _ => None,
    }
}

fn word(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_psi_is_what_the_formula_gives() {
        let words = |wifi: usize, wired: usize| -> Vec<Value> {
            let words = std::iter::repeat_n("wifi", wifi).chain(std::iter::repeat_n("wired", wired));
            words.map(Value::from).collect()
        };
        let found = Histogram::of(&words(5_000, 5_000)).psi(&words(8_000, 2_000));
        // (0.8 − 0.5) ln (0.8 / 0.5) + (0.2 − 0.5) ln (0.2 / 0.5)
        assert!((found - 0.415_888).abs() < 1e-3, "{found}");
    }

    #[test]
    fn what_was_never_there_before_counts_and_stays_finite() {
        let numbers: Vec<Value> = (0..1000).map(Value::from).collect();
        let histogram = Histogram::of(&numbers);
        assert_eq!((histogram.cuts.len(), histogram.counts.len()), (11, 14));
        for other in [Value::Missing, Value::from("new"), Value::from(5_000)] {
            let found = histogram.psi(&vec![other; 1000]);
            assert!(found > 1.0 && found.is_finite(), "{found}");
        }
        assert_eq!(histogram.psi(&[]), histogram.psi(Vec::<Value>::new().iter()));
    }

    #[test]
    fn where_all_are_the_same_any_other_is_seen() {
        let same = vec![Value::from(3); 100];
        let histogram = Histogram::of(&same);
        assert_eq!((histogram.counts.as_slice(), histogram.psi(&same)), ([0, 0, 0, 100, 0].as_slice(), 0.0));
        for other in [2.9, 3.1] {
            assert!(histogram.psi(&vec![Value::from(other); 100]) > 1.0, "{other}");
        }
        assert!(histogram.check().is_ok());
        assert!(Histogram { counts: vec![1], ..histogram }.check().is_err());
        assert!(Histogram { cuts: vec![2.0, 1.0], words: vec![], counts: vec![0; 5] }.check().is_err());
    }
}
