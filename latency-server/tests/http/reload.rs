//! Models are exchanged a hundred times while others ask, and nobody notices.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, thread};

use crate::common::{Connection, Server, TokenFile, config, json};
use latency_server::Config;
use latency_server::models::{Models, Options, Source};
use rocket::local::blocking::Client;

const ROW: &str = r#"{"src": "London", "dst": "Tokyo"}"#;

fn from_file(path: &Path) -> Models {
    crate::common::write_variant(path, 0);
    let source = Source::File(path.to_owned());
    Models::new(source.load(Options::default()).unwrap(), source, None)
}

fn reload(connection: &mut Connection, token: &str) -> (u16, serde_json::Value) {
    let answer = connection.get("/reload_model", &format!("Authorization: Bearer {token}\r\n"));
    (answer.status, answer.json())
}

/// Requests on four connections while `work` goes on: how many were answered, and how many not as they should be.
fn under_load(server: &Server, work: impl FnOnce()) -> (usize, usize) {
    let (stop, good, bad) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for caller in 0..4 {
            let (stop, good, bad) = (&stop, &good, &bad);
            scope.spawn(move || {
                let mut connection = server.connect();
                let body = if caller % 2 == 0 { ROW.to_owned() } else { format!("[{}]", [ROW; 20].join(",")) };
                while !stop.load(Ordering::Relaxed) {
                    let answer = connection.post("/predict", body.as_bytes());
                    let complete = answer.json().get("p50_ms").or(answer.json().get("predictions")).is_some();
                    let count = if answer.status == 200 && complete { good } else { bad };
                    count.fetch_add(1, Ordering::Relaxed);
                    // So that two cores also get to load.
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
        // Also if something fails, so that the callers end.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
    });
    (good.into_inner(), bad.into_inner())
}

#[test]
fn a_hundred_reloads_and_failed_ones_fail_no_request() {
    let (file, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.onnx");
    let server = Server::with(Config { tokens: Some(file.tokens()), ..config() }, from_file(&path));
    let mut operator = server.connect();
    let (good, bad) = under_load(&server, || {
        for turn in 1..=100 {
            crate::common::write_variant(&path, turn % 2);
            let (status, answer) = reload(&mut operator, &file.admin);
            assert_eq!((status, answer["reload"]["result"].as_str()), (200, Some("swapped")), "{turn}: {answer}");
        }
    });
    assert_eq!(bad, 0);
    assert!(good >= 100, "{good}");

    let (good, bad) = under_load(&server, || {
        for broken in ["", "no model", "\0\0\0\0"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(reload(&mut operator, &file.admin).0, 500);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(reload(&mut operator, &file.admin).0, 500);
        thread::sleep(Duration::from_millis(200));
    });
    assert_eq!(bad, 0);
    assert!(good >= 10, "{good}");
    crate::common::write_variant(&path, 3);
    let (status, answer) = reload(&mut operator, &file.admin);
    assert_eq!((status, answer["reload"]["result"].as_str()), (200, Some("swapped")));
}

/// Reading the model blocks on a pipe until the test writes it.
#[cfg(unix)]
#[test]
fn while_a_model_is_loaded_nobody_else_can() {
    let (file, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.onnx");
    let models = from_file(&path);
    let bytes = fs::read(&path).unwrap();
    let server = Server::with(Config { tokens: Some(file.tokens()), ..config() }, models);
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    thread::scope(|scope| {
        let first = scope.spawn(|| reload(&mut server.connect(), &file.admin));
        // Opens as soon as the server does.
        let mut pipe = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let (status, answer) = reload(&mut server.connect(), &file.admin);
        assert_eq!((status, answer["error"]["code"].as_str()), (409, Some("RELOAD_IN_PROGRESS")));
        // And meanwhile the old model answers.
        assert_eq!(server.connect().post("/predict", ROW.as_bytes()).status, 200);
        // What was loaded may be refused (pipes have no size); the one who asked first gets an answer, and the turn is free.
        let _ = std::io::Write::write_all(&mut pipe, &bytes);
        drop(pipe);
        let (status, answer) = first.join().unwrap();
        assert!(status == 200 || status == 500, "{answer}");
    });
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    assert_eq!(reload(&mut server.connect(), &file.admin).0, 200);
}

#[test]
fn the_model_that_is_named_is_loaded_and_no_other() {
    let (file, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let paths = ["one.onnx", "two.onnx"].map(|name| folder.path().join(name));
    let models = from_file(&paths[0]);
    crate::common::write_variant(&paths[1], 0);
    let source = Source::File(paths[1].clone());
    let models = models.with("two", source.load(Options::default()).unwrap(), source);
    let client =
        Client::untracked(latency_server::rocket(&Config { tokens: Some(file.tokens()), ..config() }, models)).unwrap();
    for path in &paths {
        crate::common::write_variant(path, 5);
    }
    let token = rocket::http::Header::new("Authorization", format!("Bearer {}", file.admin));
    let version = |query: &str| json(client.get(format!("/model_info{query}")).dispatch())["version"].clone();
    let before = version("");
    let answer = json(client.post("/reload_model?model=two").header(token).dispatch());
    assert_eq!(answer["reload"]["result"], "swapped");
    assert_eq!(version(""), before);
    assert_eq!(version("?model=two"), answer["model"]["version"]);
    assert_ne!(version("?model=two"), before);
}
