//! A model that answers beside the default one, for comparison alone: what it says is counted, and never returned.

use std::convert::Infallible;
use std::sync::Arc;

use latency_core::Row;
use rocket::Request;
use rocket::fairing::AdHoc;
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};
use rocket::tokio::sync::mpsc::{self, Receiver, Sender};

use crate::logging::spawn_blocking;
use crate::metrics::Metrics;
use crate::models::{Asked, Models, Slot};

/// Rows that wait to be compared; when there are more, some are not.
const QUEUE: usize = 4_096;

/// Rows that are compared at a time.
const CHUNK: usize = 256;

/// What was asked of the default model, and its answer.
struct Returned {
    row: Row,
    p50_ms: f32,
}

/// Where answers of the default model are compared with those of the shadow; to nowhere for others, and if there is none.
#[derive(Clone, Default)]
pub(crate) struct Shadow(Option<(Sender<Returned>, Arc<Metrics>)>);

/// Attaches the comparison. Models and metrics are managed already.
pub(crate) fn stage() -> AdHoc {
    AdHoc::on_ignite("shadow", |rocket| async {
        let slot = rocket.state::<Models>().and_then(Models::shadow).cloned();
        let started = slot.zip(rocket.state::<Arc<Metrics>>().cloned()).map(|(slot, metrics)| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            rocket::tokio::spawn(compare(slot, Arc::clone(&metrics), receiver));
            (sender, metrics)
        });
        rocket.manage(Shadow(started))
    })
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Shadow {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Infallible> {
        let shadow = request.rocket().state::<Self>().filter(|shadow| shadow.0.is_some());
        let Some(shadow) = shadow else { return Outcome::Success(Self::default()) };
        let default = request.rocket().state::<Models>().map(|models| models.default_slot().name());
        match request.guard::<Asked>().await {
            Outcome::Success(Asked(slot)) if Some(slot.name()) == default => Outcome::Success(shadow.clone()),
            _ => Outcome::Success(Self::default()),
        }
    }
}

impl Shadow {
    /// Whether there is somebody to ask.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Has the shadow asked the same, some time, unless it has too much to do.
    pub fn ask(&self, row: &Row, p50_ms: f32) {
        let Some((sender, metrics)) = &self.0 else { return };
        // Not copied for nothing.
        match sender.try_reserve() {
            Ok(place) => place.send(Returned { row: row.clone(), p50_ms }),
            Err(_) => metrics.shadow_left_out(1),
        }
    }
}

async fn compare(slot: Arc<Slot>, metrics: Arc<Metrics>, mut receiver: Receiver<Returned>) {
    let mut returned = Vec::with_capacity(CHUNK);
    while receiver.recv_many(&mut returned, CHUNK).await > 0 {
        let (slot, metrics) = (Arc::clone(&slot), Arc::clone(&metrics));
        let chunk = std::mem::replace(&mut returned, Vec::with_capacity(CHUNK));
        let compared = spawn_blocking(move || {
            // The bundled model says nothing of the one in whose place it stands.
            let Some(served) = slot.served().filter(|served| !slot.stands_in(served)) else {
                metrics.shadow_left_out(chunk.len());
                return;
            };
            match served.predictor.predict_rows(chunk.iter().map(|returned| Ok(&returned.row))) {
                Ok(answers) => {
                    for (returned, answer) in chunk.iter().zip(answers) {
                        metrics.shadow_answered(returned.p50_ms, answer.ok().map(|prediction| prediction.p50_ms));
                    }
                }
                Err(error) => {
                    log::warn!("the shadow {} fails: {error}", slot.source());
                    for returned in &chunk {
                        metrics.shadow_answered(returned.p50_ms, None);
                    }
                }
            }
        });
        if let Err(error) = compared.await {
            log::error!("a comparison with the shadow was not finished: {error}");
        }
    }
}
