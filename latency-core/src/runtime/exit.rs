//! The end of the process.
//!
//! At `exit`, ONNX Runtime's own statics are destroyed while other threads may still be calling it: they then fail with
//! nonsense such as "`GetElementType` is not implemented", or crash. So its calls are closed just before: the end waits for
//! those that run, and threads that come later sleep until the process is gone.

#![expect(unsafe_code, reason = "std has no way to be told of the end of the process")]

use std::ffi::c_int;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::pool::home;
use crate::error::{Error, ErrorKind, Result};

/// How long the end waits for calls that run. A long batch is then left to what happens without waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a call waits for the end. Something that runs after the end may be waiting for this very thread.
const SLEEP: Duration = Duration::from_secs(10);
const NOBODY: usize = usize::MAX;

/// The number of the thread that ends the process.
static ENDED_BY: AtomicUsize = AtomicUsize::new(NOBODY);
/// The process that asked to be told. A forked child has copies of counters that nobody will count down.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// Calls that run, counted apart for different threads so that they share no cache line.
static RUNNING: [Counter; 64] = [const { Counter(AtomicUsize::new(0)) }; 64];

#[repr(align(64))]
struct Counter(AtomicUsize);

/// A call of ONNX Runtime that runs.
pub(super) struct Running(&'static Counter);

impl Running {
    /// Call it, before anything else, when a session is at hand: those who wait for one do not run.
    pub fn begin() -> Result<Self> {
        let counter = &RUNNING[home() % RUNNING.len()];
        // In one order with those of `end`: either it sees this call running, or this call sees the end.
        counter.0.fetch_add(1, Ordering::SeqCst);
        let running = Self(counter);
        match ENDED_BY.load(Ordering::SeqCst) {
            NOBODY => Ok(running),
            ended_by => {
                drop(running);
                if ended_by != home() {
                    thread::sleep(SLEEP);
                }
                Err(Error::new(
                    ErrorKind::InferenceFailed,
                    "found the process ending, which ends ONNX Runtime too; allowed: predictions before that; \
                     join the threads that predict before leaving `main`",
                ))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Release);
    }
}

// SAFETY: this is its declaration in the C standard. It can be called at any time with any function.
unsafe extern "C" {
    safe fn atexit(function: extern "C" fn()) -> c_int;
}

/// Asks to be told of the end. Call it after ONNX Runtime has run: what is destroyed first is what was made last.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        PROCESS.store(process::id(), Ordering::Relaxed);
        // If it is refused, for want of memory, the end is as it would be without.
        let _ = atexit(end);
    });
}

extern "C" fn end() {
    if PROCESS.load(Ordering::Relaxed) != process::id() {
        return;
    }
    ENDED_BY.store(home(), Ordering::SeqCst);
    let began = Instant::now();
    while RUNNING.iter().any(|counter| counter.0.load(Ordering::SeqCst) > 0) && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_micros(100));
    }
}
