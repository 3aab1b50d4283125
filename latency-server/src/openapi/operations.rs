//! The operations: one for each route, with an example that the model itself has answered.

use serde_json::{Value, json};

use super::{Asked, dialects};
use crate::decisions::{self, DEFAULT_QUANTILE, MAX_CANDIDATES};
use crate::errors::{Failure, Json};
use crate::gate::VITAL;
use crate::observations::{self, MAX_OBSERVATIONS};
use crate::places::{DEFAULT_SUGGESTIONS, MAX_SUGGESTIONS};
use crate::predict::{self, MAX_QUANTILES, MAX_ROWS};

/// A method of a path.
pub struct Operation {
    pub path: &'static str,
    pub method: &'static str,
    pub description: Value,
}

/// Every operation, in the order in which the page shows them.
pub fn all(asked: &Asked<'_>) -> Vec<Operation> {
    let mut operations = vec![
        predict(asked),
        predict_batch(asked),
        rank(asked),
        timeout(asked),
        judge(asked),
        observe(asked),
        observations(),
        export(),
        places(),
        get(
            "/model_info",
            "Which model answers",
            "Its fields with what is allowed and what training saw, its outputs, its provenance, and when it was loaded; of a \
             model that is unloaded, when and by whom.",
            &[model()],
            answers("What is loaded.", &json!({"type": "object"})),
        ),
        get(
            "/health",
            "Whether the server runs",
            "Cheap, and always 200 while it runs.",
            &[],
            answers("It runs.", &reference("Health")),
        ),
        reload("get"),
        reload("post"),
        get("/metrics", "What was counted", "For Prometheus.", &[], text_answer("Metrics in Prometheus' text format.")),
        get(
            "/ready",
            "Whether the server can answer",
            "Every model predicts one of its golden rows, unless it was unloaded.",
            &[],
            {
                let mut answers = answers("Every model can predict.", &reference("Health"));
                answers["503"] = failure("A model cannot predict.");
                answers
            },
        ),
        get(
            "/openapi.json",
            "This document",
            "OpenAPI 3.1, with the fields of the model that is asked.",
            &[model()],
            answers("The document.", &json!({"type": "object"})),
        ),
        get("/docs", "This document for people", "", &[model()], page("The page.")),
        get(
            "/",
            "The page",
            "A form that predicts between two places, and judges a measurement; its address can be shared.",
            &[
                text("src", "A place."),
                text("dst", "A place."),
                text("src_access", "How the source is connected."),
                text("dst_access", "How the destination is connected."),
                text("measured_ms", "A measured RTT in milliseconds."),
            ],
            form("The form, with an answer if both places are given."),
        ),
        get(
            "/regions",
            "The page of cloud regions",
            "A form that ranks cloud regions; its address can be shared.",
            &[
                text("src", "A place."),
                text("src_access", "How it is connected."),
                text("provider", "aws, azure or gcp; all of them if it is empty."),
                text("budget_ms", "What one measurement should stay within, in milliseconds."),
            ],
            form("The form, with the regions in order if a place is given."),
        ),
        get(
            "/status",
            "The status for people",
            "Models, their accuracy, and what was counted.",
            &[],
            page("The page."),
        ),
    ];
    operations.extend(dialects::all());
    operations
}

fn predict(asked: &Asked<'_>) -> Operation {
    let one = example(&asked.row, |text| predict::answer(asked.predictor, text));
    let request = json!({"oneOf": [
        reference("Row"),
        {"type": "array", "items": reference("Row"), "maxItems": MAX_ROWS},
    ]});
    let answer = json!({"oneOf": [
        {"allOf": [reference("Prediction"), reference("Answered")]},
        {
            "type": "object",
            "properties": {
                "predictions": {"type": "array", "items": {"oneOf": [reference("Prediction"), reference("Failure")]}},
                "model": reference("Model"),
            },
            "required": ["predictions", "model"],
        },
    ]});
    post(
        "/predict",
        "Predict one path, or many",
        &format!(
            "One object, or an array of up to {MAX_ROWS}. A row of an array that cannot be answered has its error in its place."
        ),
        &[
            model(),
            parameter(
                "quantiles",
                &format!("Up to {MAX_QUANTILES} quantiles of one measurement, 0.5 to 0.999, separated by commas."),
                &json!({"type": "string", "examples": ["0.5,0.9,0.999"]}),
            ),
            parameter("explain_range", "Whether to say for each value what training saw.", &json!({"type": "boolean"})),
        ],
        &request,
        one,
        "The prediction, or the predictions.",
        &answer,
    )
}

