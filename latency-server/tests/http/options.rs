//! The options of `/predict`, and models with fields of their own.

use std::path::Path;

use crate::common::{PREDICTOR, config, json, local};
use latency_core::Row;
use latency_server::Config;
use latency_server::models::Source;
use rocket::local::blocking::Client;
use serde_json::{Value, json};

const ROW: &str = r#"{"src": {"place": "London", "access": "wifi"}, "dst": "-77.85,166.67"}"#;

fn post(path: &str, body: &str) -> (u16, Value) {
    let response = local().post(path.to_owned()).body(body).dispatch();
    (response.status().code, json(response))
}

#[test]
fn quantiles_are_those_of_timeout() {
    let (status, answer) = post("/predict?quantiles=0.5,0.9,0.99,0.999", ROW);
    assert_eq!(status, 200, "{answer}");
    let row = Row::from_json_str(ROW).unwrap();
    let expected: Vec<_> = [0.5, 0.9, 0.99, 0.999]
        .iter()
        .map(|quantile| PREDICTOR.timeout(&row, *quantile).unwrap())
        .map(|timeout| json!({"quantile": timeout.quantile, "ms": latency_core::shortest(timeout.timeout_ms)}))
        .collect();
    assert_eq!(answer["quantiles"], json!(expected));
    assert_eq!(answer["quantiles"][2]["ms"], answer["p99_ms"]);
    // The rest is as without.
    let (_, mut plain) = post("/predict", ROW);
    plain["quantiles"] = answer["quantiles"].clone();
    assert_eq!(answer, plain);
}

#[test]
fn ranges_say_what_training_saw_of_each_value() {
    let (status, answer) = post("/predict?explain_range=true", ROW);
    assert_eq!(status, 200, "{answer}");
    let ranges = answer["ranges"].as_array().unwrap();
    let names: Vec<_> = ranges.iter().map(|range| range["field"].as_str().unwrap()).collect();
    assert_eq!(names, ["src_lat", "src_lon", "dst_lat", "dst_lon", "src_access", "distance_km"]);
    let warned: Vec<_> = answer["warnings"].as_array().unwrap().iter().map(|warning| &warning["field"]).collect();
    for range in ranges {
        assert_eq!(warned.contains(&&range["field"]), range["within"] == false, "{range} {warned:?}");
    }
    assert_eq!((&ranges[2]["given"], &ranges[2]["within"]), (&json!(-77.85), &json!(false)));
    assert!(ranges[2]["seen"][0].as_f64().unwrap() > -77.85);
    assert_eq!(ranges[4]["given"], "wifi");
    assert!(ranges[4]["seen"].as_array().unwrap().contains(&json!("wifi")));
    assert!(post("/predict?explain_range=false", ROW).1.get("ranges").is_none());
}

