//! Following a registry: it is asked again and again which version is meant, and another one is loaded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rocket::fairing::AdHoc;
use rocket::tokio::time::sleep;
use serde::Serialize;

use super::registry::{RegistryError, Version};
use super::{LoadError, Models, ReloadError, Slot, Source};
use crate::logging::spawn_blocking;
use crate::rfc3339::rfc3339;

/// What a registry said when it was asked last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InRegistry {
    /// Which model is meant.
    pub uri: String,
    /// The version that answers; none if it is the bundled model, or the model is unloaded.
    pub serving: Option<String>,
    /// The version that is meant, as far as the registry has said so.
    pub wanted: Option<String>,
    /// When it was asked last, RFC 3339.
    pub asked: Option<String>,
    /// Why it gave no answer then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// What a registry said, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Followed(Mutex<State>);

#[derive(Debug, Default, Clone)]
struct State {
    wanted: Option<Version>,
    asked: Option<SystemTime>,
    error: Option<&'static str>,
    /// A version that cannot be used: it is not tried at every turn.
    refused: Option<Version>,
}

/// Asks registries again at this interval, for all models that come from one.
#[must_use]
pub fn stage(every: Option<Duration>) -> AdHoc {
    AdHoc::on_liftoff("registry", move |rocket| {
        Box::pin(async move {
            let (Some(models), Some(every)) = (rocket.state::<Models>(), every) else { return };
            let followed =
                models.slots().chain(models.shadow()).filter(|slot| matches!(slot.source(), Source::Registry(_)));
            for slot in followed {
                let (slot, mut shutdown) = (Arc::clone(slot), rocket.shutdown());
                rocket::tokio::spawn(async move {
                    loop {
                        rocket::tokio::select! {
                            () = sleep(every) => {}
                            () = &mut shutdown => return,
                        }
                        let slot = Arc::clone(&slot);
                        if let Err(error) = spawn_blocking(move || slot.follow()).await {
                            log::error!("a registry was not asked: {error}");
                        }
                    }
                });
            }
        })
    })
}

impl Slot {
    /// Asks the registry which version is meant, and loads it if it is another one.
    fn follow(&self) {
        let Source::Registry(registry) = self.source() else { return };
        let wanted = registry.wanted();
        let before = self.note(&wanted);
        match wanted {
            Err(error) if before.error != Some(error.code()) => log::warn!("{}: {error}", registry.uri),
            Err(_) => {}
            Ok(wanted) if self.serving().as_ref() == Some(&wanted) || before.refused.as_ref() == Some(&wanted) => {}
            Ok(wanted) => {
                let unusable = match self.reload_if_loaded("the registry") {
                    None
                    | Some(
                        Ok(_)
                        | Err(ReloadError::Busy | ReloadError::Load(LoadError::Registry(RegistryError::Unreachable(_)))),
                    ) => None,
                    Some(Err(ReloadError::Load(_))) => Some(wanted),
                };
                self.followed.0.lock().unwrap_or_else(PoisonError::into_inner).refused = unusable;
            }
        }
    }

    /// The version in the registry that answers.
    fn serving(&self) -> Option<Version> {
        self.served()?.version.clone()
    }

    /// Keeps what the registry said; returns what was known before.
    fn note(&self, wanted: &Result<Version, RegistryError>) -> State {
        let mut state = self.followed.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.clone();
        state.asked = Some(SystemTime::now());
        match wanted {
            Ok(version) => (state.wanted, state.error) = (Some(version.clone()), None),
            Err(error) => state.error = Some(error.code()),
        }
        before
    }

    /// What the registry says, for models that come from one.
    #[must_use]
    pub fn in_registry(&self) -> Option<InRegistry> {
        let Source::Registry(registry) = self.source() else { return None };
        let state = self.followed.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let serving = self.serving();
        Some(InRegistry {
            uri: registry.uri.to_string(),
            wanted: state.wanted.or_else(|| serving.clone()).map(|version| version.version),
            serving: serving.map(|version| version.version),
            asked: state.asked.map(rfc3339),
            error: state.error,
        })
    }
}
