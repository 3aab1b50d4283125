//! `/predict/batch`: NDJSON and CSV, in any pieces, with errors in their place and caps that hold.

use std::io::Write;
use std::net::TcpStream;

use crate::common::{Connection, Server, config, json, local};
use latency_server::Config;
use rocket::http::{ContentType, Header, Status};
use rocket::local::blocking::LocalResponse;
use serde_json::{Value, json};

const NDJSON: &str = "application/x-ndjson";

fn post<'c>(path: &str, kind: &str, body: impl AsRef<[u8]>) -> LocalResponse<'c> {
    local().post(path.to_owned()).header(Header::new("Content-Type", kind.to_owned())).body(body).dispatch()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn ndjson_answers_as_an_array_does() {
    let rows = [
        r#"{"src": "London", "dst": "Tokyo"}"#,
        r#"{"src": "Springfield", "dst": "Tokyo"}"#,
        r#"{"src": {"lat": 91, "lon": 0}, "dst": "Tokyo"}"#,
        r#"{"src": "London", "src": "Paris", "dst": "Tokyo"}"#,
        r#"{"src": "London", "dst": "Tokyo", "x": 1}"#,
        "[1]",
        r#"{"src": "London""#,
        r#"{"src": "-77.85,166.67", "dst": {"place": "LHR", "access": "wifi"}}"#,
    ];
    let good: Vec<_> = rows.iter().filter(|row| serde_json::from_str::<Value>(row).is_ok()).copied().collect();
    let array = json(local().post("/predict").body(format!("[{}]", good.join(","))).dispatch());
    let response = post("/predict/batch", NDJSON, format!("{}\r\n\n  \n", rows.join("\n")));
    assert_eq!(response.status(), Status::Ok);
    assert_eq!(response.headers().get_one("Content-Type"), Some(NDJSON));
    let model = format!("latency {}", array["model"]["version"].as_str().unwrap());
    assert_eq!(response.headers().get_one("X-Latency-Model"), Some(model.as_str()));
    let found = lines(&response.into_string().unwrap());
    assert_eq!(found.len(), rows.len());
    let mut expected = array["predictions"].as_array().unwrap().iter();
    for (row, (found, text)) in found.iter().zip(rows).enumerate() {
        if found["error"]["row"].is_number() {
            assert_eq!(found["error"]["row"], row);
        }
        if serde_json::from_str::<Value>(text).is_err() {
            assert_eq!(found["error"]["code"], "INVALID_JSON", "{text}");
            continue;
        }
        let mut expected = expected.next().unwrap().clone();
        if expected["error"].is_object() {
            expected["error"]["row"] = json!(row);
        }
        assert_eq!(*found, expected, "{text}");
    }
}

#[test]
fn csv_answers_as_ndjson_does() {
    let csv = "\u{feff}src,dst,dst_access,note\n\
        London,Tokyo,wifi,\"a, b\"\r\n\
        \"London, CA\",\"35.68,139.69\",,\n\
        London,Lndon,,x\n\
        London,Tokyo,telepathy,x\n\
        London,Tokyo,,x,y\n\
        \"91,0\",Tokyo,,x\n\
        ,Tokyo,,x\n\
        -,\"quoted \"\"place\"\"\",,x";
    let ndjson = [
        r#"{"src": "London", "dst": "Tokyo", "dst_access": "wifi"}"#,
        r#"{"src": "London, CA", "dst": "35.68,139.69"}"#,
        r#"{"src": "London", "dst": "Lndon"}"#,
        r#"{"src": "London", "dst": "Tokyo", "dst_access": "telepathy"}"#,
        "{}",
        r#"{"src": "91,0", "dst": "Tokyo"}"#,
        r#"{"dst": "Tokyo"}"#,
        r#"{"src": "-", "dst": "quoted \"place\""}"#,
    ];
    let expected = lines(&post("/predict/batch", NDJSON, ndjson.join("\n")).into_string().unwrap());
    let response = post("/predict/batch", "text/csv; charset=utf-8", csv);
    assert_eq!((response.status(), response.content_type()), (Status::Ok, Some(ContentType::CSV)));
    assert_eq!(response.headers().get_one("X-Latency-Ignored-Columns"), Some("note"));
    let text = response.into_string().unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names.join(","), "p50_ms,low_ms,high_ms,p90_ms,p99_ms,floor_ms,distance_km,warnings,code,field,message");
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), expected.len());
    for (row, (record, expected)) in records.iter().zip(&expected).enumerate() {
        let cell = |name: &str| &record[names.iter().position(|other| other == name).unwrap()];
        if row == 4 {
            assert_eq!((cell("code"), cell("p50_ms")), ("INVALID_CSV", ""));
            assert!(cell("message").contains("found 5 cells; allowed: 4"), "{}", cell("message"));
            continue;
        }
        for name in &names[..7] {
            let expected = expected.get(name).map(ToString::to_string).unwrap_or_default();
            assert_eq!(cell(name).trim_end_matches(".0"), expected.trim_end_matches(".0"), "row {row}, {name}");
        }
        for name in ["code", "field", "message"] {
            let expected = expected["error"].get(name).and_then(Value::as_str).unwrap_or_default();
            assert_eq!(cell(name), expected, "row {row}, {name}");
        }
    }
    let again = local()
        .post("/predict/batch")
        .header(ContentType::CSV)
        .header(Header::new("Accept", "text/html, application/x-ndjson;q=0.9, text/csv;q=0.8"))
        .body(csv)
        .dispatch();
    assert_eq!(again.headers().get_one("Content-Type"), Some(NDJSON));
    let found = lines(&again.into_string().unwrap());
    assert_eq!((&found[0], &found[2]), (&expected[0], &expected[2]));
}

