//! Work that several threads share.

use std::collections::BTreeMap;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, ScopedJoinHandle};

/// Pieces per thread that may lie ready before they are taken.
const READY: usize = 4;

/// Does so many pieces of work, each by its number, in this thread and `others`, and hands what came of them to `take`, in
/// their order and in this thread. A thread that is held up does fewer of them. `work` gets what its thread used for the
/// piece before. After an error of `take` no new piece is begun. Where the system gives no more threads, those that are
/// there do it all.
pub(super) fn in_order<S: Default, T: Send, E>(
    pieces: usize,
    others: usize,
    work: impl Fn(&mut S, usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let begin = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|piece| *piece < pieces);
    let (begin, work) = (&begin, &work);
    thread::scope(|scope| {
        let (sender, done) = mpsc::sync_channel(READY * others.max(1));
        let helper = |sender: mpsc::SyncSender<_>| {
            move || {
                let mut scratch = S::default();
                while let Some(piece) = begin() {
                    // Nobody takes what comes after an error.
                    if sender.send((piece, work(&mut scratch, piece))).is_err() {
                        return;
                    }
                }
            }
        };
        let helpers: Vec<_> = (0..others)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, helper(sender.clone())).ok())
            .collect();
        drop(sender);
        let (mut scratch, mut ready) = (S::default(), BTreeMap::new());
        let mut taken = 0;
        while taken < pieces {
            ready.extend(done.try_iter());
            while let Some(piece) = ready.remove(&taken) {
                take(piece)?;
                taken += 1;
            }
            if let Some(piece) = begin() {
                ready.insert(piece, work(&mut scratch, piece));
            } else if taken < pieces {
                match done.recv() {
                    Ok((piece, what)) => drop(ready.insert(piece, what)),
                    // All have gone, and a piece is missing: one of them has panicked.
                    Err(_) => break,
                }
            }
        }
        for helper in helpers {
            join(helper);
        }
        Ok(())
    })
}

/// What came of a thread's work; without a thread, this one does it.
pub(super) fn finish<T>(thread: io::Result<ScopedJoinHandle<'_, T>>, work: impl FnOnce() -> T) -> T {
    thread.map_or_else(|_| work(), join)
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    #[test]
    fn pieces_come_back_in_their_order() {
        for (pieces, others) in [(0, 3), (1, 0), (1, 3), (40, 0), (40, 1), (40, 3), (3, 40)] {
            let mut taken = Vec::new();
            let Ok(()) = in_order::<(), _, Infallible>(
                pieces,
                others,
                |(), piece| 2 * piece,
                |piece| {
                    taken.push(piece);
                    Ok(())
                },
            );
            assert_eq!(
                taken,
                (0..pieces).map(|piece| 2 * piece).collect::<Vec<_>>(),
                "{pieces} pieces, {others} others"
            );
        }
    }

    #[test]
    fn a_piece_that_takes_long_holds_up_only_its_thread() {
        let done = AtomicUsize::new(0);
        let work = |(): &mut (), piece| {
            // The first piece waits for many of the others, which only other threads can do.
            while piece == 0 && done.load(Ordering::Relaxed) < 2 {
                thread::sleep(Duration::from_millis(1));
            }
            done.fetch_add(1, Ordering::Relaxed)
        };
        let mut first = None;
        let Ok(()) = in_order::<(), _, Infallible>(8, 2, work, |before| {
            first.get_or_insert(before);
            Ok(())
        });
        assert!(first >= Some(2), "{first:?}");
    }

    #[test]
    fn an_error_is_that_of_the_first_piece_at_fault_and_ends_the_work() {
        let begun = AtomicUsize::new(0);
        let work = |(): &mut (), piece| {
            begun.fetch_add(1, Ordering::Relaxed);
            if piece % 10 == 7 { Err(piece) } else { Ok(()) }
        };
        for others in [0, 3] {
            begun.store(0, Ordering::Relaxed);
            assert_eq!(in_order(1_000_000, others, work, |piece| piece), Err(7));
            assert!(begun.load(Ordering::Relaxed) < 1_000_000);
        }
    }

    #[test]
    #[should_panic(expected = "piece 3")]
    fn a_panic_reaches_the_caller() {
        let Ok(()) = in_order::<(), _, Infallible>(100, 2, |(), piece| assert!(piece != 3, "piece 3"), |()| Ok(()));
    }
}
