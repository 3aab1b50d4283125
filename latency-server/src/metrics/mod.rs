//! What is counted, and `GET /metrics`, where Prometheus reads it.
//!
//! Every label has few values, all known before the first request: those that matter to a ratio are there from the
//! start, with 0, and nothing that a caller wrote becomes one.

mod exposition;
mod seen;
mod summary;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use latency_core::ErrorKind;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, Result};
use rocket::fairing::AdHoc;
use rocket::http::Method;
use rocket::{Request, routes};

use crate::errors::OWN_CODES;
use crate::models::{Models, Slot};
use crate::observations;
use crate::spans::{self, Spans};

pub use seen::{Question, Rows, Seen};
pub use summary::RouteSummary;

/// The route of requests that no route answers.
pub const UNMATCHED: &str = "unmatched";

/// Statuses that every route has from the start, so that the ratio of any of them is a number.
const STATUSES: [u16; 4] = [200, 400, 500, 503];

/// A prediction takes tens of microseconds, a large batch a second.
const SECONDS: [f64; 13] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// From the same city to the other side of the Earth over a bad access.
const RTT_SECONDS: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5];

const RELATIVE_ERRORS: [f64; 10] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0];

const ROWS: [f64; 10] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0, 30_000.0, 100_000.0];

/// Why a request was turned away before it was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejection {
    /// The client asks too often.
    RateLimited,
    /// Too much is asked at the same time.
    Overloaded,
    /// The body comes too slowly.
    BodyTooSlow,
    /// The body has too many bytes.
    BodyTooLarge,
}

impl Rejection {
    /// Every reason there is.
    const ALL: [Self; 4] = [Self::RateLimited, Self::Overloaded, Self::BodyTooSlow, Self::BodyTooLarge];

    /// Its label.
    const fn reason(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyTooLarge => "body_too_large",
        }
    }

    /// What an error of this code says about its request.
    fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rejection| rejection.reason().eq_ignore_ascii_case(code))
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    limit: IntGauge,
    errors: IntCounterVec,
    row_errors: IntCounterVec,
    rejections: IntCounterVec,
    predictions: IntCounterVec,
    predicted: HistogramVec,
    batch_rows: HistogramVec,
    out_of_range: IntCounterVec,
    observations: IntCounterVec,
    absolute_errors: HistogramVec,
    shadow_rows: IntCounterVec,
    shadow_differences: HistogramVec,
    relative_errors: HistogramVec,
    spans: IntCounterVec,
}

/// Attaches the metrics and their route. The models are managed already.
#[must_use]
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("metrics", |rocket| async {
        let metrics = match Metrics::new() {
            Ok(metrics) => Arc::new(metrics),
            Err(error) => {
                log::error!("the metrics cannot be made: {error}");
                return Err(rocket);
            }
        };
        if let Some(models) = rocket.state::<Models>() {
            models.slots().for_each(|slot| metrics.watch(slot));
        }
        if let Some(spans) = rocket.state::<Spans>() {
            spans.count_in(metrics.spans.clone());
        }
        // When all routes are there.
        let first = AdHoc::on_liftoff("metrics of routes", |rocket| {
            Box::pin(async move {
                if let Some(metrics) = rocket.state::<Arc<Metrics>>() {
                    rocket.routes().for_each(|route| metrics.expect(route.uri.path(), route.method));
                }
            })
        });
        Ok(rocket.manage(metrics).attach(first).mount("/", routes![exposition::metrics]))
    })
}

