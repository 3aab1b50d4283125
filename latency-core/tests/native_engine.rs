//! Files that the native engine refuses, each with what was found and what is allowed; and how an engine is chosen.

#![cfg(feature = "native")]

use latency_core::{Engine, ErrorKind, NativeModel};

#[path = "common/forest.rs"]
mod forest;
#[path = "common/onnx.rs"]
mod onnx;

use forest::{Forest, Random, Shape};
use onnx::{F64, Graph, Matrix, float_list, identity, integer, integers, matrix, string, strings};

fn forest() -> Forest {
    let shape = Shape {
        trees: 3,
        columns: 4,
        targets: 2,
        depth: 3,
        branches: 7,
        ends: 0,
        thresholds: Vec::new(),
        modes: &["BRANCH_LT"],
        missing: 50,
        several_targets: false,
        base: false,
    };
    Forest::random(&shape, &mut Random(1))
}

#[track_caller]
fn refuse(model: &[u8], found: &str) {
    let error = NativeModel::from_onnx(model).expect_err("the native engine cannot run this");
    assert_eq!(error.kind(), ErrorKind::InvalidModel, "{error}");
    let message = error.message();
    assert!(message.contains(&format!("found {found}")), "{message}");
    assert!(message.contains("; allowed: ") && message.contains("latency train"), "{message}");
}

/// Refuses the forest after this change.
#[track_caller]
fn refuse_changed(change: impl FnOnce(&mut Forest), found: &str) {
    let mut forest = forest();
    change(&mut forest);
    refuse(&forest.graph().file(), found);
}

#[test]
fn a_good_one_runs() {
    let native = NativeModel::from_onnx(&forest().graph().file()).unwrap();
    let mut margins = [f32::NAN; 4];
    native.fill(&[0.5; 8], &mut margins);
    assert!(margins.iter().all(|margin| margin.is_finite()) && margins[..2] == margins[2..], "{margins:?}");
}

#[test]
fn other_graphs() {
    refuse(b"", "no graph");
    refuse(&identity(3).file(), "the operator `Identity` of the domain ``");
    let graph = forest().graph();
    refuse(&Graph { domain: "", ..graph }.file(), "the operator `TreeEnsembleRegressor` of the domain ``");
    let graph = forest().graph();
    refuse(&Graph { operation: "TreeEnsembleClassifier", ..graph }.file(), "the operator `TreeEnsembleClassifier`");
    let graph = forest().graph();
    refuse(&Graph { inputs: vec![matrix("x", 4), matrix("z", 4)], ..graph }.file(), "a graph with 2 inputs");
    let graph = forest().graph();
    refuse(&Graph { outputs: Vec::new(), ..graph }.file(), "a graph with 0 outputs");
    let graph = forest().graph();
    let doubles = Matrix { name: "x", element: F64, shape: vec![None, Some(4)] };
    refuse(&Graph { inputs: vec![doubles], ..graph }.file(), "an input of ONNX's element type 11");
    let graph = forest().graph();
    let flat = Matrix { name: "x", element: 1, shape: vec![Some(4)] };
    refuse(&Graph { inputs: vec![flat], ..graph }.file(), "an input of 1 dimensions, the last of 4");
    let graph = forest().graph();
    let open = Matrix { name: "x", element: 1, shape: vec![None, None] };
    refuse(
        &Graph { inputs: vec![open], ..graph }.file(),
        "an input of 2 dimensions, the last of a size that is not given",
    );
    let graph = forest().graph();
    refuse(&Graph { outputs: vec![matrix("y", 3)], ..graph }.file(), "2 targets for a matrix of 3 columns");
    let twice = forest().graph().file().repeat(2);
    refuse(&twice, "two graphs");
}

