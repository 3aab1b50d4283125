//! `POST /predict/batch`: many rows as NDJSON, CSV or tables of Arrow, worked off as they arrive; or a file of Parquet, which
//! can be read only when it is there in all.
//!
//! Most clients send all of a request before they read any of its answer, browsers among them: who answers them while they
//! send waits for them, as they wait for him, once all buffers between are full. So answers are kept until the rows have ended,
//! as bare numbers. Clients that read while they send ask for `live=true`.

mod answers;
pub mod arrow_rows;
mod format;
mod intake;
mod lines;
pub mod table;
mod table_answers;

use latency_core::Predictor;
use rocket::fairing::AdHoc;
use rocket::futures::StreamExt;
use rocket::futures::stream::{self, BoxStream};
use rocket::http::{ContentType, Header};
use rocket::response::stream::ByteStream;
use rocket::response::{self, Responder, Response};
use rocket::{Request, State, post, routes};

use self::answers::Answers;
use self::format::{Format, Formats};
use self::intake::{Chunk, Intake};
use crate::body::Pieces;
use crate::errors::Failure;
use crate::models::Model;
use crate::parquet::Readers;
use crate::query::Query;

/// How many rows of a table are answered at once.
pub const ROWS_AT_ONCE: usize = 2_048;

/// Attaches the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("predict batch", |rocket| async { rocket.mount("/", routes![predict_batch]) })
}

#[post("/predict/batch", data = "<body>")]
async fn predict_batch<'r>(
    query: Query,
    formats: Result<Formats, Failure>,
    model: Result<Model, Failure>,
    body: Result<Pieces<'r>, Failure>,
    readers: &'r State<Readers>,
) -> Result<Answer<'r>, Failure> {
    let query = query.only(&["model", "live"])?;
    let live = query.flag("live")?;
    let (formats, Model(served)) = (formats?, model?);
    // A file is there in all before its first row is.
    let live = live && formats.of_rows != Format::Parquet;
    let mut intake = Intake::new(formats.of_rows, served.clone(), body?, readers, live);
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
    let mut headers = vec![Header::new("X-Latency-Model", shown(&model_of(&served.predictor)))];
    let ignored = intake.ignored_columns();
    if !ignored.is_empty() {
        headers.push(Header::new("X-Latency-Ignored-Columns", shown(&ignored.join(", "))));
    }
    let kind = formats.of_answers.content_type();
    let answers = Answers::new(formats.of_answers, &served.predictor)?;
    let answering = Answering { answers, kept: chunks.into_iter(), rest: live.then_some(intake), step: Step::Head };
    let body = stream::unfold(answering, |mut answering| async { Some((answering.next().await?, answering)) });
    let body = body.filter(|bytes| {
        let some = !bytes.is_empty();
        async move { some }
    });
    Ok(Answer { body: body.boxed(), kind, headers })
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

/// Answers on their way to the client.
struct Answering<'r> {
    answers: Answers,
    kept: std::vec::IntoIter<Chunk>,
    /// None if all rows have come.
    rest: Option<Intake<'r>>,
    step: Step,
}

enum Step {
    Head,
    Rows,
    Done,
}

impl Answering<'_> {
    /// The next bytes, which may be none; nothing at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self.step {
            Step::Head => {
                self.step = Step::Rows;
                return Some(self.answers.head());
            }
            Step::Rows => {}
            Step::Done => return None,
        }
        if let Some(chunk) = self.kept.next() {
            return Some(self.answers.write(&chunk));
        }
        if let Some(intake) = &mut self.rest {
            match intake.next().await {
                Ok(Some(chunk)) => return Some(self.answers.write(&chunk)),
                Ok(None) => {}
                // The status is sent already.
                Err(failure) => {
                    self.rest = None;
                    return Some(self.answers.write(&Chunk::failed(failure)));
                }
            }
        }
        self.step = Step::Done;
        Some(self.answers.end())
    }
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
