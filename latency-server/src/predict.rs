//! `POST /predict`: one row or an array of rows.

use std::borrow::Cow;

use latency_core::{FieldRange, ModelTag, Prediction, Predictor, Quantile, Row, RowReader, Warning};
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::{post, routes};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::all_rows::work;
use crate::body::{Body, MaxBodyBytes};
use crate::elements::Elements;
use crate::errors::{ErrorBody, Failure, Json, json};
use crate::metrics::{Question, Rows, Seen};
use crate::models::Model;
use crate::query::{Query, refused};
use crate::rows_json::{RowsJson, append, room, warnings_of};
use crate::shadow::Shadow;
use crate::spans;
use crate::traffic::ManyRows;

/// The most rows in one request.
pub const MAX_ROWS: usize = 100_000;

/// The most bytes of one row's JSON. Parsed, JSON of many small parts takes a hundred times its size.
pub const MAX_ROW_BYTES: usize = 16 * 1024;

/// Rows that are parsed and predicted at a time: between two chunks other requests get their turn with the model.
const CHUNK_ROWS: usize = 1_024;

/// The most quantiles that can be asked for.
pub const MAX_QUANTILES: usize = 20;

/// What a body may hold, for messages.
const ALLOWED: &str = r#"one object such as {"src": "London", "dst": "Tokyo"}, or an array of them; null, not NaN, where a value is not known"#;

/// Attaches the route.
pub fn stage(max_body_bytes: u64) -> AdHoc {
    AdHoc::on_ignite("predict", move |rocket| async move {
        rocket.manage(MaxBodyBytes(max_body_bytes)).mount("/", routes![predict])
    })
}

#[post("/predict", data = "<body>")]
async fn predict(
    query: Query,
    body: Result<Body, Failure>,
    model: Result<Model, Failure>,
    shadow: Shadow,
    many: ManyRows<'_>,
) -> Result<Json, Failure> {
    let Body(text) = body?;
    let options = Options::read(query)?;
    let model = model?;
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
        // Microseconds: not worth another thread.
        return predict_one(&model, model.0.seen(), &shadow, &options, &text);
    }
    many.are_asked();
    let bytes = text.len();
    work(bytes, move || predict_many(&model, &shadow, &options, &text)).await
}

/// The answer to one row in JSON, which is not counted.
pub fn answer(predictor: &Predictor, text: &str) -> Result<Json, Failure> {
    predict_one(predictor, None, &Shadow::default(), &Options::default(), text)
}

/// What is asked for beside the prediction.
#[derive(Default)]
struct Options {
    quantiles: Vec<f64>,
    explain_range: bool,
}

impl Options {
    fn read(query: Query) -> Result<Self, Failure> {
        let query = query.only(&["model", "quantiles", "explain_range"])?;
        let quantiles = query.get("quantiles").map_or_else(|| Ok(Vec::new()), |text| {
            let numbers = text.split(',').map(|part| part.trim().parse::<f64>());
            let numbers: Result<Vec<_>, _> = numbers.take(MAX_QUANTILES + 1).collect();
            numbers.ok().filter(|numbers| numbers.len() <= MAX_QUANTILES).ok_or_else(|| {
                let message = format!(
                    "found {:?}; allowed: up to {MAX_QUANTILES} numbers from 0.5 to 0.999, as in `quantiles=0.5,0.9,0.999`",
                    text.chars().take(40).collect::<String>()
                );
                refused("INVALID_FIELD", "quantiles", message)
            })
        })?;
        Ok(Self { quantiles, explain_range: query.flag("explain_range")? })
    }

    fn any(&self) -> bool {
        self.explain_range || !self.quantiles.is_empty()
    }

    /// The prediction, and what is asked for beside it.
    fn predict(&self, predictor: &Predictor, row: &Row) -> latency_core::Result<Predicted> {
        let (prediction, quantiles) = if self.quantiles.is_empty() {
            (predictor.predict(row)?, None)
        } else {
            let (prediction, quantiles) = predictor.quantiles(row, &self.quantiles)?;
            (prediction, Some(quantiles))
        };
        let ranges = if self.explain_range { Some(predictor.ranges(row)?) } else { None };
        Ok(Predicted { prediction, quantiles, ranges })
    }
}

/// A prediction, and what was asked for beside it.
#[derive(Serialize)]
struct Predicted {
    #[serde(flatten)]
    prediction: Prediction,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantiles: Option<Vec<Quantile>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<FieldRange>>,
}

#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    predicted: Predicted,
    model: ModelTag<'a>,
}

fn predict_one(
    predictor: &Predictor,
    seen: Option<&Seen>,
    shadow: &Shadow,
    options: &Options,
    text: &str,
) -> Result<Json, Failure> {
    if text.trim().is_empty() {
        return Err(invalid_json(format!("found an empty body; allowed: {ALLOWED}")));
    }
    let row = row_from(&mut RowReader::new(), text)?;
    let predicted = options.predict(predictor, &row)?;
    shadow.ask(&row, predicted.prediction.p50_ms);
    if let Some(seen) = seen {
        seen.note(Question::Predict, &predicted.prediction);
    }
    json(&One { predicted, model: predictor.model_info().tag() })
}

