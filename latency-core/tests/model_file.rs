//! Model files that must not load: each is refused with the kind that says why.

use latency_core::{Error, ErrorKind, Predictor};

fn refuse(model: impl Into<Vec<u8>>) -> Error {
    Predictor::builder().sessions(1).bytes(model).build().expect_err("this is no usable model")
}

/// The bundled model with one piece of its text replaced by another of the same length.
fn bundled_with(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let model = Predictor::bundled_model();
    let at = model.windows(from.len()).position(|window| window == from.as_bytes()).expect("the text is in the file");
    let mut changed = model.to_vec();
    changed[at..at + to.len()].copy_from_slice(to.as_bytes());
    changed
}

#[test]
fn files_that_are_cut_short_or_not_onnx() {
    let model = Predictor::bundled_model();
    for bytes in [&model[..model.len() / 2], &model[..100], b"not a model".as_slice(), b""] {
        let error = refuse(bytes);
        assert!(matches!(error.kind(), ErrorKind::InvalidModel | ErrorKind::InvalidSchema), "{error:?}");
        assert!(error.message().contains("latency train"), "{error}");
    }
}

#[test]
fn a_model_without_our_schema() {
    let error = refuse(bundled_with("latency.schema", "another.schema"));
    assert_eq!(error.kind(), ErrorKind::InvalidSchema);
    assert!(error.message().contains("no metadata `latency.schema`"), "{error}");
}

#[test]
fn a_schema_of_another_format_or_with_a_flaw() {
    let error = refuse(bundled_with("\"format\":1", "\"format\":7"));
    assert_eq!(error.kind(), ErrorKind::InvalidSchema);
    assert!(error.message().contains("found schema format 7; this version reads format 1"), "{error}");
    let error = refuse(bundled_with("\"kind\":\"distance_km\"", "\"kind\":\"distance_mi\""));
    assert_eq!(error.kind(), ErrorKind::InvalidSchema);
    let error = refuse(bundled_with("\"name\":\"p50_ms\"", "\"name\":\"low_ms\""));
    assert_eq!(error.kind(), ErrorKind::InvalidSchema);
}

#[test]
fn a_model_that_fails_its_golden_rows() {
    let text = String::from_utf8_lossy(Predictor::bundled_model()).into_owned();
    let start = text.find("\"prediction\":{\"p50_ms\":").expect("golden rows are in the file")
        + "\"prediction\":{\"p50_ms\":".len();
    let digits = &text[start..start + 2];
    let other = if digits == "11" { "22" } else { "11" };
    let error = refuse(bundled_with(
        &format!("\"prediction\":{{\"p50_ms\":{digits}"),
        &format!("\"prediction\":{{\"p50_ms\":{other}"),
    ));
    assert_eq!(error.kind(), ErrorKind::GoldenMismatch);
    assert!(error.message().contains("golden row 0 gives p50_ms"), "{error}");
}

#[test]
fn a_file_that_is_not_there() {
    let error = Predictor::builder().file("no/such/model.onnx").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ModelNotReadable);
    assert!(error.message().contains("no/such/model.onnx"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_copy_of_the_bundled_model_loads_from_file_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, Predictor::bundled_model()).unwrap();
    let from_file = Predictor::builder().file(&path).sessions(1).build().unwrap();
    let from_bytes = Predictor::builder().bytes(Predictor::bundled_model()).sessions(1).build().unwrap();
    let bundled = Predictor::bundled().unwrap();
    assert_eq!(from_file.model_info(), bundled.model_info());
    assert_eq!(from_bytes.model_info(), bundled.model_info());
}
