//! The HTTP side of Latency Predictor: JSON endpoints and a page, around [`latency_core`].
//!
//! No model logic lives here. Each concern is a `stage()` in its own file, and [`rocket()`] attaches them.

mod body;
pub mod config;
mod decisions;
mod elements;
mod errors;
mod headers;
mod health;
mod logging;
mod model_info;
pub mod models;
mod openapi;
mod page;
mod places;
mod predict;
mod predict_batch;
mod query;
mod question;
pub mod start;

use rocket::figment::Figment;
use rocket::{Build, Rocket};

pub use config::{Config, ConfigError};
pub use models::Models;

/// The server, ready to launch, around models that are loaded already: see [`Config::load_models`].
///
/// Rocket's own files and variables (`Rocket.toml`, `ROCKET_*`) have no say: [`Config`] is all there is.
#[must_use]
pub fn rocket(config: &Config, models: Models) -> Rocket<Build> {
    rocket::custom(Figment::from(config.rocket()))
        .manage(models)
        .attach(headers::stage())
        .attach(errors::stage())
        .attach(health::stage())
        .attach(model_info::stage())
        .attach(predict::stage(config.max_body_bytes))
        .attach(predict_batch::stage())
        .attach(decisions::stage())
        .attach(places::stage())
        .attach(openapi::stage())
        .attach(page::stage())
}
