//! A model of one's own, without places: `models/own.onnx`, which `models/make_own.py` trains.

use std::path::Path;

use latency_core::{Batch, Column, ErrorKind, Place, Prediction, Predictor, Row, Value, WarningCode};

fn own() -> Predictor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/own.onnx");
    Predictor::builder().file(path).sessions(1).build().expect("the model loads, and gives its golden answers")
}

fn row(hops: i32, link: &str, load: f64) -> Row {
    Row::new().with("hops", hops).with("link", link).with("load", load)
}

fn bits(prediction: &Prediction) -> Vec<(&str, u32)> {
    prediction.numbers().map(|(name, number)| (name, number.to_bits())).collect()
}

#[test]
fn it_has_fields_of_its_own_and_no_places() {
    let own = own();
    assert_eq!(own.model_info().name, "own");
    assert_eq!(own.schema().field_names().collect::<Vec<_>>(), ["hops", "link", "load"]);
    assert!(own.schema().coordinates.is_none() && own.schema().golden.len() == 16);
    assert!(own.model_info().bytes < 16_000, "{} bytes", own.model_info().bytes);
}

#[test]
fn it_predicts_in_order_without_floor_and_distance() {
    let own = own();
    let (near, far) = (row(2, "fibre", 0.1), row(11, "radio", 0.9));
    let (near, far) = (own.predict(&near).unwrap(), own.predict(&far).unwrap());
    for found in [&near, &far] {
        assert_eq!((found.floor_ms, found.distance_km), (None, None));
        assert!(0.0 < found.low_ms && found.low_ms <= found.p50_ms && found.p50_ms <= found.high_ms, "{found:?}");
        assert!(found.p50_ms <= found.p90_ms && found.p90_ms <= found.p99_ms && found.warnings.is_empty(), "{found:?}");
    }
    // The table was made with medians of 5.5 and 55 ms.
    assert!(3.0 < near.p50_ms && near.p50_ms < 15.0 && 35.0 < far.p50_ms && far.p50_ms < 75.0, "{near:?} {far:?}");
}

#[test]
fn a_batch_gives_the_bits_of_its_rows() {
    let own = own();
    let batch = Batch::new()
        .with("hops", vec![2.0, 11.0, f64::NAN])
        .with("link", [Some("fibre"), None, Some("radio")].into_iter().collect::<Column>())
        .with("load", vec![0.1, f64::NAN, 0.5]);
    let predictions = own.predict_batch(&batch).unwrap();
    assert!(predictions.floor_ms.is_none() && predictions.distance_km.is_none());
    let rows = [row(2, "fibre", 0.1), Row::new().with("hops", 11), Row::new().with("link", "radio").with("load", 0.5)];
    for (found, row) in predictions.iter().zip(&rows) {
        assert_eq!(bits(&found), bits(&own.predict(row).unwrap()));
    }
}

#[test]
fn a_missing_optional_value_is_allowed_however_it_is_missing() {
    let own = own();
    let absent = own.predict(&Row::new().with("hops", 5).with("link", "fibre")).unwrap();
    for missing in [Value::Missing, Value::Number(f64::NAN)] {
        let row = Row::new().with("hops", 5).with("link", "fibre").with("load", missing);
        assert_eq!(own.predict(&row).unwrap(), absent);
    }
    assert_ne!(bits(&own.predict(&row(5, "fibre", 0.95)).unwrap()), bits(&absent), "a load makes a difference");
    assert!(own.predict(&Row::new()).unwrap().p50_ms > 0.0, "every field is optional");
}

#[test]
fn places_are_unsupported() {
    let own = own();
    for row in [
        Row::between("London", "Tokyo").unwrap(),
        Row::from_json_str(r#"{"src": "London", "hops": 3}"#).unwrap(),
        Row::from_json_str(r#"{"dst": {"lat": 35.68, "lon": 139.69}}"#).unwrap(),
    ] {
        let error = own.predict(&row).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "UNSUPPORTED"));
        assert_eq!(error.message(), "this model knows no places; give its fields by name: hops, link, load");
    }
    // Flat names are fields like any other, and a batch's columns that no field takes are reported.
    let error = own.predict(&row(3, "fibre", 0.5).with("src_lat", Place::find("London").unwrap().lat)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::UnknownField, Some("src_lat")));
    let batch = Batch::new().with("src", Column::from(["London"].as_slice())).with("hops", vec![3.0]);
    assert_eq!(own.predict_batch(&batch).unwrap().notes.ignored_columns, ["src"]);
}

#[test]
fn what_training_never_saw_is_a_warning_and_what_is_not_allowed_an_error() {
    let own = own();
    let warnings = own.predict(&row(40, "fibre", 0.5)).unwrap().warnings;
    let found: Vec<_> = warnings.iter().map(|warning| (warning.code, warning.field.as_str())).collect();
    assert_eq!(found, [(WarningCode::OutOfRange, "hops")]);
    let error = own.predict(&row(3, "copper", 0.5)).unwrap_err();
    assert_eq!(error.to_string(), "link: found \"copper\"; allowed: fibre, radio; leave it out if it is not known");
}
