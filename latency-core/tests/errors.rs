//! The prose of every error: what callers read, in `snapshots/errors__*.snap`, to be read aloud. The messages about
//! ONNX Runtime's library need processes of their own: `runtime_library.rs` and `runtime_host_environment.rs`.
//!
//! Not there, because nothing outside the crate can cause them:
//! - "the model gave too few answers" (predictor.rs) and "the matrix has an impossible shape" (predictor.rs): the crate
//!   would contradict itself;
//! - "ONNX Runtime does not start" (runtime/environment.rs), "the model's metadata cannot be read" and "found an input of
//!   … columns" (runtime/session.rs): ONNX Runtime would have to fail in a library that is good, or the machine would
//!   have to have 32 bits;
//! - "found the process ending" (runtime/exit.rs): only code that runs after `main` can read it;
//! - "the ONNX Runtime that this program is linked to is not usable" (runtime/linked.rs), "this build knows no names of
//!   places" (places/mod.rs) and "found no model to load" (predictor.rs): builds without the default features.

#[path = "common/onnx.rs"]
mod onnx;

use std::fmt::Write;
use std::sync::LazyLock;

use latency_core::{
    Access, Batch, Cancel, Column, Endpoint, Entry, Error, ErrorKind, NUMBERS, Path, Place, Predictor, Provider,
    Result, Row, Schema, Tier, Value,
};
use ndarray::Array2;
use onnx::{F32, F64, Graph, Matrix, identity, integers, matrix};
use serde_json::json;

static BUNDLED: LazyLock<Predictor> = LazyLock::new(|| Predictor::builder().sessions(1).build().unwrap());

/// What was asked, and the error that it gave, one after the other.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn add<T>(&mut self, asked: &str, answer: Result<T>) {
        let Err(error) = answer else { panic!("{asked}: no error") };
        self.write(asked, error.code(), &error.to_string());
    }

    fn write(&mut self, asked: &str, code: &str, message: &str) {
        writeln!(self.0, "{asked}\n    {code}: {message}").unwrap();
    }

    /// The same sheet with what differs between machines, between two pieces of text, left out.
    fn without(mut self, before: &str, after: &str) -> Self {
        let parts = self.0.split(before).enumerate().map(|(index, part)| match part.find(after) {
            Some(end) if index > 0 => format!("…{}", &part[end..]),
            _ => part.to_owned(),
        });
        self.0 = parts.collect::<Vec<_>>().join(before);
        self
    }

    fn compare(self, name: &str) {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, self.0) });
    }
}

fn path() -> Row {
    Row::new().with("src_lat", 51.51).with("src_lon", -0.13).with("dst_lat", 35.68).with("dst_lon", 139.69)
}

fn ask(json: &str) -> Result<()> {
    Row::from_json_str(json).and_then(|row| BUNDLED.predict(&row)).map(drop)
}

/// A schema without places, of a model that gives back three times `hops`.
fn hops() -> serde_json::Value {
    let outputs = ["low_ms", "p50_ms", "high_ms"].map(|name| json!({"name": name, "quantile": 0.5}));
    let hops = json!({"kind": "number", "field": "hops"});
    json!({
        "format": 1,
        "name": "own",
        "fields": [
            {"name": "hops", "type": "number", "min": 0},
            {"name": "link", "type": "category", "categories": ["fibre", "radio"]}
        ],
        "features": [hops, hops, hops],
        "target": {"name": "rtt_ms", "transform": "log"},
        "outputs": outputs,
        "spread": {
            "ends": [{"access": "link"}],
            "kinds": [{"name": "any", "access": ["fibre", "radio"], "p90": {"relative": 0.2}, "p99": {"relative": 0.5}}],
            "unknown": {"p90": {"relative": 0.2}, "p99": {"relative": 0.5}}
        },
        "golden": []
    })
}

/// A schema with places under names of its own, which requires to know how the source is connected.
fn places() -> serde_json::Value {
    let names = ["low_ms", "p50_ms", "high_ms", "p90_ms", "p99_ms"];
    let roles = json!({"src_lat": "user_lat", "src_lon": "user_lng", "dst_lat": "shop_lat", "dst_lon": "shop_lng"});
    let coordinate = |name: &str| json!({"name": name, "type": "number", "min": -180, "max": 180, "required": true});
    let mut fields: Vec<_> = ["user_lat", "user_lng", "shop_lat", "shop_lng"].map(coordinate).into();
    fields.push(json!({"name": "src_access", "type": "category", "categories": ["wifi", "cable"], "required": true}));
    fields.push(json!({"name": "goods", "type": "number", "max": 9}));
    json!({
        "format": 1,
        "name": "shop",
        "fields": fields,
        "coordinates": roles,
        "features": names.map(|_| json!({"kind": "distance_km"})),
        "target": {"name": "rtt_ms", "transform": "identity"},
        "outputs": names.map(|name| json!({"name": name, "quantile": 0.5})),
        "golden": []
    })
}

