//! Overload: what is too much is refused with a word on when to come back, the rest is answered, and nothing stays behind.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::common::{Connection, Server, client, config, json};
use latency_server::Config;
use latency_server::limits::Settings;
use rocket::http::Method;

const ROW: &str = r#"{"src": "London", "dst": "Tokyo"}"#;

fn limited(limits: Settings) -> Config {
    Config { limits, ..config() }
}

#[test]
fn every_route_waits_for_its_turn_but_those_of_supervisors() {
    let client = client(&limited(Settings { concurrency: Some(0), ..Settings::default() }));
    let mut open = Vec::new();
    for route in client.rocket().routes() {
        let path = route.uri.path().replace(['<', '>'], "");
        let mut request = client.req(route.method, path.clone());
        if route.method == Method::Post {
            let type_of_rows = rocket::http::Header::new("Content-Type", "application/x-ndjson");
            request = request.header(rocket::http::Header::new("Content-Length", "2")).header(type_of_rows).body("{}");
        }
        let response = request.dispatch();
        if response.status().code == 503 {
            assert_eq!(response.headers().get_one("Retry-After"), Some("1"), "{path}");
            let expects_body = route.method != Method::Head;
            let body = if expects_body { response.into_string().unwrap() } else { String::new() };
            // Each protocol has its own form of it.
            let says = body.contains("OVERLOADED") || body.contains("as much to do as it takes on");
            assert!(!expects_body || says, "{path}");
        } else {
            open.push(format!("{} {path}", route.method));
        }
    }
    open.sort();
    let vital =
        ["GET /health", "GET /ready", "GET /metrics", "GET /ping", "GET /v2/health/live", "GET /v2/health/ready"];
    // It reads no body, and lets nobody in here.
    let other = "POST /reload_model";
    assert!(open.iter().all(|route| vital.contains(&route.as_str()) || route == other), "{open:?}");
}

#[test]
fn a_client_that_sends_too_much_is_told_when_it_may_again() {
    let limits =
        Settings { rate: Some(1.try_into().unwrap()), burst: Some(3.try_into().unwrap()), ..Settings::default() };
    let client = client(&Config { trusted_proxies: vec!["10.0.0.1/32".parse().unwrap()], ..limited(limits) });
    let ask = |path: &'static str, remote: &str, forwarded: &'static str| {
        let request = client.get(path).remote(remote.parse().unwrap());
        let response = request.header(rocket::http::Header::new("X-Forwarded-For", forwarded)).dispatch();
        (response.status().code, response.headers().get_one("Retry-After").map(str::to_owned), response)
    };
    for _ in 0..3 {
        assert_eq!(ask("/model_info", "192.0.2.1:1", "").0, 200);
    }
    let (status, retry, response) = ask("/model_info", "192.0.2.1:2", "198.51.100.1");
    assert_eq!((status, retry.as_deref()), (429, Some("1")));
    let body = json(response);
    assert_eq!(body["error"]["code"], "RATE_LIMITED");
    assert!(body["error"]["message"].as_str().unwrap().contains("1 per second"), "{body}");
    // Whoever supervises is let in; so are others.
    assert_eq!(ask("/health", "192.0.2.1:3", "").0, 200);
    assert_eq!(ask("/ready", "192.0.2.1:3", "").0, 200);
    assert_eq!(ask("/model_info", "192.0.2.2:1", "").0, 200);
    // Behind the proxy each has its own account.
    for _ in 0..3 {
        assert_eq!(ask("/model_info", "10.0.0.1:1", "198.51.100.1").0, 200);
    }
    assert_eq!(ask("/model_info", "10.0.0.1:1", "198.51.100.1").0, 429);
    assert_eq!(ask("/model_info", "10.0.0.1:1", "198.51.100.2").0, 200);
}

#[test]
fn slow_bodies_keep_nobody_waiting_and_are_cut() {
    let limits = Settings { concurrency: Some(1), body_timeout: Duration::from_secs(2), ..Settings::default() };
    let server = Server::start(limited(limits));
    let mut slow: Vec<_> = (0..50)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{\"src\": \"London\", ",
            );
            connection
        })
        .collect();
    let mut quick = server.connect();
    for _ in 0..20 {
        assert_eq!(quick.post("/predict", ROW.as_bytes()).status, 200);
    }
    for connection in &mut slow {
        let answer = connection.answer(true);
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("found 18 bytes") && message.contains("allowed: 2 s"), "{message}");
    }
    // A body that comes in pieces, but comes, is read.
    let mut steady = server.connect();
    steady
        .send(format!("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", ROW.len()).as_bytes());
    for piece in ROW.as_bytes().chunks(8) {
        steady.send(piece);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(steady.answer(true).status, 200);
}

