//! `GET /metrics`: its form, its names and labels, what it counts, and that the guide lists all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::{Server, client, config, json, models, observations};
use crate::observe::observe_much;
use latency_core::ErrorKind;
use latency_server::Config;
use latency_server::models::Source;
use rocket::http::{Header, Status};
use rocket::local::blocking::Client;

/// Metrics by name, as the text describes them.
#[derive(Default)]
struct Scrape(BTreeMap<String, Metric>);

#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    /// Name, labels and value of each line.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

fn parse(text: &str) -> Scrape {
    let mut scrape = Scrape::default();
    let mut current = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            name.clone_into(&mut current);
            let metric = Metric { help: help.to_owned(), ..Metric::default() };
            assert!(scrape.0.insert(current.clone(), metric).is_none(), "{name} is there twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            kind.clone_into(&mut scrape.0.get_mut(name).unwrap().kind);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert!(name.starts_with(&current), "{line} stands below {current}");
            let labels = labels.strip_suffix('}').unwrap();
            let labels = labels.split_terminator("\",").map(|label| {
                let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{label} in {line}"));
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
            let sample = (name.to_owned(), labels.collect(), value.parse().unwrap());
            scrape.0.get_mut(&current).unwrap().samples.push(sample);
        }
    }
    scrape
}

impl Scrape {
    fn of(client: &Client) -> Self {
        let response = client.get("/metrics").dispatch();
        assert_eq!(response.status(), Status::Ok);
        parse(&response.into_string().unwrap())
    }

    /// The one line of this name with these labels, and perhaps others.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let all = self.0.values().flat_map(|metric| &metric.samples);
        let fits = |found: &BTreeMap<_, _>| {
            labels.iter().all(|(label, value)| found.get(*label).is_some_and(|found: &String| found == value))
        };
        let values: Vec<_> = all.filter(|(found, labels, _)| found == name && fits(labels)).collect();
        assert_eq!(values.len(), 1, "{name} {labels:?}: {values:?}");
        values[0].2
    }

    fn labels(&self, metric: &str, label: &str) -> BTreeSet<&str> {
        self.0[metric].samples.iter().filter_map(|(_, labels, _)| labels.get(label)).map(String::as_str).collect()
    }

    fn series(&self) -> BTreeSet<String> {
        let samples = self.0.values().flat_map(|metric| &metric.samples);
        samples.map(|(name, labels, _)| format!("{name}{labels:?}")).collect()
    }
}

fn post(client: &Client, path: &'static str, body: &str) -> u16 {
    let response = client.post(path).body(body).dispatch();
    let status = response.status().code;
    // Read, so that the request ends.
    let _ = response.into_bytes();
    status
}

const PATH: &str = r#"{"src": "London", "dst": "Tokyo"}"#;

