//! `GET /model_info`: which model answers, what it takes and what it gives; or that it was unloaded.

use latency_core::schema::Field;
use latency_core::{ModelInfo, ModelTag};
use rocket::fairing::AdHoc;
use rocket::{State, get, routes};
use serde::Serialize;

use crate::errors::{Failure, Json, json};
use crate::models::{Asked, Counts, Current, InRegistry, Models, Reload, Served, Slot, Unloaded};
use crate::rfc3339::rfc3339;

/// Attaches the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("model info", |rocket| async { rocket.mount("/", routes![model_info]) })
}

#[derive(Serialize)]
struct Info<'a> {
    /// The model that answers; none while it is unloaded.
    #[serde(flatten)]
    answers: Option<Answers<'a>>,
    /// Under which name it is served: `?model=`.
    served_as: &'a str,
    /// Where it is loaded from: `bundled`, `file`, `registry`.
    source: &'static str,
    /// Who unloaded it, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    unloaded: Option<&'a Unloaded>,
    reloads: Reloads,
    /// What the registry says, if the model comes from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<InRegistry>,
    /// The model that is asked the same for comparison alone, beside the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<Beside<'a>>,
}

#[derive(Serialize)]
struct Answers<'a> {
    #[serde(flatten)]
    model: &'a ModelInfo,
    fields: &'a [Field],
    outputs: Vec<&'static Output>,
    /// Since when it answers, RFC 3339.
    since: String,
}

impl<'a> Answers<'a> {
    fn new(served: &'a Served) -> Self {
        let schema = served.predictor.schema();
        Self {
            model: served.predictor.model_info(),
            fields: &schema.fields,
            outputs: OUTPUTS.iter().filter(|output| !output.geographic || schema.coordinates.is_some()).collect(),
            since: rfc3339(served.since),
        }
    }
}

#[derive(Serialize)]
struct Beside<'a> {
    #[serde(flatten)]
    model: ModelTag<'a>,
    source: &'static str,
    reloads: Reloads,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<InRegistry>,
}

/// How often it was loaded again, and how the last attempt ended.
#[derive(Serialize)]
struct Reloads {
    #[serde(flatten)]
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Reload>,
}

impl Reloads {
    fn of(slot: &Slot) -> Self {
        let (counts, last) = slot.reloads();
        Self { counts, last }
    }
}

/// A number of a prediction.
#[derive(Serialize)]
pub struct Output {
    pub name: &'static str,
    unit: &'static str,
    /// About `path` (its median) or about one `measurement` on it; the two are never mixed.
    about: &'static str,
    pub description: &'static str,
    #[serde(skip)]
    geographic: bool,
}

/// The numbers of a prediction, in the order of the contract.
pub const OUTPUTS: [Output; 7] = [
    Output {
        name: "p50_ms",
        unit: "ms",
        about: "path",
        description: "median round-trip time of the path",
        geographic: false,
    },
    Output {
        name: "low_ms",
        unit: "ms",
        about: "path",
        description: "lower end of the 90 % conformal interval for that median, on places that training never saw",
        geographic: false,
    },
    Output { name: "high_ms", unit: "ms", about: "path", description: "upper end of that interval", geographic: false },
    Output {
        name: "p90_ms",
        unit: "ms",
        about: "measurement",
        description: "90 of 100 single measurements are expected to be at most this",
        geographic: false,
    },
    Output {
        name: "p99_ms",
        unit: "ms",
        about: "measurement",
        description: "99 of 100 single measurements are expected to be at most this; an extrapolation, since no \
                      training data holds 99 % quantiles",
        geographic: false,
    },
    Output {
        name: "floor_ms",
        unit: "ms",
        about: "path",
        description: "light in fibre along the great circle, there and back; no prediction is below it",
        geographic: true,
    },
    Output { name: "distance_km", unit: "km", about: "path", description: "great-circle distance", geographic: true },
];

#[get("/model_info")]
fn model_info(asked: Result<Asked, Failure>, models: &State<Models>) -> Result<Json, Failure> {
    let Asked(slot) = asked?;
    let shadow = models.shadow().filter(|_| slot.name() == models.default_slot().name());
    let shadow = shadow.and_then(|shadow| Some((shadow, shadow.served()?)));
    let current = slot.current();
    let (answers, unloaded) = match &current {
        Current::Answers(served) => (Some(Answers::new(served)), None),
        Current::Unloaded(unloaded) => (None, Some(&**unloaded)),
    };
    json(&Info {
        answers,
        served_as: slot.name(),
        source: slot.source().kind(),
        unloaded,
        reloads: Reloads::of(&slot),
        registry: slot.in_registry(),
        shadow: shadow.as_ref().map(|(shadow, served)| Beside {
            model: served.predictor.model_info().tag(),
            source: shadow.source().kind(),
            reloads: Reloads::of(shadow),
            registry: shadow.in_registry(),
        }),
    })
}
