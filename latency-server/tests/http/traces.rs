//! Traces: which spans there are, what they say, that the collector gets them at the end too, and that nobody waits for it.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Value, json};

use crate::common::collector::{Collector, Post, attributes};
use crate::common::program::{KEY, PATIENCE, Program, run};
use crate::common::{Answer, Connection, TokenFile, write_variant};
use crate::logs::TRACE;
use crate::tls::Authority;

const PARENT: &str = "00f067aa0ba902b7";
const PATH: &str = r#"{"src": "London", "dst": "Tokyo"}"#;

/// Spans come at once.
const AT_ONCE: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "10");

/// Spans come when the server stops.
const AT_THE_END: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "600000");

fn traceparent(trace: &str, flags: &str) -> String {
    format!("traceparent: 00-{trace}-{PARENT}-{flags}\r\n")
}

fn ask(program: &Program, head: &str, lines: &str, body: &str) -> Answer {
    let mut connection = Connection::to(program.address);
    let length = body.len();
    let head = format!("{head} HTTP/1.1\r\nHost: me.example:81\r\nContent-Length: {length}\r\n{lines}\r\n{body}");
    connection.send(head.as_bytes());
    connection.answer(true)
}

fn metrics(program: &Program) -> String {
    Connection::to(program.address).get("/metrics", "").text().to_owned()
}

fn stop(program: Program) -> Vec<String> {
    program.signal("TERM");
    let (code, log) = program.wait();
    assert_eq!(code, Some(0), "{log:?}");
    log
}

/// Spans that have come when the program has stopped.
fn at_the_end(collector: &Collector, program: Program) -> Vec<Span> {
    stop(program);
    collector.posts().iter().flat_map(Post::spans).collect()
}

fn status(span: &Span) -> StatusCode {
    span.status.as_ref().map_or(StatusCode::Unset, Status::code)
}