fn predict_batch(asked: &Asked<'_>) -> Operation {
    let lines = json!({"type": "string", "description": "One JSON object in a line, as `/predict` takes it."});
    let table = json!({"type": "string", "description": "A table whose first line names the columns: the model's fields, or `src` and `dst` with names of places."});
    let binary = json!({"type": "string", "description": "A table as a stream of Arrow's IPC format, uncompressed, with the columns of a CSV."});
    let file = json!({"type": "string", "description": "A table as a file of Parquet, with the columns of a CSV."});
    let row = format!("{}\n", asked.row);
    let mut answers = json!({
        "200": {
            "description": "One answer for each row, in their order; a row that cannot be answered has its error in its place.",
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
                "application/vnd.apache.arrow.stream": {"schema": &binary},
                "application/vnd.apache.parquet": {"schema": &file},
            },
        },
        "406": failure("None of the formats is accepted."),
        "415": failure("The rows have another format, or the body is compressed."),
    });
    add_failures(&mut answers);
    Operation {
        path: "/predict/batch",
        method: "post",
        description: json!({
            "summary": "Predict very many paths, as NDJSON, CSV, tables of Arrow or Parquet",
            "description": format!("Up to {MAX_ROWS} rows, in the format that the Content-Type says, worked off as they arrive; a file of Parquet when it is there in all."),
            "parameters": [
                model(),
                parameter("live", "Whether to answer rows while others are still sent: for clients that read while they send.", &json!({"type": "boolean"})),
            ],
            "requestBody": {"required": true, "content": {
                "application/x-ndjson": {"schema": lines, "example": row},
                "text/csv": {"schema": table},
                "application/vnd.apache.arrow.stream": {"schema": &binary},
                "application/vnd.apache.parquet": {"schema": &file},
            }},
            "responses": answers,
        }),
    }
}

fn rank(asked: &Asked<'_>) -> Operation {
    let question = json!({"src": "Madrid", "candidates": ["aws:us-east-1", {"place": "aws:eu-west-2", "tier": "premium"}], "budget_ms": 60});
    let one = decided(asked, &question, |text| decisions::ranking(asked.predictor, None, text));
    let answer = json!({
        "type": "object",
        "properties": {
            "ranked": {"type": "array", "items": {"allOf": [reference("Prediction"), {
                "type": "object",
                "properties": {
                    "candidate": {"description": "The candidate as it was given."},
                    "index": {"type": "integer", "minimum": 0, "description": "Its place among the candidates, from 0."},
                    "p_best": probability("that the median of its path is the lowest"),
                    "p_within_budget": probability("that one measurement stays within the budget"),
                },
                "required": ["candidate", "index", "p_best"],
            }]}},
            "model": reference("Model"),
        },
        "required": ["ranked", "model"],
    });
    post(
        "/rank",
        "Which destination is the best",
        &format!(
            "Candidates by their predicted median, the lowest first, each with the probability that it is the best. Up to {MAX_CANDIDATES}. Fields by flat names beside them hold for every path."
        ),
        &[model()],
        &reference("RankQuestion"),
        one,
        "The candidates in order.",
        &answer,
    )
}

fn timeout(asked: &Asked<'_>) -> Operation {
    let question = asked.row_with(&json!({"quantile": 0.999}));
    let one = decided(asked, &question, |text| decisions::deadline(asked.predictor, None, text));
    let answer = json!({"allOf": [reference("Prediction"), reference("Answered"), {
        "type": "object",
        "properties": {"timeout_ms": {"type": "number"}, "quantile": {"type": "number"}},
        "required": ["timeout_ms", "quantile"],
    }]});
    post(
        "/timeout",
        "How long to wait for an answer",
        &format!(
            "The RTT that one measurement stays below with this probability, 0.5 to 0.999, by default {DEFAULT_QUANTILE}. It is one round trip; add what the other side needs to answer."
        ),
        &[model()],
        &reference("TimeoutQuestion"),
        one,
        "The deadline.",
        &answer,
    )
}

fn judge(asked: &Asked<'_>) -> Operation {
    let question = asked.row_with(&json!({"measured_ms": 80}));
    let one = decided(asked, &question, |text| decisions::verdict(asked.predictor, None, text));
    let answer = json!({"allOf": [reference("Prediction"), reference("Answered"), {
        "type": "object",
        "properties": {
            "verdict": {"enum": ["plausible", "slow", "suspicious", "impossible"]},
            "quantile": probability("that a measurement is this fast or faster"),
            "message": {"type": "string", "description": "The reason, for people."},
        },
        "required": ["verdict", "quantile", "message"],
    }]});
    post(
        "/judge",
        "Whether a measured RTT can be true",
        "Below light in fibre it is suspicious, below light in vacuum impossible, beyond the 99 % quantile slow.",
        &[model()],
        &reference("JudgeQuestion"),
        one,
        "The verdict.",
        &answer,
    )
}

