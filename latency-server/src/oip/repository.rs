//! The repository of models: which there are, loading one again, and unloading it.

use std::sync::Arc;

use rocket::{State, post};
use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::auth::Admin;
use crate::body::Content;
use crate::errors::{Failure, Json, json};
use crate::health;
use crate::models::{Current, Models};
use crate::python_json::{text, unreadable};
use crate::question::invalid_field;
use crate::reload::{reload, unload as unload_model};

/// A body may be left out.
fn read<'a, T: Deserialize<'a> + Default>(json: &'a str, allowed: &str) -> Result<T, Failure> {
    if json.trim().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(json).map_err(|error| unreadable(&error, allowed))
}

#[derive(Deserialize, Default)]
struct AskedIndex {
    ready: Option<bool>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    version: String,
    state: &'static str,
    reason: &'static str,
}

#[post("/v2/repository/index", data = "<body>")]
pub fn index(body: Result<Content, Failure>, models: &State<Models>) -> Result<Json, Failure> {
    let Content(body) = body?;
    let asked: AskedIndex = read(&text(&body)?, r#"{"ready": true} for models that can answer, or nothing"#)?;
    let entries = models.slots().filter_map(|slot| {
        let (version, trouble) = match slot.current() {
            Current::Answers(served) => {
                let predicts = health::check_model(slot.name(), &served).is_ok();
                let version = served.predictor.model_info().version.clone();
                (version, (!predicts).then_some("it cannot predict at the moment"))
            }
            // Triton's word.
            Current::Unloaded(unloaded) => (unloaded.version.clone(), Some("unloaded")),
        };
        let (ready, reason) = (trouble.is_none(), trouble.unwrap_or_default());
        let state = if ready { "READY" } else { "UNAVAILABLE" };
        (ready || asked.ready != Some(true)).then(|| Entry { name: slot.name().to_owned(), version, state, reason })
    });
    json(&entries.collect::<Vec<_>>())
}

#[derive(Deserialize, Default)]
struct AskedLoad {
    parameters: Option<LoadParameters>,
}

/// A model's configuration or files instead of those that the server has.
#[derive(Deserialize)]
struct LoadParameters {
    config: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct Done {}

/// Loads the model again from where it came from.
#[post("/v2/repository/models/<name>/load", data = "<body>")]
pub async fn load(
    name: &str,
    admin: Result<Admin, Failure>,
    body: Result<Content, Failure>,
    models: &State<Models>,
) -> Result<Json, Failure> {
    let Content(body) = body?;
    let Admin { by } = admin?;
    let asked: AskedLoad = read(&text(&body)?, "{}, or nothing")?;
    // Triton's clients send files beside a configuration, never without one.
    if asked.parameters.is_some_and(|parameters| parameters.config.is_some()) {
        let message = "found a configuration; allowed: none: a model is loaded from where the server has it from";
        return Err(invalid_field("parameters.config", message));
    }
    reload(Arc::clone(models.asked(Some(name))?), by).await?;
    json(&Done {})
}

/// Lets a model answer no more, until it is loaded by its name.
#[post("/v2/repository/models/<name>/unload", data = "<body>")]
pub fn unload(
    name: &str,
    admin: Result<Admin, Failure>,
    body: Result<Content, Failure>,
    models: &State<Models>,
) -> Result<Json, Failure> {
    let Content(body) = body?;
    let Admin { by } = admin?;
    // Triton's clients send whether models go too that this one needs; there are none.
    read::<AskedLoad>(&text(&body)?, "{}, or nothing")?;
    unload_model(models, name, &by)?;
    json(&Done {})
}
