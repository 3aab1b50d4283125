//! Models of the pool for loom, run by `make loom`: every order in which threads can run, up to a number of pre-emptions,
//! and every value that an atomic load may see. A lost wake-up ends in a deadlock, which loom reports.

use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, TryLockError, TryLockResult};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::pool::Pool;

/// A lock with no more memory ordering than that of std. loom's own is sequentially consistent, and makes threads that
/// only try it wait: with it, a pool without its fences would pass.
#[derive(Debug)]
pub struct SlotMutex<T> {
    locked: AtomicBool,
    data: std::sync::Mutex<T>,
}

#[derive(Debug)]
pub struct SlotGuard<'m, T> {
    data: std::sync::MutexGuard<'m, T>,
    _unlock: Unlock<'m>,
}

#[derive(Debug)]
struct Unlock<'m>(&'m AtomicBool);

impl<T> SlotMutex<T> {
    pub fn new(data: T) -> Self {
        Self { locked: AtomicBool::new(false), data: std::sync::Mutex::new(data) }
    }

    pub fn try_lock(&self) -> TryLockResult<SlotGuard<'_, T>> {
        if self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(TryLockError::WouldBlock);
        }
        let guard = |data| SlotGuard { data, _unlock: Unlock(&self.locked) };
        let locked: LockResult<_> = self.data.lock();
        Ok(guard(locked.map_err(|poisoned| std::sync::PoisonError::new(guard(poisoned.into_inner())))?))
    }

    /// As a thread leaves it that panics while it holds the lock. Its panic itself cannot run in a model: loom runs all
    /// threads in one, so that the others would look as if they were panicking as well.
    fn poison(&self) {
        let poisoned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _data = self.data.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(poisoned.is_err() && self.data.is_poisoned());
    }
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T> Deref for SlotGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T> DerefMut for SlotGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// As many threads as asked for, this one among them, each with its own number.
fn run(threads: usize, body: impl Fn(usize) + Clone + 'static) {
    let others: Vec<_> = (1..threads)
        .map(|home| {
            let body = body.clone();
            thread::spawn(move || body(home))
        })
        .collect();
    body(0);
    for other in others {
        other.join().unwrap();
    }
}

/// Threads that each lease a slot as often as asked for.
fn lease_in_turns(pool: Pool<usize>, threads: usize, turns: usize) {
    let pool = Arc::new(pool);
    run(threads, move |home| {
        for _ in 0..turns {
            drop(pool.lease_from(home));
        }
    });
}

#[test]
fn a_slot_is_used_by_one_thread_at_a_time() {
    explore(5, || {
        let pool = Arc::new(Pool::new(0..2_usize));
        let in_use = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        run(3, move |home| {
            let slot = pool.lease_from(home);
            assert!(!in_use[*slot].swap(true, Ordering::Relaxed), "two threads in one slot");
            in_use[*slot].store(false, Ordering::Relaxed);
        });
    });
}

#[test]
fn no_wake_up_is_lost_with_one_slot() {
    explore(5, || lease_in_turns(Pool::new(0..1), 3, 1));
}

#[test]
fn no_wake_up_is_lost_with_two_slots() {
    explore(3, || lease_in_turns(Pool::new(0..2), 4, 1));
}

#[test]
fn no_wake_up_is_lost_by_threads_that_come_again() {
    explore(5, || lease_in_turns(Pool::new(0..1), 2, 2));
}

#[test]
fn a_slot_that_a_panic_left_locks_nobody_out() {
    explore(5, || {
        let pool = Pool::new(0..1);
        pool.slots[0].poison();
        lease_in_turns(pool, 3, 1);
    });
}
