//! The native engine beside bare ONNX Runtime sessions, on the same rows.
//!
//! `make bench` prints ratios from one run. Both sides take turns, call by call, and each ratio is the median over all
//! turns, so that a busy machine disturbs both alike.

use std::cell::Cell;
use std::hint::black_box;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use latency_core::{Batch, Endpoint, Engine, NativeModel, Path, Predictor};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

#[path = "../tests/common/forest.rs"]
mod forest;
#[path = "../tests/common/onnx.rs"]
mod onnx;
mod turns;

use forest::{Forest, Random, Shape};
use turns::{median, take_turns};

/// Time for each line of the tables.
const PATIENCE: Duration = Duration::from_secs(4);
const COLUMNS: usize = 12;

fn main() {
    // `cargo test --benches` only wants to know that this runs.
    let patience = if std::env::args().any(|argument| argument == "--bench") { PATIENCE } else { Duration::ZERO };
    let library = std::env::var_os("LATENCY_ORT_DYLIB_PATH").expect("LATENCY_ORT_DYLIB_PATH names the library");
    let environment = ort::init_from(library).expect("the library loads").build().expect("ONNX Runtime starts");

    let mut random = Random(7);
    let trees = |columns: usize, depth: usize, branches: usize, thresholds: usize, random: &mut Random| {
        let thresholds = (0..columns).map(|_| (0..thresholds).map(|_| random.unit()).collect()).collect();
        let shape = Shape {
            trees: 300,
            columns,
            targets: 1,
            depth,
            branches,
            ends: 0,
            thresholds,
            modes: &["BRANCH_LT"],
            missing: 50,
            several_targets: false,
            base: false,
        };
        Forest::random(&shape, random).graph().file()
    };
    let even = trees(COLUMNS, 6, 63, 254, &mut random);
    println!("| model | rows | ONNX Runtime, µs per row | native, µs per row | ONNX Runtime / native |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let title = "300 trees of depth 6, 12 features";
    compare(title, &environment, &even, COLUMNS, &[1, 8, 32, 1024, 65_536], patience, &mut random);
    let deeper = trees(COLUMNS, 8, 255, 254, &mut random);
    compare("300 trees of depth 8, 12 features", &environment, &deeper, COLUMNS, &[1, 1024], patience, &mut random);
    let deep = trees(COLUMNS, 12, 300, 254, &mut random);
    compare("300 trees of 300 branches, 12 features", &environment, &deep, COLUMNS, &[1, 1024], patience, &mut random);
    let apart = trees(COLUMNS, 6, 63, 0, &mut random);
    let title = "300 trees of depth 6, 12 features, no threshold twice";
    compare(title, &environment, &apart, COLUMNS, &[1, 1024], patience, &mut random);

    for columns in [49, 100] {
        let wide = trees(columns, 6, 63, 254, &mut random);
        let title = format!("300 trees of depth 6, {columns} features");
        compare(&title, &environment, &wide, columns, &[1, 1024], patience, &mut random);
    }

    let native = Predictor::builder().engine(Engine::Native).build().expect("the bundled model loads");
    let features = native.model_info().features;
    let bundled = Predictor::bundled_model();
    compare("the bundled model", &environment, bundled, features, &[1, 1024], patience, &mut random);

    let built = |engine| {
        let builder = Predictor::builder().engine(engine).sessions(1);
        let builder = if engine == Engine::OnnxRuntime { builder.environment(environment.clone()) } else { builder };
        builder.build().expect("the bundled model loads")
    };
    let (reference, native) = (built(Engine::OnnxRuntime), built(Engine::Native));
    println!("\n| bundled model | ONNX Runtime, µs | native, µs | ONNX Runtime / native |");
    println!("| --- | ---: | ---: | ---: |");
    let anywhere: Vec<_> = (0..1000).map(|_| path(&mut random)).collect();
    for (between, paths) in [("random positions", anywhere), ("cities", between_cities())] {
        let ask = |predictor: &Predictor, at: &Cell<usize>| {
            for _ in 0..100 {
                at.set((at.get() + 1) % paths.len());
                black_box(predictor.predict(&paths[at.get()]).expect("the path is valid"));
            }
        };
        let (a, b) = (Cell::new(0), Cell::new(0));
        let turns = take_turns(patience, || ask(&reference, &a), || ask(&native, &b));
        let [reference_us, native_us] = [&turns.first, &turns.second].map(|times| 1e6 * median(times) / 100.0);
        let title = format!("`predict(&path)`, whole, between {between}");
        println!("| {title} | {reference_us:.2} | {native_us:.2} | {:.2} |", 1.0 / turns.ratio());
    }
    in_threads(&reference, patience, &mut random);
    let load = |engine| drop(black_box(built(engine)));
    let turns = take_turns(patience, || load(Engine::OnnxRuntime), || load(Engine::Native));
    let [reference_us, native_us] = [&turns.first, &turns.second].map(|times| 1e6 * median(times));
    println!("| load | {reference_us:.0} | {native_us:.0} | {:.2} |", 1.0 / turns.ratio());
    let read = || drop(black_box(NativeModel::from_onnx(bundled).expect("the bundled model loads")));
    println!("| of which the trees | | {:.0} | |", 1e6 * median(&take_turns(patience, || {}, read).second));
}

fn compare(
    title: &str,
    environment: &Environment,
    model: &[u8],
    columns: usize,
    sizes: &[usize],
    patience: Duration,
    random: &mut Random,
) {
    let mut session = session(environment, model);
    let native = NativeModel::from_onnx(model).expect("the native engine takes the model");
    let portable = NativeModel::from_onnx(model).expect("the native engine takes the model").portable();
    let targets = session.outputs()[0].dtype().tensor_shape().expect("a tensor")[1].unsigned_abs() as usize;
    for rows in sizes {
        // Many different ones, so that no branch is learned by heart.
        let calls = (4096 / rows).max(1);
        let matrix: Vec<f32> = (0..calls * rows * columns).map(|_| random.unit()).collect();
        let mut margins = vec![0.0; rows * targets];
        let bare = || matrix.chunks(rows * columns).for_each(|matrix| run(&mut session, matrix, *rows, columns));
        let ours = |model: &NativeModel, margins: &mut [f32]| {
            for matrix in matrix.chunks(rows * columns) {
                model.fill(matrix, margins);
                black_box(margins[0]);
            }
        };
        let turns = take_turns(patience, bare, || ours(&native, &mut margins));
        let [bare, ours_us] = [&turns.first, &turns.second].map(|times| 1e6 * median(times) / (calls * rows) as f64);
        println!("| {title} | {rows} | {bare:.3} | {ours_us:.3} | {:.2} |", 1.0 / turns.ratio());
        let mut other = margins.clone();
        let turns = take_turns(patience, || ours(&portable, &mut other), || ours(&native, &mut margins));
        let portable_us = 1e6 * median(&turns.first) / (calls * rows) as f64;
        println!("| the same without AVX2 | {rows} | | {portable_us:.3} | {:.2} |", bare / portable_us);
    }
}

/// A whole batch, coordinates in and predictions out. What two threads can give at all on this machine show two predictors
/// that have half of the rows each, and nothing in common.
fn in_threads(reference: &Predictor, patience: Duration, random: &mut Random) {
    const ROWS: usize = 65_536;
    let mut column = |most: f32| (0..ROWS).map(|_| f64::from(random.unit() * most)).collect::<Vec<_>>();
    let columns = [60.0, 170.0, 60.0, 170.0].map(&mut column);
    let names = ["src_lat", "src_lon", "dst_lat", "dst_lon"];
    let rows = |rows: Range<usize>| {
        let columns = names.into_iter().zip(&columns);
        columns.fold(Batch::new(), |batch, (name, column)| batch.with(name, &column[rows.clone()]))
    };
    let ask = |predictor: &Predictor, batch: &Batch<'_>| {
        drop(black_box(predictor.predict_batch(batch).expect("the batch is valid")));
    };
    let [one, two, other] = [1, 2, 1].map(|threads| {
        Predictor::builder().engine(Engine::Native).threads(threads).build().expect("the bundled model loads")
    });
    let (all, halves) = (rows(0..ROWS), [rows(0..ROWS / 2), rows(ROWS / 2..ROWS)]);
    let turns = take_turns(patience, || ask(reference, &all), || ask(&one, &all));
    let [reference_us, one_us] = [&turns.first, &turns.second].map(|times| 1e6 * median(times));
    println!("| `predict_batch` of {ROWS} paths | {reference_us:.0} | {one_us:.0} | {:.2} |", 1.0 / turns.ratio());
    let apart = || {
        thread::scope(|scope| {
            scope.spawn(|| ask(&other, &halves[1]));
            ask(&one, &halves[0]);
        });
    };
    for (title, turns) in [
        ("two threads", take_turns(patience, || ask(&two, &all), || ask(&one, &all))),
        ("two predictors, half of the rows each", take_turns(patience, apart, || ask(&one, &all))),
    ] {
        println!("| one thread / {title} | | {:.0} | {:.2} |", 1e6 * median(&turns.first), turns.ratio());
    }
}

