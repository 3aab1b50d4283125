//! Orders come in and answers go out, a line of JSON each: `run.py` gives all contenders their turns.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::path::PathBuf;
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;

/// Rows that the calls of a turn go through, so that no branch is learned by heart. The same in all languages.
const DIFFERENT: usize = 4096;

/// What a contender is given.
pub struct Setting {
    pub folder: PathBuf,
    pub threads: usize,
    pub columns: usize,
}

/// A model, loaded.
pub trait Contender {
    /// Rows in the form that it takes, made before the clock starts.
    type Rows;

    fn ready(&self, matrix: &[f32]) -> Self::Rows;

    /// The predictions for them.
    fn predict(&mut self, rows: &Self::Rows) -> Vec<f32>;
}

#[derive(Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
enum Order {
    /// Loads the model, and predicts one row.
    Load,
    /// Predicts all rows of one file into another.
    Check { rows: PathBuf, answers: PathBuf },
    /// So many calls of so many rows each.
    Time { rows: usize, calls: usize },
}

pub fn serve<C: Contender>(setting: &Setting, load: impl Fn(&Setting) -> C) {
    let mut contender = None;
    let mut ready: (usize, Vec<C::Rows>) = (0, Vec::new());
    for line in stdin().lock().lines() {
        let order = serde_json::from_str(&line.expect("a line")).expect("an order");
        let answer = match order {
            Order::Load => {
                let row = read(&setting.folder.join("rows.f32"), setting.columns);
                let before = resident_kib();
                let started = Instant::now();
                let mut loaded = load(setting);
                let seconds = started.elapsed().as_secs_f64();
                let row = loaded.ready(&row);
                black_box(loaded.predict(&row));
                contender = Some(loaded);
                json!({ "seconds": seconds, "kib": resident_kib().saturating_sub(before) })
            }
            Order::Check { rows, answers } => {
                let contender = contender.as_mut().expect("it is loaded");
                let rows = contender.ready(&read(&rows, usize::MAX));
                let found: Vec<u8> = contender.predict(&rows).into_iter().flat_map(f32::to_le_bytes).collect();
                fs::write(answers, found).expect("the answers are written");
                json!({})
            }
            Order::Time { rows, calls } => {
                let contender = contender.as_mut().expect("it is loaded");
                if ready.0 != rows {
                    let different = (DIFFERENT / rows).max(1) * rows * setting.columns;
                    let matrix = read(&setting.folder.join("rows.f32"), different);
                    let each = matrix.chunks_exact(rows * setting.columns);
                    ready = (rows, each.map(|matrix| contender.ready(matrix)).collect());
                }
                let started = Instant::now();
                for rows in ready.1.iter().cycle().take(calls) {
                    black_box(contender.predict(rows));
                }
                json!({ "seconds": started.elapsed().as_secs_f64() })
            }
        };
        println!("{answer}");
        stdout().flush().expect("somebody listens");
    }
}

/// So many numbers of a file, or all.
fn read(path: &PathBuf, most: usize) -> Vec<f32> {
    let mut bytes = Vec::new();
    let file = File::open(path).expect("the rows are there");
    file.take(4_u64.saturating_mul(most as u64)).read_to_end(&mut bytes).expect("the rows are read");
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// What the process holds in memory.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}
