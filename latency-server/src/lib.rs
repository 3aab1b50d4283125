//! The HTTP side of Latency Predictor: JSON endpoints and a page, around [`latency_core`].
//!
//! No model logic lives here. Each concern is a `stage()` in its own file, and [`rocket()`] attaches them.

mod admin;
mod all_rows;
pub mod arguments;
mod auth;
mod body;
mod client;
pub mod config;
pub mod cors;
mod decisions;
mod dialect;
mod elements;
mod errors;
pub mod gate;
mod headers;
mod health;
mod health_check;
pub mod limits;
pub mod logging;
pub mod metrics;
mod mlflow;
mod model_info;
pub mod models;
pub mod observations;
mod oip;
mod openapi;
mod pace;
mod page;
mod parquet;
mod places;
mod predict;
mod predict_batch;
mod python_json;
mod query;
mod question;
mod reload;
mod rfc3339;
mod rows_json;
mod session;
pub mod settings;
mod shadow;
pub mod spans;
pub mod start;
mod stopping;
pub mod tls;
pub mod tokens;
mod trace;
mod traffic;
pub mod variables;

use rocket::figment::Figment;
use rocket::{Build, Rocket};

pub use config::{Config, ConfigError};
pub use models::Models;
pub use settings::Settings;
use spans::Spans;

/// The server, ready to launch, around models that are loaded already: see [`Config::load_models`].
///
/// Rocket's own files and variables (`Rocket.toml`, `ROCKET_*`) have no say: [`Config`] is all there is.
#[must_use]
pub fn rocket(config: &Config, models: Models) -> Rocket<Build> {
    config.tls.iter().for_each(tls::Tls::warn_if_open_to_all);
    let spans = config.traces.as_ref().and_then(Spans::start);
    rocket::custom(Figment::from(config.rocket()))
        .manage(models)
        .attach(spans::stage(spans.clone()))
        .attach(client::stage(config.trusted_proxies.clone(), config.tls.is_some()))
        .attach(traffic::stage(spans))
        .attach(metrics::stage())
        .attach(shadow::stage())
        .attach(stopping::stage())
        .attach(cors::stage(config.cors_origins.clone()))
        .attach(headers::stage())
        .attach(auth::stage(config.tokens.clone()))
        .attach(limits::stage(config.limits, config.max_body_bytes))
        .attach(gate::stage(config.require_token))
        .attach(errors::stage())
        .attach(health::stage())
        .attach(model_info::stage())
        .attach(predict::stage(config.max_body_bytes))
        .attach(predict_batch::stage())
        .attach(parquet::stage(config.program.clone()))
        .attach(decisions::stage())
        .attach(observations::stage(config.observations.clone()))
        .attach(places::stage())
        .attach(oip::stage())
        .attach(mlflow::stage())
        .attach(openapi::stage())
        .attach(page::stage())
        .attach(reload::stage())
        .attach(models::stage(config.registry_poll))
        .attach(admin::stage())
}
