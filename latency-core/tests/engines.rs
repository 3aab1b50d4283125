//! The native engine, with and without special instructions, beside ONNX Runtime: the same bits for random trees.

#![cfg(all(feature = "onnxruntime", feature = "load-dynamic", feature = "native"))]

use latency_core::NativeModel;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

#[path = "common/forest.rs"]
mod forest;
#[path = "common/onnx.rs"]
mod onnx;

use forest::{Forest, Random, Shape};

const FORESTS: u64 = 240;
/// Nodes of one forest at most: ONNX Runtime is slow to load more.
const MOST_NODES: usize = 40_000;

/// Values that comparisons break at.
const EDGES: [f32; 14] = [
    0.0,
    -0.0,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    // The smallest denormal numbers, and a negative NaN.
    f32::from_bits(1),
    f32::from_bits(0x8000_0001),
    f32::from_bits(0x007F_FFFF),
    f32::from_bits(0xFFC0_0000),
    1.0,
];

fn environment() -> Environment {
    let library = std::env::var_os("LATENCY_ORT_DYLIB_PATH").expect("LATENCY_ORT_DYLIB_PATH names the library");
    ort::init_from(library).expect("the library loads").build().expect("ONNX Runtime starts")
}

fn reference(environment: &Environment, model: &[u8]) -> Session {
    Session::builder(environment)
        .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_inter_threads(1)?))
        .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Level1)?))
        .and_then(|mut builder| builder.commit_from_memory(model))
        .expect("ONNX Runtime takes the model")
}

fn run(session: &mut Session, matrix: &[f32], columns: usize) -> Vec<f32> {
    let input = TensorRef::from_array_view(([matrix.len() / columns, columns], matrix)).expect("the shape fits");
    let outputs = session.run([input.into()]).expect("the model runs");
    outputs[0].try_extract_tensor::<f32>().expect("the output is a matrix").1.to_vec()
}

fn shape(random: &mut Random, number: u64) -> Shape {
    let depth = 1 + random.below(12);
    // Complete trees, thin ones, and all between; a quarter of the forests is of many small trees.
    let branches = match random.below(4) {
        0 => (1 << depth) - 1,
        1 => depth + random.below(4),
        _ => 1 + random.below((1 << depth.min(10)) - 1),
    };
    let most = (MOST_NODES / (2 * branches + 1)).clamp(1, 2000);
    let trees = if number.is_multiple_of(4) { most } else { 1 + random.below(most) };
    let widest = [3, 12, 30, 100][random.below(4)];
    let columns = 1 + random.below(widest);
    let choices = [0, 1, 3, 40, 254, 600][random.below(6)];
    // Categories are whole numbers: some forests ask for nothing else.
    let categories = random.chance(20);
    let threshold = |random: &mut Random| match random.below(12) {
        _ if categories => random.below(40) as f32,
        // No threshold of XGBoost's is NaN.
        0 => EDGES.into_iter().filter(|edge| !edge.is_nan()).nth(random.below(12)).unwrap_or(0.0),
        1 => f32::from_bits(random.next() as u32 & 0x807F_FFFF),
        2 => random.unit() * 1e6,
        _ => random.unit(),
    };
    Shape {
        trees,
        columns,
        targets: 1 + random.below(5),
        depth,
        branches,
        ends: [0, 0, 5, 30][random.below(4)],
        thresholds: (0..columns).map(|_| (0..choices).map(|_| threshold(random)).collect()).collect(),
        modes: match random.below(10) {
            5.. if categories => &["BRANCH_EQ"],
            0..7 => &["BRANCH_LT"],
            7 => &["BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE"],
            8 => &["BRANCH_LT", "BRANCH_EQ"],
            _ => &["BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE", "BRANCH_EQ", "BRANCH_NEQ"],
        },
        missing: [0, 50, 100][random.below(3)],
        several_targets: random.chance(10),
        base: random.chance(20),
    }
}

/// Rows of numbers near the thresholds, on them, and far away.
fn rows(forest: &Forest, count: usize, random: &mut Random) -> Vec<f32> {
    (0..count * forest.columns)
        .map(|cell| {
            let of_this_column = (0..8).map(|_| random.below(forest.values.len())).collect::<Vec<_>>();
            let column = (cell % forest.columns) as u64;
            let split = of_this_column.into_iter().find(|node| forest.features[*node] == column);
            let threshold = split.map_or(0.0, |node| forest.values[node]);
            match random.below(10) {
                0 => EDGES[random.below(EDGES.len())],
                1..=3 => threshold,
                4 => threshold.next_up(),
                5 => threshold.next_down(),
                6 => random.below(40) as f32,
                _ => random.unit(),
            }
        })
        .collect()
}

fn assert_same(what: &str, number: u64, shape: &Shape, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let other = found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    if let Some(place) = other {
        let (row, target) = (place / shape.targets, place % shape.targets);
        panic!(
            "forest {number}, {what}, row {row}, target {target}: found {}, expected {}; {} trees, {shape:?}",
            found[place],
            expected[place],
            shape.trees,
            shape = Shape { thresholds: Vec::new(), ..shape.clone() }
        );
    }
}

#[test]
fn random_trees_give_the_bits_of_onnx_runtime() {
    let environment = environment();
    // Under valgrind a few take long enough.
    let forests = std::env::var("LATENCY_FORESTS").map_or(FORESTS, |count| count.parse().expect("a number"));
    for number in 0..forests {
        let mut random = Random(number);
        let shape = shape(&mut random, number);
        let forest = Forest::random(&shape, &mut random);
        let model = forest.graph().file();
        let mut session = reference(&environment, &model);
        let native = NativeModel::from_onnx(&model).expect("the native engine takes the model");
        let portable = NativeModel::from_onnx(&model).expect("the native engine takes the model").portable();

        let count = [1, 2, 15, 16, 31, 32, 33, 127, 128, 129, 300][random.below(11)];
        let matrix = rows(&forest, count, &mut random);
        let expected = run(&mut session, &matrix, forest.columns);
        let mut found = vec![f32::NAN; expected.len()];
        native.fill(&matrix, &mut found);
        assert_same("batch", number, &shape, &found, &expected);
        found.fill(f32::NAN);
        portable.fill(&matrix, &mut found);
        assert_same("portable", number, &shape, &found, &expected);

        let mut single = vec![f32::NAN; shape.targets];
        for (row, expected) in matrix.chunks(forest.columns).zip(expected.chunks(shape.targets)).take(20) {
            assert_same("single by ONNX Runtime", number, &shape, &run(&mut session, row, forest.columns), expected);
            single.fill(f32::NAN);
            native.fill(row, &mut single);
            assert_same("single", number, &shape, &single, expected);
        }
    }
}
