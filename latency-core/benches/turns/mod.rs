//! Two sides of a benchmark that take turns, so that a busy machine disturbs both alike.

use std::time::{Duration, Instant};

/// Seconds per call, turn by turn.
pub struct Turns {
    pub first: Vec<f64>,
    pub second: Vec<f64>,
}

impl Turns {
    /// Second over first: the median over all turns.
    pub fn ratio(&self) -> f64 {
        median(&self.first.iter().zip(&self.second).map(|(first, second)| second / first).collect::<Vec<_>>())
    }
}

/// Calls both in turn for so long, three times at least.
pub fn take_turns(patience: Duration, mut first: impl FnMut(), mut second: impl FnMut()) -> Turns {
    let mut turns = Turns { first: Vec::new(), second: Vec::new() };
    let time = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    // Caches and tables fill.
    time(&mut first);
    time(&mut second);
    let started = Instant::now();
    while turns.first.len() < 3 || started.elapsed() < patience {
        turns.first.push(time(&mut first));
        turns.second.push(time(&mut second));
    }
    turns
}

/// The middle one.
pub fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
