//! `GET /openapi.json`: what this server answers, as `OpenAPI` 3.1, with the fields of the model that is loaded; and
//! `GET /docs`, the same for people.

mod dialects;
mod operations;
mod page;
mod schemas;

use latency_core::{Predictor, Row};
use rocket::fairing::AdHoc;
use rocket::{get, routes};
use serde_json::{Map, Value, json};

use crate::errors::{Failure, Json, json};
use crate::models::Model;
use crate::query::Query;

pub use page::TEMPLATE;

/// Attaches the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("openapi", |rocket| async { rocket.mount("/", routes![openapi, page::docs]) })
}

#[get("/openapi.json")]
fn openapi(query: Query, model: Result<Model, Failure>) -> Result<Json, Failure> {
    query.only(&["model"])?;
    json(&document(&*model?))
}

/// The whole document for the model that is asked.
fn document(predictor: &Predictor) -> Value {
    let info = predictor.model_info();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::all(&Asked::new(predictor)) {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = operation.description;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Latency Predictor",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Network latency (RTT) before a connection is made.",
            "description": format!(
                "Answers come from the model {} {}. Times are round-trip times of a small packet, in milliseconds.",
                info.name, info.version
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas::all(predictor),
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token that the operator made; servers may want one for predictions too.",
            }},
        },
    })
}

/// The model that the document is about, with a row that it answers.
struct Asked<'a> {
    predictor: &'a Predictor,
    row: Value,
    /// A question has no answer if the model knows no places.
    knows_places: bool,
}

impl<'a> Asked<'a> {
    fn new(predictor: &'a Predictor) -> Self {
        let schema = predictor.schema();
        let knows_places = schema.coordinates.is_some();
        let row = json!({"src": {"place": "London"}, "dst": "Tokyo"});
        let answers = knows_places && Row::from_json(&row).is_ok_and(|row| predictor.predict(&row).is_ok());
        let golden = || schema.golden.first().map_or_else(|| json!({}), |golden| json!(golden.row));
        Self { predictor, row: if answers { row } else { golden() }, knows_places }
    }

    /// The row, and something beside it.
    fn row_with(&self, more: &Value) -> Value {
        let mut row = self.row.clone();
        if let (Some(row), Some(more)) = (row.as_object_mut(), more.as_object()) {
            row.extend(more.clone());
        }
        row
    }
}
