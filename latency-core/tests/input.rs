//! What callers get wrong: each gives a typed error that names the field, what was found and what is allowed.

use latency_core::{Batch, Cancel, Column, Entry, Error, ErrorGroup, ErrorKind, Predictor, Row, Value};
use serde_json::json;

fn predictor() -> Predictor {
    Predictor::builder().sessions(1).build().expect("the bundled model loads")
}

fn path() -> Row {
    Row::new().with("src_lat", 51.51).with("src_lon", -0.13).with("dst_lat", 35.68).with("dst_lon", 139.69)
}

fn refuse(row: &Row) -> Error {
    let error = predictor().predict(row).expect_err("the row is wrong");
    assert_eq!(error.kind().group(), ErrorGroup::Input);
    error
}

fn refuse_json(json: &serde_json::Value) -> Error {
    let error = Row::from_json(json).and_then(|row| predictor().predict(&row)).expect_err("the row is wrong");
    assert_eq!(error.kind().group(), ErrorGroup::Input);
    error
}

#[test]
fn messages_name_the_field_what_was_found_and_what_is_allowed() {
    let cases = [
        (refuse(&path().with("src_lat", 91)), "src_lat: found 91; allowed: a number from -90 to 90 (degree)"),
        (refuse(&path().with("src_lat", f64::NAN)), "src_lat: found NaN; allowed: a number from -90 to 90 (degree)"),
        (
            refuse(&path().with("dst_lon", f64::INFINITY)),
            "dst_lon: found inf; allowed: a number from -180 to 180 (degree)",
        ),
        (
            refuse(&path().with("src_access", "dialup")),
            "src_access: found \"dialup\"; allowed: server, wired, wifi, cellular, starlink, residential; leave it out if it is \
             not known",
        ),
        (
            refuse(&path().with("src_access", 3)),
            "src_access: found the number 3; allowed: server, wired, wifi, cellular, starlink, residential; leave it out if it is \
             not known",
        ),
        (
            refuse(&path().with("src_lat", "51")),
            "src_lat: found the text \"51\"; allowed: a number from -90 to 90 (degree), written without quotes",
        ),
        (
            refuse(&path().with("dst_lat", Value::Missing)),
            "dst_lat: required, but not given; allowed: a number from -90 to 90 (degree); give it, or the name of a place for \
             that end",
        ),
        (
            refuse_json(&json!({"src": {"lat": 91, "lon": 0}, "dst": "Tokyo"})),
            "src.lat: found 91; allowed: a number from -90 to 90 (degree)",
        ),
        (
            refuse_json(&json!({"src": {"lat": 51.5}, "dst": "Tokyo"})),
            "src.lon: required, but not given; allowed: a number from -180 to 180 (degree); give it, or the name of a place for \
             that end",
        ),
        (
            refuse_json(&json!({"src": 5, "dst": "Tokyo"})),
            "src: found a number; allowed: a place such as \"London\", or an object with `lat` and `lon`, or with `place`",
        ),
        (
            refuse_json(&json!({"src": {"place": "London", "lat": 1}, "dst": "Tokyo"})),
            "src.place: found a place beside `lat` or `lon`; allowed: either a place or coordinates; leave one out",
        ),
        (
            refuse_json(&json!({"src": "London", "dst": "Tokyo", "src_lat": 5})),
            "src_lat: found twice, also in `src`; give it once",
        ),
        (
            refuse_json(&json!({"src": {"place": "London", "access": {"kind": "wifi"}}, "dst": "Tokyo"})),
            "src.access: found an object; allowed: a number, a string or null",
        ),
        (
            refuse_json(&json!(["London", "Tokyo"])),
            "found an array; allowed: an object such as {\"src\": \"London\", \"dst\": \"Tokyo\"}",
        ),
    ];
    for (error, message) in cases {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn an_unknown_field_lists_the_fields_and_the_nearest() {
    let error = refuse(&path().with("scr_access", "wifi"));
    assert_eq!(error.kind(), ErrorKind::UnknownField);
    assert_eq!(error.field(), Some("scr_access"));
    assert!(error.message().contains("allowed: src_lat, src_lon, dst_lat, dst_lon"), "{error}");
    assert!(error.message().ends_with("did you mean `src_access`?"), "{error}");
    let nested = refuse_json(&json!({"src": {"place": "London", "acess": "wifi"}, "dst": "Tokyo"}));
    assert_eq!(nested.field(), Some("src.acess"));
    let flat = refuse_json(&json!({"src": "London", "dst": "Tokyo", "src_acess": "wifi"}));
    assert_eq!(flat.field(), Some("src_acess"));
}

#[test]
fn places_that_cannot_be_found_name_their_end() {
    let error = Row::between("London", "Nowhereville").unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::UnknownPlace, Some("dst")));
    let error = Row::between("Springfield", "Tokyo").unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::AmbiguousPlace, Some("src")));
    let error = Row::between("91,0", "Tokyo").unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some("src.lat")));
}

