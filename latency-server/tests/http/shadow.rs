//! A shadow is asked what the default model is asked; its answers are counted, and never returned.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use latency_server::Config;
use latency_server::models::Source;
use latency_server::models::registry::{Credentials, Registry};

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
fn which_version_is_the_shadow_and_how_its_reloads_ended_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("challenger.onnx");
    write_variant(&path, 1);
    let config = Config { shadow: Some(Source::File(path.clone())), ..config() };
    let models = config.load_models().unwrap();
    let slot = Arc::clone(models.shadow().unwrap());
    let server = Server::with(config, models);
    let is_said = |results: [(&str, u64); 3], successful: u8| {
        let metrics = server.connect().get("/metrics", "");
        let text = metrics.text();
        let model = slot.served().unwrap();
        let info = model.predictor.model_info();
        let (engine, name, sha256, version) = (&info.engine, &info.name, &info.sha256, &info.version);
        let labels = format!(r#"engine="{engine}",name="{name}",sha256="{sha256}",source="file",version="{version}""#);
        let mut lines = vec![
            format!("latency_shadow_info{{{labels}}} 1"),
            format!("latency_shadow_last_reload_successful {successful}"),
        ];
        lines.extend(
            results.map(|(result, count)| format!("latency_shadow_reloads_total{{result=\"{result}\"}} {count}")),
        );
        for line in &lines {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        // One shadow, whichever versions it had.
        assert_eq!(text.matches("latency_shadow_info{").count(), 1);
        let model_info = server.connect().get("/model_info", "").json();
        for (result, count) in results {
            assert_eq!(model_info["shadow"]["reloads"][result], count, "{model_info}");
        }
    };
    is_said([("swapped", 0), ("unchanged", 0), ("failed", 0)], 1);
    write_variant(&path, 2);
    slot.reload("test").unwrap();
    slot.reload("test").unwrap();
    is_said([("swapped", 1), ("unchanged", 1), ("failed", 0)], 1);
    std::fs::write(&path, "no model").unwrap();
    slot.reload("test").unwrap_err();
    is_said([("swapped", 1), ("unchanged", 1), ("failed", 1)], 0);
    // The models that answer were not touched.
    let metrics = server.connect().get("/metrics", "");
    assert!(
        metrics.text().contains("latency_model_last_reload_successful{model=\"latency\"} 1\n"),
        "{}",
        metrics.text()
    );
    assert!(!metrics.text().contains("model=\"shadow\""), "{}", metrics.text());
}

#[test]
fn a_shadow_that_the_registry_has_not_given_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Source::Registry(Registry {
        uri: "models:/latency@challenger".parse().unwrap(),
        server: "http://127.0.0.1:1".to_owned(),
        credentials: Credentials::None,
        cache: folder.path().join("cache"),
    });
    let poll = Some(Duration::from_millis(20));
    let config = Config { shadow: Some(registry), registry_poll: poll, ..config() };
    let models = config.load_models().unwrap();
    let server = Server::with(config, models);
    until(&server, "latency_shadow_registry_up 0");
    until(&server, r#"latency_shadow_registry_model_version{which="serving"} 0"#);
    assert!(!server.connect().get("/metrics", "").text().contains("latency_shadow_info"));
    assert_eq!(server.connect().post("/predict", ROW).status, 200);
    until(&server, r#"latency_shadow_rows_total{result="left_out"} 1"#);
}

#[test]
fn a_shadow_that_cannot_answer_fails_nobody() {
    let config = Config { shadow: Some(own()), ..config() };
    let models = config.load_models().unwrap();
    let server = Server::with(config, models);
    assert_eq!(server.connect().post("/predict", ROW).status, 200);
    until(&server, r#"latency_shadow_rows_total{result="failed"} 1"#);
}
