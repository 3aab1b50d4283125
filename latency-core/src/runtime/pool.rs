//! A fixed number of things, each used by one thread at a time, shared by any number of threads.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

#[cfg(all(test, loom))]
use self::loom_sync::{AtomicUsize, Condvar, Mutex, Ordering, SlotGuard, SlotMutex, fence};
#[cfg(not(all(test, loom)))]
use self::std_sync::{AtomicUsize, Condvar, Mutex, Ordering, SlotGuard, SlotMutex, fence};

#[cfg(not(all(test, loom)))]
mod std_sync {
    pub use std::sync::atomic::{AtomicUsize, Ordering, fence};
    pub use std::sync::{Condvar, Mutex, Mutex as SlotMutex, MutexGuard as SlotGuard};
}

/// What `make loom` puts in place of the locks.
#[cfg(all(test, loom))]
mod loom_sync {
    pub use loom::sync::atomic::{AtomicUsize, Ordering, fence};
    pub use loom::sync::{Condvar, Mutex};

    pub use crate::runtime::pool_models::{SlotGuard, SlotMutex};
}

/// Slots, each behind its own lock. A thread starts its search at a slot of its own, so that threads on different cores
/// share no lock as long as there are slots enough, and a lone thread keeps the caches of one slot warm.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    pub(super) slots: Vec<SlotMutex<T>>,
    queue: Queue,
}

/// One slot, in use until this is dropped.
#[derive(Debug)]
pub(crate) struct Lease<'p, T> {
    // Dropped in this order: the slot is free before anyone is woken for it.
    slot: SlotGuard<'p, T>,
    _wake: WakeOnDrop<'p>,
}

/// Threads that found every slot busy.
#[derive(Debug)]
struct Queue {
    waiting: AtomicUsize,
    gate: Mutex<()>,
    freed: Condvar,
}

#[derive(Debug)]
struct WakeOnDrop<'p>(&'p Queue);

impl<T> Pool<T> {
    /// `slots` must not be empty.
    pub fn new(slots: impl IntoIterator<Item = T>) -> Self {
        Self {
            slots: slots.into_iter().map(SlotMutex::new).collect(),
            queue: Queue { waiting: AtomicUsize::new(0), gate: Mutex::new(()), freed: Condvar::new() },
        }
    }

    /// Any free slot; waits until there is one.
    pub fn lease(&self) -> Lease<'_, T> {
        self.lease_from(home())
    }

    /// As `lease`, from this slot on, counted round and round.
    pub(super) fn lease_from(&self, home: usize) -> Lease<'_, T> {
        self.free_slot(home).unwrap_or_else(|| self.wait(home))
    }

    fn free_slot(&self, home: usize) -> Option<Lease<'_, T>> {
        let (before, after) = self.slots.split_at(home % self.slots.len());
        let slot = after.iter().chain(before).find_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            // What panicked elsewhere left nothing half-done in a session: it holds no state between runs.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })?;
        Some(Lease { slot, _wake: WakeOnDrop(&self.queue) })
    }

    #[cold]
    fn wait(&self, home: usize) -> Lease<'_, T> {
        let queue = &self.queue;
        let mut gate = queue.gate.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence of `drop`: either this thread sees the slot free, or whoever frees it sees this thread
        // waiting, and cannot pass the gate to wake it before it sleeps.
        fence(Ordering::SeqCst);
        loop {
            if let Some(lease) = self.free_slot(home) {
                queue.waiting.fetch_sub(1, Ordering::Relaxed);
                return lease;
            }
            gate = queue.freed.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        fence(Ordering::SeqCst);
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            let _gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.freed.notify_one();
        }
    }
}

impl<T> Deref for Lease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.slot
    }
}

impl<T> DerefMut for Lease<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.slot
    }
}

/// This thread's number, handed out in turn.
pub(super) fn home() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local!(static HOME: Cell<Option<usize>> = const { Cell::new(None) });
    HOME.with(|home| {
        home.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            home.set(Some(next));
            next
        })
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_comes_back_to_its_own_slot() {
        let pool = Pool::new(0..4);
        let mine = *pool.lease();
        assert!((0..100).all(|_| *pool.lease() == mine));
    }

    #[test]
    fn threads_in_a_row_start_at_different_slots() {
        let pool = Pool::new(0..3);
        assert_eq!((0..5).map(|home| *pool.lease_from(home)).collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
        let taken = pool.lease_from(1);
        assert_eq!((*taken, *pool.lease_from(1)), (1, 2), "the next one, if the own one is busy");
    }

    #[test]
    fn all_slots_are_in_use_at_the_same_time() {
        let pool = Pool::new(0..4);
        let all_in = Barrier::new(4);
        thread::scope(|scope| {
            for home in 0..4 {
                let (pool, all_in) = (&pool, &all_in);
                scope.spawn(move || {
                    let _lease = pool.lease_from(4 * home);
                    // Passes only if four threads hold a lease each.
                    all_in.wait();
                });
            }
        });
    }

    #[test]
    fn a_slot_of_a_thread_that_panicked_is_used_on() {
        let pool = Pool::new([0]);
        thread::scope(|scope| {
            let panicked = scope.spawn(|| {
                let _lease = pool.lease();
                resume_unwind(Box::new(()));
            });
            assert!(panicked.join().is_err());
        });
        assert!(pool.slots[0].is_poisoned());
        assert_eq!(*pool.lease(), 0);
    }

    #[test]
    fn a_panic_wakes_whoever_waits() {
        let pool = Pool::new([0]);
        thread::scope(|scope| {
            let pool = &pool;
            let panicked = scope.spawn(move || {
                let _lease = pool.lease();
                let _other = scope.spawn(move || *pool.lease());
                while pool.queue.waiting.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
                resume_unwind(Box::new(()));
            });
            assert!(panicked.join().is_err());
        });
        assert_eq!(pool.queue.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn more_threads_than_slots_all_get_their_turns() {
        let pool = Pool::new([0_u32; 2]);
        thread::scope(|scope| {
            for home in 0..8 {
                let pool = &pool;
                scope.spawn(move || {
                    for turn in 0..2_000 {
                        *pool.lease_from(home + turn) += 1;
                    }
                });
            }
        });
        assert_eq!(*pool.slots[0].lock().unwrap() + *pool.slots[1].lock().unwrap(), 16_000);
    }
}
