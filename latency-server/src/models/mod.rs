//! The models that answer: one by default, others by name. Each can be exchanged while it answers.

mod follow;
pub mod registry;
mod reload;
mod source;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use latency_core::Predictor;
use rocket::Request;
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};

use crate::errors::Failure;
use crate::metrics::Seen;
use crate::spans::Spans;

pub use follow::{InRegistry, stage};
pub use reload::{Counts, Reload, ReloadError, Result as ReloadResult, UnloadError, Unloaded};
pub use source::{LoadError, Loaded, Loading, Options, Source};

/// Every model that is served.
#[derive(Debug)]
pub struct Models {
    default: String,
    slots: BTreeMap<String, Arc<Slot>>,
    shadow: Option<Arc<Slot>>,
    loading: Loading,
}

/// A name under which a model answers, and whichever model that is at the moment.
#[derive(Debug)]
pub struct Slot {
    name: String,
    source: Source,
    loading: Loading,
    current: ArcSwap<Current>,
    history: reload::History,
    followed: follow::Followed,
    seen: Arc<OnceLock<Seen>>,
    spans: OnceLock<Spans>,
}

/// What a slot has at the moment.
#[derive(Debug, Clone)]
pub enum Current {
    /// A model that answers.
    Answers(Arc<Served>),
    /// None, since somebody unloaded it.
    Unloaded(Arc<Unloaded>),
}

/// A loaded model that answers. Requests hold on to it, so that it is freed when the last of them ends.
#[derive(Debug)]
pub struct Served {
    /// The model.
    pub predictor: Predictor,
    /// Since when it answers.
    pub since: SystemTime,
    /// Its version in the registry, if it came from one.
    pub version: Option<registry::Version>,
    seen: Arc<OnceLock<Seen>>,
}

impl Models {
    /// Serves this model by default, under its own name; `source` is where it is loaded from again, and
    /// `loading` how.
    #[must_use]
    pub fn new(loaded: impl Into<Loaded>, source: Source, loading: impl Into<Loading>) -> Self {
        let loading = loading.into();
        let loaded = loaded.into();
        let default = loaded.predictor.model_info().name.clone();
        Self { default: default.clone(), slots: BTreeMap::new(), shadow: None, loading }.with(default, loaded, source)
    }

    /// Serves another model under this name, beside the default one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, loaded: impl Into<Loaded>, source: Source) -> Self {
        let name = name.into();
        self.slots.insert(name.clone(), Arc::new(Slot::new(name, loaded.into(), source, self.loading)));
        self
    }

    /// Asks this model what the default one is asked, for comparison alone.
    #[must_use]
    pub fn with_shadow(mut self, loaded: impl Into<Loaded>, source: Source) -> Self {
        self.shadow = Some(Arc::new(Slot::new("shadow".to_owned(), loaded.into(), source, self.loading)));
        self
    }

    /// The one that is asked for comparison alone.
    #[must_use]
    pub fn shadow(&self) -> Option<&Arc<Slot>> {
        self.shadow.as_ref()
    }

    /// The one that answers requests that name none.
    ///
    /// # Panics
    /// Never: it is there from the beginning.
    #[must_use]
    pub fn default_slot(&self) -> &Arc<Slot> {
        &self.slots[&self.default]
    }

    /// Unloads a model; it does not answer until somebody loads it again by its name. `by` says who asked, for the log.
    /// One that is unloaded already stays so.
    ///
    /// # Errors
    /// If it is the default one, which answers whoever names none, or it is being loaded.
    pub fn unload(&self, slot: &Slot, by: &str) -> Result<(), UnloadError> {
        if slot.name == self.default { Err(UnloadError::Default) } else { slot.unload(by) }
    }

    /// The one of this name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<&Arc<Slot>> {
        self.slots.get(name)
    }

    /// All of them, by name.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values()
    }

    /// The one that a request names by `?model=`, or the default one.
    pub(crate) fn asked(&self, name: Option<&str>) -> Result<&Arc<Slot>, Failure> {
        let Some(name) = name else { return Ok(self.default_slot()) };
        self.slot(name).ok_or_else(|| {
            let allowed: Vec<_> = self.slots.keys().map(String::as_str).collect();
            let message = format!("found {name:?}; allowed: {}", allowed.join(", "));
            Failure { field: Some("model".to_owned()), ..Failure::new(Status::NotFound, "UNKNOWN_MODEL", message) }
        })
    }
}

impl Slot {
    fn new(name: String, loaded: Loaded, source: Source, loading: Loading) -> Self {
        let seen = Arc::default();
        let Loaded { predictor, version } = loaded;
        let served = Served { predictor, since: SystemTime::now(), version, seen: Arc::clone(&seen) };
        let current = ArcSwap::from_pointee(Current::Answers(Arc::new(served)));
        let followed = follow::Followed::default();
        Self {
            name,
            source,
            loading,
            current,
            history: reload::History::default(),
            followed,
            seen,
            spans: OnceLock::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its model is loaded from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What it has at the moment.
    #[must_use]
    pub fn current(&self) -> Current {
        Current::clone(&self.current.load())
    }

    /// The model that answers now; none while it is unloaded.
    #[must_use]
    pub fn served(&self) -> Option<Arc<Served>> {
        match &**self.current.load() {
            Current::Answers(served) => Some(Arc::clone(served)),
            Current::Unloaded(_) => None,
        }
    }

    /// The model that answers now, for a request.
    pub(crate) fn answering(&self) -> Result<Arc<Served>, Failure> {
        self.served().ok_or_else(|| {
            let name = &self.name;
            let message = format!(
                "found {name:?}, which is unloaded; allowed: a model that is loaded; POST \
                 /v2/repository/models/{name}/load brings it back"
            );
            Failure::new(Status::NotFound, "MODEL_UNLOADED", message).about("model")
        })
    }

    /// Whether this is the bundled model, in the place of one that the registry has not given yet.
    pub(crate) fn stands_in(&self, served: &Served) -> bool {
        matches!(self.source, Source::Registry(_)) && served.version.is_none()
    }

    /// How many predictions it can make at the same time.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.loading
            .sessions
            .map_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get), NonZeroUsize::get)
    }

    /// Counts what it answers there, whichever model that is. The first one stays.
    pub(crate) fn observe_by(&self, seen: Seen) {
        let _ = self.seen.set(seen);
    }

    /// Traces how it is loaded again. The first one stays.
    pub(crate) fn trace_by(&self, spans: Spans) {
        let _ = self.spans.set(spans);
    }
}

impl Served {
    /// Where to count what it answers; none if no metrics are attached.
    #[must_use]
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.get()
    }
}

/// The slot that a request asks, by `?model=name` or by saying nothing.
pub(crate) struct Asked(pub Arc<Slot>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Asked {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        let name = request.query_value::<&str>("model").and_then(std::result::Result::ok);
        let Some(models) = request.rocket().state::<Models>() else {
            return Outcome::Error((Status::InternalServerError, Failure::internal()));
        };
        match models.asked(name) {
            Ok(slot) => Outcome::Success(Self(Arc::clone(slot))),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

/// The model that a request asks.
pub(crate) struct Model(pub Arc<Served>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Model {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        request.guard::<Asked>().await.and_then(|Asked(slot)| match slot.answering() {
            Ok(served) => Outcome::Success(Self(served)),
            Err(failure) => Outcome::Error((failure.status, failure)),
        })
    }
}

impl std::ops::Deref for Model {
    type Target = Predictor;

    fn deref(&self) -> &Predictor {
        &self.0.predictor
    }
}