#[test]
fn a_cloud_region_implies_its_provider_and_the_caller_overrides_it() {
    let row = Row::between("aws:us-east-1", "London").unwrap();
    assert_eq!(row.get("src_provider"), Some(&Value::from("aws")));
    let end = Entry::End(vec![("place".into(), "aws:us-east-1".into()), ("provider".into(), "other".into())]);
    let row = Row::from_entries([("src".into(), end), ("dst".into(), Entry::Value("London".into()))]).unwrap();
    assert_eq!(row.get("src_provider"), Some(&Value::from("other")));
    predictor().predict(&row).unwrap();
    for text in [
        r#"{"src": "aws:us-east-1", "src_provider": "gcp", "dst": "London"}"#,
        r#"{"src_provider": "gcp", "src": "aws:us-east-1", "dst": "London"}"#,
    ] {
        assert_eq!(Row::from_json_str(text).unwrap().get("src_provider"), Some(&Value::from("gcp")), "{text}");
    }
}

#[test]
fn missing_optional_values_are_the_same_however_they_are_missing() {
    let predictor = predictor();
    let absent = predictor.predict(&path()).unwrap();
    let null = predictor.predict(&path().with("src_access", Value::Missing)).unwrap();
    let nan = predictor.predict(&path().with("src_access", f64::NAN));
    assert_eq!(absent, null);
    assert_eq!(absent, nan.unwrap());
}

#[test]
fn batches_name_the_row_and_the_field() {
    let predictor = predictor();
    let columns = || {
        Batch::new().with("src_lat", vec![0.0, 10.0]).with("src_lon", vec![0.0, 10.0]).with("dst_lat", vec![20.0, 30.0])
    };
    let error = predictor.predict_batch(&columns().with("dst_lon", vec![5.0, 181.0])).unwrap_err();
    assert_eq!(error.to_string(), "row 1: dst_lon: found 181; allowed: a number from -180 to 180 (degree)");
    let error = predictor.predict_batch(&columns()).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::MissingField, Some("dst_lon")));
    let error = predictor.predict_batch(&columns().with("dst_lon", vec![5.0])).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidBatch, Some("dst_lon")));
    let error = predictor.predict_batch(&columns().with("dst_lon", vec![5.0, f64::NAN])).unwrap_err();
    assert_eq!((error.kind(), error.row()), (ErrorKind::InvalidField, Some(1)));
    let error = predictor.predict_batch(&columns().with("src_lat", vec![5.0, 6.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidBatch);
}

#[test]
fn batches_take_names_of_places_and_ignore_columns_they_do_not_know() {
    let predictor = predictor();
    let places = Batch::new()
        .with("src", Column::from(["London", "aws:us-east-1"].as_slice()))
        .with("dst", Column::from(["Tokyo", "LHR"].as_slice()))
        .with("note", Column::from(["a", "b"].as_slice()));
    let predictions = predictor.predict_batch(&places).unwrap();
    assert_eq!(predictions.notes.ignored_columns, ["note"]);
    for (index, (src, dst)) in [("London", "Tokyo"), ("aws:us-east-1", "LHR")].into_iter().enumerate() {
        let single = predictor.predict(&Row::between(src, dst).unwrap()).unwrap();
        assert_eq!(predictions.get(index), Some(single));
    }
    let unknown = Batch::new()
        .with("src", Column::from(["London", "Nowhereville"].as_slice()))
        .with("dst", Column::from(["Tokyo", "LHR"].as_slice()));
    let error = predictor.predict_batch(&unknown).unwrap_err();
    assert_eq!((error.kind(), error.field(), error.row()), (ErrorKind::UnknownPlace, Some("src"), Some(1)));
}

#[test]
fn nothing_in_nothing_out() {
    let predictor = predictor();
    let predictions = predictor.predict_batch(&Batch::new()).unwrap();
    assert!(predictions.is_empty() && predictions.floor_ms == Some(Vec::new()));
    assert!(predictor.predict_rows::<Row>([]).unwrap().is_empty());
}

#[test]
fn bad_rows_fail_alone_among_good_ones() {
    let (good, bad) = (path(), path().with("src_lat", 91));
    let unknown = Error::new(ErrorKind::UnknownPlace, "no such place");
    let answers = predictor().predict_rows([Ok(&good), Ok(&bad), Err(unknown), Ok(&good)]).unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::InvalidField), Some(ErrorKind::UnknownPlace), None]);
    assert_eq!(answers[0].as_ref().unwrap(), answers[3].as_ref().unwrap());
}

