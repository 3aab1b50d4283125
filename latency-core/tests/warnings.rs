//! What a prediction says when its input lies outside what training saw, beyond single fields.

use std::sync::LazyLock;

use latency_core::{Batch, Path, Prediction, Predictor, Row, Schema, WarningCode};

static PREDICTOR: LazyLock<Predictor> = LazyLock::new(|| Predictor::bundled().expect("the bundled model loads"));

fn between(src: &str, dst: &str) -> Row {
    Row::between(src, dst).expect("both are places")
}

fn fields(prediction: &Prediction) -> Vec<&str> {
    assert!(prediction.warnings.iter().all(|warning| warning.code == WarningCode::OutOfRange));
    prediction.warnings.iter().map(|warning| warning.field.as_str()).collect()
}

#[test]
fn an_end_far_from_all_places_of_training_is_named() {
    let desert = PREDICTOR.predict(&between("22.8,5.5", "Paris")).unwrap();
    assert_eq!(fields(&desert), ["src"]);
    assert_eq!(
        desert.warnings[0].message,
        "found 22.8,5.5; training saw no place within about 1000 km of it: the prediction is an extrapolation"
    );
    for (place, name) in
        [("62,129.7", "Yakutsk"), ("22.8,5.5", "Tamanrasset"), ("-27.1,-109.4", "Easter Island"), ("0,-140", "the sea")]
    {
        assert_eq!(fields(&PREDICTOR.predict(&between("Paris", place)).unwrap()), ["dst"], "{name}");
    }
    for place in
        ["Paris", "Tokyo", "Novosibirsk", "Nairobi", "Honolulu", "Reykjavik", "Auckland", "Punta Cana", "Perth"]
    {
        assert!(fields(&PREDICTOR.predict(&between(place, "London")).unwrap()).is_empty(), "{place}");
    }
}

#[test]
fn swapping_the_ends_swaps_the_warnings() {
    for place in ["62,129.7", "22.8,5.5", "89,0", "-50,-70"] {
        let there = PREDICTOR.predict(&between("Paris", place)).unwrap();
        let back = PREDICTOR.predict(&between(place, "Paris")).unwrap();
        let swapped: Vec<_> = fields(&there).iter().map(|field| field.replace("dst", "src")).collect();
        assert_eq!(fields(&back), swapped, "{place}");
    }
}

#[test]
fn a_coordinate_out_of_range_is_the_only_warning_of_its_end() {
    let prediction = PREDICTOR.predict(&between("89,0", "22.8,5.5")).unwrap();
    assert_eq!(fields(&prediction), ["src_lat", "dst"]);
}

#[test]
fn technologies_that_training_never_saw_together_are_named() {
    let ask = |src: &str, dst: &str| {
        let row = between("London", "Paris").with("src_access", src).with("dst_access", dst);
        PREDICTOR.predict(&row).unwrap()
    };
    for (src, dst) in [("wifi", "server"), ("server", "wifi"), ("server", "server"), ("residential", "residential")] {
        assert!(fields(&ask(src, dst)).is_empty(), "{src} {dst}");
    }
    let cellular = ask("cellular", "cellular");
    assert_eq!(fields(&cellular), ["src_access"]);
    assert_eq!(
        cellular.warnings[0].message,
        "found cellular with cellular at the other end; training saw cellular with server: the prediction is an \
         extrapolation"
    );
    assert_eq!(
        ask("wifi", "residential").warnings[0].message,
        "found wifi with residential at the other end; training saw wifi with server, and residential with \
         residential: the prediction is an extrapolation"
    );
    let one = PREDICTOR.predict(&between("London", "Paris").with("dst_access", "cellular")).unwrap();
    assert!(fields(&one).is_empty());
}

#[test]
fn a_batch_has_the_warnings_of_its_rows_in_order() {
    let batch = Batch::new()
        .with("src", ["London", "22.8,5.5", "London"])
        .with("dst", ["Paris", "0,-140", "Paris"])
        .with("src_access", ["wifi", "wifi", "wifi"])
        .with("dst_access", ["server", "cellular", "starlink"]);
    let found = PREDICTOR.predict_batch(&batch).unwrap();
    let warnings: Vec<_> = found.notes.warnings.iter().map(|(row, warning)| (*row, warning.field.as_str())).collect();
    assert_eq!(warnings, [(1, "src"), (1, "dst"), (1, "src_access"), (2, "src_access")]);
    let path = Path::between("22.8,5.5", "0,-140").unwrap();
    assert_eq!(fields(&PREDICTOR.predict(&path).unwrap()), ["src", "dst"]);
}

#[test]
fn a_model_without_regions_and_pairs_loads_and_does_not_warn_of_them() {
    let mut schema = PREDICTOR.schema().clone();
    schema.seen_pairs = None;
    schema.coordinates.as_mut().expect("it has places").seen_regions = None;
    let json = schema.to_json();
    assert!(!json.contains("seen_pairs") && !json.contains("seen_regions"));
    assert_eq!(Schema::from_json(&json).unwrap(), schema);
}
