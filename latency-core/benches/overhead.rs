//! What this crate adds to a bare ONNX Runtime session that runs on the same matrix, and how threads scale.
//!
//! `make bench` prints ratios from one run. Both sides take turns, call by call, and each ratio is the median over all
//! turns, so that a busy machine disturbs both alike: what a general benchmark library, which measures one after the
//! other, cannot give.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use latency_core::{Access, Batch, Column, Endpoint, Path, Predictor, Row};
use ndarray::Array2;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

mod turns;

use turns::{median, take_turns};

const ROWS: [usize; 4] = [1, 32, 1024, 65_536];
/// Time for each line of the tables.
const PATIENCE: Duration = Duration::from_secs(6);

fn main() {
    // `cargo test --benches` only wants to know that this runs.
    let patience = if std::env::args().any(|argument| argument == "--bench") { PATIENCE } else { Duration::ZERO };
    let library = std::env::var_os("LATENCY_ORT_DYLIB_PATH").expect("LATENCY_ORT_DYLIB_PATH names the library");
    let environment = ort::init_from(library).expect("the library loads").build().expect("ONNX Runtime starts");
    let predictor = Predictor::builder().environment(environment.clone()).build().expect("the bundled model loads");
    let session = || {
        Session::builder(&environment)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_inter_threads(1)?))
            .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Level1)?))
            .and_then(|mut builder| builder.commit_from_memory(Predictor::bundled_model()))
            .expect("the bundled model loads")
    };
    let mut sessions = [session(), session()];

    println!("model {}, {} features\n", predictor.model_info().version, predictor.model_info().features);
    println!("| rows | bare session, µs per row | this crate, µs per row | this crate / bare |");
    println!("| ---: | ---: | ---: | ---: |");
    for rows in ROWS {
        let paths = Paths::random(rows);
        let batch = paths.batch();
        let matrix = predictor.features(&batch).expect("the paths are valid");
        let path = paths.path(0);
        let bare = |session: &mut Session| run(session, &matrix);
        let ours = || match rows {
            1 => drop(black_box(predictor.predict(&path).expect("the path is valid"))),
            _ => drop(black_box(predictor.predict_batch(&batch).expect("the paths are valid"))),
        };
        let turns = take_turns(patience, || bare(&mut sessions[0]), ours);
        let [bare, ours] = [&turns.first, &turns.second].map(|times| 1e6 * median(times) / rows as f64);
        println!("| {rows} | {bare:.2} | {ours:.2} | {:.3} |", turns.ratio());
    }
    let (path, batch) = (Paths::random(1).path(0), Paths::random(1));
    let (row, matrix) = (Row::from(&path), predictor.features(&batch.batch()).expect("the path is valid"));
    let by_names = || drop(black_box(predictor.predict(&row).expect("the row is valid")));
    let turns = take_turns(patience, || run(&mut sessions[0], &matrix), by_names);
    let [bare, ours] = [&turns.first, &turns.second].map(|times| 1e6 * median(times));
    println!("| 1, a `Row` by names | {bare:.2} | {ours:.2} | {:.3} |", turns.ratio());

    println!("\n| rows | one thread, rows per second | two threads | two / one | bare sessions, two / one |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for rows in ROWS {
        let paths = Paths::random(rows);
        let batch = paths.batch();
        let matrix = predictor.features(&batch).expect("the paths are valid");
        let calls = (4096 / rows).max(1);
        let ours = || {
            for _ in 0..calls {
                black_box(predictor.predict_batch(&batch).expect("the paths are valid"));
            }
        };
        let scaling = take_turns(patience, ours, || in_two_threads([&ours, &ours]));
        let [first, second] = &mut sessions;
        let bare = |session: &mut Session| (0..calls).for_each(|_| run(session, &matrix));
        let mut one = session();
        let bare_scaling = take_turns(patience, || bare(&mut one), || in_two_threads_mut(first, second, &bare));
        let per_second = (calls * rows) as f64 / median(&scaling.first);
        println!(
            "| {rows} | {per_second:.0} | {:.0} | {:.2} | {:.2} |",
            2.0 * (calls * rows) as f64 / median(&scaling.second),
            2.0 / scaling.ratio(),
            2.0 / bare_scaling.ratio()
        );
    }

    let paths = Paths::random(100);
    let src = paths.path(0).src;
    let candidates: Vec<_> = (0..100).map(|row| paths.path(row).dst).collect();
    let same: Vec<_> = candidates.iter().map(|dst| Path::new(src.clone(), dst.clone())).collect();
    let batch = || drop(black_box(predictor.predict_rows(same.iter().map(Ok)).expect("the paths are valid")));
    let rank = || drop(black_box(predictor.rank(&src, &candidates, Some(80.0)).expect("the paths are valid")));
    let turns = take_turns(patience, batch, rank);
    println!("\nrank of 100 candidates / predictions of the same 100 paths: {:.3}", turns.ratio());
    let from_one =
        Paths { src_lat: vec![src.lat(); 100], src_lon: vec![src.lon(); 100], dst_access: vec![None; 100], ..paths };
    let columns = || drop(black_box(predictor.predict_batch(&from_one.batch()).expect("the paths are valid")));
    println!("rank of 100 candidates / a batch of 100 in columns: {:.3}", take_turns(patience, columns, rank).ratio());
}

