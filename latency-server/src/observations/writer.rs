//! The one task that writes: it takes what is waiting, commits it together, and only then answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rocket::http::Status;
use rocket::tokio::sync::{mpsc, oneshot};
use rocket::tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use rocket::tokio::{self, select};

use super::figures::{absolute_error_ms, is_possible, label, relative_error};
use super::observation::Observation;
use super::store::{Connection, Receipt, Store, StoreError};
use super::windows::{First, WINDOW, Window, Windows};
use crate::errors::Failure;
use crate::metrics::Metrics;
use crate::models::{Served, Slot};
use crate::rfc3339::unix_ms;

/// Requests that wait to be stored. More are told to come again.
const QUEUE: usize = 32;

/// How often what is too old is deleted.
const RETENTION_EVERY: Duration = Duration::from_hours(1);

/// How often it is tried to read what is stored, until that has gone well once.
const RECALL_EVERY: Duration = Duration::from_secs(5);

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
        StoreError::Unreachable(_) | StoreError::Other(_) => unavailable(),
    }
}

/// The store does not answer.
pub fn unavailable() -> Failure {
    let message = "the server cannot reach its observations; its log says why; try again later, with the same ids";
    Failure::new(Status::ServiceUnavailable, "OBSERVATIONS_UNAVAILABLE", message).with_header("Retry-After", "5")
}

fn version(served: &Served) -> &str {
    &served.predictor.model_info().version
}

/// As they are stored.
fn histograms((json, until_ms): (String, i64)) -> Option<First> {
    Some((serde_json::from_str(&json).ok()?, until_ms))
}

async fn insert(connection: &mut Connection, jobs: &[Job]) -> Result<Vec<Vec<Receipt>>, StoreError> {
    let mut receipts = Vec::with_capacity(jobs.len());
    for job in jobs {
        receipts.push(connection.insert(&job.observations).await?);
    }
    Ok(receipts)
}

/// What the task works with.
pub struct Task {
    store: Store,
    /// None before the first, and after one was lost.
    connection: Option<Connection>,
    windows: Arc<Windows>,
    slots: Vec<Arc<Slot>>,
    keep: Duration,
    /// Why what is stored was not read, as the log has it.
    trouble: Option<String>,
}

impl Task {
    pub fn new(store: Store, windows: Arc<Windows>, slots: Vec<Arc<Slot>>, keep: Duration) -> Self {
        Self { store, connection: None, windows, slots, keep, trouble: None }
    }