#[test]
fn numbers_of_a_table_are_checked_cell_by_cell() {
    let csv = "src_lat,src_lon,dst_lat,dst_lon\n51.5,-0.1,35.7,139.7\nx,-0.1,35.7,139.7\n51.5,,35.7,139.7\n\
        nan,-0.1,35.7,139.7\ninf,-0.1,35.7,139.7\n 51.5 ,-1e-1,+35.7,139.7\n";
    let text = post("/predict/batch", "text/csv", csv).into_string().unwrap();
    let rows: Vec<_> = text.lines().skip(1).collect();
    for (row, expected) in [
        (1, ",,,,,,,,INVALID_FIELD,src_lat,"),
        (2, ",,,,,,,,MISSING_FIELD,src_lon,"),
        (3, ",,,,,,,,MISSING_FIELD,src_lat,"),
        (4, ",,,,,,,,INVALID_FIELD,src_lat,"),
    ] {
        assert!(rows[row].starts_with(expected), "{}", rows[row]);
    }
    assert_eq!(rows[0], rows[5], "spaces and signs do not matter");
}

#[test]
fn a_table_whose_columns_are_wrong_is_refused_as_a_whole() {
    for (csv, code, field) in [
        ("src,dst_lat\nLondon,1\n", "MISSING_FIELD", Some("dst_lon")),
        ("a,b\n1,2\n", "MISSING_FIELD", Some("src_lat")),
        ("src,dst,dst\nLondon,Tokyo,Tokyo\n", "INVALID_BATCH", Some("dst")),
        ("src,src_lat,src_lon,dst\nLondon,1,2,Tokyo\n", "INVALID_BATCH", Some("src")),
    ] {
        for path in ["/predict/batch", "/predict/batch?live=true"] {
            let response = post(path, "text/csv", csv);
            let status = response.status();
            let answer = json(response);
            assert_eq!(status, Status::BadRequest, "{csv}: {answer}");
            assert_eq!(answer["error"]["code"], code, "{csv}: {answer}");
            assert_eq!(answer["error"].get("field").and_then(Value::as_str), field, "{csv}: {answer}");
        }
    }
    let broken = post("/predict/batch", "text/csv", b"src,dst\n\xff,Tokyo\nLondon,Tokyo\n").into_string().unwrap();
    assert!(broken.lines().nth(1).unwrap().contains("INVALID_CSV"), "{broken}");
    assert!(broken.lines().nth(2).unwrap().ends_with(",,,"), "{broken}");
}

