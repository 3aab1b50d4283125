//! `POST /v2/models/{name}/infer`: tensors in, tensors out, as JSON or with their bytes behind it.

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::Arc;

use latency_core::schema::FieldKind;
use latency_core::{Predictions, Schema};
use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};
use rocket::response::{self, Responder, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::tensor::{EXAMPLE, Input, Tensor};
use crate::all_rows::{AllRows, invalid_batch};
use crate::elements::Elements;
use crate::errors::{Failure, json};
use crate::models::Served;
use crate::python_json::{text, unreadable};
use crate::question::invalid_field;

/// Where the JSON ends in a body that holds more.
pub const JSON_LENGTH: &str = "Inference-Header-Content-Length";

/// More tensors than any model has.
const MAX_TENSORS: usize = 2_000;

/// What a body may hold, for messages.
const ALLOWED: &str =
    r#"an object such as {"inputs": [{"name": "src", "shape": [1], "datatype": "BYTES", "data": ["London"]}, …]}"#;

/// How many bytes of the body are JSON, if not all.
pub struct JsonLength(Option<usize>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for JsonLength {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        let Some(header) = request.headers().get_one(JSON_LENGTH) else { return Outcome::Success(Self(None)) };
        if let Ok(length) = header.parse() {
            return Outcome::Success(Self(Some(length)));
        }
        let failure = invalid_field(JSON_LENGTH, "found something else; allowed: the length of the JSON in bytes");
        Outcome::Error((failure.status, failure))
    }
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    inputs: Elements<'a, MAX_TENSORS>,
    #[serde(borrow)]
    outputs: Option<Elements<'a, MAX_TENSORS>>,
}

#[derive(Deserialize)]
struct Parameters {
    binary_data_output: Option<bool>,
}

#[derive(Deserialize)]
struct AskedOutput<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    parameters: Option<OutputParameters>,
}

#[derive(Deserialize)]
struct OutputParameters {
    binary_data: Option<bool>,
    classification: Option<IgnoredAny>,
    shared_memory_region: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct Answer<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a [f32]>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

/// An answer, with where its JSON ends if there is more.
pub struct Inferred {
    body: Vec<u8>,
    json_length: Option<usize>,
}

/// The answer to a request for the model that is served under this name.
pub fn infer(
    served: &Arc<Served>,
    name: &str,
    JsonLength(length): JsonLength,
    body: &[u8],
) -> Result<Inferred, Failure> {
    let Some((json, mut binary)) = body.split_at_checked(length.unwrap_or(body.len())) else {
        let message = format!("found a body of {} bytes; allowed: up to that", body.len());
        return Err(invalid_field(JSON_LENGTH, message));
    };
    let json = text(json)?;
    let asked: Asked<'_> = serde_json::from_str(&json).map_err(|error| unreadable(&error, ALLOWED))?;
    let wanted = wanted(&asked, served.predictor.schema().coordinates.is_some())?;
    let tensors = tensors(served, &asked.inputs, &mut binary)?;
    let predictions = predict(served, &tensors)?;
    answer(served, name, asked.id.as_deref(), &wanted, &predictions)
}

/// The inputs. What the model does not take is refused before its values are read.
fn tensors<'a>(
    served: &Served,
    inputs: &Elements<'a, MAX_TENSORS>,
    binary: &mut &'a [u8],
) -> Result<Vec<Tensor<'a>>, Failure> {
    check_number("inputs", inputs.found)?;
    if inputs.found == 0 {
        return Err(invalid_field("inputs", format!("found none; allowed: {ALLOWED}")));
    }
    let schema = served.predictor.schema();
    let mut tensors: Vec<Tensor<'_>> = Vec::new();
    for (index, input) in inputs.elements.iter().enumerate() {
        let input: Input<'_> = serde_json::from_str(input.get())
            .map_err(|error| unreadable(&error, EXAMPLE).about(format!("inputs[{index}]")))?;
        if !super::inputs(schema).any(|(name, _)| name == input.name) {
            if input.is_matrix() && inputs.found == 1 {
                let columns = columns(schema).map_err(|failure| failure.about(input.short_name()))?;
                tensors = input.read_matrix(&columns, binary)?;
                continue;
            }
            let alone = if input.is_matrix() { "; a matrix of numbers stands alone" } else { "" };
            let message = format!("the model has no such input; allowed: {}{alone}", names(schema));
            return Err(Failure::new(Status::BadRequest, "UNKNOWN_FIELD", message).about(input.short_name()));
        }
        if tensors.iter().any(|other| other.name == input.name) {
            return Err(invalid_batch("found twice; give each input once").about(&*input.name));
        }
        let tensor = input.read(binary)?;
        if let Some(first) = tensors.first().filter(|first| first.rows() != tensor.rows()) {
            let message =
                format!("found {} rows, but `{}` has {}; give as many", tensor.rows(), first.name, first.rows());
            return Err(invalid_batch(message).about(&*tensor.name));
        }
        tensors.push(tensor);
    }
    if binary.is_empty() {
        Ok(tensors)
    } else {
        Err(invalid_batch(format!("found {} bytes behind the last input; send none", binary.len())))
    }
}

