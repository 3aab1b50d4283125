//! Schemas that must not load, most of them found by `make fuzz`: each is refused with what is wrong, before it costs
//! time or memory.

use latency_core::{ErrorKind, Schema};
use serde_json::{Value, json};

/// A schema without places; `edit` makes it wrong.
fn refuse(edit: impl FnOnce(&mut Value)) -> String {
    let outputs = ["low_ms", "p50_ms", "high_ms"].map(|name| json!({"name": name, "quantile": 0.5}));
    let mut schema = json!({
        "format": 1,
        "name": "own",
        "fields": [
            {"name": "hops", "type": "number"},
            {"name": "link", "type": "category", "categories": ["fibre", "radio"]}
        ],
        "features": [{"kind": "number", "field": "hops"}],
        "target": {"name": "rtt_ms", "transform": "log"},
        "outputs": outputs,
        "spread": {
            "ends": [{"access": "link"}],
            "kinds": [{"name": "any", "access": ["fibre", "radio"], "p90": {"relative": 0.2}, "p99": {"relative": 0.5}}],
            "unknown": {"p90": {"relative": 0.2}, "p99": {"relative": 0.5}}
        },
        "golden": []
    });
    Schema::from_json(&schema.to_string()).expect("it is right before the edit");
    edit(&mut schema);
    let error = Schema::from_json(&schema.to_string()).expect_err("it is wrong after the edit");
    assert_eq!(error.kind(), ErrorKind::InvalidSchema);
    let message = error.message();
    let fault = message.strip_prefix("the metadata `latency.schema` is not a sound schema: ").expect("what is wrong");
    fault.strip_suffix("; write it with `latency train`").expect("the cure").to_owned()
}

fn field(index: usize) -> Value {
    json!({"name": format!("field_{index}"), "type": "number"})
}

#[test]
fn a_model_has_one_to_a_thousand_fields() {
    let none = refuse(|schema| {
        schema["fields"] = json!([]);
        schema["features"] = json!([{"kind": "count_missing", "fields": []}]);
        schema["spread"]["ends"] = json!([]);
    });
    assert_eq!(none, "found 0 fields; allowed: 1 to 1000");
    let many = refuse(|schema| schema["fields"] = (0..1001).map(field).collect());
    assert_eq!(many, "found 1001 fields; allowed: 1 to 1000");
}

#[test]
fn a_misspelt_key_of_a_field_is_not_lost() {
    let message = refuse(|schema| schema["fields"][0]["reqired"] = json!(true));
    assert_eq!(
        message,
        "found the key `reqired` in the field `hops`; allowed: name, type, required, description, seen, unit, min, max"
    );
    let message = refuse(|schema| schema["fields"][1]["unit"] = json!("ms"));
    assert!(message.starts_with("found the key `unit` in the field `link`; allowed:"), "{message}");
}

#[test]
fn a_range_holds_numbers() {
    let message = refuse(|schema| {
        schema["fields"][0]["min"] = json!(5);
        schema["fields"][0]["max"] = json!(4);
    });
    assert_eq!(message, "found the range 5 to 4 in the field `hops`; allowed: numbers, the smaller first");
}

#[test]
fn a_schema_that_was_changed_is_checked_again() {
    let mut schema = latency_core::Predictor::builder().build().unwrap().schema().clone();
    schema.features.push(latency_core::schema::Feature::Detour { hub: 10_000 });
    let error = latency_core::featurize(&schema, &latency_core::Batch::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSchema);
}

#[test]
fn no_field_has_the_name_of_an_end() {
    for end in ["src", "dst"] {
        let message = refuse(|schema| schema["fields"][0]["name"] = json!(end));
        assert_eq!(message, format!("found a field `{end}`, which means a place in a row; rename it"));
    }
}

#[test]
fn each_coordinate_has_a_field_of_its_own() {
    let message = refuse(|schema| {
        schema["fields"][0] = json!({"name": "lat", "type": "number", "min": -90, "max": 90, "required": true});
        schema["coordinates"] = json!({"src_lat": "lat", "src_lon": "lat", "dst_lat": "lat", "dst_lon": "lat"});
        schema["features"] = json!([{"kind": "distance_km"}]);
    });
    assert_eq!(message, "found one field for several coordinates; allowed: four fields, one for each");
}

#[test]
fn a_category_stands_there_once_among_at_most_a_thousand() {
    let twice = refuse(|schema| schema["fields"][1]["categories"] = json!(["fibre", "radio", "fibre"]));
    assert_eq!(twice, "found a category twice in the field `link`; allowed: once");
    let many =
        refuse(|schema| schema["fields"][1]["categories"] = (0..1001).map(|word| json!(word.to_string())).collect());
    assert_eq!(many, "found 1001 categories in the field `link`; allowed: 1 to 1000");
    let none = refuse(|schema| schema["fields"][1]["categories"] = json!([]));
    assert_eq!(none, "found 0 categories in the field `link`; allowed: 1 to 1000");
}

#[test]
fn a_feature_and_the_spread_have_a_field_per_end() {
    let same = |fields: usize, words: usize| {
        move |schema: &mut Value| {
            let feature = json!({"kind": "same", "fields": vec!["link"; fields], "categories": vec!["radio"; words]});
            schema["features"] = json!([feature]);
        }
    };
    for (fields, words) in [(3000, 3000), (3, 1), (0, 1), (2, 1001)] {
        let message = refuse(same(fields, words));
        assert!(
            message.starts_with(&format!("found {fields} fields and {words} categories in a feature; ")),
            "{message}"
        );
    }
    assert_eq!(
        refuse(|schema| schema["spread"]["ends"] = json!(vec![json!({"access": "link"}); 3])),
        "found 3 ends in the spread; allowed: 1 or 2"
    );
}

#[test]
fn a_spread_has_at_most_a_hundred_kinds_and_a_thousand_pairs_are_seen() {
    let many = refuse(|schema| schema["spread"]["kinds"] = json!(vec![schema["spread"]["kinds"][0].clone(); 101]));
    assert_eq!(many, "found 101 kinds of up to 2 categories in the spread; allowed: up to 100, of up to 1000");
    let long = refuse(|schema| schema["spread"]["kinds"][0]["access"] = json!(vec!["radio"; 1001]));
    assert!(long.starts_with("found 1 kinds of up to 1001 categories in the spread;"), "{long}");
    let pairs = refuse(|schema| {
        schema["seen_pairs"] = json!({"fields": ["link", "link"], "pairs": vec![["radio", "fibre"]; 1001]});
    });
    assert_eq!(pairs, "found 1001 seen pairs; allowed: up to 1000");
}

#[test]
fn hubs_are_at_most_five_hundred() {
    let many = refuse(|schema| {
        schema["hubs"] = (0..501).map(|index| json!({"name": format!("hub {index}"), "lat": 0, "lon": 0})).collect();
    });
    assert_eq!(many, "found 501 hubs; allowed: up to 500");
}