/// The same, of a model that knows one provider.
fn hosted() -> serde_json::Value {
    let mut schema = places();
    schema["fields"][4] = json!({"name": "src_provider", "type": "category", "categories": ["gcp"]});
    schema
}

fn own(schema: &serde_json::Value) -> Predictor {
    let columns = schema["features"].as_array().unwrap().len() as u64;
    load(&identity(columns), schema).expect("the schema fits the graph")
}

fn load(graph: &Graph, schema: &serde_json::Value) -> Result<Predictor> {
    Predictor::builder().sessions(1).bytes(graph.with_schema(&schema.to_string())).without_golden_rows().build()
}

#[test]
fn rows() {
    let mut sheet = Sheet::default();
    let mut add = |asked: &str, row: Row| sheet.add(asked, BUNDLED.predict(&row));
    add("src_lat = 91", path().with("src_lat", 91));
    add("src_lat = NaN", path().with("src_lat", f64::NAN));
    add("dst_lon = infinity", path().with("dst_lon", f64::INFINITY));
    add("src_lat = 1e300", path().with("src_lat", 1e300));
    add("src_lat = \"51\"", path().with("src_lat", "51"));
    add("src_lat = \"51<line feed>\"", path().with("src_lat", "51\n"));
    add("src_access = \"dialup\"", path().with("src_access", "dialup"));
    add("src_access = \"\"", path().with("src_access", ""));
    add("src_access = a hundred letters", path().with("src_access", "abcdefghij".repeat(10)));
    add("src_access = a letter with quotes and a line feed", path().with("src_access", "\"a\"\n"));
    add("src_access = 3", path().with("src_access", 3));
    add("no field", Row::new());
    add("dst_lat = missing", path().with("dst_lat", Value::Missing));
    add("scr_access = \"wifi\"", path().with("scr_access", "wifi"));
    add("weather = \"fine\"", path().with("weather", "fine"));
    add("a field with a name of a thousand letters", path().with("abcdefghij".repeat(100), 1));
    add("a field with a line feed in its name", path().with("src\nlat", 1));

    let mut add = |asked: &str, entries: Vec<(String, Entry)>| sheet.add(asked, Row::from_entries(entries));
    add("src = 5", vec![("src".into(), Entry::Value(5.into()))]);
    add("src = missing", vec![("src".into(), Entry::Value(Value::Missing))]);
    add("src_lat = an end", vec![("src_lat".into(), Entry::End(vec![("lat".into(), 1.into())]))]);
    add(
        "src = \"London\" and src_lat = 5",
        vec![("src".into(), Entry::Value("London".into())), ("src_lat".into(), Entry::Value(5.into()))],
    );
    add(
        "src_lat = 5 and src = \"London\"",
        vec![("src_lat".into(), Entry::Value(5.into())), ("src".into(), Entry::Value("London".into()))],
    );

    let hops = own(&hops());
    let mut add = |asked: &str, row: Row| sheet.add(asked, hops.predict(&row));
    add("own model: hops = -1", Row::new().with("hops", -1));
    add("own model: link = \"copper\"", Row::new().with("link", "copper"));
    add("own model: src and dst", Row::between("London", "Tokyo").unwrap());
    add("own model: src_lat = 5", Row::new().with("src_lat", 5));

    let shop = own(&places());
    let end = |lat: f64| Row::between(&format!("{lat},2"), "3,4").unwrap();
    let mut add = |asked: &str, row: Row| sheet.add(asked, shop.predict(&row));
    add("own model with places: no src_access", end(1.0));
    add("own model with places: src_access = \"dialup\"", end(1.0).with("src_access", "dialup"));
    add("own model with places: goods = 10", end(1.0).with("goods", 10));
    add("own model with places: src_lat and user_lat", Row::new().with("user_lat", 1).with("src_lat", 1));
    add("own model with places: user_lat alone", Row::new().with("user_lat", 1));
    let row = Row::between("London", "Tokyo").unwrap().with("src_provider", "aws");
    sheet.add("own model of one provider: src_provider = \"aws\"", own(&hosted()).predict(&row));
    sheet.compare("rows");
}

