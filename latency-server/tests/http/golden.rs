//! The server gives the same bits as every other language: the golden rows, over a real socket.

use std::sync::Arc;

use latency_core::arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};

use crate::common::{PREDICTOR, Server};
use crate::{arrow, parquet};
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
    let server = Server::start(crate::common::config());
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
    let server = Server::start(crate::common::config());
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
    let answer = Server::start(crate::common::config()).connect().post("/predict", body.as_bytes());
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

/// The questions that all languages are asked, with their answers.
fn questions(about: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/questions.json");
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file["model"]["sha256"], PREDICTOR.model_info().sha256, "the golden questions belong to another model");
    let Value::Array(questions) = file[about].take() else { panic!("there are no questions to {about}") };
    assert!(questions.len() >= 20, "{}", questions.len());
    questions
}

/// Asks all of them; the answer is that of the file, beside the model's name.
fn ask(about: &str, answer_to: impl Fn(&Value, Value) -> Value) {
    let server = Server::start(crate::common::config());
    let mut connection = server.connect();
    for mut question in questions(about) {
        let expected = question.as_object_mut().unwrap().remove("answer").unwrap();
        let answer = connection.post(&format!("/{about}"), question.to_string().as_bytes());
        let mut found = answer.json();
        assert_eq!(answer.status, 200, "{found}");
        assert_eq!(found.as_object_mut().unwrap().remove("model"), Some(json!(PREDICTOR.model_info().tag())));
        // Written in their shortest form, equal numbers are equal bits.
        assert_eq!(answer_to(&question, found), expected, "{about} {question}");
    }
}

#[test]
fn the_golden_deadlines() {
    ask("timeout", |_, answer| answer);
}

#[test]
fn the_golden_verdicts() {
    ask("judge", |_, answer| answer);
}

#[test]
fn the_golden_rankings() {
    ask("rank", |question, mut answer| {
        let mut ranked = answer["ranked"].take();
        for one in ranked.as_array_mut().unwrap() {
            let candidate = one.as_object_mut().unwrap().remove("candidate").unwrap();
            let index = usize::try_from(one["index"].as_u64().unwrap()).unwrap();
            assert_eq!(candidate, question["candidates"][index], "as it was given");
        }
        ranked
    });
}

#[test]
fn the_golden_rows_as_ndjson_and_back() {
    let Golden { rows, predictions } = golden();
    let body = rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    for path in ["/predict/batch", "/predict/batch?live=true"] {
        let server = Server::start(crate::common::config());
        let answer = server.connect().stream(path, "application/x-ndjson", body.as_bytes());
        assert_eq!(answer.status, 200);
        let lines: Vec<Value> =
            answer.text().lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        assert_eq!(lines.len(), rows.len());
        for (row, (found, expected)) in lines.iter().zip(&predictions).enumerate() {
            assert_same(found, expected, row);
        }
    }
}

#[test]
fn the_golden_rows_as_csv_and_back() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/paths.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rows = file["rows"].as_array().unwrap();
    let names: Vec<_> = PREDICTOR.schema().field_names().collect();
    let mut lines = vec![names.join(",")];
    for row in rows {
        let cells = names.iter().map(|name| match &row[*name] {
            Value::Null => String::new(),
            Value::String(word) => word.clone(),
            number => number.to_string(),
        });
        lines.push(cells.collect::<Vec<_>>().join(","));
    }
    let server = Server::start(crate::common::config());
    let answer = server.connect().stream("/predict/batch", "text/csv", lines.join("\n").as_bytes());
    let text = answer.text();
    let mut records = csv::Reader::from_reader(text.as_bytes());
    let headers: Vec<_> = records.headers().unwrap().iter().map(str::to_owned).collect();
    let records: Vec<_> = records.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), rows.len());
    for (row, (record, expected)) in records.iter().zip(golden().predictions).enumerate() {
        for (name, cell) in
            headers.iter().zip(record).filter(|(name, _)| expected.get(*name).is_some_and(Value::is_number))
        {
            // In their shortest form: as f32 is written, and nothing else.
            assert_eq!(cell.parse::<f32>().unwrap().to_string(), cell, "row {row}, {name}");
            assert_eq!(cell.parse::<f32>().unwrap().to_bits(), bits(&expected[name]), "row {row}, {name}");
        }
    }
}

/// The golden rows as they lie in the file: by flat names.
fn flat_rows() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/golden/paths.json");
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(file["rows"].take()).unwrap()
}

