//! `/predict/batch` and `/invocations` with files of Parquet, in and out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latency_core::arrow_array::builder::{ListBuilder, StringBuilder};
use latency_core::arrow_array::{Array, ArrayRef, Float64Array, NullArray, RecordBatch, StringArray};
use latency_server::Config;
use latency_server::limits::Settings as Limits;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use rocket::http::{Header, Status};
use rocket::local::blocking::{Client, LocalResponse};
use serde_json::{Value, json};

use crate::arrow::{NDJSON, STREAM, paths, post, read_stream, rows_of, stream, table, texts};
use crate::common::{Server, client, config, json, local};

pub const FILE: &str = "application/vnd.apache.parquet";

pub fn file(batches: &[RecordBatch]) -> Vec<u8> {
    file_with(batches, WriterProperties::builder())
}

fn file_with(batches: &[RecordBatch], properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties.build())).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The batches of an answer.
fn read_file(response: LocalResponse<'_>) -> Vec<RecordBatch> {
    let status = response.status();
    assert_eq!(response.headers().get_one("Content-Type"), Some(FILE), "{status}");
    read(response.into_bytes().unwrap())
}

pub fn read(file: Vec<u8>) -> Vec<RecordBatch> {
    let file = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    file.build().unwrap().map(Result::unwrap).collect()
}

fn refused(response: LocalResponse<'_>, code: &str) -> String {
    let status = response.status();
    let answer = json(response);
    assert_eq!((status, &answer["error"]["code"]), (Status::BadRequest, &json!(code)), "{answer}");
    answer["error"]["message"].as_str().unwrap().to_owned()
}

fn many(rows: usize) -> RecordBatch {
    let names = |name: &'static str| -> ArrayRef { Arc::new(StringArray::from(vec![name; rows])) };
    table([("src", names("London")), ("dst", names("Tokyo"))])
}

#[test]
fn a_file_is_answered_as_a_stream_is() {
    let expected = rows_of(&read_stream(post(STREAM, STREAM, stream(&[paths()]))));
    let response = post(FILE, FILE, file(&[paths()]));
    assert_eq!(response.headers().get_one("X-Latency-Ignored-Columns"), Some("note"));
    assert!(response.headers().get_one("X-Latency-Model").is_some());
    assert_eq!(rows_of(&read_file(response)), expected);
    // Into any other format, and from any other.
    assert_eq!(rows_of(&read_stream(post(FILE, STREAM, file(&[paths()])))), expected);
    assert_eq!(rows_of(&read_file(post(STREAM, FILE, stream(&[paths()])))), expected);
    let lines = |kind, body| post(kind, NDJSON, body).into_string().unwrap();
    assert_eq!(lines(FILE, file(&[paths()])), lines(STREAM, stream(&[paths()])));
    // It is there in all before its first row is.
    let live =
        local().post("/predict/batch?live=true").header(Header::new("Content-Type", FILE)).body(file(&[paths()]));
    assert_eq!(rows_of(&read_file(live.dispatch())), expected);
    assert_eq!(rows_of(&read_file(post(FILE, FILE, file(&[paths().slice(0, 0)])))), Vec::<Value>::new());
}

#[test]
fn files_are_written_in_many_ways() {
    let expected = rows_of(&read_stream(post(STREAM, STREAM, stream(&[paths()]))));
    let ways = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ]
    .map(|compression| WriterProperties::builder().set_compression(compression))
    .into_iter()
    .chain([
        WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY),
        WriterProperties::builder().set_max_row_group_row_count(Some(2)).set_data_page_row_count_limit(1),
        WriterProperties::builder().set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0),
    ]);
    for way in ways {
        let words = format!("{way:?}");
        // Booleans have no such encoding.
        let columns = paths().project(&[0, 1, 2]).unwrap();
        assert_eq!(rows_of(&read_file(post(FILE, FILE, file_with(&[columns], way)))), expected, "{words}");
    }
}

/// What the model does not take is not even read.
#[test]
fn columns_that_the_model_does_not_take_may_hold_anything() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    // More than the rows that are read may have.
    lists.values().append_value("x".repeat(17 << 20));
    lists.append(true);
    let batch = table([
        ("tags", Arc::new(lists.finish())),
        ("src", texts(&[Some("London")])),
        ("dst", texts(&[Some("Tokyo")])),
        ("src_access", Arc::new(NullArray::new(1))),
        ("score", Arc::new(Float64Array::from(vec![0.5]))),
    ]);
    let response = post(FILE, NDJSON, file(&[batch]));
    assert_eq!(response.headers().get_one("X-Latency-Ignored-Columns"), Some("tags, score"));
    assert!(json(response)["p50_ms"].is_number());
}

