//! Stopping without losing a request, and other signals.
//!
//! Told to stop, the server first says at `/ready` that it is not ready, and goes on answering while load balancers
//! notice; its answers close their connections. Then it stops listening, and what it has begun may finish, but not
//! forever. Told twice, it ends at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::http::Header;
#[cfg(unix)]
use rocket::tokio::signal::unix::{Signal, SignalKind, signal};
use rocket::tokio::time::{Instant, sleep};
use rocket::{Ignite, Rocket, Shutdown, tokio};

use crate::logging::AUDIT;
use crate::metrics::Metrics;
#[cfg(unix)]
use crate::models::{Models, ReloadError, Slot};

/// Whether the server was told to stop.
#[derive(Debug, Clone, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// Whether it was.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Attaches what answers say while the server stops.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("stopping", |rocket| async {
        rocket
            .manage(Stopping::default())
            .attach(AdHoc::on_response("last answers", |request, response| {
                Box::pin(async move {
                    if request.rocket().state().is_some_and(Stopping::is_on) {
                        response.set_header(Header::new("Connection", "close"));
                    }
                })
            }))
            .attach(AdHoc::on_shutdown("last requests", |rocket| {
                Box::pin(async move {
                    // Rocket looks once whether all connections are closed, and if not, waits out all of the grace: most
                    // are in a moment.
                    let end = Instant::now() + Duration::from_millis(500);
                    let busy = || rocket.state::<Arc<Metrics>>().is_some_and(|metrics| metrics.in_flight() > 0);
                    while busy() && Instant::now() < end {
                        sleep(Duration::from_millis(10)).await;
                    }
                    sleep(Duration::from_millis(50)).await;
                })
            }))
    })
}

/// Acts on signals from now on: SIGTERM and SIGINT stop the server, SIGHUP loads its models again.
///
/// # Errors
/// If the system does not let the program handle signals.
#[cfg(unix)]
pub fn watch(rocket: &Rocket<Ignite>, mut hangups: Signal, drain: Duration) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = Stop::new(rocket, drain);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 143),
                _ = interrupt.recv() => ("SIGINT", 130),
            }
        };
        let (signal, _) = next().await;
        tokio::spawn(stop.begin(signal));
        let (signal, code) = next().await;
        log::warn!(target: AUDIT, "{signal} again: ending at once");
        std::process::exit(code);
    });
    let slots: Vec<_> = rocket
        .state::<Models>()
        .map(|models| models.slots().chain(models.shadow()).cloned().collect())
        .unwrap_or_default();
    tokio::spawn(async move {
        // Those that come during a reload are one afterwards.
        while hangups.recv().await.is_some() {
            let slots = slots.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || reload(&slots, "SIGHUP")).await {
                log::error!("models were not loaded by SIGHUP: {error}");
            }
        }
    });
    Ok(())
}

/// Signals to load the models again, which from now on do not end the program.
///
/// # Errors
/// If the system does not let the program handle them.
#[cfg(unix)]
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

#[cfg(unix)]
fn reload(slots: &[Arc<Slot>], by: &str) {
    for slot in slots {
        // Everything else is logged where it happens.
        match slot.reload_if_loaded(by) {
            None => log::warn!(target: AUDIT, "model {}: not loaded by {by}: it is unloaded", slot.name()),
            Some(Err(ReloadError::Busy)) => {
                log::warn!(target: AUDIT, "model {}: not loaded by {by}: it is being loaded already", slot.name());
            }
            Some(_) => {}
        }
    }
}

/// Acts on Ctrl-C from now on.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn watch(rocket: &Rocket<Ignite>, (): (), drain: Duration) -> io::Result<()> {
    let stop = Stop::new(rocket, drain);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            tokio::spawn(stop.begin("Ctrl-C"));
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}

/// There are none.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn hangups() -> io::Result<()> {
    Ok(())
}

struct Stop {
    stopping: Stopping,
    shutdown: Shutdown,
    drain: Duration,
}

impl Stop {
    fn new(rocket: &Rocket<Ignite>, drain: Duration) -> Self {
        let stopping = rocket.state::<Stopping>().cloned().unwrap_or_default();
        Self { stopping, shutdown: rocket.shutdown(), drain }
    }

    async fn begin(self, signal: &'static str) {
        self.stopping.0.store(true, Ordering::Release);
        let seconds = self.drain.as_secs();
        log::warn!(
            target: AUDIT,
            "{signal}: stopping; answering for {seconds} s more, not ready; a second signal ends it at once"
        );
        sleep(self.drain).await;
        self.shutdown.notify();
    }
}
