//! ONNX Runtime that is not there, or not usable. One test in its own process, because a library once loaded stays.
#![cfg(feature = "load-dynamic")]

use std::path::PathBuf;

use latency_core::{ErrorKind, LIBRARY_VARIABLES, Predictor};

#[test]
fn every_bad_library_is_refused_twice_and_a_good_one_still_loads() {
    let good =
        LIBRARY_VARIABLES.iter().find_map(std::env::var_os).map(PathBuf::from).expect("the tests name a library");
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    let other = std::fs::read_dir("/proc/self/map_files").ok().and_then(|mut files| {
        files.find_map(|file| {
            std::fs::read_link(file.ok()?.path()).ok().filter(|path| path.to_string_lossy().contains("libc.so"))
        })
    });
    let mut bad = vec![
        (PathBuf::from("libonnxruntime.so"), "not an absolute path"),
        (folder.path().join("missing.so"), "cannot be read"),
        (folder.path().to_path_buf(), "is a folder"),
        (text, "not a usable ONNX Runtime library"),
    ];
    bad.extend(other.map(|path| (path, "not a usable ONNX Runtime library")));
    for (path, what) in bad {
        for _ in 0..2 {
            let error = Predictor::builder().library(&path).build().expect_err("the library is not usable");
            assert_eq!(error.kind(), ErrorKind::RuntimeNotLoaded);
            assert!(error.message().contains(what), "{error}");
            assert!(error.message().contains("pip"), "the cure: {error}");
        }
    }
    Predictor::builder().library(&good).sessions(1).build().expect("a good library loads after bad ones");
    let error = Predictor::builder().library(folder.path().join("other.so")).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RuntimeNotLoaded);
    assert!(error.message().contains("already loaded"), "{error}");
}
