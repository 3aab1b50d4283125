//! The server gives the same bits as every other language: the golden rows, over a real socket.

mod common;

use common::{PREDICTOR, Server};
use serde_json::{Map, Value, json};

struct Golden {
    rows: Vec<Value>,
    predictions: Vec<Map<String, Value>>,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/paths.json");
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file["model"]["sha256"], PREDICTOR.model_info().sha256, "the golden rows belong to another model");
    let rows: Vec<_> = file["rows"].as_array().unwrap().iter().map(nested).collect();
    let predictions: Vec<_> = match file["predictions"].take() {
        Value::Array(predictions) => predictions.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect(),
        other => panic!("{other}"),
    };
    assert_eq!((rows.len(), predictions.len()), (1000, 1000));
    Golden { rows, predictions }
}

/// `{"src_lat": 1, …}` as `{"src": {"lat": 1, …}, …}`.
fn nested(flat: &Value) -> Value {
    let mut row = json!({"src": {}, "dst": {}});
    for (name, value) in flat.as_object().unwrap() {
        let (end, part) = name.split_once('_').unwrap();
        row[end][part] = value.clone();
    }
    row
}

#[allow(clippy::cast_possible_truncation)]
fn bits(number: &Value) -> u32 {
    (number.as_f64().unwrap_or_else(|| panic!("{number} is no number")) as f32).to_bits()
}

fn assert_same(found: &Value, expected: &Map<String, Value>, row: usize) {
    let numbers: Vec<_> = expected.iter().filter(|(_, value)| value.is_number()).collect();
    assert!(numbers.len() >= 5, "row {row} expects {expected:?}");
    for (name, number) in numbers {
        assert_eq!(bits(&found[name]), bits(number), "row {row}, {name}: {} instead of {number}", found[name]);
    }
}

#[test]
fn the_golden_rows_as_an_array() {
    let Golden { rows, predictions } = golden();
    let server = Server::start(common::config());
    let answer = server.connect().post("/predict", json!(rows).to_string().as_bytes());
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["predictions"].as_array().unwrap().len(), rows.len());
    for (row, expected) in predictions.iter().enumerate() {
        assert_same(&answer["predictions"][row], expected, row);
    }
    assert_eq!(answer["model"], json!(PREDICTOR.model_info().tag()));
}

#[test]
fn the_golden_rows_one_by_one() {
    let Golden { rows, predictions } = golden();
    let server = Server::start(common::config());
    let mut connection = server.connect();
    for row in (0..rows.len()).step_by(20) {
        let answer = connection.post("/predict", rows[row].to_string().as_bytes());
        assert_eq!(answer.status, 200);
        let answer = answer.json();
        assert_same(&answer, &predictions[row], row);
        assert!(answer["warnings"].is_array());
        assert_eq!(answer["model"], json!(PREDICTOR.model_info().tag()));
    }
}

#[test]
fn numbers_are_written_in_their_shortest_form() {
    let body = r#"[{"src": "London", "dst": "Tokyo"}, {"src": "0,0", "dst": "0.1,0.1"}]"#;
    let answer = Server::start(common::config()).connect().post("/predict", body.as_bytes());
    let text = String::from_utf8(answer.body).unwrap();
    for body in body.split(", {") {
        let row: Value = serde_json::from_str(&format!("{{{}}}", body.trim_matches(['[', ']', '{', '}']))).unwrap();
        let prediction = PREDICTOR.predict(&latency_core::Row::from_json(&row).unwrap()).unwrap();
        for (name, number) in prediction.numbers() {
            let written = format!("\"{name}\":{number:?},");
            assert!(text.contains(&written), "{written} is not in {text}");
        }
    }
}
