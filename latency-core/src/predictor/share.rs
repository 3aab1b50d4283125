//! Work that several threads share.

use std::io;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

/// Does each piece of work in a thread of its own, the first in this one, and gives what came of them in their order. Where
/// the system gives no thread, this one does its piece too.
pub(super) fn in_threads<W: Copy + Send, T: Send>(pieces: Vec<W>, work: impl Fn(usize, W) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let start = |(number, piece): (usize, W)| {
            let thread = thread::Builder::new().spawn_scoped(scope, move || work(number, piece));
            (number, piece, thread)
        };
        let mut pieces = pieces.into_iter().enumerate();
        let first = pieces.next();
        let others: Vec<_> = pieces.map(start).collect();
        let first = first.map(|(number, piece)| work(number, piece));
        let finish = |(number, piece, thread)| finish(thread, || work(number, piece));
        first.into_iter().chain(others.into_iter().map(finish)).collect()
    })
}

/// What came of a thread's work; without a thread, this one does it.
pub(super) fn finish<T>(thread: io::Result<ScopedJoinHandle<'_, T>>, work: impl FnOnce() -> T) -> T {
    match thread {
        Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_in_their_order() {
        let numbers: Vec<usize> = (0..40).collect();
        assert_eq!(in_threads(numbers.clone(), |number, piece| (number, piece * 2)).len(), 40);
        let found = in_threads(numbers.clone(), |number, piece| {
            assert_eq!(number, piece);
            piece * 2
        });
        assert_eq!(found, numbers.iter().map(|number| number * 2).collect::<Vec<_>>());
        assert!(in_threads(Vec::<u8>::new(), |_, piece| piece).is_empty());
    }

    #[test]
    #[should_panic(expected = "piece 3")]
    fn a_panic_reaches_the_caller() {
        in_threads(vec![0, 1, 2, 3], |_, piece| assert!(piece != 3, "piece 3"));
    }
}
