//! `GET /health`: whether the server runs; `GET /ready`: whether it can answer. Both are asked all the time, and cheap.

use latency_core::{ModelTag, Row};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, get, routes};
use serde::Serialize;

use crate::errors::{Failure, Json, json};
use crate::models::{Models, Served};
use crate::stopping::Stopping;

/// Attaches the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("health", |rocket| async { rocket.mount("/", routes![health, ready]) })
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    model: ModelTag<'a>,
}

#[get("/health")]
fn health(models: &State<Models>) -> Result<Json, Failure> {
    json(&Health { status: "ok", model: models.default_slot().answering()?.predictor.model_info().tag() })
}

#[get("/ready")]
fn ready(models: &State<Models>, stopping: &State<Stopping>) -> Result<Json, Failure> {
    readiness(models, stopping)
}

/// The answer to whoever asks whether the server can answer.
pub fn readiness(models: &Models, stopping: &Stopping) -> Result<Json, Failure> {
    check(models, stopping)?;
    json(&Health { status: "ready", model: models.default_slot().answering()?.predictor.model_info().tag() })
}

/// Every model predicts one of its golden rows, unless somebody unloaded it, and nobody has told the server to stop.
pub fn check(models: &Models, stopping: &Stopping) -> Result<(), Failure> {
    if stopping.is_on() {
        let message = "the server is stopping; ask another one";
        return Err(Failure::new(Status::ServiceUnavailable, "STOPPING", message));
    }
    let loaded = models.slots().filter_map(|slot| Some((slot.name(), slot.served()?)));
    loaded.into_iter().try_for_each(|(name, served)| check_model(name, &served))
}

/// A model predicts one of its golden rows.
pub fn check_model(name: &str, served: &Served) -> Result<(), Failure> {
    let row = served.predictor.schema().golden.first().map(Row::from);
    if let Some(Err(error)) = row.map(|row| served.predictor.predict(&row)) {
        log::error!("not ready: the model {name} cannot predict: {error:?}");
        return Err(Failure::new(
            Status::ServiceUnavailable,
            "NOT_READY",
            format!("the model {name} cannot predict at the moment; the log says why"),
        ));
    }
    Ok(())
}
