//! Exchanging a model while it answers: load, check, swap. Whatever fails leaves the old one as it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use super::source::{LoadError, Options};
use super::{Loaded, Served, Slot};
use crate::logging::AUDIT;
use crate::rfc3339::rfc3339;

/// How an attempt to load a model again ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// Another model answers now.
    Swapped,
    /// It is the same file, to the byte: nothing was done.
    Unchanged,
    /// The old model goes on.
    Failed,
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
    /// The version that answered before.
    pub from: String,
    /// The version that answers now.
    pub to: String,
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
    /// With an error.
    pub failed: u64,
}

/// Why there was no attempt, or a failed one.
#[derive(Debug)]
pub enum ReloadError {
    /// Another one is under way.
    Busy,
    /// The model cannot be loaded; the old one goes on.
    Load(LoadError),
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
        if self.history.busy.swap(true, Ordering::AcqRel) {
            return Err(ReloadError::Busy);
        }
        // Also if loading panics.
        let _free = Free(&self.history.busy);
        let before = self.served();
        let from = before.predictor.model_info();
        // The check by its golden rows, which are predicted as requests will be, is its warm-up.
        let loaded = self.source().load(Options { loading: self.loading, library: None });
        let (result, to, error) = match &loaded {
            Ok(Loaded { predictor, .. }) if predictor.model_info().sha256 == from.sha256 => {
                (Result::Unchanged, from.version.clone(), None)
            }
            Ok(Loaded { predictor, .. }) => (Result::Swapped, predictor.model_info().version.clone(), None),
            Err(error) => (Result::Failed, from.version.clone(), Some(error.code())),
        };
        let reload =
            Reload { at: rfc3339(SystemTime::now()), by: by.to_owned(), result, from: from.version.clone(), to, error };
        self.history.note(&reload);
        let (name, source) = (self.name(), self.source());
        match loaded {
            Ok(Loaded { predictor, version }) if result == Result::Swapped => {
                if let Some(seen) = before.seen() {
                    seen.expect(predictor.schema());
                }
                let seen = Arc::clone(&self.seen);
                self.current.store(Arc::new(Served { predictor, since: SystemTime::now(), version, seen }));
                log::warn!(target: AUDIT, "model {name}: swapped {} for {} from {source}, by {by}", reload.from, reload.to);
                Ok(reload)
            }
            Ok(Loaded { version, .. }) => {
                // The same file may have become another version.
                if version != before.version {
                    let (predictor, seen) = (before.predictor.clone(), Arc::clone(&self.seen));
                    self.current.store(Arc::new(Served { predictor, since: before.since, version, seen }));
                }
                log::warn!(target: AUDIT, "model {name}: {} is unchanged in {source}, by {by}", reload.to);
                Ok(reload)
            }
            Err(error) => {
                log::error!(target: AUDIT, "model {name}: {} goes on, {source} cannot be used, by {by}: {error:?}", reload.to);
                Err(ReloadError::Load(error))
            }
        }
    }

    /// How many attempts ended how, and the last one.
    #[must_use]
    pub fn reloads(&self) -> (Counts, Option<Reload>) {
        self.history.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl History {
    fn note(&self, reload: &Reload) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        match reload.result {
            Result::Swapped => record.0.swapped += 1,
            Result::Unchanged => record.0.unchanged += 1,
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
