//! The last observations of each version of a model, in memory, and their figures.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latency_core::{Histogram, Predictor, Value};

use super::figures::{About, Entry, Figures, Reference};
use super::observation::Observation;

/// The figures are those of the last so many observations.
pub const WINDOW: usize = 10_000;

/// So many observations are what later ones are compared with, if the model does not say what it was trained on.
pub const FIRST_OBSERVATIONS: usize = 1_000;

/// The versions of a model that have figures, beside each other.
const VERSIONS: usize = 4;

/// The histograms of the first observations by feature, and until when these came, ms of Unix time.
pub type First = (BTreeMap<String, Histogram>, i64);

/// The windows by name and version of their models.
#[derive(Debug, Default)]
pub struct Windows {
    windows: Mutex<BTreeMap<String, VecDeque<Window>>>,
    recalled: AtomicBool,
}

/// The last observations of one version.
#[derive(Debug)]
pub struct Window {
    about: About,
    entries: VecDeque<Entry>,
    /// Until something changes.
    figures: Option<Arc<Figures>>,
}

impl Windows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Window>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether they hold what was stored before this start.
    pub fn are_recalled(&self) -> bool {
        self.recalled.load(Ordering::Acquire)
    }

    /// They do from now on.
    pub fn set_recalled(&self) {
        self.recalled.store(true, Ordering::Release);
    }

    /// Does something with the window of this version, if there is one.
    pub fn with<T>(&self, model: &str, version: &str, what: impl FnOnce(&mut Window) -> T) -> Option<T> {
        let mut windows = self.lock();
        windows.get_mut(model)?.iter_mut().find(|window| window.about.version == version).map(what)
    }

    /// Whether this version has a window.
    pub fn has(&self, model: &str, version: &str) -> bool {
        self.with(model, version, |_| ()).is_some()
    }

    /// Adds a window; the oldest of its model makes room.
    pub fn push(&self, window: Window) {
        let mut windows = self.lock();
        let versions = windows.entry(window.about.model.clone()).or_default();
        versions.push_back(window);
        while versions.len() > VERSIONS {
            versions.pop_front();
        }
    }

    /// Leaves out what came before this time.
    pub fn forget_before(&self, received_at_ms: i64) {
        for window in self.lock().values_mut().flatten() {
            while window.entries.front().is_some_and(|entry| entry.received_at_ms < received_at_ms) {
                window.entries.pop_front();
                window.figures = None;
            }
        }
    }

    /// The figures of this version.
    pub fn figures(&self, model: &str, version: &str) -> Option<Arc<Figures>> {
        self.with(model, version, Window::figures)
    }

    /// The figures of every version that has some, the newest of each model last.
    pub fn all(&self) -> Vec<Arc<Figures>> {
        self.lock().values_mut().flatten().map(Window::figures).collect()
    }
}

impl Window {
    /// An empty window for what this model answers under the name `model`.
    pub fn new(predictor: &Predictor, model: &str, first: Option<First>) -> Self {
        let schema = predictor.schema();
        let mut features: Vec<_> = schema.field_names().map(str::to_owned).collect();
        if schema.coordinates.is_some() {
            features.push("distance_km".to_owned());
        }
        let reference = if schema.histograms.is_empty() {
            first.map(|(histograms, until_ms)| Reference::FirstObservations(histograms, until_ms))
        } else {
            Some(Reference::Training(schema.histograms.clone()))
        };
        let about = About {
            model: model.to_owned(),
            version: predictor.model_info().version.clone(),
            features,
            interval_of_path: schema.spread.is_some(),
            reference,
        };
        Self { about, entries: VecDeque::new(), figures: None }
    }

    /// Adds an observation; the first of more than [`WINDOW`] leaves.
    pub fn add(&mut self, observation: &Observation) {
        self.figures = None;
        if self.entries.len() == WINDOW {
            self.entries.pop_front();
        }
        let mut path: BTreeMap<String, Value> = serde_json::from_str(&observation.path).unwrap_or_default();
        let distance = observation.distance_km.map_or(Value::Missing, Value::Number);
        path.entry("distance_km".to_owned()).or_insert(distance);
        let values = self.about.features.iter().map(|feature| path.remove(feature).unwrap_or(Value::Missing)).collect();
        self.entries.push_back(Entry {
            received_at_ms: observation.received_at_ms,
            path: observation.path.as_str().into(),
            values,
            measured_ms: observation.measured_ms,
            predicted: observation.predicted,
            verdict: observation.verdict,
        });
    }

    /// The histograms of the first observations, if there are enough now and nothing else to compare with.
    pub fn first_observations(&mut self) -> Option<First> {
        if self.about.reference.is_some() || self.entries.len() < FIRST_OBSERVATIONS {
            return None;
        }
        let until_ms = self.entries[FIRST_OBSERVATIONS - 1].received_at_ms;
        let first = || self.entries.iter().take_while(|entry| entry.received_at_ms <= until_ms);
        let histogram = |(index, feature): (usize, &String)| {
            let values: Vec<&Value> = first().map(|entry| &entry.values[index]).collect();
            (feature.clone(), Histogram::of(values))
        };
        let histograms: BTreeMap<_, _> = self.about.features.iter().enumerate().map(histogram).collect();
        self.compare_with((histograms.clone(), until_ms));
        Some((histograms, until_ms))
    }

    /// Compares with these from now on.
    pub fn compare_with(&mut self, (histograms, until_ms): First) {
        self.about.reference = Some(Reference::FirstObservations(histograms, until_ms));
        self.figures = None;
    }

    fn figures(&mut self) -> Arc<Figures> {
        let Self { about, entries, figures } = self;
        Arc::clone(figures.get_or_insert_with(|| Arc::new(Figures::new(about, entries.iter()))))
    }
}
