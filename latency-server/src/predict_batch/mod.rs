//! `POST /predict/batch`: many rows as NDJSON or CSV, worked off as they arrive.
//!
//! Most clients send all of a request before they read any of its answer, browsers among them: who answers them while they
//! send waits for them, as they wait for him, once all buffers between are full. So answers are kept until the rows have ended,
//! as bare numbers. Clients that read while they send ask for `live=true`.

mod format;
mod intake;
mod lines;
mod table;

use latency_core::Predictor;
use rocket::fairing::AdHoc;
use rocket::futures::StreamExt;
use rocket::futures::stream::{self, BoxStream};
use rocket::http::{ContentType, Header};
use rocket::response::stream::ByteStream;
use rocket::response::{self, Responder, Response};
use rocket::{Request, post, routes};

use self::format::Formats;
use self::intake::{Chunk, Intake};
use crate::body::Pieces;
use crate::errors::Failure;
use crate::models::Model;
use crate::query::Query;

/// Attaches the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("predict batch", |rocket| async { rocket.mount("/", routes![predict_batch]) })
}

#[post("/predict/batch", data = "<body>")]
async fn predict_batch(
    query: Query,
    formats: Result<Formats, Failure>,
    model: Result<Model, Failure>,
    body: Result<Pieces<'_>, Failure>,
) -> Result<Answer<'_>, Failure> {
    let query = query.only(&["model", "live"])?;
    let live = query.flag("live")?;
    let (formats, Model(served)) = (formats?, model?);
    let mut intake = Intake::new(formats.of_rows, served.clone(), body?, live);
    let mut chunks = Vec::new();
    while let Some(chunk) = intake.next().await.transpose() {
        match chunk {
            Ok(chunk) => chunks.push(chunk),
            Err(failure) => {
                intake.drain().await;
                return Err(failure);
            }
        }
        if live {
            break;
        }
    }
    let format = formats.of_answers;
    let mut headers = vec![Header::new("X-Latency-Model", shown(&model_of(&served.predictor)))];
    let ignored = intake.ignored_columns();
    if !ignored.is_empty() {
        headers.push(Header::new("X-Latency-Ignored-Columns", shown(&ignored.join(", "))));
    }
    let head = format.head(&served.predictor);
    let kept = stream::iter(chunks).map(move |chunk| format.write(&chunk));
    let rest = stream::unfold(live.then_some(intake), move |intake| async move {
        let mut intake = intake?;
        match intake.next().await {
            Ok(Some(chunk)) => Some((format.write(&chunk), Some(intake))),
            Ok(None) => None,
            // The status is sent already.
            Err(failure) => Some((format.write(&Chunk::failed(failure)), None)),
        }
    });
    let body = stream::iter([head]).chain(kept).chain(rest).filter(|bytes| {
        let some = !bytes.is_empty();
        async move { some }
    });
    Ok(Answer { body: body.boxed(), kind: format.content_type(), headers })
}

fn model_of(predictor: &Predictor) -> String {
    let info = predictor.model_info();
    format!("{} {}", info.name, info.version)
}

/// A header's value holds what can be printed, and is not endless.
fn shown(text: &str) -> String {
    let printed = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    printed.take(1_000).collect()
}

/// Answers that are written as they are read.
struct Answer<'r> {
    body: BoxStream<'r, Vec<u8>>,
    kind: ContentType,
    headers: Vec<Header<'static>>,
}

impl<'r> Responder<'r, 'r> for Answer<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        let mut response = Response::build_from(ByteStream(self.body).respond_to(request)?);
        response.header(self.kind);
        for header in self.headers {
            response.header(header);
        }
        response.ok()
    }
}
