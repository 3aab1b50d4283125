//! `GET /metrics`: the text that Prometheus reads.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Result, TextEncoder};
use rocket::http::{ContentType, Header};
use rocket::{Responder, State, get};

use super::Metrics;
use crate::errors::Failure;
use crate::models::{Models, ReloadResult};
use crate::observations::Observations;

/// Prometheus 3 refuses text whose form is not named.
#[derive(Responder)]
pub struct Exposition {
    text: String,
    kind: ContentType,
    cache: Header<'static>,
}

#[get("/metrics")]
pub fn metrics(
    metrics: &State<Arc<Metrics>>,
    models: &State<Models>,
    observations: &State<Observations>,
) -> std::result::Result<Exposition, Failure> {
    let text = state_of(models).and_then(|mut families| {
        families.extend(figures_of(models, observations)?);
        families.extend(metrics.registry.gather());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families)
    });
    match text {
        Ok(text) => Ok(Exposition {
            text,
            kind: ContentType::new("text", "plain").with_params([("version", "0.0.4"), ("charset", "utf-8")]),
            cache: Header::new("Cache-Control", "no-store"),
        }),
        Err(error) => {
            log::error!("the metrics cannot be written: {error}");
            Err(Failure::internal())
        }
    }
}

/// What is not counted but looked up, when it is asked for: which models answer, and since when.
fn state_of(models: &Models) -> Result<Vec<MetricFamily>> {
    let build = IntGaugeVec::new(
        Opts::new("latency_build_info", "This program; the value is 1."),
        &["version", "rustc", "commit"],
    )?;
    // An image says it when it starts, so that commits that change nothing else have one and the same program.
    let said = std::env::var("BUILD_COMMIT");
    let commit = said.as_deref().unwrap_or(env!("BUILD_COMMIT"));
    build.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("BUILD_RUSTC"), commit]).set(1);
    let info = IntGaugeVec::new(
        Opts::new("latency_model_info", "The models that answer; the value is 1. `model` is the name in `?model=`."),
        &["model", "name", "version", "sha256", "engine", "source"],
    )?;
    let loaded = GaugeVec::new(
        Opts::new("latency_model_loaded_timestamp_seconds", "Since when the model answers, in seconds of Unix time."),
        &["model"],
    )?;
    let sessions =
        IntGaugeVec::new(Opts::new("latency_sessions", "How many predictions can run at the same time."), &["model"])?;
    let reloads = IntCounterVec::new(
        Opts::new("latency_model_reloads_total", "Attempts to load the model again, by result."),
        &["model", "result"],
    )?;
    let last = IntGaugeVec::new(
        Opts::new(
            "latency_model_last_reload_successful",
            "1 if the last attempt to load the model again went well, or there was none; otherwise 0.",
        ),
        &["model"],
    )?;
    let unloaded = IntGaugeVec::new(
        Opts::new(
            "latency_model_unloaded",
            "1 if somebody unloaded the model, so that it does not answer until it is loaded again; otherwise 0.",
        ),
        &["model"],
    )?;
    let versions = IntGaugeVec::new(
        Opts::new(
            "latency_registry_model_version",
            "Versions in the registry: `serving` is the one that answers (0: the bundled model), `wanted` the one that is meant.",
        ),
        &["model", "which"],
    )?;
    let reachable = IntGaugeVec::new(
        Opts::new(
            "latency_registry_up",
            "1 if the registry answered when it was asked last, or was not asked yet; otherwise 0.",
        ),
        &["model"],
    )?;
    for slot in models.slots() {
        let (served, name) = (slot.served(), slot.name());
        unloaded.with_label_values(&[name]).set(i64::from(served.is_none()));
        if let Some(served) = &served {
            let model = served.predictor.model_info();
            let tag = model.tag();
            let source = slot.source().kind();
            info.with_label_values(&[name, tag.name, tag.version, &model.sha256, tag.engine, source]).set(1);
            let since = served.since.duration_since(UNIX_EPOCH).unwrap_or_default();
            loaded.with_label_values(&[name]).set(since.as_secs_f64());
            sessions.with_label_values(&[name]).set(i64::try_from(slot.sessions()).unwrap_or(i64::MAX));
        }
        let (counts, attempt) = slot.reloads();
        let results = [
            ("swapped", counts.swapped),
            ("unchanged", counts.unchanged),
            ("loaded", counts.loaded),
            ("failed", counts.failed),
        ];
        for (result, count) in results {
            reloads.with_label_values(&[name, result]).inc_by(count);
        }
        let failed = attempt.is_some_and(|attempt| attempt.result == ReloadResult::Failed);
        last.with_label_values(&[name]).set(i64::from(!failed));
        if let Some(found) = slot.in_registry() {
            // What is unloaded serves no version, the bundled model's 0 neither.
            let serving = served.is_some().then_some(("serving", found.serving));
            for (which, version) in serving.into_iter().chain([("wanted", found.wanted)]) {
                let number = version.and_then(|version| version.parse().ok()).unwrap_or(0);
                versions.with_label_values(&[name, which]).set(number);
            }
            // That it has no champion is an answer.
            let answered = found.error.is_none_or(|code| code == "NOT_IN_REGISTRY");
            reachable.with_label_values(&[name]).set(i64::from(answered));
        }
    }
    let families = [
        build.collect(),
        info.collect(),
        loaded.collect(),
        sessions.collect(),
        reloads.collect(),
        unloaded.collect(),
        versions.collect(),
        reachable.collect(),
    ];
    // Prometheus' text has no families without series: those of registries, where no model comes from one.
    let some = |family: &MetricFamily| !family.get_metric().is_empty();
    Ok(families.into_iter().flatten().chain(last.collect()).filter(some).collect())
}

