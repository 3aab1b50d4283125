//! A shadow is asked what the default model is asked; its answers are counted, and never returned.

use std::path::Path;
use std::time::{Duration, Instant};

use latency_server::Config;
use latency_server::models::Source;

use crate::common::{Server, config, write_variant};

const ROW: &[u8] = br#"{"src": "London", "dst": "Tokyo"}"#;

fn own() -> Source {
    Source::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx"))
}

/// Waits for a line of the metrics.
fn until(server: &Server, line: &str) {
    let started = Instant::now();
    loop {
        let metrics = server.connect().get("/metrics", "");
        if metrics.text().lines().any(|found| found == line) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{line} is not in {}", metrics.text());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_the_shadow_says_is_counted_and_not_returned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("challenger.onnx");
    write_variant(&path, 7);
    let config = Config { shadow: Some(Source::File(path)), models: vec![("own".to_owned(), own())], ..config() };
    let models = config.load_models().unwrap();
    let default = models.default_slot().served().unwrap().predictor.model_info().version.clone();
    let shadow = models.shadow().unwrap().served().unwrap().predictor.model_info().version.clone();
    assert_ne!(default, shadow);
    let server = Server::with(config, models);
    let mut connection = server.connect();
    assert_eq!(connection.post("/predict", ROW).json()["model"]["version"], default.as_str());
    let many = [b"[".as_slice(), ROW, b", {\"src\": \"Lndon\", \"dst\": \"Tokyo\"}, ", ROW, b"]"].concat();
    assert_eq!(connection.post("/predict", &many).json()["model"]["version"], default.as_str());
    // Others are not the shadow's concern.
    let answer = connection.post("/predict?model=own", br#"{"hops": 7, "link": "fibre"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    until(&server, r#"latency_shadow_rows_total{result="compared"} 3"#);
    until(&server, r#"latency_shadow_rows_total{result="failed"} 0"#);
    // The same trees give the same answers.
    until(&server, r#"latency_shadow_relative_difference_bucket{le="0.01"} 3"#);
    until(&server, "latency_shadow_relative_difference_sum 0");
    let info = connection.get("/model_info", "").json();
    assert_eq!((&info["shadow"]["version"], &info["shadow"]["source"]), (&shadow.as_str().into(), &"file".into()));
    assert!(connection.get("/model_info?model=own", "").json().get("shadow").is_none());
    // It answers nobody.
    assert_eq!(connection.post("/predict?model=shadow", ROW).status, 404);
}

#[test]
fn a_shadow_that_cannot_answer_fails_nobody() {
    let config = Config { shadow: Some(own()), ..config() };
    let models = config.load_models().unwrap();
    let server = Server::with(config, models);
    assert_eq!(server.connect().post("/predict", ROW).status, 200);
    until(&server, r#"latency_shadow_rows_total{result="failed"} 1"#);
}