#[test]
fn a_span_says_what_the_log_says_and_belongs_to_its_parent() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    // What stands in `.env` counts as the environment does.
    let endpoint = collector.endpoint();
    let dot_env = format!(
        "OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}/\nOTEL_SERVICE_NAME=mine\nOTEL_EXPORTER_OTLP_HEADERS=x-no=\"not this\"\n"
    );
    std::fs::write(folder.path().join(".env"), dot_env).unwrap();
    let program = Program::with(
        folder.path(),
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush, X-Tenant=7"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=a%2Cb"),
            ("LATENCY_LOG_FORMAT", "json"),
            ("LATENCY_LOG_LEVEL", "debug"),
            AT_ONCE,
        ],
    );
    let access = || {
        let line: Value = serde_json::from_str(&program.line("\"access\"")).unwrap();
        [&line["fields"]["trace_id"], &line["fields"]["span_id"]].map(|id| id.as_str().unwrap().to_owned())
    };

    let lines = format!("X-Request-Id: mine-1\r\ntracestate: a=1\r\ntracestate: b=2\r\n{}", traceparent(TRACE, "01"));
    let answer = ask(&program, "POST /predict?model=secret-query", &lines, PATH);
    assert_eq!((answer.status, answer.header("traceparent")), (404, None));
    let post = collector.post();
    let [span] = &post.spans()[..] else { panic!("{:?}", post.spans()) };
    assert_eq!(access(), [hex::encode(&span.trace_id), hex::encode(&span.span_id)]);
    assert_eq!((hex::encode(&span.trace_id), hex::encode(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!((span.name.as_str(), span.kind(), status(span)), ("POST /predict", SpanKind::Server, StatusCode::Unset));
    assert_eq!(span.trace_state, "a=1,b=2");
    assert!(span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano);
    let expected = json!({
        "http.request.method": "POST", "http.route": "/predict", "http.response.status_code": 404,
        "url.scheme": "http", "url.path": "/predict", "client.address": "127.0.0.1",
        "server.address": "me.example", "server.port": 81, "http.response.header.x-request-id": ["mine-1"],
    });
    assert_eq!(json!(attributes(&span.attributes)), expected);

    assert_eq!(post.line, "POST /v1/traces HTTP/1.1");
    for (header, value) in
        [("content-type", "application/x-protobuf"), ("authorization", "Bearer hush"), ("x-tenant", "7")]
    {
        assert_eq!(post.headers.get(header).map(String::as_str), Some(value), "{header}");
    }
    assert!(!post.headers.contains_key("x-no"));
    let resource = post.resource();
    assert_eq!((&resource["service.name"], &resource["deployment.environment.name"]), (&json!("mine"), &json!("a,b")));
    assert_eq!(resource["telemetry.sdk.language"], "rust");

    // Without a parent, and for what has no route.
    assert_eq!(ask(&program, "GET /nothing/secret-path", "", "").status, 404);
    let span = &collector.spans("GET", 1)[0];
    assert_eq!(access(), [hex::encode(&span.trace_id), hex::encode(&span.span_id)]);
    assert_eq!((span.parent_span_id.len(), span.trace_id.iter().all(|byte| *byte == 0)), (0, false));
    assert!(!attributes(&span.attributes).contains_key("http.route"));

    // What is no traceparent is none.
    ask(&program, "GET /health", &format!("traceparent: 00-{TRACE}-{}-01\r\n", "0".repeat(16)), "");
    let span = &collector.spans("GET /health", 1)[0];
    assert_ne!(hex::encode(&span.trace_id), TRACE);

    let log = stop(program).concat();
    assert!(!log.contains("hush") && !log.contains("secret-query"), "{log}");
}

#[test]
fn a_broken_request_has_a_span_too_and_long_texts_are_cut() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let endpoint = collector.endpoint();
    let program = Program::with(folder.path(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), AT_ONCE]);
    assert_eq!(ask(&program, "BREW /", "", "").status, 400);
    let span = &collector.spans("HTTP", 1)[0];
    let found = attributes(&span.attributes);
    assert_eq!((&found["http.request.method"], &found["http.response.status_code"]), (&"_OTHER".into(), &400.into()));
    assert!(!found.contains_key("url.path"), "{found:?}");

    let long = "a".repeat(5_000);
    let lines = format!("{}tracestate: a={long}\r\n", traceparent(TRACE, "01"));
    assert_eq!(ask(&program, &format!("GET /{long}"), &lines, "").status, 404);
    let span = &collector.spans("GET", 1)[0];
    assert_eq!(attributes(&span.attributes)["url.path"], format!("/{}", &long[..1_023]));
    assert_eq!((hex::encode(&span.trace_id).as_str(), span.trace_state.as_str()), (TRACE, ""));
}

#[test]
fn a_collector_is_trusted_as_the_system_trusts() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let collector = Collector::over_tls(authority.server());
    let endpoint = format!("https://localhost:{}", collector.address.port());
    let (good, bad) = (folder.path().join("good.pem"), folder.path().join("bad.pem"));
    std::fs::write(&good, authority.0.pem()).unwrap();
    std::fs::write(&bad, Authority::new().0.pem()).unwrap();
    for (authorities, trusted) in [(good, true), (bad, false)] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("SSL_CERT_FILE", authorities.to_str().unwrap()),
            ("LATENCY_DRAIN_SECONDS", "0"),
            AT_ONCE,
        ];
        let program = Program::with(folder.path(), &variables);
        assert_eq!(ask(&program, "GET /health", "", "").status, 200);
        if trusted {
            collector.spans("GET /health", 1);
        } else {
            let line = program.line("traces: ");
            assert!(line.contains("spans are lost, 1 not sent") && line.contains("ertificate"), "{line}");
        }
    }
    assert!(collector.posts().is_empty());
}

