//! The log: its two forms, the line of each request, request and trace ids, and that callers cannot forge lines.

use crate::common::Connection;
use crate::common::program::{KEY, Program, run};
use serde_json::{Value, json};

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn header<'a>(answer: &'a crate::common::Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn ask(program: &Program, head: &str, headers: &str, body: &str) -> crate::common::Answer {
    let mut connection = Connection::to(program.address);
    let length = body.len();
    connection
        .send(format!("{head} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}").as_bytes());
    connection.answer(true)
}

#[test]
fn json_lines_of_requests() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_LOG_FORMAT", "json"), ("LATENCY_LOG_LEVEL", "info")]);
    let headers = format!("X-Request-Id: mine-1\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    let answer = ask(&program, "POST /predict?model=secret-query", &headers, r#"{"src": "secret-body"}"#);
    assert_eq!((answer.status, header(&answer, "x-request-id")), (404, Some("mine-1")));
    assert_eq!(header(&answer, "traceparent"), None);
    let line = program.line("\"access\"");
    let mut value: Value = serde_json::from_str(&line).unwrap();
    let seconds = value["fields"]["seconds"].take().as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    let time = value["time"].take();
    let time = time.as_str().unwrap();
    assert!(time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
    let expected = json!({
        "time": null, "level": "info", "target": "access", "message": "POST /predict 404", "request_id": "mine-1",
        "fields": {"method": "POST", "path": "/predict", "route": "/predict", "status": 404, "seconds": null,
                   "client": "127.0.0.1", "trace_id": TRACE},
    });
    assert_eq!(value, expected);

    // What cannot stand in a log is replaced; what is no trace is left out.
    for strange in ["two words", "\"quoted\"", &"a".repeat(129)] {
        let headers = format!("X-Request-Id: {strange}\r\ntraceparent: 00-{}-00f067aa0ba902b7-01\r\n", "0".repeat(32));
        let answer = ask(&program, "GET /health", &headers, "");
        let id = header(&answer, "x-request-id").unwrap();
        assert_ne!(id, strange);
        let value: Value = serde_json::from_str(&program.line("/health")).unwrap();
        assert_eq!((&value["request_id"], &value["fields"]["trace_id"]), (&json!(id), &Value::Null));
    }
    for line in program.kill() {
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["level"].is_string() && !line.contains("secret"), "{line}");
    }
}

#[test]
fn text_lines_cannot_be_forged() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::with(folder.path(), &[("LATENCY_LOG_LEVEL", "debug")]);
    let paths = ["/a%0Aerror%20forged:%201", "/%1b%5b31m", "/%E2%80%A8error%20forged", "/\u{2028}error"];
    for path in paths {
        ask(&program, &format!("GET {path}"), "User-Agent: error forged\r\n", "\nerror forged: 1\n");
    }
    ask(&program, "POST /predict", "", "{\"src\": \"\nerror forged: 1\", \"dst\": \"Tokyo\"}");
    let body = "[{\"src\": \"x\u{2028}\\u001b[31m\\nerror forged: 1\", \"dst\": \"Tokyo\"}]";
    ask(&program, "POST /predict", "X-Request-Id: last\r\n", body);
    let last = program.line("access: POST /predict 200");
    let fields = "info access: POST /predict 200 method=POST path=/predict route=/predict status=200 seconds=";
    assert!(last.starts_with(fields) && last.ends_with(" client=127.0.0.1 request_id=last"), "{last}");
    for line in program.kill() {
        let known = ["trace ", "debug ", "info ", "warn ", "error "].iter().any(|level| line.starts_with(level));
        assert!(known && !line.starts_with("error forged") && !line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn errors_and_audit_lines_have_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    std::fs::write(&model, latency_core::Predictor::bundled_model()).unwrap();
    let model = model.to_str().unwrap();
    for format in ["text", "json"] {
        let program = Program::with(
            folder.path(),
            &[("LATENCY_LOG_FORMAT", format), ("LATENCY_LOG_LEVEL", "off"), ("LATENCY_MODEL", model)],
        );
        program.signal("HUP");
        // Audit lines are there whatever the level.
        let line = program.line("is unchanged in");
        if format == "json" {
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&value["level"], &value["target"]), (&json!("warn"), &json!("audit")));
            assert!(value["message"].as_str().unwrap().ends_with("by SIGHUP"), "{line}");
        } else {
            assert!(line.starts_with("warn audit: model ") && line.ends_with("by SIGHUP"), "{line}");
        }
        assert_eq!(program.kill(), Vec::<String>::new());
    }
}

#[test]
fn the_configuration_is_shown_without_its_secrets_and_typos_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.toml"), "sessions = 2\n").unwrap();
    std::fs::write(folder.path().join(".env"), format!("SECRET_KEY={KEY}\n")).unwrap();
    let arguments = ["--check-config", "--port", "4321", "--config", "server.toml"];
    let (code, text, errors) = run(folder.path(), &arguments, &[("LATENCY_PROT", "1"), ("LATENCY_ADDRESS", "::1")]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("LATENCY_PROT in environment is not read; did you mean LATENCY_PORT?"), "{errors}");
    let words: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "LATENCY_PORT 4321 (flag)",
        "LATENCY_ADDRESS ::1 (environment)",
        "LATENCY_SESSIONS 2 (server.toml)",
        "LATENCY_LOG_FORMAT text (default)",
        "SECRET_KEY set, and not shown (.env)",
    ] {
        assert!(words.iter().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(!text.contains(KEY) && text.ends_with("to listen on [::1]:4321\n"), "{text}");
}

#[test]
fn the_client_is_whom_a_trusted_proxy_names() {
    for (trusted, client) in [("127.0.0.1", "5.6.7.8"), ("10.0.0.1", "127.0.0.1")] {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("LATENCY_LOG_LEVEL", "info"), ("LATENCY_TRUSTED_PROXIES", trusted)];
        let program = Program::with(folder.path(), &variables);
        ask(&program, "GET /health", "X-Forwarded-For: 5.6.7.8\r\n", "");
        let line = program.line("access: GET /health 200");
        assert!(line.contains(&format!(" client={client} ")), "{line}");
    }
}
