//! A hundred reloads while clients ask all the time: no request fails.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::Connection;
use crate::common::program::Program;

const RELOADS: usize = 100;

/// Asks until `done`; how often.
fn ask(address: SocketAddr, body: &str, done: &AtomicBool) -> u64 {
    let mut connection = Connection::to(address);
    let mut asked = 0;
    while !done.load(Ordering::Acquire) {
        let answer = connection.post("/predict", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        asked += 1;
    }
    asked
}

#[test]
fn a_hundred_reloads_under_load_fail_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    let (one, other) = two_models();
    std::fs::write(&model, &one).unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_MODEL", model.to_str().unwrap())]);
    let (address, done) = (program.address, AtomicBool::new(false));
    let path = r#"{"src": "London", "dst": "Tokyo"}"#;
    let batch = format!("[{}]", vec![path; 200].join(","));
    let asked: u64 = thread::scope(|scope| {
        // Also if something fails here: the clients would go on forever.
        let finished = Finished(&done);
        let clients: Vec<_> = [path, path, path, &batch]
            .into_iter()
            .map(|body| {
                let done = &done;
                scope.spawn(move || ask(address, body, done))
            })
            .collect();
        for turn in 0..RELOADS {
            // Exchanged as a careful operator does it, so that nobody sees half a file.
            let next = folder.path().join("next.onnx");
            // Every tenth is broken; the others take turns.
            let (bytes, result): (&[u8], _) = match (turn % 10, (turn - turn / 10) % 2) {
                (9, _) => (b"no model", "cannot be used"),
                (_, 0) => (&other, "swapped"),
                _ => (&one, "swapped"),
            };
            std::fs::write(&next, bytes).unwrap();
            std::fs::rename(&next, &model).unwrap();
            program.signal("HUP");
            let line = program.line("by SIGHUP");
            assert!(line.contains(result), "{turn}: {line}");
        }
        drop(finished);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(asked > RELOADS as u64, "{asked} requests are no load");
    let mut connection = Connection::to(address);
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = String::from_utf8(connection.answer(true).body).unwrap();
    for (labels, count) in [("result=\"swapped\"", 90), ("result=\"failed\"", 10)] {
        let line = format!("latency_model_reloads_total{{model=\"latency\",{labels}}} {count}\n");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    let failed = text.lines().filter(|line| {
        line.starts_with("latency_http_requests_total{")
            && line.contains("route=\"/predict\"")
            && !line.contains("status=\"200\"")
            && !line.ends_with(" 0")
    });
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&str>::new());
}

struct Finished<'a>(&'a AtomicBool);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The bundled model, and the same with another description (`doc_string`, field 6), which makes it another file.
fn two_models() -> (Vec<u8>, Vec<u8>) {
    let one = latency_core::Predictor::bundled_model().to_vec();
    let other = [&one[..], &[6 << 3 | 2, 5], b"other"].concat();
    (one, other)
}
