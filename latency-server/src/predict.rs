//! `POST /predict`: one row or an array of rows.

use std::borrow::Cow;
use std::fmt;

use latency_core::{ModelTag, Prediction, Row};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{post, routes};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::{Body, MaxBodyBytes};
use crate::errors::{ErrorBody, Failure, Json, json};
use crate::logging;
use crate::metrics::Question;
use crate::models::Model;

/// The most rows in one request.
const MAX_ROWS: usize = 100_000;

/// The most bytes of one row's JSON. Parsed, JSON of many small parts takes a hundred times its size.
const MAX_ROW_BYTES: usize = 16 * 1024;

/// Rows that are parsed and predicted at a time: between two chunks other requests get their turn with the model.
const CHUNK_ROWS: usize = 1_024;

/// What a body may hold, for messages.
const ALLOWED: &str = r#"allowed: one object such as {"src": "London", "dst": "Tokyo"}, or an array of them; null, not NaN, where a value is not known"#;

/// Attaches the route.
pub fn stage(max_body_bytes: u64) -> AdHoc {
    AdHoc::on_ignite("predict", move |rocket| async move {
        rocket.manage(MaxBodyBytes(max_body_bytes)).mount("/", routes![predict])
    })
}

#[post("/predict", data = "<body>")]
async fn predict(body: Result<Body, Failure>, model: Result<Model, Failure>) -> Result<Json, Failure> {
    let (Body(text), model) = (body?, model?);
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
        // Microseconds: not worth another thread.
        return predict_one(&model, &text);
    }
    logging::spawn_blocking(move || predict_many(&model, &text)).await.unwrap_or_else(|error| {
        log::error!("a batch was not finished: {error}");
        Err(Failure::internal())
    })
}

#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    prediction: Prediction,
    model: ModelTag<'a>,
}

fn predict_one(model: &Model, text: &str) -> Result<Json, Failure> {
    if text.trim().is_empty() {
        return Err(invalid_json(format!("found an empty body; {ALLOWED}")));
    }
    let prediction = model.predict(&row_from(text)?)?;
    if let Some(seen) = model.0.seen() {
        seen.note(Question::Predict, &prediction);
    }
    json(&One { prediction, model: model.model_info().tag() })
}

#[derive(Serialize)]
struct Many<'a> {
    predictions: Vec<Answer>,
    model: ModelTag<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Prediction(Prediction),
    Error(ErrorBody<Failure>),
}

fn predict_many(model: &Model, text: &str) -> Result<Json, Failure> {
    let Rows { rows: texts, found } = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    if found > MAX_ROWS {
        return Err(Failure::new(
            Status::PayloadTooLarge,
            "TOO_MANY_ROWS",
            format!("found {found} rows; allowed: up to {MAX_ROWS} in one request; send them in several"),
        ));
    }
    let mut predictions = Vec::with_capacity(texts.len());
    let mut seen = model.0.seen().map(|seen| seen.rows(Question::Predict));
    for texts in texts.chunks(CHUNK_ROWS) {
        let mut rows = Vec::with_capacity(texts.len());
        let read: Vec<Result<(), Failure>> =
            texts.iter().map(|text| row_from(text.get()).map(|row| rows.push(row))).collect();
        let mut answers = model.predict_rows(rows.iter().map(Ok))?.into_iter();
        for read in read {
            let answer = match read {
                Ok(()) => answers.next().ok_or_else(Failure::internal)?.map_err(Failure::from),
                Err(failure) => Err(failure),
            };
            if let Some(seen) = &mut seen {
                match &answer {
                    Ok(prediction) => seen.note(prediction),
                    Err(failure) => seen.failed(failure.code),
                }
            }
            let row = predictions.len();
            predictions.push(match answer {
                Ok(prediction) => Answer::Prediction(prediction),
                Err(failure) => Answer::Error(ErrorBody { error: Failure { row: Some(row), ..failure } }),
            });
        }
    }
    json(&Many { predictions, model: model.model_info().tag() })
}

fn row_from(text: &str) -> Result<Row, Failure> {
    let text = text.trim_ascii();
    if text.len() > MAX_ROW_BYTES {
        let found = text.len();
        return Err(invalid_json(format!("found {found} bytes for one row; allowed: up to {MAX_ROW_BYTES}")));
    }
    Ok(Row::from_json_str(text)?)
}

fn invalid_json(message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Status::BadRequest, "INVALID_JSON", message)
}

fn not_json(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let what = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    invalid_json(format!("found something that is not JSON at line {line} column {column} ({what}); {ALLOWED}"))
}

/// The elements of an array, cut out but not parsed; past the cap they are only counted.
struct Rows<'a> {
    rows: Vec<&'a RawValue>,
    found: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Rows<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Rows<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while rows.len() < MAX_ROWS {
                    match elements.next_element()? {
                        Some(row) => rows.push(row),
                        None => return Ok(Rows { found: rows.len(), rows }),
                    }
                }
                let mut found = rows.len();
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    found += 1;
                }
                Ok(Rows { rows, found })
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}