#[test]
fn json_rows() {
    let mut sheet = Sheet::default();
    for json in [
        "",
        "{",
        r#"{"src": NaN}"#,
        r#"{"src": "London"} {}"#,
        r#"{"src": "London", "src_lat": 1e999}"#,
        "5",
        "null",
        "true",
        r#""London""#,
        r#"["London", "Tokyo"]"#,
        "{}",
        r#"{"src": "London"}"#,
        r#"{"src": "London", "dst": {}}"#,
        r#"{"src": {"lat": 51.5}, "dst": "Tokyo"}"#,
        r#"{"src": {"lat": 91, "lon": 0}, "dst": "Tokyo"}"#,
        r#"{"src": 5, "dst": "Tokyo"}"#,
        r#"{"src": null, "dst": "Tokyo"}"#,
        r#"{"src": ["London"], "dst": "Tokyo"}"#,
        r#"{"src": {"place": 5}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "Nowhereville"}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "London", "lat": 1}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "London", "place": "Paris"}, "dst": "Tokyo"}"#,
        r#"{"src": {"lat": 1, "lat": 2, "lon": 3}, "dst": "Tokyo"}"#,
        r#"{"src": "London", "src": "Paris", "dst": "Tokyo"}"#,
        r#"{"src": "London", "src_lat": 5, "dst": "Tokyo"}"#,
        r#"{"src_lat": 5, "src": "London", "dst": "Tokyo"}"#,
        r#"{"src": {"lat": 1, "lon": 2}, "src_lat": 5, "dst": "Tokyo"}"#,
        r#"{"src_lat": 5, "src": {"lat": 1, "lon": 2}, "dst": "Tokyo"}"#,
        r#"{"src": "London", "dst": "Tokyo", "src_access": "wifi", "src_access": "wired"}"#,
        r#"{"src": {"place": "London", "access": true}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "London", "access": {"kind": "wifi"}}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "London", "acess": "wifi"}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "London", "src_access": "wifi"}, "dst": "Tokyo"}"#,
        r#"{"src": {"place": "London", "colour": "red"}, "dst": "Tokyo"}"#,
        r#"{"src": "London", "dst": "Tokyo", "src_acess": "wifi"}"#,
        r#"{"src_access": {"kind": "wifi"}}"#,
        r#"{"src_access": ["wifi"]}"#,
    ] {
        sheet.add(json, ask(json));
    }
    sheet.add("500 objects inside each other", ask(&"{\"a\":".repeat(500)));
    let many = (0..5000).map(|index| format!("\"field_{index}\":1")).collect::<Vec<_>>().join(",");
    sheet.add("5000 fields", ask(&format!("{{{many}}}")));
    sheet.add("5000 values in `src`", ask(&format!("{{\"src\":{{{many}}}}}")));
    sheet.add("a parsed number", Row::from_json(&json!(5)));
    sheet.compare("json_rows");
}

#[test]
fn ends_and_paths() {
    let mut sheet = Sheet::default();
    sheet.add("Endpoint::at(91, 0)", Endpoint::at(91.0, 0.0));
    sheet.add("Endpoint::at(0, -181)", Endpoint::at(0.0, -181.0));
    sheet.add("Endpoint::at(NaN, 0)", Endpoint::at(f64::NAN, 0.0));
    sheet.add("Endpoint::at(1e300, 0)", Endpoint::at(1e300, 0.0));
    sheet.add("Path::between(\"London\", \"Tokio, Mars\")", Path::between("London", "Tokio, Mars"));
    sheet.add("Path::between(\"91,0\", \"Tokyo\")", Path::between("91,0", "Tokyo"));
    sheet.add("Row::between(\"London\", \"0,181\")", Row::between("London", "0,181"));
    let end = || Endpoint::at(1.0, 2.0).unwrap();
    for km in [-1.0, f64::NAN, 20_101.0] {
        sheet.add(&format!("with_uncertainty_km({km})"), end().with_uncertainty_km(km));
    }
    sheet.add("\"dialup\" as Access", "dialup".parse::<Access>());
    sheet.add("\"free<tab>\" as Tier", "free\t".parse::<Tier>());

    let (hops, shop) = (own(&hops()), own(&places()));
    let path = |src: Endpoint| Path::new(src, end());
    sheet.add("own model without places", hops.predict(&path(end())));
    sheet.add("own model without tiers", shop.predict(&path(end().with_tier(Tier::Premium))));
    sheet.add("own model without starlink", shop.predict(&path(end().with_access(Access::Starlink))));
    sheet.add("own model that requires src_access", shop.predict(&path(end())));
    let mut schema = places();
    (schema["fields"][4]["required"], schema["fields"][5]["required"]) = (json!(false), json!(true));
    sheet.add("own model that requires goods", own(&schema).predict(&path(end())));

    let hosted_end = Endpoint::find("London").unwrap().with_provider(Provider::Aws);
    let path = path(hosted_end);
    sheet.add("own model of one provider: London at aws", own(&hosted()).predict(&path));

    // From JSON by serde: its words, then the crate's.
    for json in [
        r#"{"lat": 91, "lon": 0}"#,
        r#"{"lat": 1}"#,
        r#"{"lon": 1}"#,
        r#"{"access": "wifi"}"#,
        r#"{"place": "London", "lat": 1, "lon": 2}"#,
        r#""Nowhereville""#,
        "5",
    ] {
        let error = serde_json::from_str::<Endpoint>(json).unwrap_err();
        sheet.write(&format!("{json} as Endpoint"), "serde", &error.to_string());
    }
    sheet.compare("ends_and_paths");
}

