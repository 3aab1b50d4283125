//! The one task that writes: it takes what is waiting, commits it together, and only then answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rocket::http::Status;
use rocket::tokio::sync::{mpsc, oneshot};
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::tokio::{self, select};
use sqlx::SqliteConnection;

use super::figures::{absolute_error_ms, is_possible, label, relative_error};
use super::observation::Observation;
use super::store::{self, Receipt, StoreError};
use super::windows::{WINDOW, Window, Windows};
use crate::errors::Failure;
use crate::metrics::Metrics;
use crate::models::Served;
use crate::rfc3339::unix_ms;

/// Requests that wait to be stored. More are told to come again.
const QUEUE: usize = 32;

/// How often what is too old is deleted.
const RETENTION_EVERY: Duration = Duration::from_hours(1);

/// What one request wants to be stored.
struct Job {
    /// The name under which the model answers.
    model: String,
    served: Arc<Served>,
    observations: Arc<[Observation]>,
    answer: oneshot::Sender<Result<Vec<Receipt>, Failure>>,
}

/// Where to send observations.
pub struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Stores what this model was observed with, and says what became of each: after the commit.
    pub async fn store(
        &self,
        model: &str,
        served: Arc<Served>,
        observations: Arc<[Observation]>,
    ) -> Result<Vec<Receipt>, Failure> {
        let (answer, answered) = oneshot::channel();
        let job = Job { model: model.to_owned(), served, observations, answer };
        self.0.try_send(job).map_err(|_| busy())?;
        answered.await.unwrap_or_else(|_| Err(Failure::internal()))
    }
}

fn busy() -> Failure {
    let message = "the server cannot store observations as fast as they come; send them again, with their ids";
    Failure::new(Status::ServiceUnavailable, "OBSERVATIONS_BUSY", message).with_header("Retry-After", "1")
}

/// What callers see of a failure. Its words may name files of this machine, and go to the log.
pub fn refused(error: &StoreError) -> Failure {
    log::error!("observations: {error}");
    match error {
        StoreError::Busy => busy(),
        StoreError::Full => Failure::new(
            Status::InsufficientStorage,
            "OBSERVATIONS_FULL",
            "the server has no space for observations, and has stored none of these; tell its operator",
        ),
        StoreError::Other(_) => Failure::new(
            Status::ServiceUnavailable,
            "OBSERVATIONS_UNAVAILABLE",
            "the server cannot reach its observations; its log says why; try again later",
        ),
    }
}

fn version(served: &Served) -> &str {
    &served.predictor.model_info().version
}

/// What the task works with.
pub struct Task {
    connection: SqliteConnection,
    windows: Arc<Windows>,
    keep: Duration,
}

impl Task {
    pub fn new(connection: SqliteConnection, windows: Arc<Windows>, keep: Duration) -> Self {
        Self { connection, windows, keep }
    }

    /// Starts it.
    pub fn start(mut self, metrics: Option<Arc<Metrics>>) -> Writer {
        let (sender, mut jobs) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut retention = interval(RETENTION_EVERY);
            retention.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut taken = Vec::with_capacity(QUEUE);
            loop {
                select! {
                    count = jobs.recv_many(&mut taken, QUEUE) => match count {
                        0 => break,
                        _ => self.work(&mut taken, metrics.as_deref()).await,
                    },
                    _ = retention.tick() => {
                        if let Err(error) = self.forget().await {
                            log::error!("observations that are too old were not deleted: {error}");
                        }
                    }
                }
            }
        });
        Writer(sender)
    }

    async fn work(&mut self, jobs: &mut Vec<Job>, metrics: Option<&Metrics>) {
        match self.commit(jobs).await {
            Ok(receipts) => {
                for (job, receipts) in jobs.drain(..).zip(receipts) {
                    if let Err(error) = self.note(&job, &receipts, metrics).await {
                        log::error!("what later observations are compared with was not stored: {error}");
                    }
                    // Whoever has gone away does not want to know.
                    let _ = job.answer.send(Ok(receipts));
                }
            }
            Err(error) => {
                let failure = refused(&error);
                for job in jobs.drain(..) {
                    let _ = job.answer.send(Err(failure.clone()));
                }
            }
        }
    }

    /// Stores all of it, or nothing.
    async fn commit(&mut self, jobs: &[Job]) -> Result<Vec<Vec<Receipt>>, StoreError> {
        for job in jobs {
            if !self.windows.has(&job.model, version(&job.served)) {
                self.recall(&job.model, &job.served).await?;
            }
        }
        store::begin(&mut self.connection).await?;
        let receipts = self.insert(jobs).await;
        store::end(&mut self.connection, receipts).await
    }

    async fn insert(&mut self, jobs: &[Job]) -> Result<Vec<Vec<Receipt>>, StoreError> {
        let mut receipts = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut of_job = Vec::with_capacity(job.observations.len());
            for observation in job.observations.iter() {
                of_job.push(store::insert(&mut self.connection, observation).await?);
            }
            receipts.push(of_job);
        }
        Ok(receipts)
    }

    /// Counts what was stored.
    async fn note(&mut self, job: &Job, receipts: &[Receipt], metrics: Option<&Metrics>) -> Result<(), StoreError> {
        let stored = || {
            let all = job.observations.iter().zip(receipts);
            all.filter(|(_, receipt)| **receipt == Receipt::Stored).map(|(observation, _)| observation)
        };
        let version = version(&job.served);
        self.windows.with(&job.model, version, |window| stored().for_each(|observation| window.add(observation)));
        for Observation { measured_ms, predicted, verdict, .. } in stored() {
            let errors = || (absolute_error_ms(*measured_ms, predicted), relative_error(*measured_ms, predicted));
            if let Some(metrics) = metrics {
                metrics.observed(&job.model, label(*verdict), is_possible(*verdict).then(errors));
            }
        }
        self.keep_first(&job.model, version).await
    }

    /// Reads the last observations of this model, which answers under this name.
    pub async fn recall(&mut self, model: &str, served: &Served) -> Result<(), StoreError> {
        let version = version(served);
        let first = store::reference(&mut self.connection, model, version).await?;
        let first = first.and_then(|(histograms, until)| Some((serde_json::from_str(&histograms).ok()?, until)));
        let mut window = Window::new(&served.predictor, model, first);
        for observation in store::last(&mut self.connection, model, version, WINDOW).await? {
            window.add(&observation);
        }
        self.windows.push(window);
        self.keep_first(model, version).await
    }

    /// Stores what later observations are compared with, once it is known.
    async fn keep_first(&mut self, model: &str, version: &str) -> Result<(), StoreError> {
        let first = self.windows.with(model, version, Window::first_observations).flatten();
        let Some((histograms, until_ms)) = first else { return Ok(()) };
        let histograms = serde_json::to_string(&histograms).map_err(|error| StoreError::Other(error.to_string()))?;
        store::set_reference(&mut self.connection, model, version, (&histograms, until_ms)).await
    }

    /// Deletes what is too old.
    async fn forget(&mut self) -> Result<(), StoreError> {
        let before = SystemTime::now().checked_sub(self.keep).map_or(0, unix_ms);
        self.windows.forget_before(before);
        while store::delete_before(&mut self.connection, before).await? {}
        Ok(())
    }
}
