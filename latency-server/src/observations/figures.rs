//! How good the predictions of one version of a model were.

use std::collections::{BTreeMap, HashMap};

use latency_core::{Histogram, Value, Verdict, pinball_loss};
use serde::Serialize;

use super::observation::Predicted;

/// Fewer measurements of a path do not say where its median is.
const MEASUREMENTS_OF_A_PATH: usize = 5;

/// With fewer values the stability index is chance.
const VALUES_FOR_PSI: usize = 200;

/// An observation as the figures need it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub received_at_ms: i64,
    /// The same for all observations of a path.
    pub path: Box<str>,
    /// In the order of the window's features.
    pub values: Vec<Value>,
    pub measured_ms: f64,
    pub predicted: Predicted,
    pub verdict: Option<Verdict>,
}

/// What observations are compared with to see whether they have moved.
#[derive(Debug, Clone)]
pub enum Reference {
    /// The rows that the model was trained on.
    Training(BTreeMap<String, Histogram>),
    /// The first observations, up to this time.
    FirstObservations(BTreeMap<String, Histogram>, i64),
}

impl Reference {
    /// Whether this observation is none of the reference's own.
    fn is_about(&self, entry: &Entry) -> bool {
        match self {
            Self::Training(_) => true,
            Self::FirstObservations(_, until_ms) => entry.received_at_ms > *until_ms,
        }
    }
}

/// The figures of one version of a model.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The name under which it is served.
    pub model: String,
    pub version: String,
    /// How many observations they are made of.
    pub observations: usize,
    /// How many of them got which verdict. Those that are impossible count nowhere else.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// Between the measurements and `p50_ms`.
    pub mean_absolute_error_ms: Option<f64>,
    /// The same relative to the measurement.
    pub median_relative_error: Option<f64>,
    pub pinball_ms: Pinball,
    /// The share of measurements that are at most `p90_ms`.
    pub below_p90: Option<f64>,
    pub below_p99: Option<f64>,
    pub interval: Interval,
    pub psi: Psi,
}

/// The mean pinball loss of each quantile.
#[derive(Debug, Default, Serialize)]
pub struct Pinball {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

/// The share that lies between `low_ms` and `high_ms`.
#[derive(Debug, Serialize)]
pub struct Interval {
    /// `path`: medians of paths; `measurement`: single measurements, for models whose interval is about these.
    pub about: &'static str,
    /// How many.
    pub count: usize,
    pub inside: Option<f64>,
}

/// Whether the paths that are measured have moved.
#[derive(Debug, Serialize)]
pub struct Psi {
    /// What they are compared with; none if there is nothing yet.
    pub reference: Option<&'static str>,
    /// How many observations are compared.
    pub observations: usize,
    /// The population stability index of each field, and of the distance.
    pub features: BTreeMap<String, f64>,
}

/// What the figures are made of, beside the observations.
#[derive(Debug)]
pub struct About {
    pub model: String,
    pub version: String,
    /// The model's fields, and `distance_km` if it knows places.
    pub features: Vec<String>,
    /// Whether `low_ms` to `high_ms` is about a path's median, or else about single measurements.
    pub interval_of_path: bool,
    pub reference: Option<Reference>,
}

impl Figures {
    pub fn new<'a>(about: &About, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let entries: Vec<&Entry> = entries.into_iter().collect();
        let mut verdicts = BTreeMap::new();
        for entry in &entries {
            *verdicts.entry(label(entry.verdict)).or_insert(0) += 1;
        }
        let possible: Vec<&Entry> = entries.iter().copied().filter(|entry| is_possible(entry.verdict)).collect();
        let mean = |of: &dyn Fn(&Entry) -> f64| {
            let sum: f64 = possible.iter().map(|entry| of(entry)).sum();
            (!possible.is_empty()).then(|| sum / possible.len() as f64)
        };
        let pinball = |quantile: f64, of: fn(&Predicted) -> f32| {
            mean(&|entry| pinball_loss(entry.measured_ms, of(&entry.predicted).into(), quantile))
        };
        let below = |of: fn(&Predicted) -> f32| {
            mean(&|entry| f64::from(u8::from(entry.measured_ms <= of(&entry.predicted).into())))
        };
        Self {
            model: about.model.clone(),
            version: about.version.clone(),
            observations: entries.len(),
            verdicts,
            mean_absolute_error_ms: mean(&|entry| absolute_error_ms(entry.measured_ms, &entry.predicted)),
            median_relative_error: median(
                possible.iter().map(|entry| relative_error(entry.measured_ms, &entry.predicted)).collect(),
            ),
            pinball_ms: Pinball {
                p50: pinball(0.5, |predicted| predicted.p50_ms),
                p90: pinball(0.9, |predicted| predicted.p90_ms),
                p99: pinball(0.99, |predicted| predicted.p99_ms),
            },
            below_p90: below(|predicted| predicted.p90_ms),
            below_p99: below(|predicted| predicted.p99_ms),
            interval: interval(about.interval_of_path, &possible),
            psi: psi(about, &possible),
        }
    }
}

/// How far the measurement is from the predicted median, ms.
pub fn absolute_error_ms(measured_ms: f64, predicted: &Predicted) -> f64 {
    (measured_ms - f64::from(predicted.p50_ms)).abs()
}

/// The same relative to the measurement, as `latency train` counts it.
pub fn relative_error(measured_ms: f64, predicted: &Predicted) -> f64 {
    absolute_error_ms(measured_ms, predicted) / measured_ms
}

/// What cannot be true says nothing about the model.
pub fn is_possible(verdict: Option<Verdict>) -> bool {
    verdict != Some(Verdict::Impossible)
}

/// The name of a verdict.
pub fn label(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("none", Verdict::as_str)
}