#[test]
fn batches() {
    let mut sheet = Sheet::default();
    let columns = || {
        Batch::new().with("src_lat", vec![0.0, 10.0]).with("src_lon", vec![0.0, 10.0]).with("dst_lat", vec![20.0, 30.0])
    };
    let full = || columns().with("dst_lon", vec![5.0, 6.0]);
    let ends = || Batch::new().with("src", ["London"; 2]).with("dst", ["Tokyo"; 2]);
    let mut add = |asked: &str, batch: Batch| sheet.add(asked, BUNDLED.predict_batch(&batch));
    add("dst_lon = [5, 181]", columns().with("dst_lon", vec![5.0, 181.0]));
    add("dst_lon = [5, NaN]", columns().with("dst_lon", vec![5.0, f64::NAN]));
    add("dst_lon = [\"5\", \"6\"]", columns().with("dst_lon", ["5", "6"]));
    add("dst_lon = [none, none]", columns().with("dst_lon", [None, None].into_iter().collect::<Column>()));
    add("no dst_lon", columns());
    add("dst_lon = [5]", columns().with("dst_lon", vec![5.0]));
    add("src_lat twice", full().with("src_lat", vec![5.0, 6.0]));
    add("src_access = [\"wifi\", \"dialup\"]", full().with("src_access", ["wifi", "dialup"]));
    add("src_access = [1, 2]", full().with("src_access", vec![1.0, 2.0]));
    add("src and src_lat", ends().with("src_lat", vec![1.0, 2.0]));
    add("src = [1, 2]", Batch::new().with("src", vec![1.0, 2.0]));
    add("src = [\"London\", none]", Batch::new().with("src", [Some("London"), None].into_iter().collect::<Column>()));
    add("src = [\"London\", \"Nowhereville\"]", Batch::new().with("src", ["London", "Nowhereville"]));
    add("src = [\"London\", \"91,0\"]", Batch::new().with("src", ["London", "91,0"]));
    add("src alone", Batch::new().with("src", ["London"; 2]));

    let shop = own(&places());
    let mut add = |asked: &str, batch: Batch| sheet.add(asked, shop.predict_batch(&batch));
    add("own model: src_access = [\"wifi\", none]", {
        ends().with("src_access", [Some("wifi"), None].into_iter().collect::<Column>())
    });
    add("own model: src and user_lat", ends().with("user_lat", vec![1.0, 2.0]));
    add("own model: cloud region, but no providers", Batch::new().with("src", ["aws:us-east-1"]));

    let batch = ends().with("src_provider", ["gcp", "aws"]);
    sheet.add("own model of one provider: src_provider = [\"gcp\", \"aws\"]", own(&hosted()).predict_batch(&batch));

    let matrix = Array2::zeros((2, 3));
    sheet.add("3 columns by 2 names", Batch::from_matrix(&["src_lat", "src_lon"], &matrix.view()));
    let mut numbers = Array2::zeros((3, 5));
    sheet.add(
        &format!("2 rows of {} numbers into 3 rows of 5", NUMBERS.len()),
        BUNDLED.predict_batch_into(&full(), numbers.view_mut()),
    );
    sheet.compare("batches");
}

#[test]
fn names_of_places() {
    let mut sheet = Sheet::default();
    for name in [
        "",
        "   ",
        "Lodnon",
        "Qqxzzy",
        "lhr",
        "London, FR",
        "Springfield",
        "Springfield, Atlantis",
        "91,0",
        "139.69,35.68",
        "0,180.5",
        "NaN,0",
        "51.51",
        "aws:us-east-9",
        "aws:",
        "oracle:london",
        ":",
        "a\nb",
        "\u{1b}[31mred",
    ] {
        sheet.add(&format!("{name:?}"), Place::find(name));
    }
    sheet.add("a name of 201 letters", Place::find(&"x".repeat(201)));
    sheet.add("a name of a million letters with accents", Place::find(&"é".repeat(1_000_000)));
    sheet.compare("names_of_places");
}

