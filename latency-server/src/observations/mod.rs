//! Measured RTTs that callers report: `POST /observe` stores them beside what was predicted, `GET /observations` says how
//! good the predictions were, and `GET /observations/export` is a table to train on.

mod export;
mod figures;
mod observation;
mod observe;
mod place;
mod store;
mod windows;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, get, routes};
use serde::Serialize;

pub(crate) use self::figures::Figures;
pub use self::place::{Address, Place};
use self::store::{Store, StoreError};
use self::windows::Windows;
use self::writer::{Writer, unavailable};
use crate::errors::{Failure, Json, json};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::query::Query;

pub(crate) use self::observe::{MAX_OBSERVATIONS, example};

/// The names of all verdicts.
pub(crate) fn verdicts() -> impl Iterator<Item = &'static str> {
    observation::VERDICTS.into_iter().map(Some).chain([None]).map(figures::label)
}

/// Where observations are stored, and how long.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file or the database.
    pub place: Place,
    /// After this time they are deleted.
    pub keep: Duration,
}

/// What keeps observations; nothing if the operator has not asked for it.
pub(crate) struct Observations(Option<Kept>);

struct Kept {
    store: Store,
    writer: Writer,
    windows: Arc<Windows>,
}

/// Attaches the routes. Models and metrics are managed already.
#[must_use]
pub fn stage(settings: Option<Settings>) -> AdHoc {
    AdHoc::try_on_ignite("observations", |rocket| async {
        let kept = match settings {
            Some(settings) => match keep(&settings, rocket.state::<Models>(), rocket.state::<Arc<Metrics>>()).await {
                Ok(kept) => Some(kept),
                Err(error) => {
                    log::error!("{}", cannot_use(&settings, &error));
                    return Err(rocket);
                }
            },
            None => None,
        };
        let routes = routes![observe::observe, observations, export::export];
        Ok(rocket.manage(Observations(kept)).mount("/", routes))
    })
}

/// Opens the store as the server would. Why the server would have to wait for it, if it would.
///
/// # Errors
/// What is wrong with it, and will not pass.
pub async fn check(settings: &Settings) -> Result<Option<String>, String> {
    match Store::new(settings.place.clone()).writer().await {
        Ok(_) => Ok(None),
        Err(StoreError::Unreachable(why)) => {
            let place = &settings.place;
            Ok(Some(format!(
                "LATENCY_OBSERVATIONS: {place} does not answer: {why}; the server would refuse observations until it does"
            )))
        }
        Err(error) => Err(cannot_use(settings, &error)),
    }
}

fn cannot_use(settings: &Settings, error: &StoreError) -> String {
    let place = &settings.place;
    let allowed = match place {
        Place::File(_) => {
            "the path of an SQLite file of this program, or of a new one in a folder that is there and may be written"
        }
        Place::Database(_) => "the address of a PostgreSQL database that is there, whose user may make tables in it",
    };
    format!("LATENCY_OBSERVATIONS: {place} cannot be used: {error}; allowed: {allowed}")
}

async fn keep(
    settings: &Settings,
    models: Option<&Models>,
    metrics: Option<&Arc<Metrics>>,
) -> Result<Kept, StoreError> {
    let store = Store::new(settings.place.clone());
    let windows = Arc::new(Windows::default());
    let slots = models.into_iter().flat_map(Models::slots).cloned().collect();
    let mut writer = writer::Task::new(store.clone(), Arc::clone(&windows), slots, settings.keep);
    match writer.recall_all().await {
        // Predictions do not wait for it.
        done @ (Ok(()) | Err(StoreError::Unreachable(_))) => writer.report(&done),
        Err(error) => return Err(error),
    }
    Ok(Kept { store, writer: writer.start(metrics.cloned()), windows })
}

impl Observations {
    fn kept(&self) -> Result<&Kept, Failure> {
        self.0.as_ref().ok_or_else(|| {
            let message =
                "this server keeps no observations; its operator names a place for them in LATENCY_OBSERVATIONS";
            Failure::new(Status::NotFound, "OBSERVATIONS_OFF", message)
        })
    }

    /// The figures of the model that answers there now; none if nothing was observed.
    pub fn figures(&self, model: &str, version: &str) -> Option<Arc<Figures>> {
        self.0.as_ref()?.windows.figures(model, version)
    }
}

#[derive(Serialize)]
struct Summary {
    models: Vec<Arc<Figures>>,
}

#[get("/observations")]
fn observations(query: Query, observations: &State<Observations>) -> Result<Json, Failure> {
    query.only(&[])?;
    let windows = &observations.kept()?.windows;
    if !windows.are_recalled() {
        return Err(unavailable());
    }
    json(&Summary { models: windows.all() })
}
