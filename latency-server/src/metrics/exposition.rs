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
use crate::models::{Models, ReloadResult, Served, Slot};
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
    let sessions =
        IntGaugeVec::new(Opts::new("latency_sessions", "How many predictions can run at the same time."), &["model"])?;
    let unloaded = IntGaugeVec::new(
        Opts::new(
            "latency_model_unloaded",
            "1 if somebody unloaded the model, so that it does not answer until it is loaded again; otherwise 0.",
        ),
        &["model"],
    )?;
    let (of_models, of_shadow) = (OfSlots::new(MODELS, &["model"])?, OfSlots::new(SHADOW, &[])?);
    for slot in models.slots() {
        let (served, model) = (slot.served(), [slot.name()]);
        unloaded.with_label_values(&model).set(i64::from(served.is_none()));
        if served.is_some() {
            sessions.with_label_values(&model).set(i64::try_from(slot.sessions()).unwrap_or(i64::MAX));
        }
        of_models.note(slot, served.as_deref(), &model);
    }
    if let Some(slot) = models.shadow() {
        // Until the registry has given it, there is none.
        let served = slot.served().filter(|served| !slot.stands_in(served));
        of_shadow.note(slot, served.as_deref(), &[]);
    }
    let families = [build.collect(), sessions.collect(), unloaded.collect(), of_models.collect(), of_shadow.collect()];
    // Prometheus' text has no families without series: those of registries, where no model comes from one, and of the
    // shadow.
    Ok(families.into_iter().flatten().filter(|family| !family.get_metric().is_empty()).collect())
}

/// What is looked up of each slot.
struct OfSlots {
    info: IntGaugeVec,
    loaded: GaugeVec,
    reloads: IntCounterVec,
    last: IntGaugeVec,
    versions: IntGaugeVec,
    reachable: IntGaugeVec,
}

/// Name and meaning of each of these, in this order.
type Described = [(&'static str, &'static str); 6];

const MODELS: Described = [
    ("latency_model_info", "The models that answer; the value is 1. `model` is the name in `?model=`."),
    ("latency_model_loaded_timestamp_seconds", "Since when the model answers, in seconds of Unix time."),
    ("latency_model_reloads_total", "Attempts to load the model again, by result."),
    (
        "latency_model_last_reload_successful",
        "1 if the last attempt to load the model again went well, or there was none; otherwise 0.",
    ),
    (
        "latency_registry_model_version",
        "Versions in the registry: `serving` is the one that answers (0: the bundled model), `wanted` the one that is meant.",
    ),
    ("latency_registry_up", "1 if the registry answered when it was asked last, or was not asked yet; otherwise 0."),
];

/// They have names of their own, since a model may be served under any name.
const SHADOW: Described = [
    ("latency_shadow_info", "The shadow, if there is one; the value is 1."),
    ("latency_shadow_loaded_timestamp_seconds", "Since when the shadow is asked, in seconds of Unix time."),
    ("latency_shadow_reloads_total", "Attempts to load the shadow again, by result."),
    (
        "latency_shadow_last_reload_successful",
        "1 if the last attempt to load the shadow again went well, or there was none; otherwise 0.",
    ),
    (
        "latency_shadow_registry_model_version",
        "Versions of the shadow in the registry: `serving` is the one that is asked, `wanted` the one that is meant (0: none yet).",
    ),
    (
        "latency_shadow_registry_up",
        "1 if the shadow's registry answered when it was asked last, or was not asked yet; otherwise 0.",
    ),
];

impl OfSlots {
    /// With these labels, which say of which slot, before their own.
    fn new([info, loaded, reloads, last, versions, reachable]: Described, labels: &[&str]) -> Result<Self> {
        let opts = |(name, help)| Opts::new(name, help);
        let and = |own: &[&'static str]| [labels, own].concat();
        Ok(Self {
            info: IntGaugeVec::new(opts(info), &and(&["name", "version", "sha256", "engine", "source"]))?,
            loaded: GaugeVec::new(opts(loaded), labels)?,
            reloads: IntCounterVec::new(opts(reloads), &and(&["result"]))?,
            last: IntGaugeVec::new(opts(last), labels)?,
            versions: IntGaugeVec::new(opts(versions), &and(&["which"]))?,
            reachable: IntGaugeVec::new(opts(reachable), labels)?,
        })
    }

    /// What there is to say of this slot and the model in it.
    fn note(&self, slot: &Slot, served: Option<&Served>, labels: &[&str]) {
        let and = |own: &[&str]| -> Vec<String> { labels.iter().chain(own).map(|label| (*label).to_owned()).collect() };
        if let Some(served) = served {
            let model = served.predictor.model_info();
            let tag = model.tag();
            let info = and(&[tag.name, tag.version, &model.sha256, tag.engine, slot.source().kind()]);
            self.info.with_label_values(&info).set(1);
            let since = served.since.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.loaded.with_label_values(labels).set(since.as_secs_f64());
        }
        let (counts, attempt) = slot.reloads();
        let results = [
            (ReloadResult::Swapped, counts.swapped),
            (ReloadResult::Unchanged, counts.unchanged),
            (ReloadResult::Loaded, counts.loaded),
            (ReloadResult::Failed, counts.failed),
        ];
        for (result, count) in results {
            self.reloads.with_label_values(&and(&[result.word()])).inc_by(count);
        }
        let failed = attempt.is_some_and(|attempt| attempt.result == ReloadResult::Failed);
        self.last.with_label_values(labels).set(i64::from(!failed));
        if let Some(found) = slot.in_registry() {
            // What is unloaded serves no version, the bundled model's 0 neither.
            let serving = slot.served().map(|_| ("serving", found.serving));
            for (which, version) in serving.into_iter().chain([("wanted", found.wanted)]) {
                let number = version.and_then(|version| version.parse().ok()).unwrap_or(0);
                self.versions.with_label_values(&and(&[which])).set(number);
            }
            // That it has no champion is an answer.
            let answered = found.error.is_none_or(|code| code == "NOT_IN_REGISTRY");
            self.reachable.with_label_values(labels).set(i64::from(answered));
        }
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Self { info, loaded, reloads, last, versions, reachable } = self;
        let families = [
            info.collect(),
            loaded.collect(),
            reloads.collect(),
            last.collect(),
            versions.collect(),
            reachable.collect(),
        ];
        families.into_iter().flatten().collect()
    }
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