#[test]
fn decisions() {
    let mut sheet = Sheet::default();
    let path = Path::between("London", "Tokyo").unwrap();
    for quantile in [0.49, 1.0, f64::NAN] {
        sheet.add(&format!("timeout with quantile {quantile}"), BUNDLED.timeout(&path, quantile));
    }
    for ms in [0.0, -5.0, f64::INFINITY] {
        sheet.add(&format!("judge {ms} ms"), BUNDLED.judge(&path, ms));
        sheet.add(
            &format!("rank with a budget of {ms} ms"),
            BUNDLED.rank(&path.src, std::slice::from_ref(&path.dst), Some(ms)),
        );
    }
    let rows = [Row::between("London", "Tokyo").unwrap(), Row::new().with("src_lat", 91)];
    sheet.add("rank rows, the second one wrong", BUNDLED.rank_paths(&rows, None));
    let own = own(&hops());
    let row = Row::new().with("hops", 1);
    sheet.add("own model without places: rank", own.rank(&path.src, std::slice::from_ref(&path.dst), None));
    sheet.add("own model without places: timeout", own.timeout(&row, 0.9));
    sheet.add("own model without places: judge", own.judge(&row, 5.0));
    sheet.compare("decisions");
}

/// Flaws of a schema, each a name and an edit.
type Flaw = (&'static str, fn(&mut serde_json::Value));

const FLAWS: &[Flaw] = &[
    ("no `name`", |schema| drop(schema.as_object_mut().unwrap().remove("name"))),
    ("an entry that is not known", |schema| schema["colour"] = json!("red")),
    ("format 7", |schema| schema["format"] = json!(7)),
    ("no fields", |schema| schema["fields"] = json!([])),
    ("1001 fields", |schema| {
        schema["fields"] = (0..1001).map(|index| json!({"name": format!("f{index}"), "type": "number"})).collect();
    }),
    ("a field twice", |schema| schema["fields"][1]["name"] = json!("hops")),
    ("a field called `src`", |schema| schema["fields"][0]["name"] = json!("src")),
    ("a field of another type", |schema| schema["fields"][0]["type"] = json!("date")),
    ("no categories", |schema| schema["fields"][1]["categories"] = json!([])),
    ("a category twice", |schema| schema["fields"][1]["categories"] = json!(["fibre", "fibre"])),
    ("a category that is seen, but not allowed", |schema| schema["fields"][1]["seen"] = json!(["copper"])),
    ("one field for all coordinates", |schema| {
        schema["coordinates"] = json!({"src_lat": "a", "src_lon": "a", "dst_lat": "a", "dst_lon": "a"});
    }),
    ("coordinates that are no fields", |schema| {
        schema["coordinates"] = json!({"src_lat": "a", "src_lon": "b", "dst_lat": "c", "dst_lon": "d"});
    }),
    ("501 hubs", |schema| {
        schema["hubs"] = (0..501).map(|index| json!({"name": format!("hub {index}"), "lat": 0, "lon": 0})).collect();
    }),
    ("a hub at latitude 91", |schema| schema["hubs"] = json!([{"name": "North", "lat": 91, "lon": 0}])),
    ("a cable to no hub", |schema| {
        schema["hubs"] = json!([{"name": "a", "lat": 0, "lon": 0}]);
        schema["cables"] = json!({"links": [[0, 7, 5.0]], "nearest": 1, "access_ms_per_km": 0.01, "constant_ms": 0.1});
    }),
    ("an end that joins no hub", |schema| {
        schema["hubs"] = json!([{"name": "a", "lat": 0, "lon": 0}]);
        schema["cables"] = json!({"links": [], "nearest": 0, "access_ms_per_km": 0.01, "constant_ms": 0.1});
    }),
    ("a hub without a cable", |schema| {
        schema["hubs"] = json!([{"name": "a", "lat": 0, "lon": 0}, {"name": "b", "lat": 1, "lon": 1}]);
        schema["cables"] = json!({"links": [], "nearest": 1, "access_ms_per_km": 0.01, "constant_ms": 0.1});
    }),
    ("no features", |schema| schema["features"] = json!([])),
    ("a feature of another kind", |schema| schema["features"][0] = json!({"kind": "distance_mi"})),
    ("a distance without coordinates", |schema| schema["features"][0] = json!({"kind": "distance_km"})),
    ("cables that are not there", |schema| {
        *schema = places();
        schema["features"][0] = json!({"kind": "cable_ms"});
    }),
    ("a detour over no hub", |schema| {
        *schema = places();
        schema["features"][0] = json!({"kind": "detour", "hub": 3});
    }),
    ("a feature of no field", |schema| schema["features"][0] = json!({"kind": "number", "field": "weight"})),
    ("a feature of no category", |schema| {
        schema["features"][0] = json!({"kind": "category", "field": "link", "category": "copper"});
    }),
    ("a feature of three fields", |schema| {
        schema["features"][0] = json!({"kind": "count", "fields": ["link", "link", "link"], "category": "radio"});
    }),
    ("a base without its feature", |schema| schema["target"]["base"] = json!({"feature": 0, "add": 1.0})),
    ("an output twice", |schema| schema["outputs"][0]["name"] = json!("p50_ms")),
    ("an output too few", |schema| drop(schema["outputs"].as_array_mut().unwrap().pop())),
    ("a quantile of 2", |schema| schema["outputs"][0]["quantile"] = json!(2)),
    ("a spread without logarithms", |schema| schema["target"]["transform"] = json!("identity")),
    ("a spread of 0", |schema| schema["spread"]["unknown"]["p90"] = json!({})),
    ("a spread below 0", |schema| schema["spread"]["kinds"][0]["p99"]["ms"] = json!(-1)),
    ("a spread over three ends", |schema| schema["spread"]["ends"] = json!(vec![json!({"access": "link"}); 3])),
    ("a spread that lacks a category", |schema| schema["spread"]["kinds"][0]["access"] = json!(["fibre"])),
    ("a spread by a provider that is no field", |schema| schema["spread"]["ends"][0]["provider"] = json!("host")),
    ("a pair of categories that are not there", |schema| {
        schema["seen_pairs"] = json!({"fields": ["link", "link"], "pairs": [["fibre", "copper"]]});
    }),
    ("a pair of fields that are not there", |schema| {
        schema["seen_pairs"] = json!({"fields": ["link", "hops"], "pairs": []});
    }),
    ("a histogram of no field", |schema| schema["histograms"] = json!({"weather": {"counts": [0, 0, 0]}})),
    ("a histogram with a count too few", |schema| schema["histograms"] = json!({"hops": {"counts": [0, 0]}})),
    ("a histogram with cuts in disorder", |schema| {
        schema["histograms"] = json!({"hops": {"cuts": [2, 1], "counts": [0, 0, 0, 0, 0]}});
    }),
    ("too few cells of seen regions", |schema| {
        *schema = places();
        schema["coordinates"]["seen_regions"] = json!({"within_km": 1000, "cells": "00ff"});
    }),
    ("cells of seen regions that are no digits", |schema| {
        *schema = places();
        schema["coordinates"]["seen_regions"] = json!({"within_km": 1000, "cells": "x".repeat(648)});
    }),
];

#[test]
fn schemas() {
    let mut sheet = Sheet::default();
    sheet.add("a text that is no JSON", Schema::from_json("no JSON"));
    sheet.add("an empty object", Schema::from_json("{}"));
    for (flaw, edit) in FLAWS {
        let mut schema = hops();
        Schema::from_json(&schema.to_string()).expect("it is right before the edit");
        edit(&mut schema);
        sheet.add(flaw, Schema::from_json(&schema.to_string()));
    }
    sheet.compare("schemas");
}

#[test]
fn model_files() {
    let mut sheet = Sheet::default();
    let builder = || Predictor::builder().sessions(1);
    sheet.add("a file that is not there", builder().file("no/such/model.onnx").build());
    sheet.add("a folder", builder().file("tests").build());
    for path in ["no/such/model.onnx", "tests"] {
        let system = std::fs::read(path).unwrap_err().to_string();
        sheet.0 = sheet.0.replace(&system, "<the system's words>");
    }
    let model = Predictor::bundled_model();
    for (asked, bytes) in
        [("no bytes", b"".as_slice()), ("a text", b"not a model"), ("the half of a model", &model[..model.len() / 2])]
    {
        sheet.add(asked, builder().bytes(bytes).build());
    }

    let schema = hops();
    sheet.add("no schema", builder().bytes(identity(3).file()).build());
    sheet.add("4 columns for 3 features", load(&identity(4), &schema));
    let mut graph = identity(3);
    let wide = || vec![matrix("y", 2)];
    graph = Graph { operation: "Split", attributes: vec![integers("split", &[2])], outputs: wide(), ..graph };
    graph.inputs = vec![matrix("x", 2)];
    let mut two = schema.clone();
    two["features"].as_array_mut().unwrap().pop();
    sheet.add("2 columns out for 3 outputs", load(&graph, &two));
    let mut graph = identity(3);
    graph.operation = "Add";
    graph.inputs.push(matrix("z", 3));
    sheet.add("two inputs", load(&graph, &schema));
    let mut graph = identity(3);
    for tensor in [&mut graph.inputs[0], &mut graph.outputs[0]] {
        tensor.element = F64;
    }
    sheet.add("f64 in", load(&graph, &schema));
    let mut graph = identity(3);
    for tensor in [&mut graph.inputs[0], &mut graph.outputs[0]] {
        tensor.shape = vec![None];
    }
    sheet.add("a list in", load(&graph, &schema));

    let golden = |golden: serde_json::Value| {
        let mut schema = hops();
        schema["golden"] = golden;
        builder().bytes(identity(3).with_schema(&schema.to_string())).build()
    };
    sheet.add("no golden rows", golden(json!([])));
    sheet.add("a golden row of another model", golden(json!([{"row": {"hops": 0}, "prediction": {"p50_ms": 2}}])));
    sheet.add("a golden row without its number", golden(json!([{"row": {"hops": 0}, "prediction": {}}])));
    sheet.add("a golden row of no field", golden(json!([{"row": {"weight": 0}, "prediction": {}}])));
    sheet.add("a golden row out of range", golden(json!([{"row": {"hops": -1}, "prediction": {}}])));
    sheet.add("a golden row without an answer", golden(json!([{"row": {}, "prediction": {}}])));
    sheet.without(" bytes: ", "; the file may be cut short").compare("model_files");
}

#[test]
fn inference() {
    let mut sheet = Sheet::default();
    let schema = hops();
    sheet.add("a model that gives NaN", own(&schema).predict(&Row::new()));
    let batch = Batch::new().with("hops", vec![1.0, f64::NAN]);
    sheet.add("a model that gives NaN in a batch", own(&schema).predict_batch(&batch));
    sheet.add("a model that gives more than an f32 holds", own(&schema).predict(&Row::new().with("hops", 100)));
    let mut graph = identity(3);
    graph.inputs = vec![Matrix { name: "x", element: F32, shape: vec![Some(2), Some(3)] }];
    sheet.add("a model for two rows, given one", load(&graph, &schema).unwrap().predict(&Row::new().with("hops", 1)));
    let mut graph = identity(3);
    graph.operation = "ReduceSum";
    graph.attributes = vec![integers("axes", &[0])];
    let batch = Batch::new().with("hops", vec![1.0, 2.0]);
    sheet.add("a model that adds up its rows", load(&graph, &schema).unwrap().predict_batch(&batch));
    let cancel = Cancel::new();
    cancel.cancel();
    let stopped = load(&identity(3), &schema).unwrap().with_cancel(cancel).predict(&Row::new().with("hops", 1));
    sheet.add("work that its caller stopped", stopped);
    sheet.without("failed while predicting: ", "; the model may").compare("inference");
}

/// The folder of snapshots: names, and what stands below their heads.
fn snapshots() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert_eq!(path.extension().unwrap(), "snap", "{name} is left over");
        let text = std::fs::read_to_string(path).unwrap();
        (name, text.splitn(3, "---\n").last().unwrap().to_owned())
    };
    std::fs::read_dir(folder).unwrap().map(|file| read(file.unwrap().path())).collect()
}