#[test]
fn the_form_is_what_prometheus_takes() {
    let client = client(&config());
    let response = client.get("/metrics").dispatch();
    assert_eq!(response.headers().get_one("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let scrape = parse(&response.into_string().unwrap());
    for (name, metric) in &scrape.0 {
        assert!(name.starts_with("latency_") || name.starts_with("process_"), "{name}");
        assert!(metric.help.ends_with('.') && !metric.samples.is_empty(), "{name}");
        assert_eq!(metric.kind == "counter", name.ends_with("_total"), "{name} is a {}", metric.kind);
        for unit in ["_ms", "_milliseconds", "_microseconds", "_kilobytes"] {
            assert!(!name.contains(unit), "{name}");
        }
    }
    if cfg!(target_os = "linux") {
        assert!(scrape.value("process_resident_memory_bytes", &[]) > 0.0);
    }
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.value("latency_build_info", &build), 1.0);
    assert_eq!(scrape.labels("latency_build_info", "rustc").len(), 1);
}

#[test]
#[ignore = "needs promtool, which is part of Prometheus (apt install prometheus)"]
fn promtool_finds_nothing_wrong() {
    let client = client(&config());
    assert_eq!(post(&client, "/predict", PATH), 200);
    let text = client.get("/metrics").dispatch().into_bytes().unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(&text).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_ratios_need_is_there_before_the_first_request() {
    let client = client(&config());
    let scrape = Scrape::of(&client);
    let info = models();
    let info = info.default_slot().served().unwrap();
    let (model, schema) = (info.predictor.model_info(), info.predictor.schema());
    for route in ["/", "/predict", "/health", "/ready", "/model_info", "/metrics"] {
        let method = if route == "/predict" { "POST" } else { "GET" };
        for status in ["200", "400", "500", "503"] {
            let labels = [("route", route), ("method", method), ("status", status)];
            assert_eq!(scrape.value("latency_http_requests_total", &labels), 0.0, "{labels:?}");
        }
        assert_eq!(scrape.value("latency_http_request_duration_seconds_count", &[("route", route)]), 0.0);
    }
    let codes = scrape.labels("latency_errors_total", "code");
    assert!(ErrorKind::ALL.iter().all(|kind| codes.contains(kind.code())), "{codes:?}");
    assert_eq!(codes, scrape.labels("latency_row_errors_total", "code"));
    let guide = guide();
    let (_, table) = guide.split_once("| status | code | when |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let written = table.lines().filter_map(|line| line.split('|').nth(2)).flat_map(|codes| codes.split('`'));
    for code in written.filter(|code| code.bytes().any(|byte| byte.is_ascii_uppercase())) {
        assert!(codes.contains(code), "{code} is in the guide, and not counted from the start");
    }
    let reasons = BTreeSet::from(["rate_limited", "overloaded", "body_too_slow", "body_too_large"]);
    assert_eq!(scrape.labels("latency_rejections_total", "reason"), reasons);
    let questions = BTreeSet::from(["predict", "rank", "judge", "timeout"]);
    assert_eq!(scrape.labels("latency_predictions_total", "question"), questions);
    let fields = scrape.labels("latency_out_of_range_inputs_total", "field");
    assert!(schema.fields.iter().all(|field| fields.contains(&*field.name)), "{fields:?}");
    let results = BTreeSet::from(["swapped", "unchanged", "loaded", "failed"]);
    assert_eq!(scrape.labels("latency_model_reloads_total", "result"), results);
    let labels = [
        ("model", model.name.as_str()),
        ("name", &model.name),
        ("version", &model.version),
        ("sha256", &model.sha256),
        ("engine", &model.engine),
        ("source", "bundled"),
    ];
    assert_eq!(scrape.value("latency_model_info", &labels), 1.0);
    assert!(scrape.value("latency_model_loaded_timestamp_seconds", &[]) > 1.7e9);
    assert!(scrape.value("latency_sessions", &[]) >= 1.0);
    assert_eq!(scrape.value("latency_model_last_reload_successful", &[]), 1.0);
    let buckets = scrape.labels("latency_http_request_duration_seconds", "le");
    for bucket in ["0.00005", "0.0001", "0.001", "0.01", "0.1", "1", "+Inf"] {
        assert!(buckets.contains(bucket), "{buckets:?}");
    }
}

#[test]
fn requests_are_counted() {
    let client = client(&Config { max_body_bytes: 1024, ..config() });
    assert_eq!(post(&client, "/predict", PATH), 200);
    assert_eq!(post(&client, "/predict", r#"{"src": {"lat": -77.85, "lon": 166.67}, "dst": "Tokyo"}"#), 200);
    assert_eq!(
        post(&client, "/predict", &format!(r#"[{PATH}, {PATH}, {{"src": "Nowhereville", "dst": "Tokyo"}}]"#)),
        200
    );
    assert_eq!(post(&client, "/predict", r#"{"src": "London", "dst": "Nowhereville"}"#), 400);
    assert_eq!(post(&client, "/predict?model=other", PATH), 404);
    assert_eq!(post(&client, "/predict", &" ".repeat(1025)), 413);
    assert_eq!(client.get("/nowhere/at/all").dispatch().status().code, 404);
    assert_eq!(client.get("/somewhere/else").dispatch().status().code, 404);
    assert_eq!(client.delete("/predict").dispatch().status().code, 405);
    assert_eq!(client.head("/health").dispatch().status().code, 200);
    assert_eq!(client.get("/?src=London&dst=Tokyo").dispatch().status().code, 200);

    let scrape = Scrape::of(&client);
    let requests = |route: &str, method: &str, status: &str| {
        let labels = [("route", route), ("method", method), ("status", status)];
        scrape.value("latency_http_requests_total", &labels)
    };
    assert_eq!(requests("/predict", "POST", "200"), 3.0);
    assert_eq!(requests("/predict", "POST", "400"), 1.0);
    assert_eq!(requests("/predict", "POST", "404"), 1.0);
    assert_eq!(requests("/predict", "POST", "413"), 1.0);
    assert_eq!(requests("/health", "HEAD", "200"), 1.0);
    assert_eq!(requests("/", "GET", "200"), 1.0);
    assert_eq!(requests("unmatched", "GET", "404"), 2.0);
    assert_eq!(requests("unmatched", "DELETE", "405"), 1.0);
    let times = |what: &str, array: &str| {
        let name = format!("latency_http_request_duration_seconds_{what}");
        scrape.value(&name, &[("route", "/predict"), ("array", array)])
    };
    assert_eq!((times("count", "false"), times("count", "true")), (5.0, 1.0));
    let took = times("sum", "false");
    assert!(took > 0.0, "{took}");
    // The one that reads them.
    assert_eq!(scrape.value("latency_http_requests_in_flight", &[]), 1.0);

    let errors = |name: &str, code: &str| scrape.value(name, &[("code", code)]);
    assert_eq!(errors("latency_errors_total", "UNKNOWN_PLACE"), 1.0);
    assert_eq!(errors("latency_errors_total", "UNKNOWN_MODEL"), 1.0);
    assert_eq!(errors("latency_errors_total", "BODY_TOO_LARGE"), 1.0);
    assert_eq!(errors("latency_errors_total", "NOT_FOUND"), 2.0);
    assert_eq!(errors("latency_errors_total", "METHOD_NOT_ALLOWED"), 1.0);
    assert_eq!(errors("latency_row_errors_total", "UNKNOWN_PLACE"), 1.0);
    assert_eq!(scrape.value("latency_rejections_total", &[("reason", "body_too_large")]), 1.0);

    assert_eq!(scrape.value("latency_predictions_total", &[("question", "predict")]), 5.0);
    assert_eq!(scrape.value("latency_predicted_p50_seconds_count", &[]), 5.0);
    let answer = client.post("/predict").body(PATH).dispatch();
    let p50 = json(answer)["p50_ms"].as_f64().unwrap() / 1000.0;
    let sum = scrape.value("latency_predicted_p50_seconds_sum", &[]);
    assert!(sum > 4.0 * p50 && sum < 5.0, "{sum} is not the sum of four times {p50} and another");
    assert_eq!(scrape.value("latency_batch_rows_count", &[]), 1.0);
    assert_eq!(scrape.value("latency_batch_rows_sum", &[]), 3.0);
    assert_eq!(scrape.value("latency_out_of_range_inputs_total", &[("field", "src_lat")]), 1.0);
}

#[test]
fn nothing_that_callers_write_becomes_a_series() {
    let client = client(&config());
    let known = [
        ("/predict", PATH),
        ("/nowhere", ""),
        ("/predict?model=other", PATH),
        ("/predict", r#"{"src": "x", "dst": "y"}"#),
        ("/predict", r#"{"src_lat": 0, "src_lon": 0, "dst_lat": 0, "dst_lon": 0, "dst_strange": 1}"#),
    ];
    for (path, body) in known {
        post(&client, path, body);
    }
    let before = Scrape::of(&client).series();
    for index in 0..50 {
        let strange = format!("strange-{index}");
        let paths = [
            format!("/{strange}"),
            format!("/predict?model={strange}"),
            format!("/predict?{strange}"),
            format!("/predict/{strange}"),
        ];
        for path in paths {
            let body = format!(r#"{{"src": "{strange}", "dst": "Tokyo", "{strange}": 1}}"#);
            let request = client.post(path).header(Header::new("X-Request-Id", strange.clone())).body(body);
            let _ = request.dispatch().into_bytes();
        }
    }
    let after = Scrape::of(&client).series();
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn requests_too_broken_for_rocket_are_counted() {
    let server = Server::start(config());
    let mut connection = server.connect();
    connection.send(b"BREW /predict HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(connection.answer(true).status, 400);
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = connection.answer(true);
    let scrape = parse(std::str::from_utf8(&answer.body).unwrap());
    let labels = [("route", "unmatched"), ("method", "other"), ("status", "400")];
    assert_eq!(scrape.value("latency_http_requests_total", &labels), 1.0);
    assert_eq!(scrape.value("latency_errors_total", &[("code", "BAD_REQUEST")]), 1.0);
    assert_eq!(scrape.value("latency_http_requests_in_flight", &[]), 1.0);
}

fn guide() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/server.md")).unwrap()
}

/// `| name | type | labels | meaning |`
#[test]
fn the_guide_lists_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { observations: Some(observations(folder.path())), shadow: Some(Source::Bundled), ..config() };
    let client = Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap();
    observe_much(&client);
    let scrape = Scrape::of(&client);
    let guide = guide();
    let rows: BTreeSet<_> =
        guide.lines().filter(|line| line.starts_with("| `latency_") && line.matches('|').count() == 5).collect();
    let expected: BTreeSet<_> = scrape
        .0
        .iter()
        .filter(|(name, _)| name.starts_with("latency_"))
        .map(|(name, metric)| {
            let labels: BTreeSet<_> = metric.samples.iter().flat_map(|(_, labels, _)| labels.keys()).collect();
            let labels: Vec<_> =
                labels.into_iter().filter(|label| *label != "le").map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
            format!("| `{name}` | {} | {labels} | {} |", metric.kind, metric.help.trim_end_matches('.'))
        })
        .collect();
    let expected: BTreeSet<_> = expected.iter().map(String::as_str).collect();
    let missing: Vec<_> = expected.difference(&rows).collect();
    assert_eq!(rows, expected, "not in the guide: {missing:#?}");
}
