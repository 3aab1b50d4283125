//! `GET /health`: whether the server runs. Cheap, since it is asked all the time.

use latency_core::{ModelTag, Predictor};
use rocket::fairing::AdHoc;
use rocket::{State, get, routes};
use serde::Serialize;

use crate::errors::{Failure, Json, json};

/// Attaches the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("health", |rocket| async { rocket.mount("/", routes![health]) })
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    model: ModelTag<'a>,
}

#[get("/health")]
fn health(predictor: &State<Predictor>) -> Result<Json, Failure> {
    json(&Health { status: "ok", model: predictor.model_info().tag() })
}
