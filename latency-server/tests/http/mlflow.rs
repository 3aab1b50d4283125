//! What `MLflow`'s clients send to its scoring server, and what they read.

use std::path::Path;

use crate::common::{client, config, json, local};
use latency_server::Config;
use latency_server::limits::Settings;
use latency_server::models::Source;
use rocket::http::{ContentType, Header, Status};
use rocket::local::blocking::{Client, LocalResponse};
use serde_json::{Value, json};

fn invoke(kind: &'static str, body: &str) -> LocalResponse<'static> {
    local().post("/invocations").header(Header::new("Content-Type", kind)).body(body).dispatch()
}

fn ok(kind: &'static str, body: &str) -> Value {
    let response = invoke(kind, body);
    let status = response.status();
    let answer = json(response);
    assert_eq!(status, Status::Ok, "{answer}");
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["predictions"]);
    answer["predictions"].clone()
}

#[track_caller]
fn assert_error(response: LocalResponse<'_>, status: u16, code: &str, words: &str) {
    assert_eq!((response.status().code, response.content_type()), (status, Some(ContentType::JSON)));
    let body = json(response);
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error_code", "message"]);
    assert_eq!(body["error_code"], code, "{body}");
    assert!(body["message"].as_str().unwrap().contains(words), "{body}");
}

#[test]
fn every_form_of_the_same_rows_has_the_same_answer() {
    let json = "application/json";
    let expected = ok(
        json,
        r#"{"dataframe_records": [{"src": "London", "dst": "Tokyo", "dst_access": "wifi"}, {"src": "Paris", "dst": "LHR"}]}"#,
    );
    let names: Vec<_> = expected[0].as_object().unwrap().keys().map(String::as_str).collect();
    let mut known = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"];
    known.sort_unstable();
    assert_eq!(names, known);
    assert_eq!(expected.as_array().unwrap().len(), 2);
    for body in [
        r#"{"dataframe_split": {"index": [5, 6], "columns": ["dst", "src", "dst_access"], "data": [["Tokyo", "London", "wifi"], ["LHR", "Paris", null]]}}"#,
        r#"{"dataframe_split": {"columns": ["dst", "src", "dst_access"], "data": [["Tokyo", "London", "wifi"], ["LHR", "Paris", NaN]]}, "params": null}"#,
        r#"{"instances": [{"src": "London", "dst": "Tokyo", "dst_access": "wifi"}, {"src": "Paris", "dst": "LHR"}], "params": {"quantile": 0.5}}"#,
        r#"{"inputs": [{"src": "London", "dst": "Tokyo", "dst_access": "wifi"}, {"src": "Paris", "dst": "LHR", "dst_access": null}]}"#,
        r#"{"inputs": {"src": ["London", "Paris"], "dst": ["Tokyo", "LHR"], "dst_access": ["wifi", null]}}"#,
        // What the model does not take is ignored, whatever it holds.
        r#"{"inputs": {"weather": {"sun": 1}, "src": ["London", "Paris"], "dst": ["Tokyo", "LHR"], "dst_access": ["wifi", NaN]}}"#,
        r#"{"dataframe_records": [{"weather": [1], "src": "London", "dst": "Tokyo", "dst_access": "wifi"}, {"src": "Paris", "dst": "LHR"}]}"#,
    ] {
        assert_eq!(ok(json, body), expected, "{body}");
        assert_eq!(ok("application/json; charset=utf-8", body), expected, "{body}");
        let bare = local().post("/invocations").body(body).dispatch();
        assert_eq!(crate::common::json(bare)["predictions"], expected, "without a Content-Type");
        let at_endpoint =
            local().post("/endpoints/latency/invocations").header(ContentType::JSON).body(body).dispatch();
        assert_eq!(crate::common::json(at_endpoint)["predictions"], expected);
    }
    let table = "src,weather,dst,dst_access\nLondon,sun,Tokyo,wifi\nParis,,LHR,\n";
    for kind in ["text/csv", "text/csv; charset=UTF-8"] {
        assert_eq!(ok(kind, table), expected);
        assert_eq!(ok(kind, table.trim_end()), expected);
    }
    for empty in [
        r#"{"dataframe_split": {"columns": ["src"], "data": []}}"#,
        r#"{"dataframe_records": []}"#,
        r#"{"instances": []}"#,
        r#"{"inputs": {"src": []}}"#,
    ] {
        assert_eq!(ok(json, empty), json!([]), "{empty}");
    }
    assert_eq!(ok("text/csv", "src,dst\n"), json!([]));
}

