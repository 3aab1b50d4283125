//! The examples run, and print what they say they print.
//!
//! `cargo test` builds them; `cargo test --test examples` alone does not: `cargo build --examples` with the same profile
//! first.
#![cfg(all(feature = "load-dynamic", feature = "bundled-model", feature = "places"))]

use std::path::Path;
use std::process::{Command, Output};

/// An example with its arguments; its library is the one of the tests.
fn example(name: &str, arguments: &[&str]) -> Output {
    // <target>/<profile>/deps/<this>, and <target>/<profile>/examples/<name>
    let this = std::env::current_exe().expect("a test knows its file");
    let profile = this.ancestors().nth(2).expect("tests lie in the profile's folder `deps`");
    let file = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("rs");
    let [written, built] = [&source, &file].map(|file| file.metadata().and_then(|found| found.modified()).ok());
    assert!(built >= written, "{} is missing, or older than its source: run `cargo build --examples`", file.display());
    Command::new(file).args(arguments).output().expect("it runs")
}

/// Its lines on standard output, if it ends well.
fn lines(name: &str, arguments: &[&str]) -> Vec<String> {
    let output = example(name, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{name} {arguments:?}: {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// What it says on standard error, and its exit code, if it does not.
fn failure(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = example(name, arguments);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// The numbers of a line.
fn numbers(line: &str) -> Vec<f64> {
    line.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn single() {
    let found = lines("single", &[]);
    assert!(found[0].starts_with("London to aws:ap-northeast-1, model latency "), "{found:#?}");
    let [p50, low, high] = numbers(&found[1])[..] else { panic!("{found:#?}") };
    assert!(95.0 < low && low < p50 && p50 < high && high < 400.0, "{found:#?}");
    assert_eq!(found[5], "not given: src_access, dst_access, src_provider, src_tier, dst_tier");

    let far = lines("single", &["-77.85,166.67", "London", "starlink"]);
    assert!(far.iter().any(|line| line.starts_with("OUT_OF_RANGE: src_lat: ")), "{far:#?}");
    assert!(!far.last().unwrap().contains("src_access"), "{far:#?}");

    let (code, message) = failure("single", &["London", "Springfield"]);
    assert_eq!(code, Some(1));
    assert!(message.starts_with("dst: ") && message.contains("Springfield, MO"), "{message}");
    assert_eq!(failure("single", &["London", "Tokyo", "dialup"]).0, Some(1));
}

#[test]
fn batch() {
    let found = lines("batch", &["2000"]);
    assert!(found[0].starts_with("Lisbon ") && found[0].ends_with(" ms, missing 4"), "{found:#?}");
    assert!(found[2].starts_with("Nairobi ") && found[2].ends_with(" ms, missing 5"), "{found:#?}");
    assert!(found[3].starts_with("floors [15.9, "), "{found:#?}");
    assert!(found[4].starts_with("row 2: src_lat: "), "{found:#?}");
    assert!(found.last().unwrap().starts_with("2000 rows in "), "{found:#?}");
}

#[test]
fn rank_regions() {
    let found = lines("rank_regions", &[]);
    assert!(found[0].contains(" regions aws: from 38.73,-9.15 over wifi"), "{found:#?}");
    assert!(found[1].starts_with("region ") && found[1].ends_with("P(≤80)"), "{found:#?}");
    let rows: Vec<_> = found[2..].iter().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row[0].starts_with("aws:")), "{found:#?}");
    let medians: Vec<f64> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
    assert!(medians.is_sorted() && medians[0] < 60.0, "{found:#?}");

    let gcp = lines("rank_regions", &["Nairobi", "gcp:europe", "150", "cellular"]);
    assert!(gcp[2..].iter().all(|line| line.starts_with("gcp:europe")), "{gcp:#?}");
    assert_eq!(lines("rank_regions", &["Nairobi", "aws:none-of-these"]).len(), 2);
    assert_eq!(
        failure("rank_regions", &["Lisbon", "aws:", "soon"]),
        (Some(1), "the budget is a number of ms\n".into())
    );
    assert!(failure("rank_regions", &["Lisbon", "aws:", "-1"]).1.starts_with("budget_ms: "));
}

#[test]
fn timeout() {
    let found = lines("timeout", &["London", "Tokyo", "15"]);
    assert_eq!(found[0], "London to Tokyo, of which the server 15 ms");
    let waits: Vec<f64> = found[1..].iter().map(|line| *numbers(line).last().unwrap()).collect();
    assert!(waits.is_sorted() && waits[0] > 110.0 && waits[1] < 1000.0, "{found:#?}");
    assert_eq!(failure("timeout", &["London", "Tokyo", "-1"]).0, Some(1));
}

#[test]
fn own_model() {
    let found = lines("own_model", &[]);
    assert!(found[0].starts_with("model own "), "{found:#?}");
    assert_eq!(found[2], "  link       optional  fibre, radio");
    assert!(found[4].starts_with("median ") && found[5] == "not given: load", "{found:#?}");

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/own.onnx");
    let far = lines("own_model", &[file, "hops=40", "link=radio", "load=0.5"]);
    assert!(far.last().unwrap().starts_with("hops: "), "{far:#?}");
    assert_eq!(failure("own_model", &["missing.onnx"]).0, Some(1));
}

#[test]
fn custom_library() {
    let library = latency_core::LIBRARY_VARIABLES.iter().find_map(std::env::var_os).expect("the tests name a library");
    for arguments in [vec![], vec![library.to_str().expect("UTF-8")]] {
        assert!(lines("custom_library", &arguments)[0].starts_with("onnxruntime: London to Tokyo "));
    }
    for wrong in ["libonnxruntime.so", file!(), "/nowhere/libonnxruntime.so"] {
        let (code, message) = failure("custom_library", &[wrong]);
        assert_eq!(code, Some(2));
        assert!(message.starts_with("RUNTIME_NOT_LOADED: ") && message.contains("\n  library: "), "{message}");
    }
}
