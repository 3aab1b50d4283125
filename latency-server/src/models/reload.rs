//! Exchanging a model while it answers: load, check, swap. Whatever fails leaves the old one as it was. And unloading it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use latency_core::Predictor;
use serde::{Serialize, Serializer};

use super::registry::Version;
use super::source::{LoadError, Options};
use super::{Current, Loaded, Served, Slot};
use crate::logging::AUDIT;
use crate::rfc3339::rfc3339;
use crate::spans::{self, Spans};

/// How an attempt to load a model again ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// Another model answers now.
    Swapped,
    /// It is the same file, to the byte: nothing was done.
    Unchanged,
    /// It was unloaded, and answers again.
    Loaded,
    /// The old model goes on, or the model stays unloaded.
    Failed,
}

impl Result {
    /// As it is called everywhere.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Unchanged => "unchanged",
            Self::Loaded => "loaded",
            Self::Failed => "failed",
        }
    }
}

impl Serialize for Result {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// An attempt to load a model again.
#[derive(Debug, Clone, Serialize)]
pub struct Reload {
    /// When it ended, RFC 3339.
    pub at: String,
    /// Who asked for it.
    pub by: String,
    /// How it ended.
    pub result: Result,
    /// The version that answered before; none if the model was unloaded.
    pub from: Option<String>,
    /// The version that answers now; none if the model stays unloaded.
    pub to: Option<String>,
    /// Why it failed: the code of the error; its words may name files of this machine, and go to the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// How many attempts ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// With another model.
    pub swapped: u64,
    /// With the same one.
    pub unchanged: u64,
    /// With a model that was unloaded before.
    pub loaded: u64,
    /// With an error.
    pub failed: u64,
}

/// Why there was no attempt, or a failed one.
#[derive(Debug)]
pub enum ReloadError {
    /// Another one is under way.
    Busy,
    /// The model cannot be loaded; the old one goes on, if there is one.
    Load(LoadError),
}

/// That a model was unloaded.
#[derive(Debug, Serialize)]
pub struct Unloaded {
    /// When, RFC 3339.
    pub at: String,
    /// Who asked for it.
    pub by: String,
    /// The version that answered until then.
    pub version: String,
}

/// Why a model is not unloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnloadError {
    /// It answers whoever names none.
    Default,
    /// It is being loaded.
    Busy,
}

#[derive(Debug, Default)]
pub(super) struct History {
    busy: AtomicBool,
    record: Mutex<(Counts, Option<Reload>)>,
}

impl Slot {
    /// Loads the model again, and lets it answer if all is well with it. Blocks while it loads, which requests do not notice.
    /// `by` says who asked, for the log.
    ///
    /// # Errors
    /// If another attempt is under way, or the model cannot be used.
    pub fn reload(&self, by: &str) -> std::result::Result<Reload, ReloadError> {
        let _turn = self.history.begin().ok_or(ReloadError::Busy)?;
        self.load(by)
    }

    /// As [`reload`](Self::reload), for those who mean no model by its name: one that somebody unloaded stays unloaded,
    /// and the answer is none.
    pub fn reload_if_loaded(&self, by: &str) -> Option<std::result::Result<Reload, ReloadError>> {
        let Some(_turn) = self.history.begin() else { return Some(Err(ReloadError::Busy)) };
        self.served().map(|_| self.load(by))
    }

    fn load(&self, by: &str) -> std::result::Result<Reload, ReloadError> {
        let span = self.spans.get().and_then(Spans::of_reload);
        let before = self.served();
        let from = before.as_deref().map(|served| served.predictor.model_info());
        // The check by its golden rows, which are predicted as requests will be, is its warm-up.
        let loaded = self.source().load(Options { loading: self.loading, library: None });
        let version = from.map(|from| from.version.clone());
        let (result, to, error) = match (&loaded, from) {
            (Ok(Loaded { predictor, .. }), Some(from)) if predictor.model_info().sha256 == from.sha256 => {
                (Result::Unchanged, version.clone(), None)
            }
            (Ok(Loaded { predictor, .. }), from) => {
                let result = if from.is_some() { Result::Swapped } else { Result::Loaded };
                (result, Some(predictor.model_info().version.clone()), None)
            }
            (Err(error), _) => (Result::Failed, version.clone(), Some(error.code())),
        };
        let reload = Reload { at: rfc3339(SystemTime::now()), by: by.to_owned(), result, from: version, to, error };
        self.history.note(&reload);
        if let Some(mut span) = span {
            spans::describe_reload(&mut span, self.name(), &reload);
        }
        let (name, source) = (self.name(), self.source());
        let (from, to) = (reload.from.as_deref().unwrap_or_default(), reload.to.as_deref().unwrap_or_default());
        match (loaded, before) {
            (Ok(Loaded { version, .. }), Some(before)) if result == Result::Unchanged => {
                // The same file may have become another version.
                if version != before.version {
                    self.serve(before.predictor.clone(), before.since, version);
                }
                log::warn!(target: AUDIT, "model {name}: {to} is unchanged in {source}, by {by}");
            }
            (Ok(Loaded { predictor, version }), before) => {
                if let Some(seen) = self.seen.get() {
                    seen.expect(predictor.schema());
                }
                self.serve(predictor, SystemTime::now(), version);
                let what = if before.is_some() { format!("swapped {from} for {to}") } else { format!("loaded {to}") };
                log::warn!(target: AUDIT, "model {name}: {what} from {source}, by {by}");
            }
            (Err(error), before) => {
                let state = if before.is_some() { format!("{to} goes on") } else { "stays unloaded".to_owned() };
                log::error!(target: AUDIT, "model {name}: {state}, {source} cannot be used, by {by}: {error:?}");
                return Err(ReloadError::Load(error));
            }
        }
        Ok(reload)
    }

    fn serve(&self, predictor: Predictor, since: SystemTime, version: Option<Version>) {
        let served = Served { predictor, since, version, seen: Arc::clone(&self.seen) };
        self.current.store(Arc::new(Current::Answers(Arc::new(served))));
    }

    /// Lets it answer no more. Requests that are under way end with it; then its memory is freed.
    pub(super) fn unload(&self, by: &str) -> std::result::Result<(), UnloadError> {
        let _turn = self.history.begin().ok_or(UnloadError::Busy)?;
        let name = self.name();
        match self.current() {
            Current::Answers(served) => {
                let version = served.predictor.model_info().version.clone();
                log::warn!(target: AUDIT, "model {name}: unloaded {version}, by {by}");
                let unloaded = Unloaded { at: rfc3339(SystemTime::now()), by: by.to_owned(), version };
                self.current.store(Arc::new(Current::Unloaded(Arc::new(unloaded))));
            }
            Current::Unloaded(_) => log::warn!(target: AUDIT, "model {name}: is unloaded already, by {by}"),
        }
        Ok(())
    }

    /// How many attempts ended how, and the last one.
    #[must_use]
    pub fn reloads(&self) -> (Counts, Option<Reload>) {
        self.history.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl History {
    /// A turn, which ends when it is dropped, also if loading panics; none if somebody else has one.
    fn begin(&self) -> Option<Free<'_>> {
        (!self.busy.swap(true, Ordering::AcqRel)).then(|| Free(&self.busy))
    }

    fn note(&self, reload: &Reload) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        match reload.result {
            Result::Swapped => record.0.swapped += 1,
            Result::Unchanged => record.0.unchanged += 1,
            Result::Loaded => record.0.loaded += 1,
            Result::Failed => record.0.failed += 1,
        }
        record.1 = Some(reload.clone());
    }
}

struct Free<'a>(&'a AtomicBool);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