#[test]
fn work_of_its_own_has_spans_of_its_own() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let model = folder.path().join("model.onnx");
    std::fs::write(&model, latency_core::Predictor::bundled_model()).unwrap();
    let tokens = TokenFile::new();
    let endpoint = format!("{}/v1/other", collector.endpoint());
    let program = Program::with(
        folder.path(),
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
            ("LATENCY_MODEL", model.to_str().unwrap()),
            ("LATENCY_TOKENS_FILE", tokens.path.to_str().unwrap()),
            AT_ONCE,
        ],
    );
    let version = Connection::to(program.address).get("/health", "").json()["model"]["version"].clone();
    collector.spans("GET /health", 1);

    // On the thread of the request, and on one for what takes long.
    let tensors = r#"{"inputs": [{"name": "src", "shape": [1], "datatype": "BYTES", "data": ["London"]},
                    {"name": "dst", "shape": [1], "datatype": "BYTES", "data": ["Tokyo"]}]}"#;
    for (path, body, rows) in [
        ("/predict", format!("[{PATH}, {PATH}]"), 2),
        ("/predict", format!("[{}]", vec![PATH; 300].join(",")), 300),
        ("/v2/models/latency/infer", tensors.to_owned(), 1),
    ] {
        let answer = ask(&program, &format!("POST {path}"), &traceparent(TRACE, "01"), &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut spans = Vec::new();
        while spans.len() < 2 {
            let post = collector.post();
            assert_eq!(post.line, "POST /v1/other HTTP/1.1");
            spans.extend(post.spans());
        }
        let [inner, outer] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((inner.name.as_str(), inner.kind()), ("predict rows", SpanKind::Internal));
        assert_eq!((&inner.parent_span_id, hex::encode(&inner.trace_id)), (&outer.span_id, TRACE.to_owned()));
        assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano);
        assert!(inner.end_time_unix_nano <= outer.end_time_unix_nano);
        let expected = json!({"latency.model.name": "latency", "latency.model.version": version, "latency.rows": rows});
        assert_eq!(json!(attributes(&inner.attributes)), expected);
    }
    // A single prediction has none.
    ask(&program, "POST /predict", "", PATH);
    assert_eq!(collector.post().spans().len(), 1);

    let reload = |span: &Span| {
        assert_eq!((span.kind(), span.parent_span_id.len()), (SpanKind::Internal, 0));
        let attributes = attributes(&span.attributes);
        (attributes["latency.reload.result"].clone(), attributes.get("error.type").cloned(), status(span))
    };
    program.signal("HUP");
    let spans = collector.spans("reload model", 1);
    assert_eq!(reload(&spans[0]), ("unchanged".into(), None, StatusCode::Unset));
    assert!(spans[0].links.is_empty());
    std::fs::write(&model, "no model").unwrap();
    program.signal("HUP");
    let spans = collector.spans("reload model", 1);
    assert_eq!(reload(&spans[0]), ("failed".into(), Some("INVALID_MODEL".into()), StatusCode::Error));
    // One that a request asks for names the request.
    write_variant(&model, 1);
    let lines = format!("Authorization: Bearer {}\r\n{}", tokens.admin, traceparent(TRACE, "01"));
    assert_eq!(ask(&program, "POST /reload_model", &lines, "").status, 200);
    let spans = collector.spans("reload model", 1);
    assert_eq!(reload(&spans[0]), ("swapped".into(), None, StatusCode::Unset));
    assert_eq!(spans[0].links.iter().map(|link| hex::encode(&link.trace_id)).collect::<Vec<_>>(), [TRACE]);
    assert_ne!(hex::encode(&spans[0].trace_id), TRACE);
}

