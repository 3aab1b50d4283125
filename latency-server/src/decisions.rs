//! What a prediction is for: `POST /rank`, the best of several; `POST /timeout`, a deadline; `POST /judge`, a verdict.

use latency_core::{Entry, Judgement, ModelTag, Place, Predictor, Ranked, Row, Timeout};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{post, routes};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::body::Body;
use crate::elements::Elements;
use crate::errors::{Failure, Json, json};
use crate::logging::spawn_blocking;
use crate::metrics::{self, Seen};
use crate::models::Model;
use crate::predict::{MAX_ROW_BYTES, invalid_json, not_json};
use crate::query::Query;
use crate::question::{Question, invalid_field, kind};

/// The most candidates of one question. There are fewer cloud regions.
pub const MAX_CANDIDATES: usize = 1_000;

/// What a deadline is asked for without a quantile.
pub const DEFAULT_QUANTILE: f64 = 0.99;

/// The providers whose regions can be asked for by one word.
const PROVIDERS: [&str; 3] = ["aws", "azure", "gcp"];

/// Attaches the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("decisions", |rocket| async { rocket.mount("/", routes![rank, timeout, judge]) })
}

/// An answer beside the model that gave it.
#[derive(Serialize)]
struct Answer<'a, T> {
    #[serde(flatten)]
    answer: T,
    model: ModelTag<'a>,
}

#[post("/timeout", data = "<body>")]
fn timeout(query: Query, body: Result<Body, Failure>, model: Result<Model, Failure>) -> Result<Json, Failure> {
    let Body(text) = body?;
    query.only(&["model"])?;
    let model = model?;
    deadline(&model, model.0.seen(), &text)
}

/// How long to wait, for a question in JSON.
pub fn deadline(predictor: &Predictor, seen: Option<&Seen>, text: &str) -> Result<Json, Failure> {
    let question = Question::read(text, &["quantile"], r#"{"src": "London", "dst": "Tokyo", "quantile": 0.99}"#)?;
    let quantile = question.number("quantile")?.unwrap_or(DEFAULT_QUANTILE);
    let answer: Timeout = predictor.timeout(&question.row()?, quantile)?;
    if let Some(seen) = seen {
        seen.note(metrics::Question::Timeout, &answer.prediction);
    }
    json(&Answer { answer, model: predictor.model_info().tag() })
}

#[post("/judge", data = "<body>")]
fn judge(query: Query, body: Result<Body, Failure>, model: Result<Model, Failure>) -> Result<Json, Failure> {
    let Body(text) = body?;
    query.only(&["model"])?;
    let model = model?;
    verdict(&model, model.0.seen(), &text)
}

/// Whether a measurement can be true, for a question in JSON.
pub fn verdict(predictor: &Predictor, seen: Option<&Seen>, text: &str) -> Result<Json, Failure> {
    let question = Question::read(text, &["measured_ms"], r#"{"src": "London", "dst": "Tokyo", "measured_ms": 240}"#)?;
    let answer: Judgement = predictor.judge(&question.row()?, question.measured_ms()?)?;
    if let Some(seen) = seen {
        seen.note(metrics::Question::Judge, &answer.prediction);
    }
    json(&Answer { answer, model: predictor.model_info().tag() })
}

#[post("/rank", data = "<body>")]
async fn rank(query: Query, body: Result<Body, Failure>, model: Result<Model, Failure>) -> Result<Json, Failure> {
    let Body(text) = body?;
    query.only(&["model"])?;
    let model = model?;
    // A few words can ask for a thousand predictions.
    spawn_blocking(move || ranking(&model, model.0.seen(), &text)).await.unwrap_or_else(|error| {
        log::error!("a ranking was not finished: {error}");
        Err(Failure::internal())
    })
}

#[derive(Serialize)]
struct Ranking<'a> {
    ranked: Vec<Placed<'a>>,
    model: ModelTag<'a>,
}

/// A candidate as its caller wrote it, with its place among the others.
#[derive(Serialize)]
struct Placed<'a> {
    candidate: &'a Candidate<'a>,
    #[serde(flatten)]
    ranked: Ranked,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Candidate<'a> {
    Given(&'a RawValue),
    /// One of the regions that were asked for by one word.
    Region(String),
}

/// The best of several, for a question in JSON.
pub fn ranking(predictor: &Predictor, seen: Option<&Seen>, text: &str) -> Result<Json, Failure> {
    let example = r#"{"src": "London", "candidates": ["aws:eu-west-2", "aws:us-east-1"], "budget_ms": 80}"#;
    let question = Question::read(text, &["candidates", "budget_ms"], example)?;
    let budget_ms = question.number("budget_ms")?;
    let candidates = candidates(&question)?;
    let shared = question.entries()?;
    if let Some((key, _)) = shared.iter().find(|(key, _)| key == "dst") {
        return Err(invalid_field(
            key,
            "found beside `candidates`; allowed: each candidate is a destination; leave it out",
        ));
    }
    let path = |candidate: &Candidate<'_>| -> latency_core::Result<Row> {
        let dst = match candidate {
            Candidate::Given(value) => Entry::from_json_str("dst", value.get())?,
            Candidate::Region(name) => Entry::Value(name.as_str().into()),
        };
        Row::from_entries(shared.iter().cloned().chain([("dst".to_owned(), dst)]))
    };
    let paths = candidates.iter().enumerate();
    let paths = paths.map(|(index, candidate)| path(candidate).map_err(|error| error.in_candidate(index)));
    let paths = paths.collect::<latency_core::Result<Vec<_>>>()?;
    let ranked = predictor.rank_paths(&paths, budget_ms).map_err(|error| match error.row() {
        Some(index) => error.in_candidate(index),
        None => error,
    })?;
    if let Some(seen) = seen {
        let mut rows = seen.rows(metrics::Question::Rank);
        for ranked in &ranked {
            rows.note(&ranked.prediction);
        }
    }
    let placed = |ranked: Ranked| candidates.get(ranked.index).map(|candidate| Placed { candidate, ranked });
    json(&Ranking { ranked: ranked.into_iter().filter_map(placed).collect(), model: predictor.model_info().tag() })
}