#[test]
fn other_attributes() {
    for (attribute, found) in [
        (string("aggregate_function", "AVERAGE"), "`AVERAGE` for `aggregate_function`"),
        (string("post_transform", "LOGISTIC"), "`LOGISTIC` for `post_transform`"),
        (float_list("base_values", &[1.0]), "1 base_values for 2 targets"),
        (float_list("nodes_values_as_tensor", &[]), "the attribute `nodes_values_as_tensor`"),
        (integer("n_targets", u64::MAX), "n_targets = -1"),
        (strings("nodes_modes", &["BRANCH_MEMBER"]), "a node of the mode `BRANCH_MEMBER`"),
        (integers("nodes_nodeids", &[1]), "`nodes_nodeids` of length 1 for 45 nodes"),
        (
            integers("nodes_missing_value_tracks_true", &[1]),
            "`nodes_missing_value_tracks_true` of length 1 for 45 nodes",
        ),
        (integers("target_ids", &[1]), "`target_ids` of length 1 for 24 weights"),
        (integers("nodes_treeids", &[]), "0 nodes"),
    ] {
        let mut graph = forest().graph();
        let name = |attribute: &[u8]| attribute[2..2 + usize::from(attribute[1])].to_vec();
        graph.attributes.retain(|other| name(other) != name(&attribute));
        graph.attributes.push(attribute.clone());
        refuse(&graph.file(), found);
    }
    let mut graph = forest().graph();
    graph.attributes.push(string("post_transform", "NONE"));
    refuse(&graph.file(), "the attribute `post_transform` twice");
}

#[test]
fn trees_that_are_none() {
    refuse_changed(|forest| forest.values[0] = f32::NAN, "NaN as the threshold of node 0 of tree 0");
    refuse_changed(|forest| forest.features[0] = 4, "a branch on feature 4; allowed: 0 to 3");
    refuse_changed(|forest| forest.features[0] = u64::MAX, "a branch on feature -1");
    refuse_changed(|forest| forest.yes[1] = 99, "node 1 of tree 0 leading to node 99");
    refuse_changed(|forest| forest.yes[1] = 0, "node 1 of tree 0 leading to node 0");
    refuse_changed(|forest| forest.yes[1] = forest.no[1], "a node that is reached by two ways");
    refuse_changed(|forest| forest.yes[1] = 1, "a node that is reached by two ways");
    refuse_changed(|forest| forest.tree_ids[40] = 0, "the nodes of tree 0 in several places");
    refuse_changed(|forest| forest.node_ids[4] = 3, "a node's number twice in tree 0");
    refuse_changed(|forest| forest.weights[0] = f32::INFINITY, "the weight inf in tree 0");
    refuse_changed(|forest| forest.weight_targets[0] = 2, "a weight for target 2; allowed: 0 to 1");
    refuse_changed(|forest| forest.weight_nodes[0] = 0, "a weight for node 0 of tree 0, which is no leaf");
    refuse_changed(|forest| forest.weight_nodes[0] = forest.weight_nodes[1], "two weights of one leaf for target");
    refuse_changed(
        |forest| {
            for list in [&mut forest.weight_trees, &mut forest.weight_nodes, &mut forest.weight_targets] {
                list.remove(0);
            }
            forest.weights.remove(0);
        },
        "no weight for leaf",
    );
    refuse_changed(
        |forest| {
            forest.base = vec![0.5; 2];
            forest.weight_targets.fill(0);
        },
        "the base value 0.5 for target 1, to which no tree always adds",
    );
}

#[test]
fn numbers_of_nodes_need_not_count() {
    let (mut forest, matrix) = (forest(), [0.1, -0.3, 0.7, f32::NAN]);
    let run = |forest: &Forest| {
        let mut margins = [f32::NAN; 2];
        NativeModel::from_onnx(&forest.graph().file()).unwrap().fill(&matrix, &mut margins);
        margins
    };
    let expected = run(&forest);
    for list in [&mut forest.node_ids, &mut forest.yes, &mut forest.no, &mut forest.weight_nodes] {
        for number in list.iter_mut() {
            *number = 1000 - 7 * *number;
        }
    }
    assert_eq!(run(&forest), expected);
}

/// No byte makes it panic, or take memory that the file does not have.
#[test]
fn files_that_were_cut_or_changed() {
    let good = forest().graph().file();
    // The last 20 bytes are the versions of operators, which it does not ask for.
    for length in 0..good.len() - 20 {
        assert!(NativeModel::from_onnx(&good[..length]).is_err(), "{length}");
    }
    let mut random = Random(5);
    for _ in 0..20_000 {
        let mut changed = good.clone();
        for _ in 0..=random.below(3) {
            let place = random.below(changed.len());
            changed[place] = [0, 1, 127, 128, 255, random.next() as u8][random.below(6)];
        }
        if let Ok(native) = NativeModel::from_onnx(&changed) {
            drop(native.portable());
        }
    }
}