/// The catalogue: no kind of error is without its prose.
#[test]
fn every_kind_has_a_snapshot() {
    let snapshots = snapshots();
    for kind in ErrorKind::ALL {
        let line = format!("    {kind}: ");
        let shown = snapshots.iter().any(|(_, prose)| prose.lines().any(|found| found.starts_with(&line)));
        assert!(shown, "no snapshot shows {kind}");
    }
}

/// The rule: what was found, and what is allowed or the cure, on one line that is neither endless nor in Rust.
#[test]
fn the_prose_keeps_to_the_rule() {
    let mut seen = 0;
    for (name, prose) in snapshots() {
        for line in prose.lines() {
            let Some(message) = line.strip_prefix("    ") else {
                assert!(name.starts_with("errors__") && !line.starts_with(' '), "{name}: a second line: {line}");
                continue;
            };
            let (code, message) = message.split_once(": ").unwrap();
            if matches!(code, "serde" | "warning" | "verdict") {
                continue;
            }
            seen += 1;
            assert!(ErrorKind::ALL.iter().any(|kind| kind.code() == code), "{name}: {line}");
            assert!(message.contains("; "), "{name}: no cure: {line}");
            assert!(message.len() < 600 && !message.ends_with('.') && !message.contains("  "), "{name}: {line}");
            assert!(!message.contains(char::is_control), "{name}: {line:?}");
            let rust = ["::", "Some(", "Err(", "None", "latency_core", ".rs", "panicked"];
            let leaks = rust.iter().any(|word| message.contains(word));
            // The types of a host that uses `ort` are what it needs to know.
            assert!(!leaks || name.starts_with("runtime_host_environment__"), "{name}: Rust leaks: {line}");
        }
    }
    assert!(seen > 150, "{seen}");
}

