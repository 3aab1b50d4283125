//! `/places`: suggestions while typing, and one place by its exact name.

use crate::common::{json, local};
use latency_core::Place;
use rocket::http::Status;
use serde_json::{Value, json};

fn get(path: &str) -> (u16, Value) {
    let response = local().get(path.to_owned()).dispatch();
    (response.status().code, json(response))
}

#[test]
fn beginnings_are_completed() {
    let (status, answer) = get("/places?q=san+f&limit=2");
    assert_eq!(status, 200, "{answer}");
    let labels: Vec<_> = answer["suggestions"].as_array().unwrap().iter().map(|place| &place["label"]).collect();
    assert_eq!(labels, ["San Francisco, CA, US", "San Fernando, Central Luzon, PH"]);
    assert!(answer.get("place").is_none() && answer.get("error").is_none(), "{answer}");
    assert!(answer["attribution"].as_str().unwrap().contains("GeoNames"));
    let (_, answer) = get("/places?q=san");
    assert_eq!(answer["suggestions"].as_array().unwrap().len(), 10);
}

#[test]
fn a_name_is_resolved_as_predict_does() {
    for name in ["S%C3%A3o%20Paulo", "LHR", "aws%3Aeu-west-2", "51.51%2C-0.13"] {
        let (status, answer) = get(&format!("/places?q={name}&limit=0"));
        assert_eq!(status, 200, "{answer}");
        let decoded = rocket::http::RawStr::new(name).percent_decode().unwrap().into_owned();
        let text = serde_json::to_string(&Place::find(&decoded).unwrap()).unwrap();
        assert_eq!(answer["place"], serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!(answer["suggestions"], json!([]));
    }
    // Its JSON is an end again.
    let (_, answer) = get("/places?q=Tokyo");
    let row = json!({"src": answer["place"], "dst": {"lat": 1, "lon": 2}}).to_string();
    assert_eq!(local().post("/predict").body(row).dispatch().status(), Status::Ok);
}

#[test]
fn a_name_that_leads_nowhere_says_what_to_write() {
    let (status, answer) = get("/places?q=Lndon");
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["error"]["code"], &answer["error"]["field"]), (&json!("UNKNOWN_PLACE"), &json!("q")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("`London`"), "{answer}");
    let (_, answer) = get("/places?q=");
    assert_eq!((&answer["suggestions"], &answer["error"]["code"]), (&json!([]), &json!("UNKNOWN_PLACE")));
}

#[test]
fn browsers_may_keep_answers_but_not_errors() {
    let response = local().get("/places?q=Tokyo").dispatch();
    assert_eq!(response.headers().get_one("Cache-Control"), Some("public, max-age=3600"));
    let response = local().get("/places").dispatch();
    assert_eq!(response.headers().get_one("Cache-Control"), Some("no-store"));
}

#[test]
fn wrong_parameters_are_refused() {
    for (path, code, field, words) in [
        ("/places", "MISSING_FIELD", "q", "required"),
        ("/places?q=a&limit=51", "INVALID_FIELD", "limit", "found \"51\"; allowed: a whole number from 0 to 50"),
        ("/places?q=a&limit=-1", "INVALID_FIELD", "limit", "from 0 to 50"),
        ("/places?q=a&limit=", "INVALID_FIELD", "limit", "from 0 to 50"),
        ("/places?q=a&q=b", "INVALID_FIELD", "q", "twice"),
        ("/places?query=a", "UNKNOWN_FIELD", "query", "allowed: q, limit"),
    ] {
        let (status, answer) = get(path);
        assert_eq!((status, &answer["error"]["code"], &answer["error"]["field"]), (400, &json!(code), &json!(field)));
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
    }
    let (status, _) = get(&format!("/places?q={}", "x".repeat(1_000)));
    assert_eq!(status, 200);
}
