//! `POST /reload_model` (and `GET`, as it was promised once): loads a model again and lets it answer.

use std::sync::Arc;

use latency_core::ModelTag;
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{get, head, post, routes};
use serde::Serialize;

use crate::auth::{Admin, OwnSite};
use crate::errors::{Failure, Json, json};
use crate::logging::spawn_blocking;
use crate::models::{Asked, LoadError, Models, Reload, ReloadError, Slot, UnloadError};

/// Attaches the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("reload", |rocket| async { rocket.mount("/", routes![get_reload, head_reload, post_reload]) })
}

#[derive(Serialize)]
struct Reloaded<'a> {
    reload: Reload,
    model: ModelTag<'a>,
}

#[post("/reload_model")]
async fn post_reload(admin: Result<Admin, Failure>, asked: Result<Asked, Failure>) -> Result<Json, Failure> {
    answer(admin?, asked?).await
}

#[get("/reload_model")]
async fn get_reload(
    own_site: Result<OwnSite, Failure>,
    admin: Result<Admin, Failure>,
    asked: Result<Asked, Failure>,
) -> Result<Json, Failure> {
    own_site?;
    answer(admin?, asked?).await
}

/// Rocket would have it answered as `GET`, and change a model for somebody who only wants to look.
#[head("/reload_model")]
fn head_reload() -> Failure {
    Failure::new(Status::MethodNotAllowed, "METHOD_NOT_ALLOWED", "found HEAD; allowed here: GET, POST")
        .with_header("Allow", "GET, POST")
}

async fn answer(admin: Admin, Asked(slot): Asked) -> Result<Json, Failure> {
    let reload = reload(Arc::clone(&slot), admin.by).await?;
    json(&Reloaded { reload, model: slot.answering()?.predictor.model_info().tag() })
}

/// Loads the model again, beside the threads that answer requests.
pub(crate) async fn reload(slot: Arc<Slot>, by: String) -> Result<Reload, Failure> {
    let loading = Arc::clone(&slot);
    let reloaded = spawn_blocking(move || loading.reload(&by)).await.map_err(|error| {
        log::error!("a reload was not finished: {error}");
        Failure::internal()
    })?;
    reloaded.map_err(|error| match error {
        ReloadError::Busy => busy(),
        // Whatever is wrong with the file, it is no mistake in the request; the words are in the log.
        ReloadError::Load(error) => {
            let (status, what) = match &error {
                LoadError::Model(_) => (Status::InternalServerError, "the model cannot be used"),
                LoadError::Registry(_) => (Status::BadGateway, "the registry does not give the model"),
            };
            let state = slot.served().map_or("it stays unloaded", |_| "the one from before goes on");
            Failure::new(status, error.code(), format!("{what}, and {state}; the log says why"))
        }
    })
}

/// Lets a model answer no more, until it is loaded by its name.
pub(crate) fn unload(models: &Models, name: &str, by: &str) -> Result<(), Failure> {
    models.unload(models.asked(Some(name))?, by).map_err(|error| match error {
        UnloadError::Busy => busy(),
        UnloadError::Default => {
            let others: Vec<_> = models.slots().map(|slot| slot.name()).filter(|other| *other != name).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            let message = format!(
                "found {name:?}, the default model, which answers whoever names none; allowed: {others}; to exchange it, \
                 load it again"
            );
            Failure::new(Status::Conflict, "MODEL_REQUIRED", message).about("model")
        }
    })
}

/// Somebody else loads it.
fn busy() -> Failure {
    let message = "this model is being loaded already; GET /model_info says how that ended";
    Failure::new(Status::Conflict, "RELOAD_IN_PROGRESS", message)
}