fn observe(asked: &Asked<'_>) -> Operation {
    let body = asked.row_with(&json!({"measured_ms": 240}));
    let one = example(&body, |text| observations::example(asked.predictor, text));
    let request = json!({"oneOf": [
        reference("Observation"),
        {"type": "array", "items": reference("Observation"), "maxItems": MAX_OBSERVATIONS},
    ]});
    let answer = json!({"oneOf": [
        reference("Observed"),
        {
            "type": "object",
            "properties": {
                "observations": {"type": "array", "items": {"oneOf": [reference("Observed"), reference("Failure")]}},
            },
            "required": ["observations"],
        },
    ]});
    let mut operation = post(
        "/observe",
        "Store a measured RTT",
        &format!(
            "One object, or an array of up to {MAX_OBSERVATIONS}, each answered when it is on disk. An `id` makes it safe to send it again."
        ),
        &[model()],
        &request,
        one,
        "What became of it, and what was predicted.",
        &answer,
    );
    let responses = &mut operation.description["responses"];
    responses["404"] = failure("There is no model of this name, or the server keeps no observations.");
    responses["409"] = failure("Another observation has this id.");
    responses["507"] = failure("There is no space left.");
    operation
}

fn observations() -> Operation {
    let share = json!({"type": ["number", "null"], "minimum": 0, "maximum": 1});
    let number = json!({"type": ["number", "null"], "minimum": 0});
    let figures = json!({
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "observations": {"type": "integer", "minimum": 0},
            "verdicts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "mean_absolute_error_ms": number,
            "median_relative_error": number,
            "pinball_ms": {"type": "object", "properties": {"p50": number, "p90": number, "p99": number}},
            "below_p90": share,
            "below_p99": share,
            "interval": {"type": "object", "properties": {
                "about": {"enum": ["path", "measurement"]}, "count": {"type": "integer"}, "inside": share,
            }},
            "psi": {"type": "object", "properties": {
                "reference": {"enum": ["training", "first_observations", null]},
                "observations": {"type": "integer"},
                "features": {"type": "object", "additionalProperties": {"type": "number"}},
            }},
        },
        "required": ["model", "version", "observations", "interval", "psi"],
    });
    let answer = json!({
        "type": "object",
        "properties": {"models": {"type": "array", "items": figures}},
        "required": ["models"],
    });
    get(
        "/observations",
        "How good the predictions were",
        "Errors, coverage and drift of each version, over its last observations.",
        &[],
        {
            let mut answers = answers("The figures.", &answer);
            answers["404"] = failure("The server keeps no observations.");
            answers
        },
    )
}