#[test]
fn options_hold_for_each_row_of_an_array() {
    let body = format!(r#"[{ROW}, {{"src": "Lndon", "dst": "Tokyo"}}, {{"src": "LHR", "dst": "CDG"}}]"#);
    let (status, answer) = post("/predict?quantiles=0.75&explain_range=true", &body);
    assert_eq!(status, 200, "{answer}");
    let (_, one) = post("/predict?quantiles=0.75&explain_range=true", ROW);
    let found = &answer["predictions"];
    for part in ["p50_ms", "quantiles", "ranges", "warnings"] {
        assert_eq!(found[0][part], one[part], "{part}");
    }
    assert_eq!(found[1]["error"]["code"], "UNKNOWN_PLACE");
    assert_eq!(found[1]["error"]["row"], 1);
    assert_eq!(found[2]["quantiles"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_options_are_refused() {
    for (query, code, field, words) in [
        ("quantiles=0.4", "INVALID_FIELD", "quantiles", "found 0.4; allowed: a number from 0.5 to 0.999"),
        ("quantiles=", "INVALID_FIELD", "quantiles", "allowed: up to 20 numbers"),
        ("quantiles=0.5;0.9", "INVALID_FIELD", "quantiles", "found \"0.5;0.9\""),
        ("quantiles=NaN", "INVALID_FIELD", "quantiles", "found NaN"),
        (&format!("quantiles={}", vec!["0.5"; 21].join(",")), "INVALID_FIELD", "quantiles", "up to 20 numbers"),
        ("explain_range=yes", "INVALID_FIELD", "explain_range", "found \"yes\"; allowed: true, false"),
        ("quantile=0.5", "UNKNOWN_FIELD", "quantile", "allowed: model, quantiles, explain_range"),
        ("explain_range=true&explain_range=true", "INVALID_FIELD", "explain_range", "twice"),
        ("model=latency&model=latency", "INVALID_FIELD", "model", "twice"),
    ] {
        let (status, answer) = post(&format!("/predict?{query}"), ROW);
        let error = &answer["error"];
        assert_eq!(status, 400, "{query}: {answer}");
        assert_eq!((&error["code"], &error["field"]), (&json!(code), &json!(field)), "{query}: {answer}");
        assert!(error["message"].as_str().unwrap().contains(words), "{query}: {answer}");
    }
}

#[test]
fn after_a_hundred_misspelt_names_near_ones_are_not_looked_for() {
    let rows: Vec<_> = (0..300).map(|_| r#"{"src": "Lndon", "dst": "Tokyo"}"#).collect();
    let (_, answer) = post("/predict", &format!("[{}]", rows.join(",")));
    let near = |row: usize| answer["predictions"][row]["error"]["message"].as_str().unwrap().contains("near names");
    assert!(near(0) && near(99), "{}", answer["predictions"][99]);
    assert!(!near(100) && !near(299), "{}", answer["predictions"][299]);
    assert!((0..300).all(|row| answer["predictions"][row]["error"]["code"] == "UNKNOWN_PLACE"));
}

/// A model without coordinates, beside the bundled one.
fn own() -> Client {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx");
    let config = Config { models: vec![("own".to_owned(), Source::File(own))], ..config() };
    Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap()
}

#[test]
fn models_with_fields_of_their_own_take_them_by_name() {
    let client = own();
    let response = client.post("/predict?model=own").body(r#"{"hops": 7, "link": "fibre"}"#).dispatch();
    assert_eq!(response.status().code, 200);
    let answer = json(response);
    assert_eq!((&answer["p50_ms"], &answer["model"]["name"]), (&json!(18.0), &json!("own-model")));
    assert!(answer.get("floor_ms").is_none() && answer.get("distance_km").is_none(), "absent, not null: {answer}");

    let body = r#"[{"hops": 7, "link": "fibre"}, {"hops": 70, "link": "fibre"}, {"link": "fibre"}]"#;
    let answer = json(client.post("/predict?model=own&explain_range=true").body(body).dispatch());
    let found = &answer["predictions"];
    assert_eq!(found[0]["ranges"][0], json!({"field": "hops", "given": 7.0, "seen": [1.0, 30.0], "within": true}));
    assert_eq!(found[1]["error"]["field"], "hops");
    assert_eq!(found[2]["error"]["code"], "MISSING_FIELD");

    let csv = client
        .post("/predict/batch?model=own")
        .header(rocket::http::ContentType::CSV)
        .body("hops,link,note\n7,fibre,x\n,fibre,y\n")
        .dispatch();
    assert_eq!(csv.status().code, 200);
    assert_eq!(csv.headers().get_one("X-Latency-Ignored-Columns"), Some("note"));
    let text = csv.into_string().unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "p50_ms,low_ms,high_ms,p90_ms,p99_ms,warnings,code,field,message");
    assert_eq!(lines[1], "18,17,19,20,21,,,,");
    assert!(lines[2].starts_with(",,,,,,MISSING_FIELD,hops,"), "{}", lines[2]);
}