fn interval(of_path: bool, entries: &[&Entry]) -> Interval {
    let inside = |value: f64, predicted: &Predicted| {
        (f64::from(predicted.low_ms)..=f64::from(predicted.high_ms)).contains(&value)
    };
    let inside: Vec<bool> = if of_path {
        let mut paths: HashMap<&str, Vec<&Entry>> = HashMap::new();
        for entry in entries {
            paths.entry(&*entry.path).or_default().push(entry);
        }
        let paths = paths.into_values().filter(|entries| entries.len() >= MEASUREMENTS_OF_A_PATH);
        let medians = paths.filter_map(|entries| {
            let median = median(entries.iter().map(|entry| entry.measured_ms).collect())?;
            Some(inside(median, &entries[0].predicted))
        });
        medians.collect()
    } else {
        entries.iter().map(|entry| inside(entry.measured_ms, &entry.predicted)).collect()
    };
    let share = inside.iter().filter(|inside| **inside).count() as f64 / inside.len() as f64;
    Interval {
        about: if of_path { "path" } else { "measurement" },
        count: inside.len(),
        inside: (!inside.is_empty()).then_some(share),
    }
}

fn psi(about: &About, entries: &[&Entry]) -> Psi {
    let Some(reference) = &about.reference else {
        return Psi { reference: None, observations: 0, features: BTreeMap::new() };
    };
    let (name, histograms) = match reference {
        Reference::Training(histograms) => ("training", histograms),
        Reference::FirstObservations(histograms, _) => ("first_observations", histograms),
    };
    let compared: Vec<&&Entry> = entries.iter().filter(|entry| reference.is_about(entry)).collect();
    let mut features = BTreeMap::new();
    if compared.len() >= VALUES_FOR_PSI {
        for (index, feature) in about.features.iter().enumerate() {
            if let Some(histogram) = histograms.get(feature) {
                let values = compared.iter().map(|entry| &entry.values[index]);
                features.insert(feature.clone(), histogram.psi(values));
            }
        }
    }
    Psi { reference: Some(name), observations: compared.len(), features }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREDICTED: Predicted =
        Predicted { p50_ms: 100.0, low_ms: 90.0, high_ms: 120.0, p90_ms: 150.0, p99_ms: 200.0 };

    fn entry(path: &str, measured_ms: f64, verdict: Verdict) -> Entry {
        let values = vec![Value::from(measured_ms)];
        let verdict = Some(verdict);
        Entry { received_at_ms: 0, path: path.into(), values, measured_ms, predicted: PREDICTED, verdict }
    }

    fn about(interval_of_path: bool, reference: Option<Reference>) -> About {
        let features = vec!["load".to_owned()];
        About { model: "m".to_owned(), version: "1".to_owned(), features, interval_of_path, reference }
    }

    #[test]
    fn errors_quantiles_and_coverage() {
        let mut entries: Vec<_> =
            [80.0, 100.0, 110.0, 125.0, 250.0].map(|ms| entry("a", ms, Verdict::Plausible)).into();
        entries.push(entry("b", 160.0, Verdict::Slow));
        entries.push(entry("a", 1.0, Verdict::Impossible));
        let figures = Figures::new(&about(true, None), &entries);
        assert_eq!(figures.observations, 7);
        assert_eq!(figures.verdicts, BTreeMap::from([("impossible", 1), ("plausible", 5), ("slow", 1)]));
        let close = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?}");
        close(figures.mean_absolute_error_ms, (20.0 + 0.0 + 10.0 + 25.0 + 150.0 + 60.0) / 6.0);
        close(figures.median_relative_error, f64::midpoint(0.2, 0.25));
        close(figures.pinball_ms.p50, figures.mean_absolute_error_ms.unwrap() / 2.0);
        close(figures.below_p90, 4.0 / 6.0);
        close(figures.below_p99, 5.0 / 6.0);
        // Path `a` has a median of 110; `b` was measured once.
        assert_eq!((figures.interval.about, figures.interval.count, figures.interval.inside), ("path", 1, Some(1.0)));
        let figures = Figures::new(&about(false, None), &entries);
        assert_eq!((figures.interval.about, figures.interval.count), ("measurement", 6));
        close(figures.interval.inside, 2.0 / 6.0);
    }

    #[test]
    fn nothing_gives_no_figures() {
        let figures = Figures::new(&about(true, None), []);
        assert_eq!((figures.observations, figures.below_p90, figures.interval.inside), (0, None, None));
        assert_eq!((figures.mean_absolute_error_ms, figures.psi.reference), (None, None));
    }

    #[test]
    fn the_psi_waits_for_enough_that_is_not_the_reference_itself() {
        let values: Vec<Value> = (0..1_000).map(Value::from).collect();
        let histograms = BTreeMap::from([("load".to_owned(), Histogram::of(&values))]);
        let mut entries: Vec<_> = (0..300).map(|load| entry("a", f64::from(load), Verdict::Plausible)).collect();
        let psi = |reference, entries: &[Entry]| Figures::new(&about(true, Some(reference)), entries).psi;
        let found = psi(Reference::Training(histograms.clone()), &entries);
        assert!(found.reference == Some("training") && found.features["load"] > 0.25, "{found:?}");
        let first = || Reference::FirstObservations(histograms.clone(), 0);
        assert_eq!(psi(first(), &entries).observations, 0);
        entries.iter_mut().take(199).for_each(|entry| entry.received_at_ms = 1);
        let found = psi(first(), &entries);
        assert_eq!((found.observations, found.features.len()), (199, 0));
        for entry in &mut entries {
            entry.received_at_ms = 1;
        }
        assert_eq!(psi(first(), &entries).features.len(), 1);
    }
}