#[test]
fn the_most_rows_are_answered_and_more_are_refused() {
    let answers = read_file(post(FILE, FILE, file(&[many(60_000), many(40_000)])));
    assert_eq!(answers.iter().map(RecordBatch::num_rows).sum::<usize>(), 100_000);
    for column in answers.iter().filter_map(|batch| batch.column_by_name("code")) {
        assert_eq!(column.null_count(), column.len());
    }
    let response = post(FILE, FILE, file(&[many(100_001)]));
    assert_eq!((response.status().code, json(response)["error"]["code"].as_str()), (413, Some("TOO_MANY_ROWS")));
}

#[test]
fn what_is_no_file_is_refused() {
    let good = file(&[paths()]);
    let wide: Vec<_> = (0..1_001).map(|index| (format!("c{index}"), texts(&[None]), true)).collect();
    let wide = RecordBatch::try_from_iter_with_nullable(wide).unwrap();
    for (body, words) in [
        (Vec::new(), "found what cannot be read"),
        (b"src,dst\nLondon,Tokyo\n".to_vec(), "Invalid Parquet file"),
        (good[..good.len() - 20].to_vec(), "Invalid Parquet file"),
        (file(&[wide]), "found 1001 columns, where up to 1000 may be"),
        (b"PAR1....\0\0\0\0PARE".to_vec(), "encrypted"),
    ] {
        let message = refused(post(FILE, FILE, body), "INVALID_PARQUET");
        assert!(message.contains(words) && message.contains("; allowed: one whole file of Parquet"), "{message}");
    }
    let batch = table([("src", texts(&[Some("London")])), ("dst", Arc::new(Float64Array::from(vec![1.0])))]);
    refused(post(FILE, FILE, file(&[batch])), "INVALID_FIELD");
    refused(post(FILE, FILE, file(&[table([("a", texts(&[None]))])])), "MISSING_FIELD");
}

/// Version 1, and a schema whose root has no columns: the beginning of a footer, in Thrift's compact protocol.
const SCHEMA_OF_NOTHING: [u8; 10] = [0x15, 0x02, 0x19, 0x1c, 0x48, 0x01, b'r', 0x15, 0x00, 0x00];

/// A file of nothing but this footer.
fn empty_file(footer: &[u8]) -> Vec<u8> {
    [b"PAR1", footer, &u32::try_from(footer.len()).unwrap().to_le_bytes(), b"PAR1"].concat()
}

/// The reason why this file cannot be read has its long name in it, which no pipe holds.
#[test]
fn reasons_are_short() {
    let name = "n".repeat(100_000);
    // A root with one column, and a number that says that it is text.
    let root = [0x15, 0x02, 0x19, 0x2c, 0x48, 0x01, b'r', 0x15, 0x02, 0x00];
    let column = [&[0x15, 0x02, 0x25, 0x02, 0x18, 0xa0, 0x8d, 0x06][..], name.as_bytes(), &[0x25, 0x00, 0x00]].concat();
    let footer = [&root[..], &column, &[0x16, 0x00, 0x19, 0x0c, 0x00]].concat();
    let message = refused(post(FILE, FILE, empty_file(&footer)), "INVALID_PARQUET");
    assert!(message.contains("nnnn") && message.len() < 600, "{message}");
}

/// Groups without columns are columns of the file, and none of its tables.
#[test]
fn columns_are_found_by_name_whatever_stands_before_them() {
    let columns =
        [("note", texts(&[Some("Rome")])), ("src", texts(&[Some("London")])), ("dst", texts(&[Some("Tokyo")]))];
    let good = file(&[table(columns)]);
    let end = good.len() - 8;
    let footer = &good[end - u32::from_le_bytes(good[end..end + 4].try_into().unwrap()) as usize..end];
    // Four elements are five, the root has four children instead of three, and one more is the first of them.
    let root = b"\x19\x4c\x48\x0carrow_schema\x15\x06\x00";
    let at = footer.windows(root.len()).position(|bytes| bytes == root).expect("the schema begins so");
    let group = b"\x19\x5c\x48\x0carrow_schema\x15\x08\x00\x35\x02\x18\x01g\x15\x00\x00";
    let footer = [&footer[..at], group, &footer[at + root.len()..]].concat();
    let pages = &good[4..good.len() - 8 - (footer.len() - (group.len() - root.len()))];
    let body = [b"PAR1", pages, &footer, &u32::try_from(footer.len()).unwrap().to_le_bytes(), b"PAR1"].concat();
    assert_eq!(post(FILE, NDJSON, body).into_string(), post(FILE, NDJSON, good).into_string());
}

