//! Reads bodies, and not those that come too slowly: a body has a while to begin, and must then keep a pace that every
//! honest connection keeps.

use std::time::Duration;

use rocket::Request;
use rocket::http::Status;
use rocket::tokio::io::{AsyncRead, AsyncReadExt};
use rocket::tokio::time::{Instant, timeout_at};

use crate::errors::Failure;
use crate::limits::{SMALL_BODY, Share};

/// The slowest pace that is fine in the long run: a modem of 1998 is faster.
const BYTES_PER_SECOND: u64 = 4 * 1024;

/// How much is read at a time, at least.
const PIECE: usize = 8 * 1024;

/// A body that is being read.
pub(crate) struct Pace<'r> {
    share: Share<'r>,
    started: Instant,
    patience: Duration,
    received: u64,
    held: usize,
}

impl<'r> Pace<'r> {
    pub fn new(request: &'r Request<'_>) -> Result<Self, Failure> {
        let share = Share::of(request)?;
        let patience = share.limits.body_timeout;
        Ok(Self { share, started: Instant::now(), patience, received: 0, held: 0 })
    }

    /// Appends what has come; 0 at the end. What lies in `bytes` counts against what all bodies together may take.
    pub async fn read(&mut self, body: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<usize, Failure> {
        bytes.reserve(PIECE);
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / BYTES_PER_SECOND);
        let read = timeout_at(self.started + self.patience + earned, body.read_buf(bytes)).await;
        let read = read.map_err(|_| self.too_slow())?.map_err(|error| {
            log::info!("a body could not be read: {error}");
            Failure::new(Status::BadRequest, "INCOMPLETE_BODY", "the body ended before its end; send it again")
        })?;
        self.received += read as u64;
        if bytes.len() > self.held + SMALL_BODY {
            self.share.hold(bytes.len() - self.held)?;
            self.held = bytes.len();
        }
        Ok(read)
    }

    /// Throws the rest away, so that the client gets to the answer.
    pub async fn drain(&mut self, body: &mut (impl AsyncRead + Unpin)) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        while self.read(body, &mut bytes).await? > 0 {
            bytes.clear();
        }
        Ok(())
    }

    /// The share of the server's means that the request has.
    pub fn share(&self) -> &Share<'r> {
        &self.share
    }

    fn too_slow(&self) -> Failure {
        Failure::new(
            Status::RequestTimeout,
            "BODY_TOO_SLOW",
            format!(
                "found {} bytes of the body in {} s; allowed: {} s without any, and then at least {BYTES_PER_SECOND} \
                 bytes per second; send it again",
                self.received,
                self.started.elapsed().as_secs(),
                self.patience.as_secs()
            ),
        )
        .with_header("Connection", "close")
    }
}