#[test]
fn what_is_no_error_but_said_to_people() {
    let mut sheet = Sheet::default();
    let mut schema = places();
    schema["coordinates"]["seen_distance_km"] = json!([100.0, 500.0]);
    schema["fields"][0]["seen"] = json!([-20.0, 50.5]);
    schema["fields"][4]["seen"] = json!(["cable"]);
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.push(json!({"name": "mood", "type": "category", "categories": ["good"]}));
    fields.push(json!({"name": "weight", "type": "number", "seen": [0.0, 9.0]}));
    let row =
        Row::between("60,2", "3,4").unwrap().with("src_access", "wifi").with("mood", "good").with("weight", 1e300);
    for warning in own(&schema).predict(&row).unwrap().warnings {
        sheet.write(&warning.field, "warning", &warning.message);
    }
    let mut schema = places();
    schema["coordinates"]["seen_regions"] = json!({"within_km": 1000, "cells": "0".repeat(648)});
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.push(json!({"name": "dst_access", "type": "category", "categories": ["wifi", "cable"]}));
    for name in [4, 6] {
        schema["fields"][name]["seen"] = json!(["wifi", "cable"]);
    }
    schema["seen_pairs"] = json!({"fields": ["src_access", "dst_access"], "pairs": [["wifi", "cable"]]});
    let row = Row::between("60,2", "-3.25,4").unwrap().with("src_access", "wifi").with("dst_access", "wifi");
    for warning in own(&schema).predict(&row).unwrap().warnings {
        sheet.write(&warning.field, "warning", &warning.message);
    }
    // This model says that an RTT is the distance: 111 km, and 111 ms.
    let mut schema = places();
    schema["fields"][4]["required"] = json!(false);
    let path = Path::between("0,0", "0,1").unwrap();
    for ms in [0.1, 1.0, 111.0, 1e300] {
        let judged = own(&schema).judge(&path, ms).unwrap();
        sheet.write(&format!("{ms:e} ms: {}", judged.verdict.as_str()), "verdict", &judged.message);
    }
    sheet.compare("no_errors");
}

