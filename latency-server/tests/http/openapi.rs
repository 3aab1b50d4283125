//! `/openapi.json` says what the server does: every route is in it, its examples are answered as it says, and the answers
//! have the forms that it names. `/docs` shows the same.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::{PREDICTOR, config, json, local};
use jsonschema::Validator;
use latency_server::Config;
use latency_server::models::Source;
use rocket::http::{ContentType, Header, Method, Status};
use rocket::local::blocking::Client;
use serde_json::{Value, json};

fn document() -> Value {
    json(local().get("/openapi.json").dispatch())
}

/// Pages with forms and their files are no operations; `HEAD` is one of every `GET`.
fn routes() -> BTreeSet<(String, String)> {
    let routes = local().rocket().routes().filter(|route| {
        let path = route.uri.path();
        !path.starts_with("/static/") && !path.starts_with("/admin") && route.method != Method::Head
    });
    let path = |path: &str| path.replace('<', "{").replace("..>", "}").replace('>', "}");
    routes.map(|route| (route.method.as_str().to_ascii_lowercase(), path(route.uri.path()))).collect()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    methods.collect()
}

/// A form of the document, with what it refers to.
fn validator(document: &Value, form: &Value) -> Validator {
    let mut root =
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]});
    root["allOf"] = json!([form]);
    jsonschema::validator_for(&root).unwrap_or_else(|error| panic!("{error}: {form}"))
}

fn assert_valid(document: &Value, form: &Value, value: &Value) {
    let errors: Vec<_> = validator(document, form).iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}: {value}");
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<_> = operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    assert_eq!(described, routes());
}

#[test]
fn examples_are_answered_as_the_document_says() {
    let document = document();
    let mut answered = 0;
    for (method, path, operation) in operations(&document) {
        for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let Some(example) = content.get("example") else { continue };
            assert_valid(&document, &content["schema"], example);
            let body = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            let request = local().post(path.clone()).header(Header::new("Content-Type", kind.clone())).body(body);
            let response = request.dispatch();
            assert_eq!(response.status(), Status::Ok, "{method} {path}");
            answered += 1;
            if kind != "application/json" {
                continue;
            }
            let answer = json(response);
            let described = &operation["responses"]["200"]["content"]["application/json"];
            assert_eq!(answer, described["example"], "{path}");
            assert_valid(&document, &described["schema"], &answer);
        }
        if method == "get" && operation["security"].is_null() {
            let query = if path == "/places" { "?q=London" } else { "" };
            let path = path.replace("{name}", "latency").replace("{version}", &PREDICTOR.model_info().version);
            let response = local().get(format!("{path}{query}")).dispatch();
            assert_eq!(response.status(), Status::Ok, "{path}");
            let content = operation["responses"]["200"]["content"].as_object().unwrap();
            let (kind, described) = content.iter().next().unwrap();
            assert!(response.content_type().unwrap().to_string().starts_with(kind), "{path}");
            if kind == "application/json" {
                assert_valid(&document, &described["schema"], &json(response));
            }
            answered += 1;
        }
    }
    assert!(answered >= 12, "{answered}");
}

