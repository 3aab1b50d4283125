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
        let mut durations: BTreeMap<String, Durations> = BTreeMap::new();
        for metric in self.durations.collect().iter().flat_map(MetricFamily::get_metric) {
            if let Some(summary) = routes.get_mut(label(metric, "route")) {
                let durations = durations.entry(label(metric, "route").to_owned()).or_default();
                durations.add(metric.get_histogram());
                summary.p50_s = durations.quantile(0.5);
                summary.p99_s = durations.quantile(0.99);
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

/// The histograms of one route, added up.
#[derive(Default)]
struct Durations {
    total: u64,
    /// Upper bounds, and how many lie below; the same bounds in all histograms.
    buckets: Vec<(f64, u64)>,
}

impl Durations {
    fn add(&mut self, histogram: &Histogram) {
        self.total += histogram.get_sample_count();
        self.buckets.resize(histogram.get_bucket().len().max(self.buckets.len()), (0.0, 0));
        for ((bound, below), bucket) in self.buckets.iter_mut().zip(histogram.get_bucket()) {
            *bound = bucket.upper_bound();
            *below += bucket.cumulative_count();
        }
    }

    /// As Prometheus' `histogram_quantile`: linear inside a bucket; beyond the last one, its lower bound.
    fn quantile(&self, quantile: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = quantile * self.total as f64;
        let (mut lower, mut below) = (0.0, 0.0);
        for (upper, within) in self.buckets.iter().map(|(upper, within)| (*upper, *within as f64)) {
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn routes_are_summed_up_over_methods_statuses_and_arrays() {
        let metrics = Metrics::new().unwrap();
        for (route, array, method, status, micros) in [
            ("/predict", false, "POST", 200, 75),
            ("/predict", false, "POST", 200, 75),
            ("/predict", true, "POST", 400, 75),
            ("/predict", true, "GET", 503, 10_000_000),
            ("unmatched", false, "GET", 404, 10),
        ] {
            metrics.answered(route, array, method, status, Duration::from_micros(micros));
        }
        let [predict, unmatched] = &metrics.summary()[..] else { panic!("{:?}", metrics.summary()) };
        assert_eq!((predict.requests, predict.refused, predict.failed), (4, 1, 1));
        // Two of the three between 50 and 100 µs; the slow one is beyond the last bound.
        assert!((predict.p50_s.unwrap() - (0.000_05 + 0.000_05 * 2.0 / 3.0)).abs() < 1e-9, "{predict:?}");
        assert_eq!(predict.p99_s, Some(1.0));
        assert_eq!((unmatched.route.as_str(), unmatched.refused), ("unmatched", 1));
    }
}