#[test]
fn the_valid_rows_of_a_batch_are_predicted_and_the_others_are_named() {
    let predictor = predictor();
    let batch = Batch::new()
        .with("src", ["London", "Nowhereville", "Paris", "Oslo", "McMurdo"])
        .with(
            "dst",
            [Some("Tokyo"), Some("Nowhereville"), None, Some("Rome"), Some("-77.85,166.67")]
                .into_iter()
                .collect::<Column>(),
        )
        .with("src_access", [Some("wifi"), Some("pigeon"), None, Some("pigeon"), None].into_iter().collect::<Column>())
        .with("weather", vec![0.0; 5]);
    let (predictions, errors) = predictor.predict_valid_rows(&batch.clone()).unwrap();
    let found: Vec<_> = errors.iter().map(|error| (error.row(), error.field(), error.code())).collect();
    let expected = [
        (Some(1), Some("src"), "UNKNOWN_PLACE"),
        (Some(2), Some("dst"), "MISSING_FIELD"),
        (Some(3), Some("src_access"), "INVALID_FIELD"),
        (Some(4), Some("src"), "UNKNOWN_PLACE"),
    ];
    assert_eq!(found, expected);
    assert_eq!(predictor.predict_batch(&batch).unwrap_err().to_string(), errors[0].to_string());
    let london = predictor.predict(&Row::between("London", "Tokyo").unwrap().with("src_access", "wifi")).unwrap();
    assert_eq!(predictions.get(0), Some(london));
    for (name, column) in predictions.columns() {
        assert!(column.len() == 5 && column[1..].iter().all(|number| number.is_nan()), "{name}");
    }
    assert_eq!((predictions.notes.missing(1).count(), predictions.notes.missing(0).count()), (0, 5));
    assert_eq!(predictions.notes.ignored_columns, ["weather"]);
}

#[test]
fn notes_of_valid_rows_keep_their_numbers() {
    let ends = |lats: [f64; 4]| {
        let column = |value: f64| vec![value; 4];
        Batch::new()
            .with("src_lat", lats.to_vec())
            .with("src_lon", column(0.1))
            .with("dst_lat", column(35.7))
            .with("dst_lon", column(139.7))
    };
    let (predictions, errors) = predictor().predict_valid_rows(&ends([91.0, 51.5, f64::NAN, -89.0])).unwrap();
    assert_eq!(errors.iter().map(Error::row).collect::<Vec<_>>(), [Some(0), Some(2)]);
    assert!(!predictions.notes.warnings.is_empty());
    assert!(predictions.notes.warnings.iter().all(|(row, _)| *row == 3), "{:?}", predictions.notes.warnings);
    assert!(predictions.get(3).unwrap().p50_ms > 95.0);
    let (all, none) = predictor().predict_valid_rows(&ends([1.0, 2.0, 3.0, 4.0])).unwrap();
    assert_eq!((all, none.len()), (predictor().predict_batch(&ends([1.0, 2.0, 3.0, 4.0])).unwrap(), 0));
    let (nothing, errors) = predictor().predict_valid_rows(&ends([91.0; 4])).unwrap();
    assert!(errors.len() == 4 && nothing.p50_ms.iter().all(|number| number.is_nan()));
    // What concerns all rows is no matter of one row.
    let error = predictor().predict_valid_rows(&Batch::new().with("src", ["London"])).unwrap_err();
    assert_eq!((error.code(), error.row()), ("MISSING_FIELD", None));
    let (empty, errors) = predictor().predict_valid_rows(&Batch::new()).unwrap();
    assert!(empty.is_empty() && errors.is_empty());
}

