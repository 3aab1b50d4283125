//! `GET /status`: which models answer, how good they are on what they never saw, and what this server has done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use latency_core::ATTRIBUTION;
use rocket::fairing::AdHoc;
use rocket::{State, get};
use rocket_dyn_templates::Template;
use serde::Serialize;
use serde_json::{Map, Value};

use super::words::milliseconds;
use crate::metrics::Metrics;
use crate::models::{Current, Models, Reload, Slot};
use crate::observations::{Figures, Observations};
use crate::rfc3339::rfc3339;

pub const TEMPLATE: &str = "status.html";

/// When the server started.
pub struct Started(Instant);

/// Remembers when the server started.
pub fn clock() -> AdHoc {
    AdHoc::on_ignite("clock", |rocket| async { rocket.manage(Started(Instant::now())) })
}

#[get("/status")]
pub fn page(
    models: &State<Models>,
    metrics: &State<Arc<Metrics>>,
    observations: &State<Observations>,
    started: &State<Started>,
) -> Template {
    let routes = metrics.summary();
    let view = View {
        here: "status",
        models: models.slots().map(|slot| Model::new(slot, observations)).collect(),
        requests: routes.iter().map(|route| route.requests).sum(),
        in_flight: metrics.in_flight(),
        uptime: uptime(started.0.elapsed()),
        routes: routes
            .into_iter()
            .map(|route| Route {
                path: route.route,
                requests: route.requests,
                refused: route.refused,
                failed: route.failed,
                p50: route.p50_s.map(time),
                p99: route.p99_s.map(time),
            })
            .collect(),
        attribution: ATTRIBUTION,
        version: env!("CARGO_PKG_VERSION"),
    };
    Template::render(TEMPLATE, view)
}

#[derive(Serialize)]
struct View {
    here: &'static str,
    models: Vec<Model>,
    requests: u64,
    in_flight: i64,
    uptime: String,
    routes: Vec<Route>,
    attribution: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Route {
    path: String,
    requests: u64,
    refused: u64,
    failed: u64,
    p50: Option<String>,
    p99: Option<String>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    source: &'static str,
    /// The version that answers, or answered last.
    version: String,
    /// Whether it answers no more.
    unloaded: bool,
    /// Since when it answers, or does not.
    since: String,
    since_words: String,
    last_reload: Option<Reload>,
    accuracy: Vec<Accuracy>,
    observed: Option<Observed>,
}

/// How good the model was on what was measured since.
#[derive(Serialize)]
struct Observed {
    count: usize,
    median_error: Option<String>,
    mean_error: Option<String>,
    below_p90: Option<String>,
    below_p99: Option<String>,
    inside: Option<String>,
    /// What the interval is about.
    interval_of_path: bool,
}

/// How good the model is on one data set, when both ends are places that training never saw.
#[derive(Serialize)]
struct Accuracy {
    title: String,
    rows: Option<u64>,
    mae: Option<String>,
    median: Option<String>,
    p90: Option<String>,
    within: Option<String>,
}

impl Model {
    fn new(slot: &Slot, observations: &Observations) -> Self {
        let current = slot.current();
        let (version, since, accuracy) = match &current {
            Current::Answers(served) => (
                served.predictor.model_info().version.clone(),
                rfc3339(served.since),
                accuracy(&served.predictor.schema().provenance),
            ),
            Current::Unloaded(unloaded) => (unloaded.version.clone(), unloaded.at.clone(), Vec::new()),
        };
        Self {
            name: slot.name().to_owned(),
            source: slot.source().kind(),
            observed: observations
                .figures(slot.name(), &version)
                .filter(|figures| figures.observations > 0)
                .map(|figures| Observed::new(&figures)),
            version,
            unloaded: matches!(current, Current::Unloaded(_)),
            since_words: minute(&since),
            since,
            last_reload: slot.reloads().1,
            accuracy,
        }
    }
}

impl Observed {
    fn new(figures: &Figures) -> Self {
        let percent = |share: Option<f64>| share.map(|share| format!("{:.0} %", share * 100.0));
        Self {
            count: figures.observations,
            median_error: percent(figures.median_relative_error),
            mean_error: figures.mean_absolute_error_ms.map(|ms| milliseconds(ms as f32)),
            below_p90: percent(figures.below_p90),
            below_p99: percent(figures.below_p99),
            inside: percent(figures.interval.inside),
            interval_of_path: figures.interval.about == "path",
        }
    }
}

/// What `latency train` writes of a model of paths; others have nothing to show here.
fn accuracy(provenance: &Map<String, Value>) -> Vec<Accuracy> {
    let sets = provenance.get("held_out_metrics").and_then(|metrics| metrics["accuracy"].as_object());
    let both_unseen = sets.into_iter().flatten().filter(|(_, folds)| folds["C3"].is_object());
    let shown = both_unseen.map(|(set, folds)| {
        let about = provenance.get("data_sets").map_or(&Value::Null, |sets| &sets[set]);
        let percent = |key: &str| folds["C3"][key].as_f64().map(|share| format!("{:.0} %", share * 100.0));
        Accuracy {
            title: about["title"].as_str().unwrap_or(set).to_owned(),
            rows: about["rows"].as_u64(),
            mae: folds["C3"]["mae_ms"].as_f64().map(|ms| milliseconds(ms as f32)),
            median: percent("median_relative_error"),
            p90: percent("p90_relative_error"),
            within: percent("within_20_percent"),
        }
    });
    shown.collect()
}

/// `2026-01-31 12:59 UTC` of a time in RFC 3339.
fn minute(time: &str) -> String {
    time.get(..16).map_or_else(|| time.to_owned(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

/// `85 µs`, `1.2 ms`, `3.0 s`.
fn time(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// `3 days, 4 hours`: the two largest parts.
fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let first = parts.iter().position(|(number, _)| *number > 0).unwrap_or(parts.len() - 1);
    let words = parts
        .iter()
        .skip(first)
        .take(2)
        .map(|(number, word)| format!("{number} {word}{}", if *number == 1 { "" } else { "s" }));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!([0.000_085, 0.001_23, 3.0].map(time), ["85 µs", "1.2 ms", "3.0 s"]);
        assert_eq!(minute("2026-01-31T12:59:59.123456789Z"), "2026-01-31 12:59 UTC");
        let shown = [0, 61, 3_600, 100_000, 864_000].map(|seconds| uptime(Duration::from_secs(seconds)));
        assert_eq!(
            shown,
            ["0 seconds", "1 minute, 1 second", "1 hour, 0 minutes", "1 day, 3 hours", "10 days, 0 hours"]
        );
    }
}