#[test]
fn an_engine_has_a_word() {
    for engine in Engine::ALL {
        assert_eq!(engine.as_str().to_uppercase().parse::<Engine>().unwrap(), *engine);
    }
    let error = "xgboost".parse::<Engine>().unwrap_err();
    assert_eq!(error.to_string(), "found \"xgboost\"; allowed: onnxruntime, native");
}

#[cfg(feature = "bundled-model")]
mod predictor {
    use latency_core::{Engine, ErrorKind, Predictor};

    #[test]
    fn it_says_which_engine_it_has() {
        let native = Predictor::builder().engine(Engine::Native).build().unwrap();
        assert_eq!((native.model_info().engine.as_ref(), native.model_info().tag().engine), ("native", "native"));
    }

    #[test]
    fn it_needs_no_library() {
        let builder = Predictor::builder().engine(Engine::Native);
        #[cfg(feature = "load-dynamic")]
        let builder = builder.library("/no/such/library.so");
        assert!(builder.build().is_ok());
    }

    #[test]
    fn a_model_that_is_no_trees_is_refused() {
        let error = Predictor::builder().engine(Engine::Native).bytes(*b"not a model").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
    }

    /// In a process of its own, which has the variable from its start.
    #[test]
    fn the_environment_names_one() {
        let child = std::env::var_os("LATENCY_TEST_CHILD").is_some();
        if child {
            match Predictor::builder().build() {
                Ok(predictor) => println!("engine {}", predictor.model_info().engine),
                Err(error) => println!("error {error}"),
            }
            return;
        }
        for (word, expected) in [
            ("Native", "engine native"),
            ("magic", "error LATENCY_ENGINE: found \"magic\"; allowed: onnxruntime, native"),
        ] {
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "predictor::the_environment_names_one", "--nocapture"])
                .envs([("LATENCY_TEST_CHILD", "1"), ("LATENCY_ENGINE", word)])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains(expected), "{said}");
        }
    }
}

/// Whole batches, over the bounds of what a thread does at once: numbers, warnings and missing fields, errors and their rows.
#[cfg(feature = "bundled-model")]
#[test]
fn any_number_of_threads_gives_the_same() {
    use latency_core::{Batch, Cancel, Column, Engine, ErrorKind, Predictor};

    const ROWS: usize = 70_000;
    let built = |threads| Predictor::builder().engine(Engine::Native).threads(threads).build().unwrap();
    let (one, mut random) = (built(1), Random(5));
    let mut column = |most: f32| (0..ROWS).map(|_| f64::from(random.unit() * most)).collect::<Vec<_>>();
    let [src_lat, src_lon, mut dst_lat, dst_lon] = [90.0, 180.0, 90.0, 180.0].map(&mut column);
    let access: Column<'_> = (0..ROWS).map(|row| (row % 3 == 0).then_some("wifi")).collect();
    let batch = |dst_lat: &[f64]| {
        let numbers = [("src_lat", &src_lat[..]), ("src_lon", &src_lon), ("dst_lat", dst_lat), ("dst_lon", &dst_lon)];
        let batch = Batch::new().with("src_access", access.clone()).with("weather", vec![1.0; ROWS]);
        numbers.into_iter().fold(batch, |batch, (name, values)| batch.with(name, values.to_vec()))
    };
    let good = batch(&dst_lat);
    let expected = one.predict_batch(&good).unwrap();
    assert!(expected.notes.warnings.len() > ROWS / 2, "most positions are far from what training saw");
    (dst_lat[7], dst_lat[50_000]) = (91.0, f64::NAN);
    let bad = batch(&dst_lat);
    let (expected_valid, expected_errors) = one.predict_valid_rows(&bad).unwrap();
    assert_eq!(expected_errors.iter().map(latency_core::Error::row).collect::<Vec<_>>(), [Some(7), Some(50_000)]);
    for threads in [2, 7, 1000] {
        let several = built(threads);
        assert_eq!(several.predict_batch(&good).unwrap(), expected);
        let (valid, errors) = several.predict_valid_rows(&bad).unwrap();
        // NaN equals nothing.
        assert_eq!(format!("{valid:?}"), format!("{expected_valid:?}"));
        assert_eq!(format!("{errors:?}"), format!("{expected_errors:?}"));
        let cancel = Cancel::new();
        cancel.cancel();
        assert_eq!(several.with_cancel(cancel).predict_batch(&good).unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