#[test]
fn a_place_that_was_found_is_an_end() {
    let place = |name: &str| Entry::Place(latency_core::Place::find(name).unwrap(), vec![]);
    let row = Row::from_entries([("src".into(), place("aws:eu-west-2")), ("dst".into(), Entry::Value("Tokyo".into()))]);
    assert_eq!(row.unwrap(), Row::between("aws:eu-west-2", "Tokyo").unwrap());
    let error = Row::from_entries([("hops".into(), place("London"))]).unwrap_err();
    assert_eq!((error.code(), error.field()), ("INVALID_FIELD", Some("hops")));
}

#[test]
fn a_place_in_json_is_an_end() {
    let place = |name: &str| serde_json::to_value(latency_core::Place::find(name).unwrap()).unwrap();
    let region = place("aws:eu-west-2");
    assert_eq!((&region["label"], &region["kind"]["provider"]), (&json!("aws:eu-west-2"), &json!("aws")));
    let mut player = place("Lisbon");
    player["access"] = json!("wifi");
    let row = Row::from_json(&json!({"src": player, "dst": region})).unwrap();
    assert_eq!(
        row,
        Row::from_json(&json!({"src": {"place": "Lisbon", "access": "wifi"}, "dst": "aws:eu-west-2"})).unwrap()
    );

    // What stands beside a place overrides what it implies, and is as strict as in any other end.
    let mut other = place("aws:eu-west-2");
    other["provider"] = json!("other");
    assert_eq!(
        Row::from_json(&json!({"src": other, "dst": "Tokyo"})).unwrap().get("src_provider"),
        Some(&"other".into())
    );
    for (key, value, field) in [
        ("acess", json!("wifi"), "src.acess"),
        ("place", json!("Tokyo"), "src.place"),
        ("lat", json!(91), "src"),
        ("lat", json!("51.5"), "src"),
        ("kind", json!({"type": "planet"}), "src"),
        ("kind", json!("city"), "src."),
    ] {
        let mut wrong = place("Lisbon");
        wrong[key] = value.clone();
        let error = refuse_json(&json!({"src": wrong, "dst": "Tokyo"}));
        assert!(error.field().is_some_and(|found| found.starts_with(field)), "{key} {value}: {error}");
    }
    let twice = Row::from_json_str(
        r#"{"src": {"name": "A", "name": "B", "lat": 1, "lon": 2, "kind": {"type": "city"}}, "dst": "Tokyo"}"#,
    );
    assert!(twice.unwrap_err().message().starts_with("found `name` twice"));
}

#[test]
fn rows_that_come_one_by_one_are_those_of_a_batch() {
    let good = path();
    let mut rows = predictor().row_batch();
    assert!(rows.is_empty() && rows.predict().unwrap().is_empty());
    rows.push(Ok(&good)).unwrap();
    let error = rows.push(Ok(&path().with("src_lat", 91))).unwrap_err();
    assert_eq!((error.row(), error.field()), (Some(1), Some("src_lat")));
    let error = rows.push(Err::<&Row, _>(Error::new(ErrorKind::InvalidJson, "no row"))).unwrap_err();
    assert_eq!((error.row(), error.code()), (Some(2), "INVALID_JSON"));
    rows.push(Ok(&path().with("src_lat", 89))).unwrap();
    assert_eq!(rows.len(), 4);
    let predictions = rows.predict().unwrap();
    assert_eq!(predictions.get(0).unwrap(), predictor().predict(&good).unwrap());
    assert!(predictions.p50_ms[1].is_nan() && predictions.p99_ms[2].is_nan());
    assert_eq!(predictions.get(3).unwrap(), predictor().predict(&path().with("src_lat", 89)).unwrap());
    assert_eq!(predictions.notes.warnings[0].0, 3);
}