/// Small files that ask for more than any machine has. The server that was asked goes on.
#[test]
fn files_that_are_larger_than_they_look_are_refused() {
    // Metadata with a list of 2^31 - 1 row groups: their room alone would take 200 GB.
    let row_groups = [&SCHEMA_OF_NOTHING[..], &[0x16, 0x00, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]].concat();
    let claims = empty_file(&row_groups);
    // A thousand times the same long text, which the file has once.
    let long = "x".repeat(1 << 20);
    let repeated = table([("src", Arc::new(StringArray::from(vec![long.as_str(); 16])) as ArrayRef)]);
    let repeated: Vec<_> = std::iter::repeat_n(repeated, 64).collect();
    let limit = 64 << 20;
    let dictionary = WriterProperties::builder().set_dictionary_page_size_limit(limit);
    let prefixes = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY);
    for (name, body) in [
        ("row groups", claims),
        ("a dictionary", file_with(&repeated, dictionary.set_data_page_size_limit(limit))),
        (
            "prefixes",
            file_with(&repeated, prefixes.set_data_page_size_limit(limit).set_compression(Compression::SNAPPY)),
        ),
    ] {
        assert!(body.len() < 10 << 20, "{name}: {} bytes", body.len());
        let message = refused(post(FILE, FILE, body), "INVALID_PARQUET");
        assert!(message.contains("cannot be read with 128 MiB beside the file"), "{name}: {message}");
    }
    assert_eq!(rows_of(&read_file(post(FILE, FILE, file(&[many(1)])))).len(), 1);
}

/// Bytes of a file, changed and cut off: refused or answered, and never a failure of the server.
#[test]
fn broken_files_do_no_harm() {
    let good = file(&[paths()]);
    let (mut refused, mut answered) = (0, 0);
    for index in (0..good.len()).step_by(7) {
        let mut broken = good.clone();
        broken[index] ^= [0x01, 0x80, 0xff][index % 3];
        for body in [broken, good[..index].to_vec()] {
            let response = post(FILE, NDJSON, body);
            match response.status().code {
                200 => {
                    assert_eq!(response.into_string().unwrap().lines().count(), paths().num_rows(), "byte {index}");
                    answered += 1;
                }
                400 | 413 => refused += 1,
                status => panic!("{status} for byte {index}"),
            }
        }
    }
    assert!(refused > 200 && answered > 5, "{refused} refused, {answered} answered");
}

#[test]
fn more_files_at_once_than_are_read_at_once_are_all_answered() {
    let server = Server::start(config());
    let body = file(&[many(3_000)]);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let answer = server.connect().stream("/predict/batch", FILE, &body);
                assert_eq!(answer.status, 200);
                assert_eq!(&answer.body[answer.body.len() - 4..], b"PAR1");
            });
        }
    });
}

/// A program that notes its number, and then does this.
#[cfg(unix)]
fn script(folder: &Path, then: &str) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt;

    let (program, started) = (folder.join("reader"), folder.join("started"));
    std::fs::write(&program, format!("#!/bin/sh\necho $$ >> '{}'\n{then}\n", started.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    (program, started)
}

/// Two files are read at a time. Who waits for that has no turn, with a body or without.
#[cfg(unix)]
#[test]
fn files_that_wait_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (program, started) = script(folder.path(), "exec /bin/sleep 2");
    let numbers = || std::fs::read_to_string(&started).unwrap_or_default().lines().count();
    let limits = Limits { concurrency: Some(3), ..Limits::default() };
    let server = Server::start(Config { program, limits, ..config() });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| server.connect().stream("/predict/batch", FILE, b"PAR1"));
        }
        while numbers() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        for (path, body) in [("/predict/batch", &b""[..]), ("/predict/batch", b"PAR1"), ("/invocations", b"PAR1")] {
            scope.spawn(|| server.connect().stream(path, FILE, body));
        }
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(server.connect().post("/predict", br#"{"src": "London", "dst": "Tokyo"}"#).status, 200);
        assert_eq!(numbers(), 2);
    });
    assert_eq!(numbers(), 5);
}