fn candidates<'a>(question: &Question<'a>) -> Result<Vec<Candidate<'a>>, Failure> {
    let allowed = r#"allowed: an array of ends, such as ["aws:eu-west-2", "LHR"], or {"regions": "aws"} for all of a provider's regions, which is aws, azure, gcp, or all"#;
    let Some(value) = question.get("candidates") else {
        let failure =
            Failure::new(Status::BadRequest, "MISSING_FIELD", format!("required, but not given; {allowed}; give it"));
        return Err(Failure { field: Some("candidates".to_owned()), ..failure });
    };
    match kind(value.get()) {
        "an array" => {
            let Elements::<MAX_CANDIDATES> { elements, found } =
                serde_json::from_str(value.get()).map_err(|error| not_json(&error, "an array of ends"))?;
            if found > MAX_CANDIDATES {
                let message = format!("found {found} candidates; allowed: up to {MAX_CANDIDATES} in one request");
                let failure = Failure::new(Status::PayloadTooLarge, "TOO_MANY_ROWS", message);
                return Err(Failure { field: Some("candidates".to_owned()), ..failure });
            }
            if let Some((index, bytes)) =
                elements.iter().map(|value| value.get().len()).enumerate().find(|(_, bytes)| *bytes > MAX_ROW_BYTES)
            {
                let message = format!("found {bytes} bytes for one candidate; allowed: up to {MAX_ROW_BYTES}");
                return Err(Failure { field: Some(format!("candidates[{index}]")), ..invalid_json(message) });
            }
            Ok(elements.into_iter().map(Candidate::Given).collect())
        }
        "an object" => {
            let found = Question::read(value.get(), &["regions"], r#"{"regions": "aws"}"#)?;
            let word = found.get("regions").filter(|_| found.entries().is_ok_and(|others| others.is_empty()));
            let word = word.and_then(|word| serde_json::from_str::<String>(word.get()).ok());
            match word.as_deref() {
                Some(word) if word == "all" || PROVIDERS.contains(&word) => {
                    let regions = Place::cloud_regions().filter(|region| {
                        word == "all" || region.provider().is_some_and(|known| known.as_str() == word)
                    });
                    Ok(regions.map(|region| Candidate::Region(region.to_string())).collect())
                }
                Some(word) => {
                    Err(invalid_field("candidates.regions", format!("found {word:?}; allowed: aws, azure, gcp, all")))
                }
                None => Err(invalid_field(
                    "candidates",
                    format!("found an object that is no {{\"regions\": …}}; {allowed}"),
                )),
            }
        }
        kind => Err(invalid_field("candidates", format!("found {kind}; {allowed}"))),
    }
}
