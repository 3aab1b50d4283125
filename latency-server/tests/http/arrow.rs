//! `/predict/batch` with tables of Arrow, in and out, with errors in their place.

use std::sync::Arc;

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use latency_core::arrow_array::cast::AsArray;
use latency_core::arrow_array::types::{Float32Type, Int32Type};
use latency_core::arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, NullArray, RecordBatch, StringArray,
    StringViewArray,
};
use latency_core::arrow_schema::Schema;
use rocket::http::{Header, Status};
use rocket::local::blocking::LocalResponse;
use serde_json::{Value, json};

use crate::common::{Server, config, json, local};

pub const STREAM: &str = "application/vnd.apache.arrow.stream";
pub const NDJSON: &str = "application/x-ndjson";
const NUMBERS: [&str; 7] = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"];

pub fn post<'c>(kind: &str, accept: &str, body: impl AsRef<[u8]>) -> LocalResponse<'c> {
    local()
        .post("/predict/batch")
        .header(Header::new("Content-Type", kind.to_owned()))
        .header(Header::new("Accept", accept.to_owned()))
        .body(body)
        .dispatch()
}

pub fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

pub fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

pub fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// Rows that are good and bad in many ways.
pub fn paths() -> RecordBatch {
    let dictionary: DictionaryArray<Int32Type> =
        [Some("wifi"), None, None, Some("telepathy"), None].into_iter().collect();
    table([
        ("src", texts(&[Some("London"), Some("London, CA"), Some("Lndon"), Some("London"), None])),
        ("dst", Arc::new(StringViewArray::from(vec!["Tokyo", "-77.85,166.67", "Tokyo", "Tokyo", "Tokyo"]))),
        ("dst_access", Arc::new(dictionary)),
        ("note", Arc::new(BooleanArray::from(vec![true; 5]))),
    ])
}

/// What the same rows as NDJSON are answered.
fn expected() -> Vec<Value> {
    let rows = [
        r#"{"src": "London", "dst": "Tokyo", "dst_access": "wifi"}"#,
        r#"{"src": "London, CA", "dst": "-77.85,166.67"}"#,
        r#"{"src": "Lndon", "dst": "Tokyo"}"#,
        r#"{"src": "London", "dst": "Tokyo", "dst_access": "telepathy"}"#,
        r#"{"dst": "Tokyo"}"#,
    ];
    let text = post(NDJSON, NDJSON, rows.join("\n")).into_string().unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same answers as NDJSON has them, but for what a table has no column for.
pub fn rows_of(answers: &[RecordBatch]) -> Vec<Value> {
    answers.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| row_of(batch, row)).collect::<Vec<_>>()).collect()
}

fn row_of(batch: &RecordBatch, row: usize) -> Value {
    let text = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        (!column.is_null(row)).then(|| column.as_string::<i32>().value(row).to_owned())
    };
    if let Some(code) = text("code") {
        assert!(batch.column_by_name("p50_ms").unwrap().is_null(row));
        let mut error = json!({"code": code, "row": row, "message": text("message")});
        if let Some(field) = text("field") {
            error["field"] = json!(field);
        }
        return json!({"error": error});
    }
    let mut answer = json!({});
    for name in NUMBERS {
        let number = batch.column_by_name(name).unwrap().as_primitive::<Float32Type>().value(row);
        // As JSON has it.
        answer[name] = serde_json::from_str(&number.to_string()).unwrap();
    }
    let warnings = batch.column_by_name("warnings").unwrap().as_list::<i32>().value(row);
    let parts = warnings.as_struct();
    let part = |name: &str, index| parts.column_by_name(name).unwrap().as_string::<i32>().value(index).to_owned();
    let warning =
        |index| json!({"code": part("code", index), "field": part("field", index), "message": part("message", index)});
    answer["warnings"] = (0..warnings.len()).map(warning).collect();
    answer
}

pub fn read_stream(response: LocalResponse<'_>) -> Vec<RecordBatch> {
    let status = response.status();
    assert_eq!(response.headers().get_one("Content-Type"), Some(STREAM), "{status}");
    read(&response.into_bytes().unwrap())
}

