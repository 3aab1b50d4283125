//! The HTTP side of Latency Predictor: JSON endpoints and a page, around [`latency_core`].
//!
//! No model logic lives here. Each concern is a `stage()` in its own file, and [`rocket()`] attaches them.

pub mod arguments;
mod body;
pub mod config;
mod errors;
mod headers;
mod health;
mod health_check;
pub mod logging;
pub mod metrics;
mod model_info;
pub mod models;
mod page;
mod predict;
pub mod settings;
pub mod start;
mod stopping;
mod trace;
mod traffic;

use rocket::figment::Figment;
use rocket::{Build, Rocket};

pub use config::{Config, ConfigError};
pub use models::Models;
pub use settings::Settings;

/// The server, ready to launch, around models that are loaded already: see [`Config::load_models`].
///
/// Rocket's own files and variables (`Rocket.toml`, `ROCKET_*`) have no say: [`Config`] is all there is.
#[must_use]
pub fn rocket(config: &Config, models: Models) -> Rocket<Build> {
    rocket::custom(Figment::from(config.rocket()))
        .manage(models)
        .attach(traffic::stage())
        .attach(metrics::stage())
        .attach(stopping::stage())
        .attach(headers::stage())
        .attach(errors::stage())
        .attach(health::stage())
        .attach(model_info::stage())
        .attach(predict::stage(config.max_body_bytes))
        .attach(page::stage())
}