fn path(random: &mut Random) -> Path {
    let mut end = || {
        let (lat, lon) = (f64::from(random.unit()) * 60.0, f64::from(random.unit()) * 170.0);
        Endpoint::at(lat, lon).expect("the position is on the globe")
    };
    Path::new(end(), end())
}

fn between_cities() -> Vec<Path> {
    let cities =
        ["London", "Tokyo", "Frankfurt", "New York", "Sydney", "Mumbai", "Sao Paulo", "Singapore", "Madrid", "Toronto"];
    let pairs = cities.iter().flat_map(|src| cities.iter().map(move |dst| (src, dst)));
    pairs.map(|(src, dst)| Path::between(src, dst).expect("the cities are known")).collect()
}

fn session(environment: &Environment, model: &[u8]) -> Session {
    Session::builder(environment)
        .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_inter_threads(1)?))
        .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Level1)?))
        .and_then(|mut builder| builder.commit_from_memory(model))
        .expect("ONNX Runtime takes the model")
}

fn run(session: &mut Session, matrix: &[f32], rows: usize, columns: usize) {
    let input = TensorRef::from_array_view(([rows, columns], matrix)).expect("the shape fits");
    let outputs = session.run([input.into()]).expect("the model runs");
    let (_, margins) = outputs[0].try_extract_tensor::<f32>().expect("the output is a matrix");
    black_box(margins[0]);
}
