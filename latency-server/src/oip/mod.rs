//! The Open Inference Protocol, version 2, as `KServe`, Triton and their clients speak it: metadata, inference, and the
//! repository of models. <https://github.com/kserve/open-inference-protocol>
//!
//! Each field of a model is an input of one value per row, and so are `src` and `dst` where it knows places; or one matrix
//! holds all numbers. Each number of a prediction is an output.

mod infer;
mod repository;
mod tensor;

use std::sync::Arc;

use latency_core::schema::FieldKind;
use latency_core::{NUMBERS, Schema};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, get, post, routes};
use serde::Serialize;

use self::infer::{Inferred, JsonLength};
use crate::all_rows::work;
use crate::body::Content;
use crate::errors::{Failure, Json, json};
use crate::health;
use crate::models::{Models, Served, Slot};
use crate::stopping::Stopping;

/// Attaches the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("open inference protocol", |rocket| async {
        let routes = routes![
            server,
            live,
            ready,
            model,
            model_version,
            model_ready,
            model_version_ready,
            infer_model,
            infer_version,
            repository::index,
            repository::load,
            repository::unload
        ];
        rocket.mount("/", routes)
    })
}

#[derive(Serialize)]
struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 2],
}

#[get("/v2")]
fn server() -> Result<Json, Failure> {
    json(&Server {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data", "model_repository"],
    })
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[get("/v2/health/live")]
fn live() -> Result<Json, Failure> {
    json(&Live { live: true })
}

#[derive(Serialize)]
struct Ready<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    ready: bool,
}

#[get("/v2/health/ready")]
fn ready(models: &State<Models>, stopping: &State<Stopping>) -> Result<Json, Failure> {
    health::check(models, stopping)?;
    json(&Ready { name: None, ready: true })
}

/// The model of this name, in the version that answers, which is the only one there is.
fn find<'m>(models: &'m Models, name: &str, version: Option<&str>) -> Result<(&'m Slot, Arc<Served>), Failure> {
    let slot = models.asked(Some(name))?;
    let served = slot.answering()?;
    let answers = &served.predictor.model_info().version;
    match version.filter(|version| version != answers) {
        None => Ok((slot, served)),
        Some(version) => {
            let message = format!("found the version {version:?}; allowed: {answers}, or none for whichever answers");
            Err(Failure::new(Status::NotFound, "UNKNOWN_MODEL", message).about("version"))
        }
    }
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    versions: [&'a str; 1],
    platform: &'static str,
    inputs: Vec<Tensor<'a>>,
    outputs: Vec<Tensor<'a>>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'static str,
    /// Any number of rows.
    shape: [i64; 1],
}

/// The inputs of a model with this schema, and their types.
fn inputs(schema: &Schema) -> impl Iterator<Item = (&str, &'static str)> {
    let fields = schema.fields.iter().map(|field| {
        let datatype = match field.kind {
            FieldKind::Number { .. } => "FP64",
            FieldKind::Category { .. } => "BYTES",
        };
        (field.name.as_str(), datatype)
    });
    let ends: &[_] = if schema.coordinates.is_some() { &[("src", "BYTES"), ("dst", "BYTES")] } else { &[] };
    fields.chain(ends.iter().copied())
}

/// The outputs of a model.
fn outputs(knows_places: bool) -> impl Iterator<Item = &'static str> {
    NUMBERS.into_iter().take(if knows_places { 7 } else { 5 })
}

fn metadata((slot, served): (&Slot, Arc<Served>)) -> Result<Json, Failure> {
    let schema = served.predictor.schema();
    let tensor = |(name, datatype)| Tensor { name, datatype, shape: [-1] };
    json(&Metadata {
        name: slot.name(),
        versions: [&served.predictor.model_info().version],
        // Its inputs are not those of the ONNX graph inside.
        platform: "latency_onnx",
        inputs: inputs(schema).map(tensor).collect(),
        outputs: outputs(schema.coordinates.is_some()).map(|name| tensor((name, "FP32"))).collect(),
    })
}

#[get("/v2/models/<name>")]
fn model(name: &str, models: &State<Models>) -> Result<Json, Failure> {
    metadata(find(models, name, None)?)
}

#[get("/v2/models/<name>/versions/<version>")]
fn model_version(name: &str, version: &str, models: &State<Models>) -> Result<Json, Failure> {
    metadata(find(models, name, Some(version))?)
}

fn readiness((slot, served): (&Slot, Arc<Served>)) -> Result<Json, Failure> {
    health::check_model(slot.name(), &served)?;
    json(&Ready { name: Some(slot.name()), ready: true })
}

#[get("/v2/models/<name>/ready")]
fn model_ready(name: &str, models: &State<Models>) -> Result<Json, Failure> {
    readiness(find(models, name, None)?)
}

#[get("/v2/models/<name>/versions/<version>/ready")]
fn model_version_ready(name: &str, version: &str, models: &State<Models>) -> Result<Json, Failure> {
    readiness(find(models, name, Some(version))?)
}

#[post("/v2/models/<name>/infer", data = "<body>")]
async fn infer_model(
    name: &str,
    json_length: Result<JsonLength, Failure>,
    body: Result<Content, Failure>,
    models: &State<Models>,
) -> Result<Inferred, Failure> {
    answer(body?, json_length?, find(models, name, None)?).await
}

#[post("/v2/models/<name>/versions/<version>/infer", data = "<body>")]
async fn infer_version(
    name: &str,
    version: &str,
    json_length: Result<JsonLength, Failure>,
    body: Result<Content, Failure>,
    models: &State<Models>,
) -> Result<Inferred, Failure> {
    answer(body?, json_length?, find(models, name, Some(version))?).await
}

async fn answer(
    Content(body): Content,
    json_length: JsonLength,
    (slot, served): (&Slot, Arc<Served>),
) -> Result<Inferred, Failure> {
    let name = slot.name().to_owned();
    work(body.len(), move || infer::infer(&served, &name, json_length, &body)).await
}