#[test]
fn the_golden_rows_as_tables_and_back() {
    let (rows, predictions) = (flat_rows(), golden().predictions);
    let column = |name: &str| -> ArrayRef {
        let cells = rows.iter().map(|row| &row[name]);
        if name.ends_with("_lat") || name.ends_with("_lon") {
            Arc::new(cells.map(Value::as_f64).collect::<Float64Array>())
        } else {
            Arc::new(cells.map(Value::as_str).collect::<StringArray>())
        }
    };
    let columns = PREDICTOR.schema().field_names().map(|name| (name, column(name), true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let server = Server::start(crate::common::config());
    let ask = |kind, body: Vec<u8>| {
        let answer = server.connect().stream("/predict/batch", kind, &body);
        assert_eq!(answer.status, 200, "{kind}");
        answer.body
    };
    let streamed = arrow::read(&ask(arrow::STREAM, arrow::stream(std::slice::from_ref(&rows))));
    for answers in [streamed, parquet::read(ask(parquet::FILE, parquet::file(&[rows])))] {
        let found = arrow::rows_of(&answers);
        assert_eq!(found.len(), predictions.len());
        for (row, (found, expected)) in found.iter().zip(&predictions).enumerate() {
            assert_same(found, expected, row);
        }
    }
}

#[test]
fn the_golden_rows_over_the_open_inference_protocol() {
    let (rows, predictions) = (flat_rows(), golden().predictions);
    let fields = || PREDICTOR.schema().field_names();
    let is_number = |name: &str| name.ends_with("_lat") || name.ends_with("_lon");
    let datatype = |name: &str| if is_number(name) { "FP64" } else { "BYTES" };
    let as_json = |name: &str| {
        let data: Value = rows.iter().map(|row| row[name].clone()).collect();
        json!({"name": name, "datatype": datatype(name), "shape": [rows.len()], "data": data})
    };
    let as_bytes = |name: &str| -> Vec<u8> {
        let bytes = rows.iter().flat_map(|row| {
            if is_number(name) {
                return row[name].as_f64().unwrap_or(f64::NAN).to_le_bytes().to_vec();
            }
            let word = row[name].as_str().unwrap_or_default();
            [&u32::try_from(word.len()).unwrap().to_le_bytes(), word.as_bytes()].concat()
        });
        bytes.collect()
    };
    let path = "/v2/models/latency/infer";
    let server = Server::start(crate::common::config());

    let answer =
        server.connect().post(path, json!({"inputs": fields().map(as_json).collect::<Value>()}).to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    for output in answer["outputs"].as_array().unwrap() {
        let (name, numbers) = (output["name"].as_str().unwrap(), output["data"].as_array().unwrap());
        assert_eq!(numbers.len(), rows.len());
        for (row, (number, expected)) in numbers.iter().zip(&predictions).enumerate() {
            assert_eq!(bits(number), bits(&expected[name]), "row {row}, {name}");
        }
    }

    let blocks: Vec<_> = fields().map(|name| (name, as_bytes(name))).collect();
    let inputs = blocks.iter().map(|(name, bytes)| {
        json!({"name": name, "datatype": datatype(name), "shape": [rows.len(), 1], "parameters": {"binary_data_size": bytes.len()}})
    });
    let head = json!({"inputs": inputs.collect::<Value>(), "parameters": {"binary_data_output": true}}).to_string();
    let body = blocks.into_iter().fold(head.clone().into_bytes(), |body, (_, bytes)| [body, bytes].concat());
    let mut connection = server.connect();
    let (length, json_length) = (body.len(), head.len());
    connection.send(
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: {json_length}\r\nContent-Length: {length}\r\n\r\n"
        )
        .as_bytes(),
    );
    connection.send(&body);
    let answer = connection.answer(true);
    assert_eq!(answer.status, 200);
    let split = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    let (head, numbers) = answer.body.split_at(split);
    let head: Value = serde_json::from_slice(head).unwrap();
    let mut numbers = numbers.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).to_bits());
    for output in head["outputs"].as_array().unwrap() {
        for (row, expected) in predictions.iter().enumerate() {
            let name = output["name"].as_str().unwrap();
            assert_eq!(numbers.next(), Some(bits(&expected[name])), "row {row}, {name}");
        }
    }
    assert_eq!(numbers.next(), None);
}

#[test]
fn the_golden_rows_over_the_protocol_of_mlflow() {
    let (rows, predictions) = (flat_rows(), golden().predictions);
    let fields: Vec<_> = PREDICTOR.schema().field_names().collect();
    let cells = |row: &Value| fields.iter().map(|name| row[*name].clone()).collect::<Value>();
    let column = |name: &&str| ((*name).to_owned(), rows.iter().map(|row| row[*name].clone()).collect::<Value>());
    let line = |row: &Value| {
        let cell = |name: &&str| match &row[*name] {
            Value::Null => String::new(),
            Value::String(word) => word.clone(),
            number => number.to_string(),
        };
        fields.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    let csv = [vec![fields.join(",")], rows.iter().map(line).collect()].concat().join("\n");
    let server = Server::start(crate::common::config());
    for (kind, body) in [
        (
            "application/json",
            json!({"dataframe_split": {"columns": &fields, "data": rows.iter().map(cells).collect::<Value>()}})
                .to_string(),
        ),
        ("application/json", json!({"dataframe_records": &rows}).to_string()),
        ("application/json", json!({"instances": &rows}).to_string()),
        ("application/json", json!({"inputs": fields.iter().map(column).collect::<Map<_, _>>()}).to_string()),
        ("text/csv", csv),
    ] {
        let answer = server.connect().stream("/invocations", kind, body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["predictions"].as_array().unwrap().len(), rows.len());
        for (row, expected) in predictions.iter().enumerate() {
            assert_same(&answer["predictions"][row], expected, row);
        }
    }
}
