//! `/rank`, `/timeout` and `/judge`: what they answer, and how they refuse.

use std::path::Path;

use crate::common::{PREDICTOR, config, json, local};
use latency_core::{Endpoint, Place};
use latency_server::Config;
use latency_server::models::Source;
use rocket::local::blocking::Client;
use serde_json::{Value, json};

fn post(path: &str, body: impl AsRef<[u8]>) -> (u16, Value) {
    let response = local().post(path.to_owned()).body(body).dispatch();
    (response.status().code, json(response))
}

#[test]
fn candidates_are_ranked_and_given_back_as_they_were_written() {
    let body = r#"{
        "src": {"place": "Madrid", "access": "wifi"},
        "candidates": ["aws:us-east-1", {"place": "aws:eu-west-3", "tier": "premium"}, "51.51,-0.13"],
        "budget_ms": 60
    }"#;
    let (status, answer) = post("/rank", body);
    assert_eq!(status, 200, "{answer}");
    let ranked = answer["ranked"].as_array().unwrap();
    assert_eq!(ranked.len(), 3);
    assert_eq!(ranked[0]["candidate"], json!({"place": "aws:eu-west-3", "tier": "premium"}));
    assert_eq!(ranked[2]["candidate"], "aws:us-east-1");
    assert_eq!((&ranked[0]["index"], &ranked[2]["index"]), (&json!(1), &json!(0)));
    let sum: f64 = ranked.iter().map(|one| one["p_best"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    for one in ranked {
        assert!(one["p_within_budget"].is_number() && one["p50_ms"].is_number() && one["warnings"].is_array(), "{one}");
    }
    assert_eq!(answer["model"], json!(PREDICTOR.model_info().tag()));
    // Without a budget there is no probability of it.
    let (_, answer) = post("/rank", r#"{"src": "Madrid", "candidates": ["Paris"], "budget_ms": null}"#);
    assert!(answer["ranked"][0].get("p_within_budget").is_none(), "{answer}");
}

#[test]
fn all_regions_of_a_provider_by_one_word() {
    let src = Endpoint::find("Lisbon").unwrap();
    let of = |word: &str| {
        let regions = Place::cloud_regions();
        let regions = regions.filter(|region| word == "all" || region.provider().unwrap().as_str() == word);
        regions.map(|region| region.to_string()).collect::<Vec<_>>()
    };
    for word in ["aws", "azure", "gcp", "all"] {
        let (status, answer) = post("/rank", json!({"src": "Lisbon", "candidates": {"regions": word}}).to_string());
        assert_eq!(status, 200, "{answer}");
        let names = of(word);
        let ends: Vec<_> = names.iter().map(|name| Endpoint::find(name).unwrap()).collect();
        let expected = PREDICTOR.rank(&src, &ends, None).unwrap();
        let found: Vec<_> = answer["ranked"].as_array().unwrap().iter().map(|one| one["candidate"].clone()).collect();
        let expected: Vec<_> = expected.iter().map(|one| json!(names[one.index])).collect();
        assert_eq!(found, expected, "{word}");
    }
}

#[test]
fn fields_by_flat_names_hold_for_all_candidates() {
    let flat = json!({"src_lat": 51.51, "src_lon": -0.13, "dst_access": "wifi", "candidates": ["35.68,139.69", "LHR"]});
    let nested = json!({
        "src": "51.51,-0.13",
        "candidates": [{"lat": 35.68, "lon": 139.69, "access": "wifi"}, {"place": "LHR", "access": "wifi"}]
    });
    let numbers = |body: Value| {
        let (status, mut answer) = post("/rank", body.to_string());
        assert_eq!(status, 200, "{answer}");
        for one in answer["ranked"].as_array_mut().unwrap() {
            one.as_object_mut().unwrap().remove("candidate");
        }
        answer
    };
    assert_eq!(numbers(flat), numbers(nested));
    let flat = json!({"src_lat": 51.51, "src_lon": -0.13, "dst_lat": 35.68, "dst_lon": 139.69, "dst_access": "wifi"});
    let nested = json!({"src": "51.51,-0.13", "dst": {"lat": 35.68, "lon": 139.69, "access": "wifi"}});
    for (path, own, value) in [("/judge", "measured_ms", 240.0), ("/timeout", "quantile", 0.95)] {
        let with = |row: &Value| {
            let mut row = row.clone();
            row[own] = json!(value);
            post(path, row.to_string())
        };
        assert_eq!(with(&flat), with(&nested), "{path}");
        assert_eq!(with(&flat).0, 200);
    }
}

#[test]
fn verdicts_and_deadlines() {
    let judge = |ms: f64| post("/judge", json!({"src": "London", "dst": "Tokyo", "measured_ms": ms}).to_string()).1;
    for (ms, verdict) in [(30.0, "impossible"), (80.0, "suspicious"), (240.0, "plausible"), (2000.0, "slow")] {
        let answer = judge(ms);
        assert_eq!(answer["verdict"], verdict, "{answer}");
        assert!(answer["quantile"].is_number() && answer["message"].as_str().unwrap().starts_with(&ms.to_string()));
    }
    let (_, timeout) = post("/timeout", r#"{"src": "London", "dst": "Tokyo"}"#);
    assert_eq!(
        (&timeout["timeout_ms"], &timeout["quantile"]),
        (&timeout["p99_ms"], &json!(0.99)),
        "0.99 if none is given"
    );
}

type Case = (&'static str, &'static str, u16, &'static str, Option<&'static str>, &'static [&'static str]);

/// Path, body, status, code, field, words of the message.
const REFUSED: &[Case] = &[
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR", "CDG", {"lat": 91, "lon": 0}]}"#,
        400,
        "INVALID_FIELD",
        Some("candidates[2].lat"),
        &["found 91", "-90 to 90"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR", "Lndon"]}"#,
        400,
        "UNKNOWN_PLACE",
        Some("candidates[1]"),
        &["found `Lndon`", "`London`"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR", {"place": "Springfield"}]}"#,
        400,
        "AMBIGUOUS_PLACE",
        Some("candidates[1].place"),
        &["Springfield, MO, US"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR", {"place": "CDG", "acces": "wifi"}]}"#,
        400,
        "UNKNOWN_FIELD",
        Some("candidates[1].acces"),
        &["did you mean `access`"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR", 5]}"#,
        400,
        "INVALID_FIELD",
        Some("candidates[1]"),
        &["found a number", "allowed: a place"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR", ["CDG"]]}"#,
        400,
        "INVALID_FIELD",
        Some("candidates[1]"),
        &["found an array"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": [null]}"#,
        400,
        "INVALID_FIELD",
        Some("candidates[0]"),
        &["found nothing"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": [{"lat": 1, "lat": 2, "lon": 3}]}"#,
        400,
        "INVALID_FIELD",
        Some("candidates[0].lat"),
        &["twice"],
    ),
    ("/rank", r#"{"src": "Lndon", "candidates": ["LHR"]}"#, 400, "UNKNOWN_PLACE", Some("src"), &["`London`"]),
    ("/rank", r#"{"candidates": ["LHR"]}"#, 400, "MISSING_FIELD", Some("src.lat"), &["required"]),
    ("/rank", r#"{"src": "London"}"#, 400, "MISSING_FIELD", Some("candidates"), &["required", r#"{"regions": "aws"}"#]),
    (
        "/rank",
        r#"{"src": "London", "candidates": "LHR"}"#,
        400,
        "INVALID_FIELD",
        Some("candidates"),
        &["found a string", "allowed: an array of ends"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": {"regions": "ibm"}}"#,
        400,
        "INVALID_FIELD",
        Some("candidates.regions"),
        &["found \"ibm\"", "allowed: aws, azure, gcp, all"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": {"regions": "aws", "x": 1}}"#,
        400,
        "INVALID_FIELD",
        Some("candidates"),
        &["no {\"regions\""],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": {}}"#,
        400,
        "INVALID_FIELD",
        Some("candidates"),
        &["allowed: an array"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR"], "candidates": []}"#,
        400,
        "INVALID_FIELD",
        Some("candidates"),
        &["twice"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR"], "budget_ms": 0}"#,
        400,
        "INVALID_FIELD",
        Some("budget_ms"),
        &["found 0", "above 0"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR"], "budget_ms": "80"}"#,
        400,
        "INVALID_FIELD",
        Some("budget_ms"),
        &["found a string", "a number"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR"], "dst": "Tokyo"}"#,
        400,
        "INVALID_FIELD",
        Some("dst"),
        &["beside `candidates`"],
    ),
    (
        "/rank",
        r#"{"src": "London", "candidates": ["LHR"], "budget": 80}"#,
        400,
        "UNKNOWN_FIELD",
        Some("budget"),
        &["no such field"],
    ),
    ("/rank", "[]", 400, "INVALID_JSON", None, &["found an array", "allowed: one object"]),
    ("/rank", r#"{"src": "London", "candidates": ["LHR"}"#, 400, "INVALID_JSON", None, &["not JSON at line 1 column"]),
    (
        "/judge",
        r#"{"src": "London", "dst": "Tokyo"}"#,
        400,
        "MISSING_FIELD",
        Some("measured_ms"),
        &["required", "above 0"],
    ),
    (
        "/judge",
        r#"{"src": "London", "dst": "Tokyo", "measured_ms": -1}"#,
        400,
        "INVALID_FIELD",
        Some("measured_ms"),
        &["found -1", "above 0"],
    ),
    (
        "/judge",
        r#"{"src": "London", "dst": "Tokyo", "measured_ms": 1e999}"#,
        400,
        "INVALID_FIELD",
        Some("measured_ms"),
        &["a number"],
    ),
    (
        "/judge",
        r#"{"src": "London", "dst": "Tokyo", "measured_ms": true}"#,
        400,
        "INVALID_FIELD",
        Some("measured_ms"),
        &["found true or false"],
    ),
    (
        "/judge",
        r#"{"src": "London", "dst": "Tokyo", "measured_ms": 1, "measured_ms": 2}"#,
        400,
        "INVALID_FIELD",
        Some("measured_ms"),
        &["twice"],
    ),
    (
        "/judge",
        r#"{"src": "London", "dst": "Tokyo", "measured_ms": 1, "dst": "Paris"}"#,
        400,
        "INVALID_FIELD",
        Some("dst"),
        &["twice"],
    ),
    (
        "/timeout",
        r#"{"src": "London", "dst": "Tokyo", "quantile": 1}"#,
        400,
        "INVALID_FIELD",
        Some("quantile"),
        &["found 1", "0.5 to 0.999"],
    ),
    (
        "/timeout",
        r#"{"src": "London", "dst": "Tokyo", "quantiles": 0.9}"#,
        400,
        "UNKNOWN_FIELD",
        Some("quantiles"),
        &["no such field"],
    ),
    ("/timeout", "", 400, "INVALID_JSON", None, &["found an empty body", "allowed: one object"]),
    (
        "/timeout?quantile=0.9",
        r#"{"src": "London", "dst": "Tokyo"}"#,
        400,
        "UNKNOWN_FIELD",
        Some("quantile"),
        &["no such parameter", "allowed: model"],
    ),
    (
        "/timeout?model=other",
        r#"{"src": "London", "dst": "Tokyo"}"#,
        404,
        "UNKNOWN_MODEL",
        Some("model"),
        &["allowed: latency"],
    ),
];

#[test]
fn what_is_wrong_is_named_as_it_was_written() {
    for (path, body, status, code, field, words) in REFUSED {
        let (found, answer) = post(path, body);
        let error = &answer["error"];
        assert_eq!((found, error["code"].as_str()), (*status, Some(*code)), "{path} {body}: {answer}");
        assert_eq!(error.get("field").and_then(Value::as_str), *field, "{path} {body}: {answer}");
        assert!(error.get("row").is_none(), "{answer}");
        for word in *words {
            assert!(error["message"].as_str().unwrap().contains(word), "`{word}` is not in {error}");
        }
    }
}

#[test]
fn deep_long_and_endless_questions_are_refused() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let long = "x".repeat(20_000);
    let many = format!("[{}]", vec!["\"LHR\""; 1_001].join(","));
    let keys = (0..5_000).map(|key| format!(",\"k{key}\":1")).collect::<Vec<_>>().concat();
    for (body, status, code, field) in [
        (format!(r#"{{"src": {deep}, "candidates": ["LHR"]}}"#), 400, "INVALID_JSON", None),
        (format!(r#"{{"src": "London", "candidates": [{deep}]}}"#), 400, "INVALID_JSON", Some("candidates[0]")),
        (format!(r#"{{"src": "London", "candidates": ["{long}"]}}"#), 400, "INVALID_JSON", Some("candidates[0]")),
        (format!(r#"{{"src": "{long}", "candidates": ["LHR"]}}"#), 400, "INVALID_JSON", None),
        (format!(r#"{{"src": "London", "candidates": {many}}}"#), 413, "TOO_MANY_ROWS", Some("candidates")),
        (format!(r#"{{"src": "London", "candidates": ["LHR"]{keys}}}"#), 400, "INVALID_FIELD", None),
    ] {
        let (found, answer) = post("/rank", &body);
        assert_eq!((found, answer["error"]["code"].as_str()), (status, Some(code)), "{answer}");
        if field.is_some() {
            assert_eq!(answer["error"]["field"].as_str(), field, "{answer}");
        }
    }
    // As deep as JSON is parsed at all, and no deeper.
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    let (status, answer) = post("/judge", format!(r#"{{"src": {deep}, "dst": "Tokyo", "measured_ms": 1}}"#));
    assert_eq!(status, 400, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("recursion limit"), "{answer}");
}

#[test]
fn a_thousand_candidates_are_ranked_and_none_are_no_error() {
    let candidates: Vec<_> = (0..1_000).map(|number| format!("{},{}", number % 120 - 60, number % 300 - 150)).collect();
    let (status, answer) = post("/rank", json!({"src": "London", "candidates": candidates}).to_string());
    assert_eq!((status, answer["ranked"].as_array().map(Vec::len)), (200, Some(1_000)));
    let (status, answer) = post("/rank", r#"{"src": "London", "candidates": []}"#);
    assert_eq!((status, &answer["ranked"]), (200, &json!([])));
}

#[test]
fn models_that_know_no_places_cannot_decide() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx");
    let config = Config { models: vec![("own".to_owned(), Source::File(own))], ..config() };
    let client = Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap();
    for (path, body) in [
        ("/judge?model=own", json!({"hops": 3, "link": "fibre", "measured_ms": 5})),
        ("/timeout?model=own", json!({"hops": 3, "link": "fibre"})),
        ("/rank?model=own", json!({"hops": 3, "link": "fibre", "candidates": ["LHR"]})),
        ("/predict?model=own&quantiles=0.5", json!({"hops": 3, "link": "fibre"})),
    ] {
        let response = client.post(path).body(body.to_string()).dispatch();
        assert_eq!(response.status().code, 400);
        let answer = json(response);
        assert_eq!(answer["error"]["code"], "UNSUPPORTED", "{path}: {answer}");
    }
}