#[test]
fn rows_that_are_too_long_fail_in_their_place() {
    let long = "x".repeat(100_000);
    let good = r#"{"src": "London", "dst": "Tokyo"}"#;
    let body = format!("{good}\n{{\"src\": \"{long}\", \"dst\": \"Tokyo\"}}\n{good}\n");
    let found = lines(&post("/predict/batch", NDJSON, body).into_string().unwrap());
    assert_eq!(
        (found.len(), &found[1]["error"]["code"], &found[1]["error"]["row"]),
        (3, &json!("INVALID_JSON"), &json!(1))
    );
    assert_eq!(found[0], found[2]);
    let commas = ",".repeat(5_000);
    let body = format!("src,dst\nLondon,Tokyo\n\"{long}\",Tokyo\n{commas}\nLondon,Tokyo\n");
    let text = post("/predict/batch", "text/csv", body).into_string().unwrap();
    let rows: Vec<_> = text.lines().skip(1).collect();
    assert!(rows.len() == 4 && rows[1].contains("INVALID_CSV") && rows[2].contains("INVALID_CSV"), "{text}");
    assert_eq!(rows[0], rows[3]);
}

#[test]
fn empty_in_empty_out() {
    assert_eq!(post("/predict/batch", NDJSON, "").into_string().as_deref(), Some(""));
    assert_eq!(post("/predict/batch", NDJSON, "\n\n").into_string().as_deref(), Some(""));
    let csv = post("/predict/batch", "text/csv", "src,dst\n").into_string().unwrap();
    assert_eq!(csv.lines().count(), 1, "{csv}");
}

#[test]
fn other_formats_are_refused() {
    for (headers, status, code, words) in [
        (vec![], 415, "UNSUPPORTED_MEDIA_TYPE", "found no Content-Type; allowed: application/x-ndjson"),
        (vec![("Content-Type", "application/json")], 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"),
        (vec![("Content-Type", "text/csv; charset=latin1")], 415, "UNSUPPORTED_MEDIA_TYPE", "in UTF-8"),
        (vec![("Content-Type", NDJSON), ("Content-Encoding", "gzip")], 415, "UNSUPPORTED_ENCODING", "uncompressed"),
        (vec![("Content-Type", NDJSON), ("Accept", "application/json")], 406, "NOT_ACCEPTABLE", "application/json"),
        (vec![("Content-Type", NDJSON), ("Accept", "text/csv;q=0")], 406, "NOT_ACCEPTABLE", "allowed"),
    ] {
        let mut request = local().post("/predict/batch").body("{}");
        for (name, value) in headers {
            request = request.header(Header::new(name, value));
        }
        let response = request.dispatch();
        let found = response.status().code;
        let answer = json(response);
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
    }
    let answer = json(post("/predict/batch?quantiles=0.5", NDJSON, "{}"));
    assert_eq!((&answer["error"]["code"], &answer["error"]["field"]), (&json!("UNKNOWN_FIELD"), &json!("quantiles")));
}

#[test]
fn the_most_rows_are_answered_and_more_are_refused() {
    let server = Server::start(config());
    let good = "{\"src\":\"London\",\"dst\":\"Tokyo\"}\n";
    let answer = server.connect().stream("/predict/batch", NDJSON, good.repeat(100_000).as_bytes());
    assert_eq!((answer.status, answer.text().lines().count()), (200, 100_000));
    let answer = server.connect().stream("/predict/batch", NDJSON, good.repeat(100_001).as_bytes());
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("TOO_MANY_ROWS")));
    // The status is sent already: the last line says it.
    let answer = server.connect().stream("/predict/batch?live=true", NDJSON, good.repeat(100_001).as_bytes());
    let text = answer.text();
    assert_eq!(answer.status, 200);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&last["error"]["code"], last["error"].get("row")), (&json!("TOO_MANY_ROWS"), None), "{last}");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let server = Server::start(Config { max_body_bytes: 200_000, ..config() });
    let good = "{\"src\":\"London\",\"dst\":\"Tokyo\"}\n";
    let answer = server.connect().stream("/predict/batch", NDJSON, good.repeat(10_000).as_bytes());
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("BODY_TOO_LARGE")));
    let fitting = good.repeat(200_000 / good.len());
    let answer = server.connect().stream("/predict/batch", NDJSON, fitting.as_bytes());
    assert_eq!((answer.status, answer.text().lines().count()), (200, 200_000 / good.len()));
}