#[test]
fn slow_readers_keep_nobody_waiting() {
    let server = Server::start(limited(Settings { concurrency: Some(1), ..Settings::default() }));
    // Its answer is larger than what the system keeps for a connection.
    let batch = format!("[{}]", vec![ROW; 20_000].join(","));
    let mut reader = server.connect();
    reader.send(
        format!("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", batch.len()).as_bytes(),
    );
    reader.send(batch.as_bytes());
    // It has had its turn when its answer begins.
    let answer = reader.answer(false);
    assert_eq!(answer.status, 200);
    let mut quick = server.connect();
    for _ in 0..20 {
        assert_eq!(quick.post("/predict", ROW.as_bytes()).status, 200);
    }
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert!(length > 4_000_000 && reader.read(length).ends_with(b"}"), "{length}");
}

#[test]
fn bodies_together_have_a_bound_and_small_ones_are_always_read() {
    let cap = 64 * 1024;
    let server = Server::start(Config { max_body_bytes: cap, ..config() });
    let head = format!("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {cap}\r\n\r\n");
    // Each of them stops one byte before its end: together they hold all that there is.
    let mut unfinished: Vec<_> = (0..10).map(|_| server.connect()).collect();
    let body = vec![b' '; usize::try_from(cap).unwrap() - 1];
    for connection in &mut unfinished {
        connection.send(head.as_bytes());
        connection.send(&body);
    }
    let mut large = ROW.to_owned();
    large.push_str(&" ".repeat(40_000));
    // Until what they have sent has been read.
    let started = Instant::now();
    let refused = loop {
        let answer = server.connect().post("/predict", large.as_bytes());
        if answer.status != 200 || started.elapsed() > Duration::from_secs(20) {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"]["code"], "OVERLOADED");
    assert_eq!(server.connect().post("/predict", ROW.as_bytes()).status, 200);
    drop(unfinished);
    let started = Instant::now();
    while server.connect().post("/predict", large.as_bytes()).status != 200 {
        assert!(started.elapsed() < Duration::from_secs(20), "what was held is given back");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The program, so that its memory is its own.
struct Program {
    child: Child,
    address: SocketAddr,
    _output: BufReader<ChildStdout>,
}

impl Program {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_latency-server"));
        command.current_dir(folder).env_clear().env("LATENCY_PORT", "0").envs(variables.iter().copied());
        command.env("SECRET_KEY", "q0ZyS1u7Xw3vJm9dKc2RtA5pLfHbE8gNiOeVxY4T6kQ=");
        command.envs(std::env::var_os("LATENCY_ORT_DYLIB_PATH").map(|library| ("LATENCY_ORT_DYLIB_PATH", library)));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("Listening on http://").unwrap().parse().unwrap();
        Self { child, address, _output: output }
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ten times as many callers as are worked on, each with a batch that takes so long that the last would wait for longer than
/// anybody may, on any machine.
#[cfg(target_os = "linux")]
#[test]
fn ten_times_too_much_is_refused_or_answered_and_leaves_nothing_behind() {
    const CAPACITY: usize = 2;
    const ROWS: usize = 16_000;
    let program = Program::start(&[("LATENCY_MAX_CONCURRENCY", "2")]);
    let batch = format!("[{}]", vec![ROW; ROWS].join(","));
    let round = || {
        let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..10 * CAPACITY {
                scope.spawn(|| {
                    let mut connection = Connection::to(program.address);
                    for _ in 0..2 {
                        let answer = connection.post("/predict", batch.as_bytes());
                        match answer.status {
                            200 => {
                                assert_eq!(answer.json()["predictions"].as_array().unwrap().len(), ROWS);
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            503 => {
                                assert_eq!(answer.json()["error"]["code"], "OVERLOADED");
                                assert_eq!(answer.header("retry-after"), Some("1"));
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            other => panic!("{other}: {}", String::from_utf8_lossy(&answer.body)),
                        }
                    }
                });
            }
            // Meanwhile its supervisor sees it alive.
            let mut supervisor = Connection::to(program.address);
            for _ in 0..10 {
                assert_eq!(supervisor.get("/health", "").status, 200);
            }
        });
        (answered.into_inner(), refused.into_inner())
    };
    let (answered, refused) = round();
    assert!(answered >= CAPACITY && refused >= CAPACITY, "{answered} answered, {refused} refused");
    // It has recovered: alone, nobody is refused.
    let alone = || {
        let mut connection = Connection::to(program.address);
        (0..20).all(|_| connection.post("/predict", ROW.as_bytes()).status == 200)
    };
    assert!(alone());
    let before = program.resident_kib();
    for _ in 0..4 {
        round();
    }
    assert!(alone());
    let after = program.resident_kib();
    assert!(after < before + before / 2, "{before} KiB became {after} KiB");
}
