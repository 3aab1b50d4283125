//! Rows in files of Parquet, read in a process of its own.
//!
//! A few bytes of such a file can claim any number of anything, and the library that reads it asks for as much memory; where
//! there is none it ends the process. So this program starts itself again for each file, with little memory and time, and
//! without a secret in its environment: see [`reader`]. What that process writes is a stream of Arrow's IPC format, which is
//! read like one that a client sends.

pub mod reader;
mod rows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::http::{MediaType, Status};
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::time::timeout;

pub use self::rows::ParquetRows;
use crate::errors::Failure;
use crate::limits::overloaded;

/// How many files are read at once: each takes up to [`reader::MEMORY`].
const READERS: usize = 2;

/// The longest wait until a file is read; none takes longer than [`reader::SECONDS`] of a processor.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Attaches what starts `program`, which is this one, to read files.
pub fn stage(program: PathBuf) -> AdHoc {
    let readers = Readers { program, permits: Arc::new(Semaphore::new(READERS)) };
    AdHoc::on_ignite("parquet", |rocket| async { rocket.manage(readers) })
}

/// Where this program finds itself.
pub(crate) fn this_program() -> PathBuf {
    // This one is there even after an upgrade has put another program in its place.
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or_default() }
}

/// The processes that read files.
pub struct Readers {
    program: PathBuf,
    permits: Arc<Semaphore>,
}

/// Leave to start one of them, as long as this lives.
pub struct Leave {
    program: PathBuf,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    /// Waits until another file may be read, but not for long.
    pub async fn leave(&self) -> Result<Leave, Failure> {
        match timeout(MAX_WAIT, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Leave { program: self.program.clone(), _permit: permit }),
            _ => Err(overloaded()),
        }
    }
}

/// Whether this is the type of such files.
pub fn is_parquet(kind: &MediaType) -> bool {
    kind.top() == "application" && kind.sub() == "vnd.apache.parquet"
}

/// The type of such files.
pub fn media_type() -> MediaType {
    MediaType::new("application", "vnd.apache.parquet")
}

fn invalid_parquet(found: &str) -> Failure {
    let allowed = "allowed: one whole file of Parquet, not encrypted, uncompressed or compressed by Snappy, gzip, LZ4 or \
                   Zstandard";
    Failure::new(Status::BadRequest, "INVALID_PARQUET", format!("{found}; {allowed}"))
}