impl Metrics {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// If two metrics have the same name.
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Result::Ok(metric)
        };
        let histograms = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Result::Ok(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Result::Ok(metric)
        };
        let metrics = Self {
            requests: counters(
                "latency_http_requests_total",
                "Requests answered, by route, method and status.",
                &["route", "method", "status"],
            )?,
            durations: histograms(
                "latency_http_request_duration_seconds",
                "Time from the head of a request to its finished answer; to the end of the body if that is streamed.",
                &["route", "array"],
                &SECONDS,
            )?,
            in_flight: gauge("latency_http_requests_in_flight", "Requests whose answers are not sent yet.")?,
            limit: gauge(
                "latency_concurrency_limit",
                "Requests that are worked on at the same time; more wait, then they are turned away.",
            )?,
            errors: counters("latency_errors_total", "Requests answered with an error, by its code.", &["code"])?,
            row_errors: counters(
                "latency_row_errors_total",
                "Rows of batches answered with an error, by its code.",
                &["code"],
            )?,
            rejections: counters(
                "latency_rejections_total",
                "Requests turned away before they were worked on, by reason.",
                &["reason"],
            )?,
            predictions: counters(
                "latency_predictions_total",
                "Predictions made, by model and kind of question.",
                &["model", "question"],
            )?,
            predicted: histograms(
                "latency_predicted_p50_seconds",
                "Predicted median round-trip times: their distribution.",
                &["model"],
                &RTT_SECONDS,
            )?,
            batch_rows: histograms("latency_batch_rows", "Rows of batches.", &["model"], &ROWS)?,
            out_of_range: counters(
                "latency_out_of_range_inputs_total",
                "Warnings that an input lies outside what training saw, by field.",
                &["model", "field"],
            )?,
            observations: counters(
                "latency_observations_total",
                "Measured RTTs stored, by model and verdict; `none` from models that judge nothing.",
                &["model", "verdict"],
            )?,
            absolute_errors: histograms(
                "latency_observed_absolute_error_seconds",
                "How far measured RTTs were from the predicted median.",
                &["model"],
                &RTT_SECONDS,
            )?,
            relative_errors: histograms(
                "latency_observed_relative_error",
                "The same relative to the measured RTT.",
                &["model"],
                &RELATIVE_ERRORS,
            )?,
            shadow_rows: counters(
                "latency_shadow_rows_total",
                "Rows that the shadow was asked too: compared, failed, or left out since it had too much to do or is not there.",
                &["result"],
            )?,
            shadow_differences: histograms(
                "latency_shadow_relative_difference",
                "How far the shadow's median was from the one that was returned, relative to that.",
                &[],
                &RELATIVE_ERRORS,
            )?,
            spans: counters(
                "latency_spans_total",
                "Spans of traces: exported, failed since the collector did not take them, or dropped since too many waited.",
                &["result"],
            )?,
            registry: registry.clone(),
        };
        metrics.begin_series();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// The series that belong to no model and no route, before the first request.
    fn begin_series(&self) {
        self.shadow_differences.with_label_values::<&str>(&[]);
        for result in ["compared", "failed", "left_out"] {
            self.shadow_rows.with_label_values(&[result]);
        }
        for fate in spans::FATES {
            self.spans.with_label_values(&[fate]);
        }
        for code in codes() {
            self.errors.with_label_values(&[code]);
            self.row_errors.with_label_values(&[code]);
        }
        for rejection in Rejection::ALL {
            self.rejections.with_label_values(&[rejection.reason()]);
        }
        self.requests.with_label_values(&[UNMATCHED, Method::Get.as_str(), "404"]);
        self.durations.with_label_values(&[UNMATCHED, array_label(false)]);
    }

    /// Those of the server that answers a request.
    #[must_use]
    pub fn of<'r>(request: &'r Request<'_>) -> Option<&'r Arc<Self>> {
        request.rocket().state()
    }

    /// Counts what this model answers from now on.
    pub fn watch(&self, slot: &Slot) {
        let model = [slot.name()];
        let seen = Seen::new(
            slot.name(),
            Question::ALL.map(|question| self.predictions.with_label_values(&[slot.name(), question.label()])),
            self.predicted.with_label_values(&model),
            self.batch_rows.with_label_values(&model),
            self.out_of_range.clone(),
            self.row_errors.clone(),
        );
        for verdict in observations::verdicts() {
            self.observations.with_label_values(&[slot.name(), verdict]);
        }
        self.absolute_errors.with_label_values(&model);
        self.relative_errors.with_label_values(&model);
        if let Some(served) = slot.served() {
            seen.expect(served.predictor.schema());
        }
        slot.observe_by(seen);
    }

    /// The series of a route, before its first request.
    fn expect(&self, route: &str, method: Method) {
        self.durations.with_label_values(&[route, array_label(false)]);
        for status in STATUSES {
            self.requests.with_label_values(&[route, method.as_str(), itoa::Buffer::new().format(status)]);
        }
    }

    /// A request was answered. `route` is the pattern under which it is mounted; `array` says that it asked about many
    /// rows where others ask about one.
    pub fn answered(&self, route: &str, array: bool, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, method, itoa::Buffer::new().format(status)]).inc();
        self.durations.with_label_values(&[route, array_label(array)]).observe(took.as_secs_f64());
    }

    /// How many requests this route answered, and how many seconds that took.
    #[cfg(test)]
    pub(crate) fn answers(&self, route: &str) -> (u64, f64) {
        let durations = self.durations.with_label_values(&[route, array_label(false)]);
        (durations.get_sample_count(), durations.get_sample_sum())
    }

    /// A request was answered with this error. Those whose codes are reasons of a [`Rejection`] count as one too.
    pub fn failed(&self, code: &'static str) {
        self.errors.with_label_values(&[code]).inc();
        if let Some(rejection) = Rejection::of_code(code) {
            self.rejections.with_label_values(&[rejection.reason()]).inc();
        }
    }

    /// A measured RTT was stored; errors in ms and relative to it, unless it cannot be true.
    pub fn observed(&self, model: &str, verdict: &str, errors: Option<(f64, f64)>) {
        self.observations.with_label_values(&[model, verdict]).inc();
        if let Some((absolute_ms, relative)) = errors {
            self.absolute_errors.with_label_values(&[model]).observe(absolute_ms / 1000.0);
            self.relative_errors.with_label_values(&[model]).observe(relative);
        }
    }

    /// A request has come; it is in flight until the guard is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// The shadow gave this median where the other one was returned; none if it failed.
    pub(crate) fn shadow_answered(&self, returned_ms: f32, shadow_ms: Option<f32>) {
        let Some(shadow_ms) = shadow_ms else { return self.shadow_rows.with_label_values(&["failed"]).inc() };
        self.shadow_rows.with_label_values(&["compared"]).inc();
        self.shadow_differences
            .with_label_values::<&str>(&[])
            .observe(f64::from((shadow_ms - returned_ms).abs() / returned_ms.max(f32::MIN_POSITIVE)));
    }

    /// The shadow was not asked about so many rows.
    pub(crate) fn shadow_left_out(&self, rows: usize) {
        self.shadow_rows.with_label_values(&["left_out"]).inc_by(rows as u64);
    }

    /// So many requests are worked on at the same time.
    pub(crate) fn limited_to(&self, requests: usize) {
        self.limit.set(i64::try_from(requests).unwrap_or(i64::MAX));
    }

    /// Requests whose answers are not sent yet.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const fn array_label(array: bool) -> &'static str {
    if array { "true" } else { "false" }
}

/// Every code that an error can have.
fn codes() -> BTreeSet<&'static str> {
    ErrorKind::ALL.iter().map(|kind| kind.code()).chain(OWN_CODES.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_rejections_are_counted_as_both() {
        let metrics = Metrics::new().unwrap();
        metrics.failed("BODY_TOO_LARGE");
        metrics.failed("INVALID_JSON");
        metrics.failed("BODY_TOO_SLOW");
        let count = |rejection: Rejection| metrics.rejections.with_label_values(&[rejection.reason()]).get();
        assert_eq!(Rejection::ALL.map(count), [0, 0, 1, 1]);
        assert_eq!(metrics.errors.with_label_values(&["BODY_TOO_LARGE"]).get(), 1);
    }
}