#[test]
fn the_last_spans_are_sent_when_the_server_stops() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let endpoint = collector.endpoint();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), AT_THE_END, ("LATENCY_DRAIN_SECONDS", "1")];
    let program = Program::with(folder.path(), &variables);
    for _ in 0..20 {
        assert_eq!(ask(&program, "POST /predict", "", PATH).status, 200);
    }
    assert!(collector.posts().is_empty());
    program.signal("TERM");
    program.line("stopping");
    assert_eq!(ask(&program, "GET /ready", "", "").status, 503);
    let (code, log) = program.wait();
    assert_eq!((code, log), (Some(0), Vec::new()));
    let spans: Vec<_> = collector.posts().iter().flat_map(Post::spans).collect();
    assert_eq!(spans.iter().filter(|span| span.name == "POST /predict").count(), 20);
    let failed: Vec<_> = spans.iter().filter(|span| span.name == "GET /ready").collect();
    assert_eq!((failed.len(), status(failed[0])), (1, StatusCode::Error));
    assert_eq!(attributes(&failed[0].attributes)["error.type"], "503");
}

#[test]
fn samplers_decide() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    // The last 63 bits of an id decide.
    let (low, high) = (format!("{}1", "0".repeat(31)), "f".repeat(32));
    let asked = [
        ("none", None),
        ("low", Some((&low, "00"))),
        ("low+", Some((&low, "01"))),
        ("high", Some((&high, "00"))),
        ("high+", Some((&high, "01"))),
    ];
    for (sampler, share, expected) in [
        ("", "", &["none", "low+", "high+"][..]),
        ("parentbased_always_on", "0", &["none", "low+", "high+"]),
        ("parentbased_always_off", "", &["low+", "high+"]),
        ("parentbased_traceidratio", "0", &["low+", "high+"]),
        ("always_on", "", &["none", "low", "low+", "high", "high+"]),
        ("always_off", "", &[]),
        ("traceidratio", "1", &["none", "low", "low+", "high", "high+"]),
        ("traceidratio", "1e-9", &["low", "low+"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", share),
            ("LATENCY_DRAIN_SECONDS", "0"),
            ("LATENCY_LOG_LEVEL", "info"),
            AT_THE_END,
        ];
        let program = Program::with(folder.path(), &variables);
        for (id, trace) in asked {
            let parent = trace.map(|(trace, flags)| traceparent(trace, flags)).unwrap_or_default();
            ask(&program, "GET /health", &format!("X-Request-Id: {id}\r\n{parent}"), "");
            // The log names the trace that a request says it belongs to, and a span if there is one.
            let line = program.line("access: GET /health 200");
            assert_eq!(line.contains(" span_id="), expected.contains(&id), "{sampler} {share}: {line}");
            if let Some((trace, _)) = trace {
                assert!(line.contains(&format!(" trace_id={trace}")), "{line}");
            }
        }
        let spans = at_the_end(&collector, program);
        let ids: BTreeSet<_> = spans
            .iter()
            .map(|span| {
                attributes(&span.attributes)["http.response.header.x-request-id"][0].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(
            (spans.len(), ids),
            (expected.len(), expected.iter().map(ToString::to_string).collect()),
            "{sampler} {share}"
        );
    }
}

#[test]
fn without_a_collector_or_switched_off_nothing_is_sent() {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    for variables in [
        // Not looked at where nothing is sent: platforms set it for all programs.
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_SDK_DISABLED", "True")],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let others = [AT_THE_END, ("LATENCY_DRAIN_SECONDS", "0"), ("LATENCY_LOG_LEVEL", "info")];
        let program = Program::with(folder.path(), &[variables, &others].concat());
        assert_eq!(ask(&program, "GET /health", &traceparent(TRACE, "01"), "").status, 200);
        let line = program.line("access: GET /health 200");
        assert!(line.contains(&format!(" trace_id={TRACE} ")) && !line.contains("span_id"), "{line}");
        stop(program);
    }
    assert!(collector.posts().is_empty());
}

#[test]
fn a_collector_that_is_silent_holds_nobody_up() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::answering(None));
    let endpoint = collector.endpoint();
    let program = Program::with(
        folder.path(),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            // Longer than any test waits for the program to end.
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "600000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
            ("LATENCY_DRAIN_SECONDS", "0"),
            AT_ONCE,
        ],
    );
    assert!(PATIENCE.as_secs() < 600);
    for _ in 0..50 {
        assert_eq!(ask(&program, "POST /predict", "", PATH).status, 200);
    }
    // The first is under way, three wait.
    assert_eq!(collector.post().spans().len(), 1);
    let text = metrics(&program);
    for line in ["result=\"dropped\"} 46\n", "result=\"exported\"} 0\n", "result=\"failed\"} 0\n"] {
        assert!(text.contains(&format!("\nlatency_spans_total{{{line}")), "{line} is not in {text}");
    }
    let log = stop(program);
    let line = log.iter().find(|line| line.contains("traces: ")).unwrap_or_else(|| panic!("{log:?}"));
    assert!(
        line.contains("traces: spans are lost, 4 not sent, 47 not fitting into the queue: the server stopped"),
        "{line}"
    );
}