    /// Starts it.
    pub fn start(mut self, metrics: Option<Arc<Metrics>>) -> Writer {
        let (sender, mut jobs) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut retention = interval(RETENTION_EVERY);
            let mut recall = interval_at(Instant::now() + RECALL_EVERY, RECALL_EVERY);
            for interval in [&mut retention, &mut recall] {
                interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            }
            let mut taken = Vec::with_capacity(QUEUE);
            loop {
                let recalled = self.windows.are_recalled();
                select! {
                    count = jobs.recv_many(&mut taken, QUEUE) => match count {
                        0 => break,
                        _ => self.work(&mut taken, metrics.as_deref()).await,
                    },
                    _ = retention.tick(), if recalled => {
                        if let Err(error) = self.forget().await {
                            log::error!("observations that are too old were not deleted: {error}");
                        }
                    }
                    _ = recall.tick(), if !recalled => {
                        let done = self.recall_all().await;
                        self.report(&done);
                    }
                }
            }
        });
        Writer(sender)
    }

    /// The connection, which [`keep_connection`](Self::keep_connection) puts back: another one if there is none any more.
    async fn connection(&mut self) -> Result<Connection, StoreError> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_alive().await
        {
            return Ok(connection);
        }
        self.store.writer().await
    }

    /// Puts it back, unless something was done on it after which it cannot be relied on.
    fn keep_connection<T>(&mut self, connection: Connection, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.as_ref().err().is_none_or(StoreError::leaves_connection) {
            self.connection = Some(connection);
        }
        done
    }

    async fn work(&mut self, jobs: &mut Vec<Job>, metrics: Option<&Metrics>) {
        match self.commit(jobs).await {
            Ok(receipts) => {
                for (job, receipts) in jobs.drain(..).zip(receipts) {
                    self.note(&job, &receipts, metrics);
                    if let Err(error) = self.keep_first_of(&job).await {
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
        let mut connection = self.connection().await?;
        let done = self.commit_on(&mut connection, jobs).await;
        self.keep_connection(connection, done)
    }

    async fn commit_on(&self, connection: &mut Connection, jobs: &[Job]) -> Result<Vec<Vec<Receipt>>, StoreError> {
        for job in jobs {
            self.recall(connection, &job.model, &job.served).await?;
        }
        let receipts = match connection.begin().await {
            Ok(()) => insert(connection, jobs).await,
            Err(error) => Err(error),
        };
        connection.end(receipts).await
    }

    /// Counts what was stored.
    fn note(&self, job: &Job, receipts: &[Receipt], metrics: Option<&Metrics>) {
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
    }

    /// Says in the log what came of [`recall_all`](Self::recall_all), if that is new.
    pub fn report(&mut self, done: &Result<(), StoreError>) {
        let trouble = done.as_ref().err().map(ToString::to_string);
        let place = self.store.place();
        match &trouble {
            _ if trouble == self.trouble => {}
            Some(why) => log::error!(
                "LATENCY_OBSERVATIONS: {place} does not answer: {why}; observations are refused until it does"
            ),
            None => log::warn!("LATENCY_OBSERVATIONS: {place} answers"),
        }
        self.trouble = trouble;
    }

    /// Reads the last observations of all models that answer.
    pub async fn recall_all(&mut self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let done = self.recall_all_on(&mut connection).await;
        self.keep_connection(connection, done)?;
        self.windows.set_recalled();
        Ok(())
    }

    async fn recall_all_on(&self, connection: &mut Connection) -> Result<(), StoreError> {
        for slot in &self.slots {
            if let Some(served) = slot.served() {
                self.recall(connection, slot.name(), &served).await?;
            }
        }
        Ok(())
    }

    /// Reads the last observations of this model, which answers under this name, unless it has.
    async fn recall(&self, connection: &mut Connection, model: &str, served: &Served) -> Result<(), StoreError> {
        let version = version(served);
        if self.windows.has(model, version) {
            return Ok(());
        }
        let first = connection.reference(model, version).await?;
        let mut window = Window::new(&served.predictor, model, first.and_then(histograms));
        for observation in connection.last(model, version, WINDOW).await? {
            window.add(&observation);
        }
        let first = window.first_observations();
        self.windows.push(window);
        match first {
            Some(first) => self.keep_first(connection, (model, version), first).await,
            None => Ok(()),
        }
    }

    /// Stores what later observations are compared with; or takes what another server has stored, if that was quicker.
    async fn keep_first(
        &self,
        connection: &mut Connection,
        (model, version): (&str, &str),
        (own, until_ms): First,
    ) -> Result<(), StoreError> {
        let own = serde_json::to_string(&own).map_err(|error| StoreError::Other(error.to_string()))?;
        if !connection.set_reference(model, version, (&own, until_ms)).await?
            && let Some(theirs) = connection.reference(model, version).await?.and_then(histograms)
        {
            self.windows.with(model, version, |window| window.compare_with(theirs));
        }
        Ok(())
    }

    /// The same, if there are enough since this request.
    async fn keep_first_of(&mut self, job: &Job) -> Result<(), StoreError> {
        let version = version(&job.served);
        let first = self.windows.with(&job.model, version, Window::first_observations).flatten();
        let Some(first) = first else { return Ok(()) };
        let mut connection = self.connection().await?;
        let done = self.keep_first(&mut connection, (&job.model, version), first).await;
        self.keep_connection(connection, done)
    }

    /// Deletes what is too old.
    async fn forget(&mut self) -> Result<(), StoreError> {
        let before = SystemTime::now().checked_sub(self.keep).map_or(0, unix_ms);
        self.windows.forget_before(before);
        let mut connection = self.connection().await?;
        let done = loop {
            match connection.delete_before(before).await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.keep_connection(connection, done)
    }
}
