//! How much the server takes on at a time: requests that are worked on, bytes of bodies, requests per client. What is
//! more is refused at once or soon, with a word on when to come back, so that what was accepted gets its answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use rocket::Request;
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::time::timeout;

use crate::errors::Failure;
use crate::metrics::Metrics;

/// Requests that wait for their turn, for each that may be worked on: enough that it is the time that ends their wait.
const WAITING: usize = 32;

/// The longest wait for a turn: who is let in then is still answered soon, and who is not can go elsewhere.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// Bodies up to this size are not counted: no number of large ones keeps a single prediction out.
pub(crate) const SMALL_BODY: usize = 16 * 1024;

/// All large bodies together may be this many times as large as the largest one.
const BODIES: u64 = 4;

/// The most clients that are counted one by one.
const MAX_CLIENTS: usize = 100_000;

/// How often clients that have not been heard of for a while are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many requests may be worked on at the same time; none for 16 per core. With 0, tests see who asks for a turn.
    pub concurrency: Option<usize>,
    /// How many requests per second one client may send; none for any number.
    pub rate: Option<NonZeroU32>,
    /// How many it may send at once; none for as many as in a second.
    pub burst: Option<NonZeroU32>,
    /// How long a body may stay behind the slowest pace that is fine.
    pub body_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: None, rate: None, burst: None, body_timeout: Duration::from_secs(30) }
    }
}

/// Attaches the limits, and what gives a request's turn back as soon as its answer is made.
pub(crate) fn stage(settings: Settings, max_body_bytes: u64) -> AdHoc {
    AdHoc::on_ignite("limits", move |rocket| async move {
        let limits = Limits::new(settings, max_body_bytes);
        if let Some(metrics) = rocket.state::<Arc<Metrics>>() {
            metrics.limited_to(limits.turns.available_permits());
        }
        rocket.manage(limits).attach(AdHoc::on_response("turns", |request, _| {
            // A client that reads its answer slowly keeps nobody waiting.
            request.local_cache(Held::default).end_turn();
            Box::pin(async {})
        }))
    })
}

/// What is taken on at the moment.
pub(crate) struct Limits {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    bodies: Arc<Semaphore>,
    rate: Option<Rate>,
    pub body_timeout: Duration,
}

/// What a request holds: given back when it has been answered in full.
#[derive(Default)]
struct Held(Mutex<Permits>);

/// For a turn, and for bytes.
type Permits = (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

impl Held {
    fn end_turn(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }
}

impl Limits {
    fn new(settings: Settings, max_body_bytes: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let turns = settings.concurrency.unwrap_or(16 * cores);
        let bodies = usize::try_from(max_body_bytes.saturating_mul(BODIES)).unwrap_or(usize::MAX);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            waiting: AtomicUsize::new(0),
            max_waiting: turns * WAITING,
            bodies: Arc::new(Semaphore::new(bodies.min(Semaphore::MAX_PERMITS))),
            rate: settings.rate.map(|rate| Rate::new(rate, settings.burst.unwrap_or(rate), MAX_CLIENTS)),
            body_timeout: settings.body_timeout,
        }
    }

    pub(crate) fn of<'r>(request: &'r Request<'_>) -> Result<&'r Self, Failure> {
        request.rocket().state::<Self>().ok_or_else(Failure::internal)
    }

    /// Counts a request of this client.
    pub(crate) fn count(&self, client: Option<IpAddr>) -> Result<(), Failure> {
        let Some(rate) = &self.rate else { return Ok(()) };
        // Those without an address share one.
        rate.check(client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).map_err(|wait| {
            Failure::new(
                Status::TooManyRequests,
                "RATE_LIMITED",
                format!(
                    "found more requests from this address than the {} per second that are allowed, {} at once; send \
                     them more slowly, or many rows in one",
                    rate.per_second, rate.burst
                ),
            )
            .retry_after(wait)
        })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let waiting = Waiting::new(&self.waiting);
        if waiting.before < self.max_waiting
            && let Ok(Ok(turn)) = timeout(MAX_WAIT, Arc::clone(&self.turns).acquire_owned()).await
        {
            return Ok(turn);
        }
        Err(overloaded())
    }
}

