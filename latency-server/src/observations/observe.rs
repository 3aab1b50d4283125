//! `POST /observe`: one measured RTT, or an array of them.

use std::sync::Arc;

use latency_core::{Predictor, RowReader, Verdict};
use rocket::http::Status;
use rocket::{State, post};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::Observations;
use super::observation::{Observation, Predicted, Report};
use super::store::Receipt;
use crate::body::Body;
use crate::elements::Elements;
use crate::errors::{ErrorBody, Failure, Json, json};
use crate::limits::Share;
use crate::logging::spawn_blocking;
use crate::models::Asked;
use crate::predict::not_json;
use crate::query::Query;
use crate::question::{Question, invalid_field, kind};
use crate::rfc3339::{parse_rfc3339, unix_ms};

/// The most observations in one request.
pub(crate) const MAX_OBSERVATIONS: usize = 10_000;

/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Whoever waits for more than an hour measures something else.
const MAX_MEASURED_MS: f64 = 3_600_000.0;

/// How far clocks may be apart.
const AHEAD: Duration = Duration::DAY;

const EXAMPLE: &str =
    r#"{"src": "London", "dst": "Tokyo", "measured_ms": 240, "at": "2026-01-31T12:00:00Z", "id": "probe-7-1"}"#;

#[post("/observe", data = "<body>")]
pub async fn observe(
    query: Query,
    share: Result<Share<'_>, Failure>,
    body: Result<Body, Failure>,
    asked: Result<Asked, Failure>,
    observations: &State<Observations>,
) -> Result<Json, Failure> {
    let Body(text) = body?;
    query.only(&["model"])?;
    let Asked(slot) = asked?;
    let kept = observations.kept()?;
    let (served, name) = (slot.answering()?, slot.name().to_owned());
    let read = {
        let served = served.clone();
        spawn_blocking(move || Read::of(&served.predictor, &name, &text)).await
    };
    let read = read.unwrap_or_else(|error| {
        log::error!("observations were not read: {error}");
        Err(Failure::internal())
    })?;
    let receipts = if read.observations.is_empty() {
        Vec::new()
    } else {
        // However long the disk takes, others work meanwhile; the writer's queue says how many may wait.
        share?.end_turn();
        kept.writer.store(slot.name(), served, Arc::clone(&read.observations)).await?
    };
    read.answer(receipts)
}

/// The answer to observations as if they were stored.
pub(crate) fn example(predictor: &Predictor, text: &str) -> Result<Json, Failure> {
    let read = Read::of(predictor, &predictor.model_info().name, text)?;
    let receipts = read.observations.iter().map(|_| Receipt::Stored).collect();
    read.answer(receipts)
}

/// What a body holds.
struct Read {
    /// Whether it is one object, not an array.
    alone: bool,
    /// The good ones.
    observations: Arc<[Observation]>,
    /// The others, by their place.
    failures: Vec<(usize, Failure)>,
}

impl Read {
    fn of(predictor: &Predictor, model: &str, text: &str) -> Result<Self, Failure> {
        let mut reader = RowReader::new();
        let mut observation = |text: &str| {
            let report = report(&mut reader, text)?;
            Observation::new(predictor, model, report).map_err(Failure::from)
        };
        if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
            return Ok(Self { alone: true, observations: Arc::new([observation(text)?]), failures: Vec::new() });
        }
        let Elements::<MAX_OBSERVATIONS> { elements, found } = serde_json::from_str(text)
            .map_err(|error| not_json(&error, &format!("one object such as {EXAMPLE}, or an array of them")))?;
        if found > MAX_OBSERVATIONS {
            let message = format!("found {found} observations; allowed: up to {MAX_OBSERVATIONS} in one request");
            return Err(Failure::new(Status::PayloadTooLarge, "TOO_MANY_ROWS", message));
        }
        let (mut observations, mut failures) = (Vec::new(), Vec::new());
        for (row, element) in elements.into_iter().enumerate() {
            match observation(element.get()) {
                Ok(observation) => observations.push(observation),
                Err(failure) => failures.push((row, failure)),
            }
        }
        Ok(Self { alone: false, observations: observations.into(), failures })
    }

    fn answer(self, receipts: Vec<Receipt>) -> Result<Json, Failure> {
        let answered = self.observations.iter().zip(receipts).map(|(observation, receipt)| match receipt {
            Receipt::Stored => Ok(Observed::new("stored", observation)),
            Receipt::Duplicate(before) => Ok(Observed::new("duplicate", &before)),
            Receipt::Conflict => Err(conflict()),
        });
        let mut answered: Vec<_> = answered.collect();
        if self.alone {
            return json(&answered.pop().ok_or_else(Failure::internal)??);
        }
        for (row, failure) in self.failures {
            answered.insert(row, Err(failure));
        }
        let rows = answered.into_iter().enumerate().map(|(row, answer)| match answer {
            Ok(observed) => Answer::Observed(observed),
            Err(failure) => Answer::Error(ErrorBody { error: Failure { row: Some(row), ..failure } }),
        });
        json(&Many { observations: rows.collect() })
    }
}