fn export() -> Operation {
    let mut responses = json!({"200": {
        "description": "A column for each field that has values, and `rtt_ms`.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }});
    responses["403"] = failure("The token has not the scope admin.");
    let mut operation = get(
        "/observations/export",
        "A table to train on",
        "Every observation of the model that can be true, as `latency train --data` takes it.",
        &[model()],
        responses,
    );
    operation.description["security"] = json!([{"token": []}]);
    operation
}

/// `GET` is there because it was promised once.
fn reload(method: &'static str) -> Operation {
    let answer = json!({
        "type": "object",
        "properties": {"reload": {"type": "object"}, "model": reference("Model")},
        "required": ["reload", "model"],
    });
    let mut responses = answers(
        "How it ended: `swapped`, `unchanged` if the file is the one that answers, or `loaded` if the model was unloaded.",
        &answer,
    );
    responses["403"] = failure("The token has not the scope admin, or another site's page asks.");
    responses["409"] = failure("The model is being loaded already.");
    responses["500"] = failure("The file cannot be used, and the model from before goes on, or it stays unloaded.");
    add_refusals(&mut responses);
    Operation {
        path: "/reload_model",
        method,
        description: json!({
            "summary": "Load a model again",
            "description": "Reads its file, proves it on its golden rows, and lets it answer; requests that are under way end with the one from before.",
            "security": [{"token": []}],
            "parameters": [model()],
            "responses": responses,
        }),
    }
}

fn places() -> Operation {
    let answer = json!({
        "type": "object",
        "properties": {
            "place": reference("Place"),
            "suggestions": {"type": "array", "items": reference("Place"), "maxItems": MAX_SUGGESTIONS},
            "error": reference("Error"),
            "attribution": {"type": "string", "description": "Whose data these are; show it where you show places to the public."},
        },
        "required": ["suggestions", "attribution"],
    });
    let name = json!({"name": "q", "in": "query", "required": true, "description": "A name, or its beginning.", "schema": {"type": "string"}, "example": "san f"});
    let limit = json!({"type": "integer", "minimum": 0, "maximum": MAX_SUGGESTIONS, "default": DEFAULT_SUGGESTIONS});
    get(
        "/places",
        "Places by name",
        "`place` is what is at exactly this name, `suggestions` are names that begin so, the largest first.",
        &[name, parameter("limit", "The most suggestions.", &limit)],
        answers("What is known of the name.", &answer),
    )
}

/// An example: a body, and its answer.
type Example = (Value, Option<Value>);

fn example(body: &Value, answer: impl FnOnce(&str) -> Result<Json, Failure>) -> Example {
    let answer = answer(&body.to_string()).ok().and_then(|(_, bytes)| serde_json::from_slice(&bytes).ok());
    (body.clone(), answer)
}

/// The same for what only models that know places can answer.
fn decided(asked: &Asked<'_>, body: &Value, answer: impl FnOnce(&str) -> Result<Json, Failure>) -> Example {
    if asked.knows_places { example(body, answer) } else { (body.clone(), None) }
}

#[expect(clippy::too_many_arguments, reason = "the parts of an operation, each once")]
fn post(
    path: &'static str,
    summary: &str,
    description: &str,
    parameters: &[Value],
    request: &Value,
    (body, answer): Example,
    answered: &str,
    schema: &Value,
) -> Operation {
    let mut responses = answers(answered, schema);
    if let Some(answer) = answer {
        responses["200"]["content"]["application/json"]["example"] = answer;
    }
    responses["415"] = failure("The body is compressed.");
    add_failures(&mut responses);
    Operation {
        path,
        method: "post",
        description: json!({
            "summary": summary,
            "description": description,
            "parameters": parameters,
            "requestBody": {"required": true, "content": {"application/json": {"schema": request, "example": body}}},
            "responses": responses,
        }),
    }
}

fn get(path: &'static str, summary: &str, description: &str, parameters: &[Value], mut responses: Value) -> Operation {
    if !VITAL.contains(&path) {
        add_refusals(&mut responses);
    }
    if !parameters.is_empty() && responses["400"].is_null() {
        responses["400"] = failure("A parameter is not known, or has a value that is not allowed.");
    }
    let description =
        json!({"summary": summary, "description": description, "parameters": parameters, "responses": responses});
    Operation { path, method: "get", description }
}

/// What may be wrong with any question that has a body.
const OF_BODIES: [(&str, &str); 4] = [
    ("400", "The question cannot be understood: its message says what was found and what is allowed."),
    ("408", "The body comes too slowly."),
    ("413", "Too many rows or bytes."),
    ("500", "The server has trouble with its model; its log says which."),
];

/// What may happen before a route sees its request, or finds its model.
const OF_ALL: [(&str, &str); 4] = [
    ("401", "This server wants a token."),
    ("404", "There is no model of this name."),
    ("429", "This client asks too often; `Retry-After` says when it may again."),
    ("503", "The server has as much to do as it takes on, or its model fails."),
];

/// What is not worth saying of each operation, for people.
pub fn common() -> impl Iterator<Item = (&'static str, &'static str)> {
    OF_BODIES.into_iter().chain(OF_ALL)
}

fn add_failures(responses: &mut Value) {
    add(&OF_BODIES, responses);
    add_refusals(responses);
}

fn add_refusals(responses: &mut Value) {
    add(&OF_ALL, responses);
}

fn add(failures: &[(&str, &str)], responses: &mut Value) {
    for (status, what) in failures {
        responses[*status] = failure(what);
    }
}

fn answers(description: &str, schema: &Value) -> Value {
    json!({"200": {"description": description, "content": {"application/json": {"schema": schema}}}})
}

fn page(description: &str) -> Value {
    json!({"200": {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}})
}

fn text_answer(description: &str) -> Value {
    json!({"200": {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}})
}

/// A page with a form.
fn form(description: &str) -> Value {
    let mut answers = page(description);
    answers["400"] = page("The form, with what is wrong beside it.")["200"].clone();
    answers
}

fn text(name: &str, description: &str) -> Value {
    parameter(name, description, &json!({"type": "string"}))
}

fn failure(description: &str) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": reference("Failure")}}})
}

fn model() -> Value {
    parameter("model", "The model to ask, if there are several.", &json!({"type": "string"}))
}

fn parameter(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn probability(of: &str) -> Value {
    json!({"type": "number", "minimum": 0, "maximum": 1, "description": format!("The probability {of}.")})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