/// What one request has of all this.
pub(crate) struct Share<'r> {
    pub limits: &'r Limits,
    held: &'r Held,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Share<'r> {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        match Self::of(request) {
            Ok(share) => Outcome::Success(share),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

impl<'r> Share<'r> {
    pub(crate) fn of(request: &'r Request<'_>) -> Result<Self, Failure> {
        Ok(Self { limits: Limits::of(request)?, held: request.local_cache(Held::default) })
    }

    /// Waits for the request's turn, but not for long. Whoever reads a body does this afterwards: slow bodies keep no
    /// turn. Requests without a body have their turn already. The turn ends when the answer is made.
    pub(crate) async fn admit(&self) -> Result<(), Failure> {
        if self.held().0.is_none() {
            let permit = self.limits.turn().await?;
            self.held().0 = Some(permit);
        }
        Ok(())
    }

    /// Waits for another turn of a request that had one, however long that takes.
    pub(crate) async fn admit_again(&self) -> Result<(), Failure> {
        if self.held().0.is_none() {
            let permit = Arc::clone(&self.limits.turns).acquire_owned().await.map_err(|_| overloaded())?;
            self.held().0 = Some(permit);
        }
        Ok(())
    }

    /// Gives the turn back before the answer is made: others work while this one waits for its client.
    pub(crate) fn end_turn(&self) {
        self.held.end_turn();
    }

    /// Counts bytes of a body that are in memory now, until the request has been answered in full.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Failure> {
        let bytes = u32::try_from(bytes).map_err(|_| overloaded())?;
        let permit = Arc::clone(&self.limits.bodies).try_acquire_many_owned(bytes).map_err(|_| overloaded())?;
        match &mut self.held().1 {
            Some(before) => before.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Permits> {
        self.held.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More than the server takes on.
pub(crate) fn overloaded() -> Failure {
    Failure::new(
        Status::ServiceUnavailable,
        "OVERLOADED",
        "the server has as much to do as it takes on; send the request again later",
    )
    .retry_after(Duration::from_secs(1))
}

impl Failure {
    fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with_header("Retry-After", seconds.max(1).to_string())
    }
}

/// Somebody who waits; counted out again however the wait ends.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many requests each client has sent lately.
struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
    clients: DefaultKeyedRateLimiter<IpAddr>,
    max_clients: usize,
    forgotten: Mutex<Instant>,
}

impl Rate {
    fn new(per_second: NonZeroU32, burst: NonZeroU32, max_clients: usize) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let clients = DefaultKeyedRateLimiter::keyed(quota);
        Self { per_second, burst, clients, max_clients, forgotten: Mutex::new(Instant::now()) }
    }

    /// Counts a request, or says after which time it would be fine.
    fn check(&self, ip: IpAddr) -> Result<(), Duration> {
        self.forget();
        let client = one_client(ip);
        // When there are too many, those that come late share one account: memory stays bounded, and nobody is shut out
        // who was there before.
        let client = if self.clients.len() < self.max_clients { client } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        self.clients.check_key(&client).map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets clients who have their full account again.
    fn forget(&self) {
        if let Ok(mut forgotten) = self.forgotten.try_lock()
            && forgotten.elapsed() >= FORGET_EVERY
        {
            *forgotten = Instant::now();
            self.clients.retain_recent();
            self.clients.shrink_to_fit();
        }
    }
}

/// An IPv6 client has at least a /64 of addresses to itself.
fn one_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32, max_clients: usize) -> Rate {
        Rate::new(per_second.try_into().unwrap(), burst.try_into().unwrap(), max_clients)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_its_own_account() {
        let rate = rate(1, 3, 10);
        for _ in 0..3 {
            assert_eq!(rate.check(ip("1.2.3.4")), Ok(()));
        }
        let wait = rate.check(ip("1.2.3.4")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(rate.check(ip("1.2.3.5")), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let rate = rate(1, 1, 10);
        assert_eq!(rate.check(ip("2001:db8:0:1::1")), Ok(()));
        assert!(rate.check(ip("2001:db8:0:1:ffff::2")).is_err());
        assert_eq!(rate.check(ip("2001:db8:0:2::1")), Ok(()));
        assert_eq!(rate.check(ip("1.2.3.4")), Ok(()));
        assert!(rate.check(ip("::ffff:1.2.3.4")).is_err());
    }

    #[test]
    fn too_many_clients_share_one_account() {
        let rate = rate(1, 2, 100);
        let clients = (0..10_000).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)));
        let refused = clients.filter(|client| rate.check(*client).is_err()).count();
        // The first hundred have their own; the account of all others holds two, and gets one more per second.
        assert!(rate.clients.len() <= 101, "{}", rate.clients.len());
        assert!(refused > 9_000, "{refused}");
        assert!(rate.check(ip("10.0.0.0")).is_err());
    }

    #[test]
    fn clients_who_have_their_full_account_again_are_forgotten() {
        let rate = rate(1_000_000, 1, 10);
        assert_eq!(rate.check(ip("1.2.3.4")), Ok(()));
        std::thread::sleep(FORGET_EVERY);
        rate.forget();
        assert!(rate.clients.is_empty());
    }

    #[rocket::async_test]
    async fn turns_are_waited_for_and_the_queue_is_bounded() {
        let limits = Limits::new(Settings { concurrency: Some(1), ..Settings::default() }, 1024);
        let first = limits.turn().await.unwrap();
        let waiting: Vec<_> = (0..WAITING).map(|_| limits.turn()).collect();
        let mut waiting: Vec<_> = waiting.into_iter().map(Box::pin).collect();
        for turn in &mut waiting {
            assert!(rocket::futures::FutureExt::now_or_never(turn.as_mut()).is_none());
        }
        let refused = limits.turn().await.unwrap_err();
        assert_eq!((refused.status.code, refused.code), (503, "OVERLOADED"));
        assert!(refused.headers.iter().any(|header| header.name == "Retry-After" && header.value == "1"));
        drop(first);
        let second = waiting.remove(0).await.unwrap();
        // Those that nobody lets in go after a while, and leave the queue empty.
        for turn in waiting {
            assert!(turn.await.is_err());
        }
        assert_eq!(limits.waiting.load(Ordering::Relaxed), 0);
        drop(second);
        assert!(limits.turn().await.is_ok());
    }
}