fn predict_many(model: &Model, shadow: &Shadow, options: &Options, text: &str) -> Result<Json, Failure> {
    let Elements::<MAX_ROWS> { elements: texts, found } =
        serde_json::from_str(text).map_err(|error| not_json(&error, ALLOWED))?;
    if found > MAX_ROWS {
        return Err(too_many_rows(&found.to_string()));
    }
    let _span = spans::of_rows(&model.0, texts.len());
    let mut answers = Answers {
        out: room(texts.len()),
        rows: 0,
        seen: model.0.seen().map(|seen| seen.rows(Question::Predict)),
        shadow,
    };
    answers.out.extend_from_slice(b"{\"predictions\":[");
    let mut reader = RowReader::new();
    for texts in texts.chunks(CHUNK_ROWS) {
        if options.any() {
            for text in texts {
                answers.add(model, row_from(&mut reader, text.get()), options)?;
            }
        } else {
            answers.add_chunk(model, &mut reader, texts)?;
        }
    }
    let mut out = answers.out;
    out.extend_from_slice(b"],\"model\":");
    append(&mut out, &model.model_info().tag())?;
    out.push(b'}');
    Ok((ContentType::JSON, out))
}

/// The answers of an array, written one after the other.
struct Answers<'a> {
    out: Vec<u8>,
    rows: usize,
    seen: Option<Rows<'a>>,
    shadow: &'a Shadow,
}

impl Answers<'_> {
    /// Predicts these rows together, and adds their answers.
    fn add_chunk(&mut self, predictor: &Predictor, reader: &mut RowReader, texts: &[&RawValue]) -> Result<(), Failure> {
        let mut batch = predictor.row_batch();
        // Per row: its number in the batch, and itself if the shadow is asked too; or what is wrong with it.
        let mut read = Vec::with_capacity(texts.len());
        for text in texts {
            let row = row_from(reader, text.get());
            read.push(row.and_then(|row| {
                let number = batch.len();
                batch.push(Ok(&row))?;
                Ok((number, self.shadow.is_there().then_some(row)))
            }));
        }
        let predictions = batch.predict()?;
        let rows = RowsJson::new(&predictions);
        for read in read {
            match read {
                Ok((number, row)) => {
                    let p50_ms = *predictions.p50_ms.get(number).ok_or_else(Failure::internal)?;
                    self.begin(row.as_ref(), p50_ms, warnings_of(&predictions, number));
                    rows.write(number, &mut self.out)?;
                }
                Err(failure) => self.add_failure(failure)?,
            }
        }
        Ok(())
    }

    /// Predicts one row with what else is asked for, and adds its answer.
    fn add(&mut self, predictor: &Predictor, row: Result<Row, Failure>, options: &Options) -> Result<(), Failure> {
        let answer = row.and_then(|row| Ok((options.predict(predictor, &row)?, row)));
        match answer {
            Ok((predicted, row)) => {
                let Prediction { p50_ms, warnings, .. } = &predicted.prediction;
                self.begin(Some(&row), *p50_ms, warnings);
                append(&mut self.out, &predicted)
            }
            Err(failure) => self.add_failure(failure),
        }
    }

    fn add_failure(&mut self, failure: Failure) -> Result<(), Failure> {
        if let Some(seen) = &mut self.seen {
            seen.failed(failure.code);
        }
        let row = self.next();
        append(&mut self.out, &ErrorBody { error: Failure { row: Some(row), ..failure } })
    }

    /// A row was predicted, and its answer comes next.
    fn begin<'w>(&mut self, row: Option<&Row>, p50_ms: f32, warnings: impl IntoIterator<Item = &'w Warning>) {
        if let Some(row) = row {
            self.shadow.ask(row, p50_ms);
        }
        if let Some(seen) = &mut self.seen {
            seen.note_row(p50_ms, warnings);
        }
        self.next();
    }

    /// The number of the row whose answer comes next.
    fn next(&mut self) -> usize {
        if self.rows > 0 {
            self.out.push(b',');
        }
        self.rows += 1;
        self.rows - 1
    }
}

/// One row from its JSON.
pub fn row_from(reader: &mut RowReader, text: &str) -> Result<Row, Failure> {
    let text = text.trim_ascii();
    if text.len() > MAX_ROW_BYTES {
        return Err(row_too_long("INVALID_JSON", &text.len().to_string()));
    }
    Ok(reader.json_str(text)?)
}

/// `found` bytes in one row.
pub fn row_too_long(code: &'static str, found: &str) -> Failure {
    let message = format!("found {found} bytes for one row; allowed: up to {MAX_ROW_BYTES}");
    Failure::new(Status::BadRequest, code, message)
}

/// `found` rows in one request.
pub fn too_many_rows(found: &str) -> Failure {
    let message = format!("found {found} rows; allowed: up to {MAX_ROWS} in one request; send them in several");
    Failure::new(Status::PayloadTooLarge, "TOO_MANY_ROWS", message)
}

pub fn invalid_json(message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Status::BadRequest, "INVALID_JSON", message)
}

/// `allowed` is what a body may hold.
pub fn not_json(error: &serde_json::Error, allowed: &str) -> Failure {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let what = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    invalid_json(format!(
        "found something that is not JSON at line {line} column {column} ({what}); allowed: {allowed}"
    ))
}
