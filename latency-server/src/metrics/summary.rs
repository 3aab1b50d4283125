//! What was counted, for people: requests by route, with quantiles of their times.

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::proto::{Histogram, Metric, MetricFamily};
use serde::Serialize;

use super::{Metrics, UNMATCHED};

/// What one route has answered since the server started.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct RouteSummary {
    /// The pattern under which it is mounted.
    pub route: String,
    /// All answers.
    pub requests: u64,
    /// Those with a status from 400 to 499.
    pub refused: u64,
    /// Those with a status from 500.
    pub failed: u64,
    /// Quantiles of the time from a request to its answer, in seconds; none without requests.
    pub p50_s: Option<f64>,
    /// The same, which one in a hundred exceeds.
    pub p99_s: Option<f64>,
}

impl Metrics {
    /// The routes that were asked, the busiest first.
    #[must_use]
    pub fn summary(&self) -> Vec<RouteSummary> {
        let mut routes: BTreeMap<String, RouteSummary> = BTreeMap::new();
        for metric in self.requests.collect().iter().flat_map(MetricFamily::get_metric) {
            let (route, status) = (label(metric, "route"), label(metric, "status"));
            // A counter of whole requests.
            #[allow(clippy::cast_sign_loss)]
            let count = metric.get_counter().get_value() as u64;
            let summary = routes.entry(route.to_owned()).or_default();
            summary.requests += count;
            match status.as_bytes().first() {
                Some(b'4') => summary.refused += count,
                Some(b'5') => summary.failed += count,
                _ => {}
            }
        }
        for metric in self.durations.collect().iter().flat_map(MetricFamily::get_metric) {
            if let Some(summary) = routes.get_mut(label(metric, "route")) {
                let durations = metric.get_histogram();
                summary.p50_s = quantile(durations, 0.5);
                summary.p99_s = quantile(durations, 0.99);
            }
        }
        let named = routes.into_iter().map(|(route, summary)| RouteSummary { route, ..summary });
        let mut asked: Vec<_> = named.filter(|summary| summary.requests > 0).collect();
        asked.sort_by_key(|summary| (summary.route == UNMATCHED, std::cmp::Reverse(summary.requests)));
        asked
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value())
}

/// As Prometheus' `histogram_quantile`: linear inside a bucket; beyond the last one, its lower bound.
fn quantile(histogram: &Histogram, quantile: f64) -> Option<f64> {
    let total = histogram.get_sample_count() as f64;
    if total == 0.0 {
        return None;
    }
    let rank = quantile * total;
    let (mut lower, mut below) = (0.0, 0.0);
    for bucket in histogram.get_bucket() {
        let (upper, within) = (bucket.upper_bound(), bucket.cumulative_count() as f64);
        if upper.is_infinite() {
            break;
        }
        if within >= rank {
            return Some(lower + (upper - lower) * (rank - below) / (within - below));
        }
        (lower, below) = (upper, within);
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn routes_are_summed_up_over_methods_and_statuses() {
        let metrics = Metrics::new().unwrap();
        for (route, method, status, micros) in [
            ("/predict", "POST", 200, 75),
            ("/predict", "POST", 200, 75),
            ("/predict", "POST", 400, 75),
            ("/predict", "GET", 503, 10_000_000),
            ("unmatched", "GET", 404, 10),
        ] {
            metrics.answered(route, method, status, Duration::from_micros(micros));
        }
        let [predict, unmatched] = &metrics.summary()[..] else { panic!("{:?}", metrics.summary()) };
        assert_eq!((predict.requests, predict.refused, predict.failed), (4, 1, 1));
        // Two of the three between 50 and 100 µs; the slow one is beyond the last bound.
        assert!((predict.p50_s.unwrap() - (0.000_05 + 0.000_05 * 2.0 / 3.0)).abs() < 1e-9, "{predict:?}");
        assert_eq!(predict.p99_s, Some(1.0));
        assert_eq!((unmatched.route.as_str(), unmatched.refused), ("unmatched", 1));
    }
}
