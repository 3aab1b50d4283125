//! The HTTP side of Latency Predictor: JSON endpoints and a page, around [`latency_core`].
//!
//! No model logic lives here. Each concern is a `stage()` in its own file, and [`rocket()`] attaches them.

mod body;
pub mod config;
mod errors;
mod headers;
mod health;
mod logging;
mod model;
mod page;
mod predict;
pub mod start;

use latency_core::Predictor;
use rocket::figment::Figment;
use rocket::{Build, Rocket};

pub use config::{Config, ConfigError};

/// The server, ready to launch, around a model that is loaded already: see [`Config::load_predictor`].
///
/// Rocket's own files and variables (`Rocket.toml`, `ROCKET_*`) have no say: [`Config`] is all there is.
#[must_use]
pub fn rocket(config: &Config, predictor: Predictor) -> Rocket<Build> {
    rocket::custom(Figment::from(config.rocket()))
        .manage(predictor)
        .attach(headers::stage())
        .attach(errors::stage())
        .attach(health::stage())
        .attach(model::stage())
        .attach(predict::stage(config.max_body_bytes))
        .attach(page::stage())
}
