//! Signals: nothing that was accepted is lost, and the program ends when and how it says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::program::{PATIENCE, Program, run};
use crate::common::{Answer, Connection};

const PATH: &str = r#"{"src": "London", "dst": "Tokyo"}"#;

fn rows(count: usize) -> String {
    format!("[{}]", vec![PATH; count].join(","))
}

fn closes(answer: &Answer) -> bool {
    answer.headers.iter().any(|(name, value)| name == "connection" && value == "close")
}

fn get(connection: &mut Connection, path: &str) -> Answer {
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    connection.answer(true)
}

/// What the server was told: answers may close their connections from the signal on, and must once it has come.
#[derive(Default)]
struct Told {
    signal: AtomicBool,
    arrived: AtomicBool,
}

/// Asks on, until an answer closes the connection: every request gets an answer, and how many there were.
fn keep_asking(address: SocketAddr, body: &str, told: &Told) -> u64 {
    let mut connection = Connection::to(address);
    for asked in 1.. {
        let must_close = told.arrived.load(Ordering::Acquire);
        let answer = connection.post("/predict", body.as_bytes());
        assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok());
        if closes(&answer) {
            assert!(told.signal.load(Ordering::Acquire), "an answer closes its connection before the signal");
            return asked;
        }
        assert!(!must_close, "an answer leaves its connection open although the server is stopping");
    }
    unreachable!()
}

#[test]
fn sigterm_under_load_loses_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_DRAIN_SECONDS", "2"), ("LATENCY_GRACE_SECONDS", "10")]);
    let (address, told, answered) = (program.address, Told::default(), AtomicU64::new(0));
    let mut health = Connection::to(address);
    assert_eq!(get(&mut health, "/ready").status, 200);
    thread::scope(|scope| {
        let clients: Vec<_> = [1, 1, 1, 1, 50, 2_000]
            .into_iter()
            .map(|count| {
                let (told, answered) = (&told, &answered);
                scope.spawn(move || {
                    let body = if count == 1 { PATH.to_owned() } else { rows(count) };
                    answered.fetch_add(keep_asking(address, &body, told), Ordering::Relaxed);
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        told.signal.store(true, Ordering::Release);
        program.signal("TERM");
        let line = program.line("SIGTERM");
        told.arrived.store(true, Ordering::Release);
        assert!(line.contains("SIGTERM: stopping; answering for 2 s more"), "{line}");
        for client in clients {
            client.join().unwrap();
        }
    });
    assert!(answered.load(Ordering::Relaxed) > 6);
    // It still answers, to those who come by mistake, and says that it is not ready.
    let answer = get(&mut health, "/ready");
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &"STOPPING".into()));
    assert!(closes(&answer));
    assert_eq!(get(&mut Connection::to(address), "/health").status, 200);
    assert_eq!(Connection::to(address).post("/predict", PATH.as_bytes()).status, 200);
    let (code, log) = program.wait();
    assert_eq!(code, Some(0), "{log:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn batches_that_have_begun_are_finished() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_DRAIN_SECONDS", "0"), ("LATENCY_GRACE_SECONDS", "20")]);
    let (address, count) = (program.address, 10_000);
    let body = rows(count);
    let mut watch = Connection::to(address);
    thread::scope(|scope| {
        let batches: Vec<_> =
            (0..3).map(|_| scope.spawn(|| Connection::to(address).post("/predict", body.as_bytes()))).collect();
        // All three have been accepted, and the one that asks.
        let end = Instant::now() + PATIENCE;
        loop {
            let text = String::from_utf8(get(&mut watch, "/metrics").body).unwrap();
            if text.contains("\nlatency_http_requests_in_flight 4\n") {
                break;
            }
            assert!(Instant::now() < end, "the batches were never in flight together");
        }
        program.signal("TERM");
        for batch in batches {
            let answer = batch.join().unwrap();
            assert_eq!(answer.status, 200);
            let predictions = answer.json()["predictions"].as_array().unwrap().len();
            assert_eq!(predictions, count);
        }
    });
    // An idle connection does not hold it up either.
    drop(watch);
    assert_eq!(program.wait().0, Some(0));
}

#[test]
fn what_never_ends_is_cut_off_after_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_DRAIN_SECONDS", "0"), ("LATENCY_GRACE_SECONDS", "1")]);
    let mut half = TcpStream::connect(program.address).unwrap();
    half.write_all(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    // It is in the server's hands once others are answered.
    assert_eq!(get(&mut Connection::to(program.address), "/health").status, 200);
    program.signal("INT");
    let (code, log) = program.wait();
    assert_eq!(code, Some(0), "{log:?}");
    half.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    // It is closed or reset; either way it ends.
    let _ = half.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (first, second, expected) in [("TERM", "TERM", 143), ("TERM", "INT", 130)] {
        let program = Program::with(folder.path(), &[("LATENCY_DRAIN_SECONDS", "300")]);
        program.signal(first);
        program.line("stopping");
        program.signal(second);
        let (code, log) = program.wait();
        assert_eq!(code, Some(expected), "{log:?}");
        assert!(log.iter().any(|line| line.contains("ending at once")), "{log:?}");
    }
}

#[test]
fn sighup_loads_the_models_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    let good = latency_core::Predictor::bundled_model();
    std::fs::write(&model, good).unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_MODEL", model.to_str().unwrap())]);
    let mut connection = Connection::to(program.address);
    std::fs::write(&model, "no model").unwrap();
    program.signal("HUP");
    program.line("goes on");
    assert_eq!(connection.post("/predict", PATH.as_bytes()).status, 200);
    std::fs::write(&model, good).unwrap();
    program.signal("HUP");
    program.line("is unchanged");
    let text = String::from_utf8(get(&mut connection, "/metrics").body).unwrap();
    for line in [
        "latency_model_reloads_total{model=\"latency\",result=\"failed\"} 1",
        "latency_model_reloads_total{model=\"latency\",result=\"unchanged\"} 1",
        "latency_model_last_reload_successful{model=\"latency\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert_eq!(get(&mut connection, "/model_info").json()["reloads"]["last"]["by"], "SIGHUP");
}

#[test]
fn the_health_command_asks_the_server_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_DRAIN_SECONDS", "300")]);
    let port = program.address.port().to_string();
    let health = |variables: &[(&str, &str)]| run(folder.path(), &["health", "--port", &port], variables);
    assert_eq!(health(&[]), (Some(0), String::new(), String::new()));
    // As containers listen.
    assert_eq!(health(&[("LATENCY_ADDRESS", "0.0.0.0")]).0, Some(0));
    program.signal("TERM");
    program.line("stopping");
    let (code, _, errors) = health(&[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("/ready answers \"HTTP/1.1 503 Service Unavailable\"; allowed: 200"), "{errors}");
    program.kill();
    let (code, _, errors) = health(&[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no answer from http://127.0.0.1:"), "{errors}");
    assert_eq!(run(folder.path(), &["health"], &[("LATENCY_PORT", "http")]).0, Some(2));
}