/// What one object says.
fn report(reader: &mut RowReader, text: &str) -> Result<Report, Failure> {
    let question = Question::read(text, &["measured_ms", "at", "id"], EXAMPLE)?;
    let measured_ms = question.measured_ms()?;
    if !(measured_ms > 0.0 && measured_ms <= MAX_MEASURED_MS) {
        let message = format!("found {measured_ms}; allowed: a number above 0, up to {MAX_MEASURED_MS} (ms)");
        return Err(invalid_field("measured_ms", message));
    }
    Ok(Report { row: reader.entries(question.entries()?)?, measured_ms, at_ms: at_ms(&question)?, id: id(&question)? })
}

fn at_ms(question: &Question<'_>) -> Result<Option<i64>, Failure> {
    let Some(text) = word(question, "at")? else { return Ok(None) };
    let allowed = "allowed: a time such as 2026-01-31T12:00:00Z (RFC 3339), from 1970 to a day from now";
    match parse_rfc3339(&text) {
        Some(at) if (OffsetDateTime::UNIX_EPOCH..OffsetDateTime::now_utc() + AHEAD).contains(&at) => {
            Ok(Some(unix_ms(at)))
        }
        _ => Err(invalid_field("at", format!("found {:?}; {allowed}", shortened(&text)))),
    }
}

fn id(question: &Question<'_>) -> Result<Option<String>, Failure> {
    let Some(text) = word(question, "id")? else { return Ok(None) };
    if (1..=MAX_ID_BYTES).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(Some(text));
    }
    let found = shortened(&text);
    Err(invalid_field("id", format!("found {found:?}; allowed: 1 to {MAX_ID_BYTES} bytes without control characters")))
}

fn word(question: &Question<'_>, own: &'static str) -> Result<Option<String>, Failure> {
    let Some(value) = question.get(own) else { return Ok(None) };
    let text = serde_json::from_str(value.get());
    text.map(Some).map_err(|_| invalid_field(own, format!("found {}; allowed: a string", kind(value.get()))))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn conflict() -> Failure {
    let message = "found the id of another observation, with another path, RTT or time; allowed: a new id, or the \
                   same observation again";
    let failure = Failure::new(Status::Conflict, "ID_CONFLICT", message);
    Failure { field: Some("id".to_owned()), ..failure }
}

#[derive(Serialize)]
struct Many {
    observations: Vec<Answer>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Observed(Observed),
    Error(ErrorBody<Failure>),
}

/// What became of an observation, and what was predicted for it.
#[derive(Serialize)]
struct Observed {
    status: &'static str,
    measured_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(flatten)]
    predicted: Predicted,
    model: By,
}

/// The model that predicted: under which name it is served, and which version.
#[derive(Serialize)]
struct By {
    name: String,
    version: String,
}

impl Observed {
    fn new(status: &'static str, observation: &Observation) -> Self {
        Self {
            status,
            measured_ms: observation.measured_ms,
            verdict: observation.verdict.map(Verdict::as_str),
            predicted: observation.predicted,
            model: By { name: observation.model.clone(), version: observation.version.clone() },
        }
    }
}