/// Paths between random positions, half of their destinations with a label: as columns.
struct Paths {
    src_lat: Vec<f64>,
    src_lon: Vec<f64>,
    dst_lat: Vec<f64>,
    dst_lon: Vec<f64>,
    dst_access: Vec<Option<&'static str>>,
}

impl Paths {
    fn random(rows: usize) -> Self {
        let mut state = 7_u64;
        let mut between = |low: f64, high: f64| {
            // Knuth's multiplier; the high bits are good enough for positions.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            low + (high - low) * (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut column = |low: f64, high: f64| (0..rows).map(|_| between(low, high)).collect();
        let labels = Access::ALL.iter().map(|access| Some(access.as_str())).chain([None; 6]);
        Self {
            src_lat: column(-40.0, 60.0),
            src_lon: column(-170.0, 170.0),
            dst_lat: column(-40.0, 60.0),
            dst_lon: column(-170.0, 170.0),
            dst_access: labels.cycle().take(rows).collect(),
        }
    }

    fn path(&self, row: usize) -> Path {
        let end = |lat: &[f64], lon: &[f64]| Endpoint::at(lat[row], lon[row]).expect("the position is on the globe");
        Path::new(end(&self.src_lat, &self.src_lon), end(&self.dst_lat, &self.dst_lon))
    }

    fn batch(&self) -> Batch<'_> {
        Batch::new()
            .with("src_lat", self.src_lat.as_slice())
            .with("src_lon", self.src_lon.as_slice())
            .with("dst_lat", self.dst_lat.as_slice())
            .with("dst_lon", self.dst_lon.as_slice())
            .with("dst_access", self.dst_access.iter().copied().collect::<Column>())
    }
}

fn run(session: &mut Session, matrix: &Array2<f32>) {
    let values = matrix.as_slice().expect("the matrix lies in one piece");
    let input = TensorRef::from_array_view(([matrix.nrows(), matrix.ncols()], values)).expect("the shape fits");
    let outputs = session.run([input.into()]).expect("the model runs");
    let (_, margins) = outputs[0].try_extract_tensor::<f32>().expect("the output is a matrix");
    black_box(margins[0]);
}

fn in_two_threads(work: [&(dyn Fn() + Sync); 2]) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for work in work {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                work();
            });
        }
    });
}

fn in_two_threads_mut(a: &mut Session, b: &mut Session, work: &(dyn Fn(&mut Session) + Sync)) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for session in [a, b] {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                work(session);
            });
        }
    });
}