#[test]
fn the_forms_let_good_questions_through_and_no_bad_ones() {
    let document = document();
    let form = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let (row, rank) = (validator(&document, &form("Row")), validator(&document, &form("RankQuestion")));
    let place = json(local().get("/places?q=Tokyo").dispatch())["place"].clone();
    for (validator, path, question, good) in [
        (&row, "/predict", json!({"src": "London", "dst": "Tokyo"}), true),
        (&row, "/predict", json!({"src": {"lat": 1, "lon": 2, "access": "wifi"}, "dst": place}), true),
        (&row, "/predict", json!({"src_lat": 1, "src_lon": 2, "dst_lat": 3, "dst_lon": 4, "src_tier": null}), true),
        (&row, "/predict", json!({"src": {"lat": 91, "lon": 2}, "dst": "Tokyo"}), false),
        (&row, "/predict", json!({"src": {"lat": 1}, "dst": "Tokyo"}), false),
        (&row, "/predict", json!({"src": "London", "dst": "Tokyo", "src_access": "telepathy"}), false),
        (&row, "/predict", json!({"src": "London", "dst": "Tokyo", "x": 1}), false),
        (&row, "/predict", json!({"src": 5, "dst": "Tokyo"}), false),
        (&rank, "/rank", json!({"src": "London", "candidates": {"regions": "gcp"}}), true),
        (&rank, "/rank", json!({"src": "London", "candidates": []}), true),
        (&rank, "/rank", json!({"src": "London", "candidates": {"regions": "ibm"}}), false),
        (&rank, "/rank", json!({"src": "London", "candidates": ["LHR"], "budget_ms": 0}), false),
        (&rank, "/rank", json!({"src": "London"}), false),
    ] {
        assert_eq!(validator.is_valid(&question), good, "{question}");
        let response = local().post(path).body(question.to_string()).dispatch();
        assert_eq!(response.status().code, if good { 200 } else { 400 }, "{question}");
        let answer = json(response);
        if !good {
            assert_valid(&document, &form("Failure"), &answer);
        }
    }
}

#[test]
fn options_have_the_forms_that_are_named() {
    let document = document();
    let form =
        document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"].clone();
    for body in [
        json!({"src": "-77.85,166.67", "dst": "Tokyo", "src_access": "wifi"}),
        json!([{"src": "-77.85,166.67", "dst": "Tokyo"}, {"src": "Lndon", "dst": "Tokyo"}]),
    ] {
        let response = local().post("/predict?quantiles=0.5&explain_range=true").body(body.to_string()).dispatch();
        assert_valid(&document, &form, &json(response));
    }
}

/// A model with fields of its own, beside the bundled one.
fn own() -> Client {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx");
    let config = Config { models: vec![("own".to_owned(), Source::File(own))], ..config() };
    Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap()
}

#[test]
fn fields_are_those_of_the_model_that_is_asked() {
    let document = document();
    let row = &document["components"]["schemas"]["Row"]["properties"];
    for field in &PREDICTOR.schema().fields {
        assert!(row[&field.name].is_object(), "{} in {row}", field.name);
    }
    assert_eq!((&row["src_lat"]["minimum"], &row["src_lat"]["maximum"]), (&json!(-90.0), &json!(90.0)));

    let client = own();
    let document = json(client.get("/openapi.json?model=own").dispatch());
    let row = &document["components"]["schemas"]["Row"];
    assert_eq!(row["required"], json!(["hops"]));
    assert_eq!(row["properties"]["link"]["enum"], json!(["copper", "fibre", null]));
    assert!(row["properties"].get("src").is_none());
    let predict = &document["paths"]["/predict"]["post"];
    let example = &predict["requestBody"]["content"]["application/json"]["example"];
    assert_eq!(*example, json!({"hops": 7.0, "link": "fibre"}));
    let answer = json(client.post("/predict?model=own").body(example.to_string()).dispatch());
    let described = &predict["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer, described["example"]);
    assert_valid(&document, &described["schema"], &answer);
    assert_eq!(client.get("/docs?model=own").dispatch().status(), Status::Ok);
}

#[test]
fn the_page_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let response = local().get("/docs").dispatch();
    assert_eq!((response.status(), response.content_type()), (Status::Ok, Some(ContentType::HTML)));
    let page = response.into_string().unwrap();
    for (method, path, _) in operations(&document()) {
        let title = format!("<b>{}</b> {}</h2>", method.to_ascii_uppercase(), path.replace('/', "&#x2F;"));
        assert!(page.contains(&title), "{title} is not in {page}");
    }
    for field in &PREDICTOR.schema().fields {
        assert!(page.contains(&format!("<code>{}</code>", field.name)), "{}", field.name);
    }
    for word in ["<script", "style=", "http://", "https://", "onclick"] {
        assert!(!page.contains(word), "{word} in {page}");
    }
    assert_eq!(local().get("/static/docs.css").dispatch().content_type(), Some(ContentType::CSS));
}