/// Whatever became of a file, no process is left behind.
#[cfg(target_os = "linux")]
#[test]
fn readers_end_with_their_requests() {
    let folder = tempfile::tempdir().unwrap();
    let (program, started) = script(folder.path(), &format!("exec '{}' \"$@\"", config().program.display()));
    let client = client(&Config { program, ..config() });
    for (body, status) in [(file(&[many(5)]), 200), (file(&[many(100_001)]), 413), (b"none".to_vec(), 400)] {
        let request = client.post("/predict/batch").header(Header::new("Content-Type", FILE)).body(body);
        assert_eq!(request.dispatch().status().code, status);
    }
    let numbers = std::fs::read_to_string(started).unwrap();
    assert_eq!(numbers.lines().count(), 3);
    for number in numbers.lines() {
        assert!(!Path::new("/proc").join(number).exists(), "{number} still runs");
    }
}

/// A process that somebody ends says nothing of the file.
#[cfg(unix)]
#[test]
fn readers_that_are_killed_are_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, status) in [("KILL", 503), ("TERM", 503), ("ABRT", 400), ("XCPU", 400)] {
        let (program, _) = script(folder.path(), &format!("kill -{signal} $$"));
        let client = client(&Config { program, ..config() });
        let request = client.post("/predict/batch").header(Header::new("Content-Type", FILE)).body(b"PAR1");
        assert_eq!(request.dispatch().status().code, status, "{signal}");
    }
}

#[test]
fn a_reader_that_fails_is_a_fault_of_the_server() {
    // One that cannot be started, and one that fails.
    for program in ["/nowhere/latency-server", "/bin/false"] {
        let client = client(&Config { program: program.into(), ..config() });
        let response =
            client.post("/predict/batch").header(Header::new("Content-Type", FILE)).body(file(&[paths()])).dispatch();
        let status = response.status();
        let answer = response.into_string().unwrap();
        assert_eq!(status, Status::InternalServerError, "{program}");
        assert!(answer.contains("INTERNAL") && !answer.contains("false") && !answer.contains("nowhere"), "{answer}");
    }
}

/// Bodies come in by a route that reads them whole: this is another way to the same rows.
#[test]
fn invocations_take_files_too() {
    let invoke = |client: &Client, kind: &'static str, body: Vec<u8>| {
        json(client.post("/invocations").header(Header::new("Content-Type", kind)).body(body).dispatch())
    };
    let rows = table([
        ("src", texts(&[Some("London"), Some("Paris")])),
        ("dst", texts(&[Some("Tokyo"), Some("LHR")])),
        ("dst_access", texts(&[Some("wifi"), None])),
        ("weather", texts(&[Some("sun"), None])),
    ]);
    let csv = b"src,weather,dst,dst_access\nLondon,sun,Tokyo,wifi\nParis,,LHR,\n".to_vec();
    let expected = invoke(local(), "text/csv", csv);
    assert_eq!(expected["predictions"].as_array().unwrap().len(), 2);
    assert_eq!(invoke(local(), FILE, file(std::slice::from_ref(&rows))), expected);
    assert_eq!(invoke(local(), FILE, file(&[rows.slice(0, 0)])), json!({"predictions": []}));
    let all = invoke(local(), FILE, file(&[many(5_000)]));
    let all = all["predictions"].as_array().unwrap();
    assert!(all.len() == 5_000 && all.iter().all(|row| *row == all[0]));
    // One bad row is a bad table, as it is in MLflow's own server.
    let bad = table([("src", texts(&[Some("Lndon")])), ("dst", texts(&[Some("Tokyo")]))]);
    let failed = invoke(local(), FILE, file(&[many(2_500), bad]));
    assert_eq!(failed["error_code"], "INVALID_PARAMETER_VALUE", "{failed}");
    assert!(failed["message"].as_str().unwrap().contains("row 2500"), "{failed}");
    let failed = invoke(local(), FILE, b"PAR1PAR1".to_vec());
    assert!(failed["message"].as_str().unwrap().contains("allowed: one whole file of Parquet"), "{failed}");
}