/// How good the predictions of the models that answer were, where measurements were reported.
fn figures_of(models: &Models, observations: &Observations) -> Result<Vec<MetricFamily>> {
    let window = IntGaugeVec::new(
        Opts::new(
            "latency_observed_window",
            "Observations of the version that answers: the last, from which the other figures come.",
        ),
        &["model"],
    )?;
    let coverage = GaugeVec::new(
        Opts::new(
            "latency_observed_coverage",
            "Share of measurements up to `p90` and `p99`, and of medians of paths within the `interval`.",
        ),
        &["model", "of"],
    )?;
    let pinball = GaugeVec::new(
        Opts::new("latency_observed_pinball_seconds", "Mean pinball loss of the predicted quantiles."),
        &["model", "quantile"],
    )?;
    let psi = GaugeVec::new(
        Opts::new("latency_feature_psi", "Population stability index of what was observed, by field."),
        &["model", "feature"],
    )?;
    for slot in models.slots() {
        let name = slot.name();
        let Some(served) = slot.served() else { continue };
        let Some(figures) = observations.figures(name, &served.predictor.model_info().version) else { continue };
        window.with_label_values(&[name]).set(i64::try_from(figures.observations).unwrap_or(i64::MAX));
        let shares = [("p90", figures.below_p90), ("p99", figures.below_p99), ("interval", figures.interval.inside)];
        for (of, share) in shares {
            if let Some(share) = share {
                coverage.with_label_values(&[name, of]).set(share);
            }
        }
        let losses =
            [("0.5", figures.pinball_ms.p50), ("0.9", figures.pinball_ms.p90), ("0.99", figures.pinball_ms.p99)];
        for (quantile, loss) in losses {
            if let Some(loss) = loss {
                pinball.with_label_values(&[name, quantile]).set(loss / 1000.0);
            }
        }
        for (feature, index) in &figures.psi.features {
            psi.with_label_values(&[name, feature]).set(*index);
        }
    }
    let families = [window.collect(), coverage.collect(), pinball.collect(), psi.collect()].into_iter().flatten();
    // The text has no place for a metric without values.
    Ok(families.filter(|family| !family.get_metric().is_empty()).collect())
}