#[test]
fn work_that_is_cancelled_ends_soon() {
    let cancel = Cancel::new();
    let predictor = predictor().with_cancel(cancel.clone());
    let column = |number: f64| vec![number; 400_000];
    let batch = Batch::new()
        .with("src_lat", column(51.51))
        .with("src_lon", column(-0.13))
        .with("dst_lat", column(35.68))
        .with("dst_lon", column(139.69));
    let worker = std::thread::spawn({
        let cancel = cancel.clone();
        move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            cancel.cancel();
        }
    });
    // All of them would take seconds.
    let error = predictor.predict_batch(&batch).unwrap_err();
    worker.join().unwrap();
    assert_eq!((error.code(), error.row(), error.kind().group()), ("CANCELLED", None, ErrorGroup::Runtime));
    assert_eq!(predictor.predict(&path()).unwrap_err().kind(), ErrorKind::Cancelled, "it stays set");
    // Places that nobody knows take longest: they are not even looked for.
    let places = |name| std::iter::repeat_n(Some(name), 100_000).collect::<Column>();
    let nowhere = Batch::new().with("src", places("Nowhereville")).with("dst", places("Tokyo"));
    assert_eq!(predictor.predict_valid_rows(&nowhere).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn rows_with_absurdly_many_values_are_refused_at_once() {
    let many: serde_json::Map<_, _> = (0..5000).map(|index| (format!("field_{index}"), json!(1))).collect();
    assert!(refuse_json(&json!(many)).message().contains("more than 1000 values"));
    assert!(refuse_json(&json!({"src": many, "dst": "Tokyo"})).message().contains("found 5000 values for one end"));
}

#[test]
fn a_key_that_stands_there_twice_is_not_lost() {
    for (text, field) in [
        (r#"{"src": "London", "src": "Paris", "dst": "Tokyo"}"#, "src"),
        // Either holds something that the other does not.
        (r#"{"src": {"lat": 1, "lon": 2}, "src": {"access": "wifi"}, "dst": "Tokyo"}"#, "src"),
        (r#"{"src": "London", "dst": "Tokyo", "dst": {"access": "wifi"}}"#, "dst"),
        (r#"{"src": {"lat": 1, "lat": 2, "lon": 3}, "dst": "Tokyo"}"#, "src.lat"),
        (r#"{"src": {"place": "London", "place": "Paris"}, "dst": "Tokyo"}"#, "src.place"),
        (r#"{"src": "London", "dst": "Tokyo", "src_access": "wifi", "src_access": "wired"}"#, "src_access"),
        (
            r#"{"src": {"place": "aws:us-east-1", "provider": "gcp", "provider": "aws"}, "dst": "Tokyo"}"#,
            "src.provider",
        ),
    ] {
        let error = Row::from_json_str(text).expect_err(text);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some(field)), "{text}: {error}");
        assert!(error.message().starts_with("found twice"), "{error}");
    }
}

#[test]
fn text_that_is_not_json_is_shown_by_line_and_column() {
    let error = Row::from_json_str("{\"src\": NaN}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "found something that is not JSON at line 1 column 9 (expected value); allowed: one object such as \
         {\"src\": \"London\", \"dst\": \"Tokyo\"}; null, not NaN, where a value is not known"
    );
    let deep = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
    assert!(Row::from_json_str(&deep).unwrap_err().message().contains("recursion limit"));
    let text = r#"{"src": "51.51,-0.13", "dst": {"lat": 35.68, "lon": 139.69}, "src_access": null}"#;
    let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
    let (from_text, from_value) = (Row::from_json_str(text).unwrap(), Row::from_json(&parsed).unwrap());
    assert_eq!(from_text.iter().count(), from_value.iter().count());
    assert!(from_text.iter().all(|(name, value)| from_value.get(name) == Some(value)));
}