/// The names of all inputs.
fn names(schema: &Schema) -> String {
    super::inputs(schema).map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// The columns of a matrix: all fields that are numbers, in the order of the schema. Words are not known then.
fn columns(schema: &Schema) -> Result<Vec<&str>, Failure> {
    let (numbers, words): (Vec<_>, Vec<_>) =
        schema.fields.iter().partition(|field| matches!(field.kind, FieldKind::Number { .. }));
    match words.iter().find(|field| field.required || numbers.is_empty()) {
        None => Ok(numbers.into_iter().map(|field| field.name.as_str()).collect()),
        Some(word) => Err(invalid_batch(format!(
            "found a matrix of numbers, and `{}` is a word; give a tensor for each field: {}",
            word.name,
            names(schema)
        ))),
    }
}

fn predict(served: &Arc<Served>, tensors: &[Tensor<'_>]) -> Result<Predictions, Failure> {
    let mut rows = AllRows::new(Arc::clone(served));
    for row in 0..tensors.first().map_or(0, Tensor::rows) {
        rows.push(Ok(tensors.iter().filter_map(|tensor| tensor.entry(row)).collect()))?;
    }
    rows.predict()
}

/// Which outputs are asked for, and whether as bytes.
fn wanted(asked: &Asked<'_>, geographic: bool) -> Result<Vec<(&'static str, bool)>, Failure> {
    let names = || super::outputs(geographic);
    let binary = asked.parameters.as_ref().and_then(|parameters| parameters.binary_data_output).unwrap_or(false);
    let Some(outputs) = asked.outputs.as_ref().filter(|outputs| outputs.found > 0) else {
        return Ok(names().map(|name| (name, binary)).collect());
    };
    check_number("outputs", outputs.found)?;
    let mut wanted: Vec<(&'static str, bool)> = Vec::new();
    for (index, output) in outputs.elements.iter().enumerate() {
        let field = format!("outputs[{index}]");
        let allowed = r#"{"name": "p50_ms"}"#;
        let output: AskedOutput<'_> =
            serde_json::from_str(output.get()).map_err(|error| unreadable(&error, allowed).about(&*field))?;
        let Some(name) = names().find(|name| *name == output.name) else {
            let allowed: Vec<_> = names().collect();
            return Err(invalid_field(
                &field,
                format!("the model has no such output; allowed: {}", allowed.join(", ")),
            ));
        };
        if wanted.iter().any(|(other, _)| *other == name) {
            return Err(invalid_field(&field, format!("found `{name}` twice; ask for it once")));
        }
        let parameters = output.parameters.as_ref();
        if parameters.is_some_and(|found| found.classification.is_some() || found.shared_memory_region.is_some()) {
            return Err(invalid_field(&field, "found an extension that is not spoken here; allowed: binary_data"));
        }
        wanted.push((name, parameters.and_then(|parameters| parameters.binary_data).unwrap_or(binary)));
    }
    Ok(wanted)
}

fn check_number(what: &str, found: usize) -> Result<(), Failure> {
    if found <= MAX_TENSORS {
        return Ok(());
    }
    Err(invalid_field(what, format!("found {found} of them; allowed: up to {MAX_TENSORS}")))
}

fn answer(
    served: &Served,
    name: &str,
    id: Option<&str>,
    wanted: &[(&'static str, bool)],
    predictions: &Predictions,
) -> Result<Inferred, Failure> {
    let (mut outputs, mut bytes) = (Vec::new(), Vec::new());
    for (name, binary) in wanted {
        let numbers = predictions.columns().find(|(found, _)| found == name).map_or(&[][..], |(_, numbers)| numbers);
        if *binary {
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        outputs.push(Output {
            name,
            datatype: "FP32",
            shape: [numbers.len()],
            parameters: binary.then_some(BinarySize { binary_data_size: size_of_val(numbers) }),
            data: (!binary).then_some(numbers),
        });
    }
    let model_version = &served.predictor.model_info().version;
    let (_, mut body) = json(&Answer { model_name: name, model_version, id, outputs })?;
    let any = wanted.iter().any(|(_, binary)| *binary);
    let json_length = any.then_some(body.len());
    body.append(&mut bytes);
    Ok(Inferred { body, json_length })
}

impl<'r> Responder<'r, 'static> for Inferred {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        match self.json_length {
            None => response.header(ContentType::JSON),
            Some(length) => response.header(ContentType::Binary).header(Header::new(JSON_LENGTH, length.to_string())),
        };
        response.sized_body(self.body.len(), Cursor::new(self.body)).ok()
    }
}