#[test]
fn an_error_that_ends_a_live_table_has_a_cell_for_each_column() {
    let server = Server::start(Config { max_body_bytes: 200_000, ..config() });
    let csv = format!("src,dst\n{}", "London,Tokyo\n".repeat(20_000));
    let answer = server.connect().stream("/predict/batch?live=true", "text/csv", csv.as_bytes());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(answer.text().as_bytes());
    let records: Vec<_> = reader.records().map(|record| record.expect("as many cells as columns")).collect();
    assert_eq!((answer.status, &records[0][8], &records[records.len() - 1][8]), (200, "code", "BODY_TOO_LARGE"));
}

/// Most clients send everything before they read anything.
#[test]
fn a_client_that_reads_only_after_it_has_sent_gets_its_answers() {
    let server = Server::start(config());
    let mut connection = server.connect();
    let row = "{\"src\":\"London\",\"dst\":\"Tokyo\"}\n";
    let body = row.repeat(100_000);
    connection.send(
        format!(
            "POST /predict/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    // It would stay here for ever if the server waited for it to read.
    connection.send(body.as_bytes());
    let answer = connection.answer(true);
    assert_eq!((answer.status, answer.text().lines().count()), (200, 100_000));
}

fn send_chunk(connection: &mut Connection, text: &str) {
    connection.send(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
}

#[test]
fn live_rows_are_answered_while_the_body_is_open() {
    let server = Server::start(config());
    let mut connection = server.connect();
    connection.send(
        format!(
            "POST /predict/batch?live=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        )
        .as_bytes(),
    );
    send_chunk(&mut connection, "{\"src\":\"London\",\"dst\":\"Tokyo\"}\n");
    let mut first = connection.open_answer();
    assert_eq!(first.status, 200);
    first.body = connection.chunk().unwrap();
    assert!(first.json()["p50_ms"].is_number());
    for (sent, expected) in [
        ("{\"src\":\"Lndon\",", None),
        ("\"dst\":\"Tokyo\"}\n", Some("UNKNOWN_PLACE")),
        ("\n\n[]\n", Some("INVALID_JSON")),
    ] {
        send_chunk(&mut connection, sent);
        if let Some(code) = expected {
            let line: Value = serde_json::from_slice(&connection.chunk().unwrap()).unwrap();
            assert_eq!(line["error"]["code"], code);
        }
    }
    connection.send(b"0\r\n\r\n");
    assert_eq!(connection.chunk(), None);
}

#[test]
fn a_client_that_leaves_does_no_harm() {
    let server = Server::start(config());
    for path in ["/predict/batch", "/predict/batch?live=true"] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\nContent-Length: 1000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all("{\"src\":\"London\",\"dst\":\"Tokyo\"}\n".repeat(1000).as_bytes()).unwrap();
    }
    let answer = server.connect().stream("/predict/batch", NDJSON, b"{\"src\":\"London\",\"dst\":\"Tokyo\"}");
    assert_eq!((answer.status, answer.text().lines().count()), (200, 1));
}
