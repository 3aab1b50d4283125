//! Every kind of bad input gets a status, a code, the field, and a message that says what was found and what is
//! allowed; and nothing of the machine's inside.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::{Server, client, config, json, local, predict};
use latency_core::ErrorKind;
use latency_server::Config;
use latency_server::models::Source;
use rocket::http::{Header, Method, Status};
use rocket::local::blocking::Client;
use serde_json::{Value, json};

/// Nothing that a stranger should see: places of this machine, names of types, sources, traces.
fn assert_discreet(body: &str) {
    let home = env!("CARGO_MANIFEST_DIR");
    for inside in [home, "latency_core", "serde_json", "rocket", "onnx", "panicked", ".rs", "::", "Some(", "Err("] {
        assert!(!body.contains(inside), "{inside} in {body}");
    }
}

fn assert_error(found: (u16, &Value), status: u16, code: &str, field: Option<&str>, words: &[&str]) {
    let (found_status, body) = found;
    assert_eq!(found_status, status, "{body}");
    let error = &body["error"];
    assert_eq!(error["code"], code, "{body}");
    assert_eq!(error.get("field").and_then(Value::as_str), field, "{body}");
    let message = error["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in `{message}`");
    }
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    assert_discreet(&body.to_string());
}

type Case = (&'static str, &'static str, Option<&'static str>, &'static [&'static str]);

/// Body, code, field, words of the message.
const ROWS: &[Case] = &[
    (
        r#"{"src": {"lat": 91, "lon": 0}, "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.lat"),
        &["found 91", "allowed", "-90 to 90"],
    ),
    (
        r#"{"src_lat": 0, "src_lon": 0, "dst_lat": 0, "dst_lon": -181}"#,
        "INVALID_FIELD",
        Some("dst_lon"),
        &["found -181", "allowed", "-180 to 180"],
    ),
    (
        r#"{"src": "91,0", "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.lat"),
        &["found 91", "allowed: a number from -90 to 90"],
    ),
    (
        r#"{"src": {"lat": "NaN", "lon": 0}, "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.lat"),
        &["found", "NaN", "allowed", "number"],
    ),
    (
        r#"{"src": {"lat": "51.5", "lon": 0}, "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.lat"),
        &["found", "51.5", "allowed", "without quotes"],
    ),
    (
        r#"{"src": {"lat": true, "lon": 0}, "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.lat"),
        &["found true or false", "allowed: a number"],
    ),
    (
        r#"{"src": {"place": "London", "access": "telepathy"}, "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.access"),
        &["found \"telepathy\"", "allowed: server, wired"],
    ),
    (
        r#"{"src": {"place": "London", "access": 1}, "dst": "Tokyo"}"#,
        "INVALID_FIELD",
        Some("src.access"),
        &["found the number 1", "allowed: server, wired"],
    ),
    (r#"{"src": "London"}"#, "MISSING_FIELD", Some("dst.lat"), &["required", "allowed: a number from -90 to 90"]),
    (r#"{"src": "London", "dst": {"lat": 1}}"#, "MISSING_FIELD", Some("dst.lon"), &["required", "allowed"]),
    (
        r#"{"src": "London", "dst": {"lat": null, "lon": 1}}"#,
        "MISSING_FIELD",
        Some("dst.lat"),
        &["required", "allowed"],
    ),
    ("{}", "MISSING_FIELD", Some("src_lat"), &["required", "allowed"]),
    (
        r#"{"src": {"place": "London", "acces": "wifi"}, "dst": "Tokyo"}"#,
        "UNKNOWN_FIELD",
        Some("src.acces"),
        &["no such field", "allowed", "did you mean `access`?"],
    ),
    (
        r#"{"src": "London", "dst": "Tokyo", "x": 1}"#,
        "UNKNOWN_FIELD",
        Some("x"),
        &["no such field", "allowed: src_lat"],
    ),
    (
        r#"{"src": "Lndon", "dst": "Tokyo"}"#,
        "UNKNOWN_PLACE",
        Some("src"),
        &["found `Lndon`", "near names", "`London`", "allowed"],
    ),
    (r#"{"src": "", "dst": "Tokyo"}"#, "UNKNOWN_PLACE", Some("src"), &["found an empty name", "allowed"]),
    (
        r#"{"src": "Springfield", "dst": "Tokyo"}"#,
        "AMBIGUOUS_PLACE",
        Some("src"),
        &["found `Springfield`", "Springfield, MO, US"],
    ),
    (r#"{"src": null, "dst": "Tokyo"}"#, "INVALID_FIELD", Some("src"), &["found nothing", "allowed: a place"]),
    (r#"{"src": ["London"], "dst": "Tokyo"}"#, "INVALID_FIELD", Some("src"), &["found an array", "allowed"]),
    ("null", "INVALID_JSON", None, &["found null", "allowed: an object"]),
    ("5", "INVALID_JSON", None, &["found a number", "allowed: an object"]),
    ("\"London\"", "INVALID_JSON", None, &["found a string", "allowed: an object"]),
];

#[test]
fn a_bad_row_alone() {
    for (body, code, field, words) in ROWS {
        let (status, answer) = predict(body);
        assert_error((status, &answer), 400, code, *field, words);
    }
}

/// The catalogue: what cannot arise over HTTP is of the model file or the library, which stop the start, or of batches.
#[test]
fn every_kind_of_error_that_can_arise_is_caused_here() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx");
    let config = Config { model: Source::File(own), ..config() };
    let client = Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap();
    let mut caused: BTreeSet<_> = ROWS.iter().map(|(_, code, ..)| *code).collect();
    for (body, status, code, words) in [
        (r#"{"src": "London", "dst": "Tokyo"}"#, 400, "UNSUPPORTED", "knows no places; give its fields by name: hops"),
        // Without a link, this model gives no number. Its log says which; a caller cannot help it.
        (r#"{"hops": 3}"#, 503, "INFERENCE_FAILED", "its log says why; try again later"),
    ] {
        let response = client.post("/predict").body(body).dispatch();
        assert_error((response.status().code, &json(response)), status, code, None, &[words]);
        caused.insert(code);
    }
    let elsewhere = |kind: &&ErrorKind| {
        !matches!(
            kind,
            ErrorKind::InvalidBatch
                | ErrorKind::ModelNotReadable
                | ErrorKind::InvalidModel
                | ErrorKind::InvalidSchema
                | ErrorKind::GoldenMismatch
                | ErrorKind::RuntimeNotLoaded
                | ErrorKind::Cancelled
        )
    };
    assert_eq!(caused, ErrorKind::ALL.iter().filter(elsewhere).map(|kind| kind.code()).collect());
}

#[test]
fn bad_rows_in_an_array_fail_in_their_place_and_spare_the_others() {
    let good = r#"{"src": "London", "dst": "Tokyo"}"#;
    let rows: Vec<_> = ROWS.iter().flat_map(|(body, ..)| [good, body]).collect();
    let (status, answer) = predict(format!("[{}]", rows.join(",")));
    assert_eq!(status, 200, "{answer}");
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), rows.len());
    let (_, alone) = predict(good);
    for (index, (_, code, field, words)) in ROWS.iter().enumerate() {
        assert_eq!(predictions[2 * index]["p50_ms"], alone["p50_ms"]);
        let row = 2 * index + 1;
        assert_error((400, &predictions[row]), 400, code, *field, words);
        assert_eq!(predictions[row]["error"]["row"], row);
    }
}

#[test]
fn text_that_is_not_json() {
    let deep_arrays = "[".repeat(100_000);
    let deep_objects = "{\"a\":".repeat(3_000);
    let far_too_deep_objects = "{\"a\":".repeat(100_000);
    let cases: [(&[u8], &[&str]); 13] = [
        (b"", &["found an empty body", "allowed"]),
        (b" \n\t ", &["found an empty body", "allowed"]),
        (br#"{"src": NaN}"#, &["not JSON at line 1 column 9", "null, not NaN"]),
        (br#"[{"src": NaN}]"#, &["not JSON at line 1 column 10", "null, not NaN"]),
        (b"{\"src\": \"London\",\n\"dst\"}", &["not JSON at line 2 column 6", "allowed: one object"]),
        (br#"{"src": "London""#, &["not JSON at line 1 column 16", "EOF"]),
        (br#"[{"src": "London"}"#, &["not JSON at line 1 column 18", "EOF"]),
        (br#"{"src": "London"} {}"#, &["not JSON at line 1 column 19", "trailing characters"]),
        (br"[] []", &["not JSON at line 1 column 4", "trailing characters"]),
        (b"{\"src\": \"\xff\"}", &["not UTF-8 at offset 9", "allowed: JSON in UTF-8"]),
        (deep_arrays.as_bytes(), &["not JSON", "EOF"]),
        (deep_objects.as_bytes(), &["not JSON", "recursion limit"]),
        (far_too_deep_objects.as_bytes(), &["found 500000 bytes for one row", "allowed: up to 16384"]),
    ];
    for (body, words) in cases {
        let (status, answer) = predict(body);
        assert_error((status, &answer), 400, "INVALID_JSON", None, words);
    }
}

#[test]
fn rows_that_are_too_deep_or_too_long_or_hold_impossible_numbers_fail_in_their_place() {
    let (open, close) = ("{\"a\":".repeat(200), "}".repeat(200));
    let long = "x".repeat(20_000);
    let body = format!(
        r#"[{open}1{close}, {{"src": "{long}", "dst": "Tokyo"}}, {{"src": {{"lat": 1e999, "lon": 0}}, "dst": "Tokyo"}}]"#
    );
    let (status, answer) = predict(body);
    assert_eq!(status, 200, "{answer}");
    for (row, words) in [
        ["not JSON", "recursion limit"],
        ["bytes for one row", "allowed: up to 16384"],
        ["not JSON", "number out of range"],
    ]
    .iter()
    .enumerate()
    {
        assert_error((400, &answer["predictions"][row]), 400, "INVALID_JSON", None, words);
    }
}

#[test]
fn empty_in_empty_out() {
    let (status, answer) = predict("[]");
    assert_eq!((status, &answer["predictions"]), (200, &json!([])));
    assert!(answer["model"]["version"].is_string());
}

#[test]
fn the_most_rows_are_answered_and_more_are_refused() {
    let rows = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    let (status, answer) = predict(rows(100_000));
    assert_eq!((status, answer["predictions"].as_array().unwrap().len()), (200, 100_000));
    assert_eq!(answer["predictions"][99_999]["error"]["row"], 99_999);
    for count in [100_001, 200_000] {
        let (status, answer) = predict(rows(count));
        let words = [&format!("found {count} rows"), "allowed: up to 100000", "send them in several"];
        assert_error((status, &answer), 413, "TOO_MANY_ROWS", None, &words);
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_over_a_real_connection() {
    let server = Server::start(Config { max_body_bytes: 4096, ..config() });
    let body = vec![b' '; 10_000];
    let answer = server.connect().post("/predict", &body);
    let words = ["found 10000 bytes", "allowed: up to 4096"];
    assert_error((answer.status, &answer.json()), 413, "BODY_TOO_LARGE", None, &words);

    let mut chunked = server.connect();
    chunked.send(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n");
    chunked.send(&body);
    chunked.send(b"\r\n0\r\n\r\n");
    let answer = chunked.answer(true);
    let words = ["found more than 4096 bytes", "allowed: up to 4096"];
    assert_error((answer.status, &answer.json()), 413, "BODY_TOO_LARGE", None, &words);
}

#[test]
fn a_body_of_exactly_the_cap_is_read() {
    let row = br#"{"src": "London", "dst": "Tokyo"}"#;
    let client = client(&Config { max_body_bytes: row.len() as u64, ..config() });
    assert_eq!(client.post("/predict").body(row).dispatch().status(), Status::Ok);
    let response = client.post("/predict").body([&row[..], b" "].concat()).dispatch();
    assert_eq!(response.status(), Status::PayloadTooLarge);
}

#[test]
fn the_content_type_does_not_matter_but_compression_does() {
    let row = r#"{"src": "London", "dst": "Tokyo"}"#;
    for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense"] {
        let response = local().post("/predict").header(Header::new("Content-Type", kind)).body(row).dispatch();
        assert_eq!(response.status(), Status::Ok, "{kind}");
    }
    let response = local().post("/predict").header(Header::new("Content-Encoding", "gzip")).body(row).dispatch();
    let status = response.status().code;
    assert_error(
        (status, &json(response)),
        415,
        "UNSUPPORTED_ENCODING",
        None,
        &["found the Content-Encoding \"gzip\"", "allowed: none"],
    );
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    for (path, methods) in
        [("/predict", "POST"), ("/health", "GET, HEAD"), ("/model_info", "GET, HEAD"), ("/", "GET, HEAD")]
    {
        for method in
            [Method::Get, Method::Head, Method::Post, Method::Put, Method::Delete, Method::Patch, Method::Options]
        {
            if methods.split(", ").any(|allowed| allowed == method.as_str()) {
                continue;
            }
            let response = local().req(method, path).dispatch();
            assert_eq!(response.status(), Status::MethodNotAllowed, "{method} {path}");
            assert_eq!(response.headers().get_one("Allow"), Some(methods), "{method} {path}");
            if method != Method::Head {
                let words = [&format!("found {method}"), &format!("allowed here: {methods}")[..]];
                assert_error((405, &json(response)), 405, "METHOD_NOT_ALLOWED", None, &words);
            }
        }
    }
}

#[test]
fn head_has_no_body() {
    let server = Server::start(config());
    let mut connection = server.connect();
    for (path, status) in [("/health", 200), ("/predict", 405), ("/", 200), ("/nothing", 404), ("/health", 200)] {
        // A body would be taken for the next answer's head.
        assert_eq!(connection.head(path).status, status, "{path}");
    }
}

#[test]
fn an_unknown_path_is_told_what_there_is() {
    for path in ["/nothing", "/predict/", "/static/../Cargo.toml", "/static/%2e%2e/Cargo.toml", "/%00", "/health/x"] {
        let response = local().get(path).dispatch();
        let status = response.status().code;
        let words = ["nothing here", "allowed: GET /, ", "POST /predict"];
        assert_error((status, &json(response)), 404, "NOT_FOUND", None, &words);
    }
}