pub fn read(stream: &[u8]) -> Vec<RecordBatch> {
    StreamReader::try_new(stream, None).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_table_is_answered_as_ndjson_is() {
    let mut expected = expected();
    for row in &mut expected {
        row.as_object_mut().unwrap().remove("missing");
    }
    // A name that is not there is no path at all; in a row, coordinates might stand in its place.
    expected[4]["error"] = json!({"code": "MISSING_FIELD", "field": "src", "row": 4, "message": ""});
    let compare = |mut found: Vec<Value>| {
        assert!(!found[1]["warnings"].as_array().unwrap().is_empty(), "{}", found[1]);
        found[4]["error"]["message"] = json!("");
        assert_eq!(found, expected);
    };
    let body = stream(&[paths()]);
    let response = post(STREAM, STREAM, &body);
    let ignored = response.headers().get_one("X-Latency-Ignored-Columns").map(str::to_owned);
    compare(rows_of(&read_stream(response)));
    assert_eq!(ignored.as_deref(), Some("note"));
    // Into any other format, and from any other.
    let text = post(STREAM, NDJSON, &body).into_string().unwrap();
    let mut found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for row in &mut found {
        row.as_object_mut().unwrap().remove("missing");
    }
    compare(found);
    let found = rows_of(&read_stream(post("text/csv", STREAM, "src,dst\nLondon,Tokyo\n")));
    assert_eq!(found.len(), 1);
    assert!(found[0]["p50_ms"].as_f64() < expected[0]["p50_ms"].as_f64(), "without the wifi");
}

#[test]
fn numbers_of_any_kind_are_numbers() {
    let floats: [ArrayRef; 4] =
        [51.5, -0.125, 35.75, 139.5].map(|number| Arc::new(Float64Array::from(vec![number; 3])) as _);
    let [src_lat, src_lon, dst_lat, dst_lon] = floats;
    let columns = |src_lat| {
        table([
            ("src_lat", src_lat),
            ("src_lon", src_lon.clone()),
            ("dst_lat", dst_lat.clone()),
            ("dst_lon", dst_lon.clone()),
        ])
    };
    let found = rows_of(&read_stream(post(STREAM, STREAM, stream(&[columns(src_lat)]))));
    let expected = json(
        local()
            .post("/predict")
            .body(r#"{"src": {"lat": 51.5, "lon": -0.125}, "dst": {"lat": 35.75, "lon": 139.5}}"#)
            .dispatch(),
    );
    for name in NUMBERS {
        assert_eq!(
            found[2][name].as_f64().map(|number| number as f32),
            expected[name].as_f64().map(|number| number as f32)
        );
    }
    let found = rows_of(&read_stream(post(
        STREAM,
        STREAM,
        stream(&[columns(Arc::new(Int64Array::from(vec![Some(51), None, Some(91)])))]),
    )));
    assert!(found[0]["p50_ms"].is_number());
    let error =
        |row: usize| (found[row]["error"]["code"].as_str().unwrap(), found[row]["error"]["field"].as_str().unwrap());
    assert_eq!((error(1), error(2)), (("INVALID_FIELD", "src_lat"), ("INVALID_FIELD", "src_lat")));
}

#[test]
fn many_tables_of_a_stream_are_one() {
    let part = paths().slice(0, 2);
    let batches: Vec<_> = std::iter::repeat_n(part.clone(), 3_000).collect();
    let found = rows_of(&read_stream(post(STREAM, STREAM, stream(&batches))));
    assert_eq!(found.len(), 6_000);
    assert!(found.chunks(2).all(|rows| rows == &found[..2]));
    let empty = stream(&[paths().slice(0, 0)]);
    assert_eq!(rows_of(&read_stream(post(STREAM, STREAM, empty))).len(), 0);
    let only_nulls = table([
        ("src", texts(&[Some("London"); 2])),
        ("dst", texts(&[Some("Tokyo"); 2])),
        ("dst_access", Arc::new(NullArray::new(2))),
    ]);
    assert_eq!(rows_of(&read_stream(post(STREAM, STREAM, stream(&[only_nulls])))).len(), 2);
    let no_words = DictionaryArray::<Int32Type>::new(latency_core::arrow_array::Int32Array::new_null(2), texts(&[]));
    let no_words = table([
        ("src", texts(&[Some("London"); 2])),
        ("dst", texts(&[Some("Tokyo"); 2])),
        ("dst_access", Arc::new(no_words)),
    ]);
    assert_eq!(rows_of(&read_stream(post(STREAM, STREAM, stream(&[no_words])))).len(), 2);
}

#[test]
fn the_most_rows_are_answered_and_more_are_refused() {
    let server = Server::start(config());
    let rows = |count: usize| {
        let indices = vec!["London"; count];
        table([
            ("src", Arc::new(StringArray::from(indices.clone())) as ArrayRef),
            ("dst", Arc::new(StringArray::from(vec!["Tokyo"; count]))),
        ])
    };
    let answer = server.connect().stream("/predict/batch", STREAM, &stream(&[rows(100_000)]));
    let found = read(&answer.body);
    assert_eq!((answer.status, found.iter().map(RecordBatch::num_rows).sum::<usize>()), (200, 100_000));
    let answer = server.connect().stream("/predict/batch", STREAM, &stream(&[rows(100_001)]));
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("TOO_MANY_ROWS")));
    let answer = server.connect().stream("/predict/batch", STREAM, &stream(&[rows(60_000), rows(40_001)]));
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("TOO_MANY_ROWS")));
}

