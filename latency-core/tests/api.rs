//! What users may rely on without calling anything: which traits the public types have.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use latency_core::geo::UnitVector;
use latency_core::{
    Access, Batch, Column, Continent, Endpoint, Engine, Entry, Error, ErrorGroup, ErrorKind, FieldRange, Input,
    Judgement, ModelInfo, ModelTag, Notes, Path, Place, PlaceKind, Prediction, Predictions, Predictor,
    PredictorBuilder, Provider, Quantile, Ranked, Row, RowReader, Schema, Seen, Strided, Tier, Timeout, Value, Verdict,
    Warning, WarningCode, schema,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A plain thing: it is shared between threads, kept for any time, cloned, and shown to developers.
fn plain<T: Send + Sync + Unpin + Clone + Debug + 'static>() {}
/// A word of a fixed list.
fn word<T: Copy + Eq + Hash + Debug + Send + Sync + 'static>() {}
fn shown<T: Display>() {}
fn parsed<T: FromStr<Err = Error>>() {}
fn compared<T: PartialEq>() {}
fn empty<T: Default>() {}
fn written<T: Serialize>() {}
fn read<T: DeserializeOwned>() {}

#[test]
fn every_type_is_shared_cloned_and_shown() {
    plain::<Predictor>();
    plain::<PredictorBuilder>();
    plain::<(ModelInfo, ModelTag<'static>)>();
    plain::<(Path, Endpoint, Place, PlaceKind)>();
    plain::<(Row, Value, Entry)>();
    plain::<(Batch<'static>, Column<'static>, Strided<'static>)>();
    plain::<(Prediction, Predictions, Notes, Warning)>();
    plain::<(Ranked, Timeout, Judgement, Quantile)>();
    plain::<(RowReader, FieldRange, Seen)>();
    plain::<(Schema, schema::Field, schema::FieldKind, schema::Feature)>();
    plain::<(schema::Coordinates, schema::Hub, schema::Cables, schema::Target, schema::Base)>();
    plain::<(schema::Output, schema::GoldenRow, schema::SeenRegions, schema::SeenPairs)>();
    plain::<(schema::Spread, schema::SpreadEnd, schema::SpreadKind, schema::SpreadQuantiles, schema::SpreadExcess)>();
    plain::<UnitVector>();
}

#[test]
fn words_are_copied_compared_and_hashed() {
    word::<(Access, Provider, Tier, Engine)>();
    word::<(Continent, Verdict, WarningCode, ErrorKind, ErrorGroup)>();
    word::<(schema::OutputName, schema::Transform, schema::End, schema::Axis)>();
}

#[test]
fn what_people_read_is_displayed_and_what_they_write_is_parsed() {
    shown::<Error>();
    shown::<ErrorKind>();
    shown::<Place>();
    shown::<Continent>();
    shown::<Access>();
    shown::<Engine>();
    shown::<Provider>();
    shown::<Tier>();
    shown::<Verdict>();
    shown::<Warning>();
    shown::<WarningCode>();
    parsed::<Endpoint>();
    parsed::<Place>();
    parsed::<Access>();
    parsed::<Engine>();
    parsed::<Provider>();
    parsed::<Tier>();
}

#[test]
fn answers_and_questions_are_compared_and_have_a_json_form() {
    compared::<(Path, Endpoint, Place, Row, Value, Entry)>();
    compared::<(Batch<'_>, Column<'_>, Strided<'_>)>();
    compared::<(Prediction, Predictions, Notes, Ranked, Timeout, Judgement, ModelInfo, Schema)>();
    empty::<(Row, Batch<'_>, Predictions, Notes)>();
    written::<(Path, Endpoint, Place, Row, Value)>();
    read::<(Path, Endpoint, Place, Row, Value)>();
    written::<(Prediction, Ranked, Timeout, Judgement, ModelInfo, Schema)>();
    read::<(Prediction, Ranked, Timeout, Judgement, ModelInfo, Schema)>();
    written::<(Predictions, Notes)>();
    written::<Error>();
}

#[test]
fn an_error_travels_as_any_other() {
    fn any<T: std::error::Error + Send + Sync + 'static>() {}
    any::<Error>();
    let boxed: Box<dyn std::error::Error + Send + Sync> = Endpoint::at(91.0, 0.0).unwrap_err().into();
    assert_eq!(boxed.downcast_ref::<Error>().map(Error::code), Some("INVALID_FIELD"));
    // One pointer: a `Result` costs no more than what it holds.
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn a_label_is_a_value_of_a_row() {
    let row =
        Row::new().with("src_access", Access::Wifi).with("dst_provider", Provider::Aws).with("dst_tier", None::<Tier>);
    assert_eq!(row, Row::new().with("src_access", "wifi").with("dst_provider", "aws").with("dst_tier", Value::Missing));
}

#[test]
fn columns_are_equal_if_their_numbers_are() {
    let numbers = [1.0, 9.0, 2.0, 9.0];
    assert_eq!(Strided::new(&numbers, 0, 2), Strided::new(&[1.0, 2.0], 0, 1));
    assert_ne!(Strided::new(&numbers, 0, 2), Strided::new(&numbers, 1, 2));
}

#[test]
fn words_and_warnings_are_shown() {
    assert_eq!(format!("{:>10}|{}", Verdict::Slow, WarningCode::OutOfRange), "      slow|OUT_OF_RANGE");
    let json = r#"{"code": "OUT_OF_RANGE", "field": "hops", "message": "found 40"}"#;
    assert_eq!(serde_json::from_str::<Warning>(json).unwrap().to_string(), "hops: found 40");
}

#[test]
fn an_input_can_be_chosen_at_run_time() {
    let (path, row) = (Path::between("1,2", "3,4").unwrap(), Row::between("1,2", "3,4").unwrap());
    let inputs: [&dyn Input; 2] = [&path, &row];
    assert_eq!(inputs.len(), 2);
}

#[cfg(feature = "bundled-model")]
#[test]
fn a_predictor_is_small_and_shows_itself_in_a_line() {
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    assert_eq!(size_of::<Predictor>(), 2 * size_of::<usize>());
    let (shown, builder) = (format!("{predictor:?}"), Predictor::builder().bytes(Predictor::bundled_model()));
    assert!(shown.starts_with("Predictor { model: ModelTag { name: \"latency\"") && shown.len() < 200, "{shown}");
    let shown = format!("{builder:?}");
    assert!(shown.contains(" bytes") && shown.len() < 500, "{shown}");
}

#[cfg(feature = "bundled-model")]
#[test]
fn an_array_of_another_shape_is_refused_in_plain_words() {
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    let batch = Batch::new().with("src", ["1,2"]).with("dst", ["3,4"]);
    let error = predictor.predict_batch_into(&batch, ndarray::Array2::zeros((1, 5)).view_mut()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidBatch);
    assert!(error.message().contains("1 rows and 5 columns") && !error.message().contains("  "), "{error}");
}
