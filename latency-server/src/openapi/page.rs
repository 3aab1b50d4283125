//! `GET /docs`: the operations for people. Rendered here, so that it needs no scripts, and nothing from elsewhere.

use latency_core::ModelTag;
use rocket::get;
use rocket_dyn_templates::Template;
use serde::Serialize;
use serde_json::Value;

use super::operations::{self, Operation};
use super::{Asked, schemas};
use crate::errors::Failure;
use crate::models::Model;
use crate::query::Query;

/// The template's name.
pub const TEMPLATE: &str = "docs.html";

#[derive(Serialize)]
struct View<'a> {
    here: &'static str,
    operations: Vec<Shown>,
    fields: Vec<Field>,
    failures: Vec<Status>,
    model: ModelTag<'a>,
    version: &'static str,
}

/// An operation as the template needs it.
#[derive(Serialize)]
struct Shown {
    id: String,
    method: String,
    path: &'static str,
    summary: String,
    description: String,
    parameters: Vec<Parameter>,
    /// The example: what is sent, as a command, and what comes back.
    sent: Option<String>,
    answer: Option<String>,
    statuses: Vec<Status>,
}

#[derive(Serialize)]
struct Parameter {
    name: String,
    description: String,
}

#[derive(Serialize)]
struct Status {
    status: String,
    description: String,
}

#[derive(Serialize)]
struct Field {
    name: String,
    required: bool,
    allowed: String,
    description: String,
}

#[get("/docs")]
pub fn docs(query: Query, model: Result<Model, Failure>) -> Result<Template, Failure> {
    query.only(&["model"])?;
    let model = model?;
    let fields = model.schema().fields.iter().map(|field| {
        let form = schemas::field(field);
        Field {
            name: field.name.clone(),
            required: field.required,
            allowed: allowed(&form),
            description: text(&form["description"]),
        }
    });
    let view = View {
        here: "docs",
        operations: operations::all(&Asked::new(&model)).iter().map(Shown::new).collect(),
        fields: fields.collect(),
        failures: operations::common()
            .map(|(status, description)| Status { status: status.to_owned(), description: description.to_owned() })
            .collect(),
        model: model.model_info().tag(),
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok(Template::render(TEMPLATE, view))
}

impl Shown {
    fn new(Operation { path, method, description }: &Operation) -> Self {
        let content = description["requestBody"]["content"].as_object();
        let body = content.into_iter().flatten().find_map(|(kind, content)| Some((kind, content.get("example")?)));
        let sent = body.map(|(kind, example)| match example {
            Value::String(lines) => {
                format!("curl localhost:5000{path} -H 'Content-Type: {kind}' --data-binary '{lines}'")
            }
            example => format!("curl localhost:5000{path} -d '{example}'"),
        });
        let answer = &description["responses"]["200"]["content"]["application/json"]["example"];
        let parameters = description["parameters"].as_array().into_iter().flatten();
        let statuses = description["responses"].as_object().into_iter().flatten();
        Self {
            id: format!("{method}{}", path.replace('/', "-").replace(['{', '}'], "")),
            method: method.to_ascii_uppercase(),
            path,
            summary: text(&description["summary"]),
            description: text(&description["description"]),
            parameters: parameters
                .filter(|found| found["in"] == "query")
                .map(|found| Parameter { name: text(&found["name"]), description: text(&found["description"]) })
                .collect(),
            sent,
            answer: (!answer.is_null()).then(|| format!("{answer:#}")),
            statuses: statuses
                .filter(|(status, found)| {
                    !operations::common().any(|(common, what)| *status == common && found["description"] == what)
                })
                .map(|(status, found)| Status { status: status.clone(), description: text(&found["description"]) })
                .collect(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a field's form allows, in words.
fn allowed(form: &Value) -> String {
    if let Some(words) = form["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    match (&form["minimum"], &form["maximum"]) {
        (Value::Null, Value::Null) => "a number".to_owned(),
        (min, Value::Null) => format!("a number from {min} up"),
        (Value::Null, max) => format!("a number up to {max}"),
        (min, max) => format!("a number from {min} to {max}"),
    }
}