#[test]
fn an_error_can_be_sent_kept_and_boxed() {
    fn check<T: std::error::Error + Send + Sync + 'static>() {}
    check::<Error>();
    let boxed: Box<dyn std::error::Error + Send + Sync> = Error::new(ErrorKind::InvalidField, "found 91").into();
    assert_eq!(boxed.downcast_ref::<Error>().unwrap().kind(), ErrorKind::InvalidField);
}

/// Causes are kept to the first one, whether it is the system, ONNX Runtime or the crate itself.
#[test]
fn causes_lead_to_the_first_one() {
    let causes = |error: &Error| {
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    };
    let missing = Predictor::builder().file("no/such/model.onnx").build().unwrap_err();
    assert_eq!(causes(&missing), [std::fs::read("no/such/model.onnx").unwrap_err().to_string()]);
    assert_eq!(missing.context(), [("file", "no/such/model.onnx".to_owned())]);
    let source = std::error::Error::source(&missing).unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);

    let mut schema = hops();
    schema["golden"] = json!([{"row": {"hops": -1}, "prediction": {}}]);
    let model = identity(3).with_schema(&schema.to_string());
    let golden = Predictor::builder().sessions(1).bytes(model).build().unwrap_err();
    assert_eq!(causes(&golden), ["hops: found -1; allowed: a number from 0 up"]);

    let model = Predictor::builder().sessions(1).bytes("not a model").build().unwrap_err();
    assert_eq!(causes(&model).len(), 1, "ONNX Runtime's words: {model:?}");
    assert!(format!("{model:?}").contains("\n  caused by: "), "{model:?}");
    let input = BUNDLED.predict(&Row::new()).unwrap_err();
    assert!(causes(&input).is_empty() && input.context().is_empty(), "{input:?}");
}