#[test]
fn a_table_whose_columns_are_wrong_is_refused_as_a_whole() {
    let london = || texts(&[Some("London")]);
    for (batch, code, field) in [
        (
            table([("src", london()), ("dst_lat", Arc::new(Float64Array::from(vec![1.0])))]),
            "MISSING_FIELD",
            Some("dst_lon"),
        ),
        (table([("a", london())]), "MISSING_FIELD", Some("src_lat")),
        (table([("src", london()), ("dst", london()), ("dst", london())]), "INVALID_BATCH", Some("dst")),
        (table([("src", london()), ("dst", Arc::new(Float64Array::from(vec![1.0])))]), "INVALID_FIELD", Some("dst")),
        (table([("src", london()), ("dst", Arc::new(BooleanArray::from(vec![true])))]), "INVALID_FIELD", Some("dst")),
        (RecordBatch::new_empty(Arc::new(Schema::empty())), "INVALID_BATCH", None),
    ] {
        // With rows and without.
        for batch in [batch.clone(), batch.slice(0, 0)] {
            let response = post(STREAM, STREAM, stream(std::slice::from_ref(&batch)));
            assert_eq!(response.status(), Status::BadRequest, "{batch:?}");
            let answer = json(response);
            assert_eq!(answer["error"]["code"], code, "{answer}");
            assert_eq!(answer["error"].get("field").and_then(Value::as_str), field, "{answer}");
        }
    }
}

#[test]
fn what_is_no_table_is_refused() {
    let good = stream(&[paths()]);
    let deltas = {
        let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
        let words = |words: &[&str]| -> ArrayRef {
            let keys = latency_core::arrow_array::Int32Array::from_iter_values(0..i32::try_from(words.len()).unwrap());
            Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(words.to_vec()))))
        };
        let batches =
            [&["London"][..], &["London", "Paris"]].map(|names| table([("src", words(names)), ("dst", words(names))]));
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        writer.into_inner().unwrap()
    };
    for (body, words) in [
        (Vec::new(), "found a body without a schema"),
        (b"src,dst\nLondon,Tokyo\n".to_vec(), "found a message of"),
        (b"ARROW1\0\0".to_vec(), "found a file of Arrow; write a stream"),
        (good[..good.len() - 20].to_vec(), "ends in the middle"),
        ([good.clone(), good].concat(), "found bytes behind the end"),
        (deltas, "found a dictionary that comes in several parts"),
    ] {
        let response = post(STREAM, STREAM, body);
        let status = response.status();
        let answer = json(response);
        assert_eq!((status, &answer["error"]["code"]), (Status::BadRequest, &json!("INVALID_ARROW")), "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains("allowed: one whole stream"), "{message}");
    }
}

/// Every byte of a stream, changed and cut off: refused or answered, and never a failure of the server.
#[test]
fn broken_tables_do_no_harm() {
    let good = stream(&[paths()]);
    let (mut refused, mut answered, mut ends) = (0, 0, 0);
    for index in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = good.clone();
            broken[index] ^= change;
            match post(STREAM, STREAM, broken).status().code {
                200 => answered += 1,
                400 | 413 => refused += 1,
                status => panic!("{status} for byte {index} changed by {change:#x}"),
            }
        }
        // Between two messages, it may end.
        match post(STREAM, STREAM, &good[..index]).status().code {
            200 => ends += 1,
            400 => {}
            status => panic!("{status} for {index} bytes"),
        }
    }
    assert!(refused > 1_000 && answered > 1_000 && ends < 10, "{refused} refused, {answered} answered, {ends} ends");
}

#[test]
fn live_tables_are_answered_while_the_body_is_open() {
    let server = Server::start(config());
    let mut connection = server.connect();
    connection.send(
        format!("POST /predict/batch?live=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STREAM}\r\nAccept: {NDJSON}\r\nTransfer-Encoding: chunked\r\n\r\n")
            .as_bytes(),
    );
    let mut writer = StreamWriter::try_new(Vec::new(), &paths().schema()).unwrap();
    let mut send = |connection: &mut crate::common::Connection, rows| {
        writer.write(&paths().slice(rows, 1)).unwrap();
        let bytes = std::mem::take(writer.get_mut());
        connection.send(&[format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat());
    };
    send(&mut connection, 0);
    let answer = connection.open_answer();
    assert_eq!(answer.status, 200);
    let first: Value = serde_json::from_slice(&connection.chunk().unwrap()).unwrap();
    assert!(first["p50_ms"].is_number(), "{first}");
    send(&mut connection, 2);
    let second: Value = serde_json::from_slice(&connection.chunk().unwrap()).unwrap();
    assert_eq!((&second["error"]["code"], &second["error"]["row"]), (&json!("UNKNOWN_PLACE"), &json!(1)));
    connection.send(b"4\r\nnone\r\n0\r\n\r\n");
    let last: Value = serde_json::from_slice(&connection.chunk().unwrap()).unwrap();
    assert_eq!((&last["error"]["code"], last["error"].get("row")), (&json!("INVALID_ARROW"), None), "{last}");
    assert_eq!(connection.chunk(), None);
}