#[test]
fn errors_have_the_form_of_mlflow() {
    let bad = "INVALID_PARAMETER_VALUE";
    for (body, words) in [
        ("", "found a body that cannot be read (EOF"),
        ("[]", "found a body that cannot be read"),
        ("{}", "found none of the keys that hold rows"),
        (r#"{"rows": []}"#, "unknown field `rows`, expected one of `dataframe_split`"),
        (r#"{"instances": [], "inputs": []}"#, "or several"),
        (r#"{"instances": {}}"#, "instances: found an object; allowed: an array of objects"),
        (r#"{"instances": [[1, 2]]}"#, "row 0: instances: found a body that cannot be read"),
        (r#"{"inputs": 5}"#, "inputs: found a number"),
        (r#"{"inputs": NaNaN}"#, "found a body that cannot be read"),
        (r#"{"inputs": {}}"#, "found none of the model's columns"),
        (r#"{"instances": [{"weather": 1}]}"#, "row 0: found none of the model's columns"),
        (r#"{"inputs": {"src": "London"}}"#, "src: found a body that cannot be read"),
        (r#"{"inputs": {"src": ["London"], "dst": []}}"#, "dst: found 0 values, but `src` has 1"),
        (
            r#"{"dataframe_split": {"data": [[1]]}}"#,
            "dataframe_split: found a body that cannot be read (missing field `columns`",
        ),
        (r#"{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}"#, "row 0: found 2 values; allowed: 1"),
        (r#"{"dataframe_split": {"columns": [1], "data": []}}"#, "dataframe_split: "),
        (r#"{"dataframe_split": {"columns": ["a"], "data": [], "rows": 1}}"#, "unknown field `rows`"),
        (r#"{"dataframe_records": [{"src": "London"}]}"#, "row 0: dst_lat: required, but not given"),
        (
            r#"{"dataframe_records": [{"src": "London", "dst": "Tokyo"}, {"src": "London", "dst": "Lndon"}]}"#,
            "row 1: dst: found `Lndon`, the name of no city",
        ),
        (
            r#"{"dataframe_records": [{"src": "London", "dst_lat": 91, "dst_lon": 0}]}"#,
            "row 0: dst_lat: found 91; allowed: a number from -90 to 90",
        ),
        (
            r#"{"dataframe_records": [{"src": "London", "dst": "Tokyo", "src_access": 5}]}"#,
            "row 0: src_access: found the number 5",
        ),
    ] {
        assert_error(invoke("application/json", body), 400, bad, words);
    }
    let csv = invoke("text/csv", "src,dst\nLondon,Tokyo\nLondon,Lndon\n");
    assert_error(csv, 400, bad, "row 1: dst: found `Lndon`");
    assert_error(invoke("text/csv", "src,dst\nLondon\n"), 400, bad, "row 0: found 1 cells; allowed: 2");
    for kind in
        ["application/vnd.apache.arrow.stream", "application/json; charset=latin1", "text/csv; header=present", "?"]
    {
        assert_error(invoke(kind, "{}"), 415, "BAD_REQUEST", "allowed: application/json or text/csv, in UTF-8");
    }
    let unknown = local().post("/endpoints/other/invocations").body("{}").dispatch();
    assert_error(unknown, 404, "ENDPOINT_NOT_FOUND", "model: found \"other\"; allowed: latency");
    assert_error(local().post("/invocations?mode=x").body("{}").dispatch(), 400, bad, "mode: no such parameter");
    assert_error(local().get("/invocations").dispatch(), 405, "BAD_REQUEST", "found GET; allowed here: POST");
    let long = format!(r#"{{"{}": 1}}"#, "n".repeat(100_000));
    assert!(invoke("application/json", &long).into_string().unwrap().len() < 600);
    let rows = format!(r#"{{"dataframe_records": [{}]}}"#, vec!["{}"; 100_001].join(","));
    assert_error(invoke("application/json", &rows), 413, "BAD_REQUEST", "found 100001 rows");
    let long = format!(r#"{{"dataframe_records": [{{"src": "{}"}}]}}"#, "n".repeat(20_000));
    assert_error(invoke("application/json", &long), 400, bad, "row 0: found 20011 bytes for one row");

    let names: Vec<_> = (0..1_100).map(|name| format!(r#""{name}": 1"#)).collect();
    let many = format!(r#"{{"dataframe_records": [{{{}}}]}}"#, names.join(", "));
    assert_error(invoke("application/json", &many), 400, bad, "row 0: dataframe_records: found 1100 names");

    let limits = Settings { concurrency: Some(0), ..Settings::default() };
    let closed = client(&Config { limits, ..config() });
    let response = closed.post("/invocations").header(Header::new("Content-Length", "2")).body("{}").dispatch();
    assert_eq!(response.headers().get_one("Retry-After"), Some("1"));
    assert_error(response, 503, "TEMPORARILY_UNAVAILABLE", "as much to do as it takes on");
    assert_eq!(closed.get("/ping").dispatch().status(), Status::Ok);
    let limits = Settings { rate: Some(1.try_into().unwrap()), ..Settings::default() };
    let strict = client(&Config { limits, ..config() });
    assert_eq!(strict.get("/version").dispatch().status(), Status::Ok);
    assert_error(strict.get("/version").dispatch(), 429, "REQUEST_LIMIT_EXCEEDED", "more requests from this address");
}

#[test]
fn supervisors_and_deployment_clients_find_their_way() {
    let get = |path: &'static str| local().get(path).dispatch();
    assert_eq!((get("/ping").status(), get("/health").status()), (Status::Ok, Status::Ok));
    // It is the MLflow whose clients are tried.
    let version = get("/version").into_string().unwrap();
    let tried = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/requirements.in");
    assert!(std::fs::read_to_string(tried).unwrap().contains(&format!("mlflow=={version}\n")), "{version}");

    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx");
    let config = Config { models: vec![("own".to_owned(), Source::File(own))], ..config() };
    let client = Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap();
    for path in ["/api/2.0/endpoints/", "/api/2.0/endpoints"] {
        let endpoints = json(client.get(path).dispatch())["endpoints"].clone();
        assert_eq!((&endpoints[0]["name"], &endpoints[1]["name"]), (&json!("latency"), &json!("own")));
        assert_eq!(endpoints[1]["endpoint_url"], "/endpoints/own/invocations");
    }
    let endpoint = json(client.get("/api/2.0/endpoints/own").dispatch());
    assert_eq!(endpoint["endpoint_url"], "/endpoints/own/invocations");
    let rows = r#"{"dataframe_records": [{"hops": 7, "link": "fibre"}]}"#;
    let answer = json(client.post("/endpoints/own/invocations").body(rows).dispatch());
    assert_eq!(answer["predictions"][0].as_object().unwrap().len(), 5, "{answer}");
    let asked = json(client.post("/invocations?model=own").body(rows).dispatch());
    assert_eq!(asked, answer);
}