#[test]
fn a_collector_that_is_down_or_refuses_harms_no_request_and_is_spoken_of_once() {
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = Collector::answering(Some(400));
    for (address, why) in [(down, "refused"), (refusing.address, "HTTP export failed with status code: 400")] {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = format!("http://{address}");
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("LATENCY_DRAIN_SECONDS", "0"), AT_ONCE];
        let program = Program::with(folder.path(), &variables);
        assert_eq!(ask(&program, "POST /predict", "", PATH).status, 200);
        let line = program.line("traces: ");
        assert!(
            line.starts_with("warn ") && line.contains("spans are lost, 1 not sent") && line.contains(why),
            "{line}"
        );
        for _ in 0..20 {
            assert_eq!(ask(&program, "POST /predict", "", PATH).status, 200);
        }
        let lines = stop(program).into_iter().filter(|line| line.contains("traces: ")).collect::<Vec<_>>();
        // The rest at the end.
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.contains("spans are lost, 20 not sent"), "{line}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_and_secrets_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
    for (name, value, words) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "found \"grpc\"; allowed: http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "found \"http/json\"; allowed: http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4317", "found another scheme; allowed: an http://"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://hush@host", "found an address with a name in it"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a b/", "found \"http://a b/\" (invalid"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush", "found a part that is no header; allowed: name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hush", "found a part that is no header"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=hush%0Ab", "found a part that is no header"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "found \"zstd\"; allowed: none, gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "found \"10s\"; allowed: 1 to 600000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c", "found a part that is no name=value; allowed: name=value"),
        ("OTEL_TRACES_SAMPLER", "xray", "found \"xray\"; allowed: parentbased_always_on, "),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "found \"1.5\"; allowed: 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN", "found \"NaN\"; allowed: 0 to 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "found \"0\"; allowed: 1 to 600000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "found \"0\"; allowed: 1 to 1000000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049", "found \"2049\"; allowed: 1 to OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "-1", "found \"-1\"; allowed: 1 to 600000"),
        ("OTEL_SDK_DISABLED", "yes", "found \"yes\"; allowed: true, false"),
    ] {
        let (code, _, errors) =
            run(folder.path(), &["--check-config"], &[endpoint, (name, value), ("SECRET_KEY", KEY)]);
        assert_eq!(code, Some(2), "{name}={value}: {errors}");
        assert!(errors.starts_with(&format!("latency-server: {name}: {words}")), "{errors}");
        assert!(!errors.contains("hush"), "{errors}");
    }
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "weak"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=hush")];
    let variables = [&headers[..], &[endpoint, ("SECRET_KEY", KEY)]].concat();
    let (code, text, errors) = run(folder.path(), &["--check-config", "--otel-service-name", "mine"], &variables);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let words: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "OTEL_EXPORTER_OTLP_ENDPOINT http://localhost:4318 (environment)",
        "OTEL_EXPORTER_OTLP_HEADERS set, and not shown (environment)",
        "OTEL_SERVICE_NAME mine (flag)",
        "OTEL_TRACES_SAMPLER parentbased_always_on (default)",
    ] {
        assert!(words.iter().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(!text.contains("hush"), "{text}");
}
