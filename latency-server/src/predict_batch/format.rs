//! The formats of rows and answers: which one a request asks for, and how answers are written.

use latency_core::{NUMBERS, Predictor};
use rocket::Request;
use rocket::http::{ContentType, MediaType, Status};
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};

use super::intake::Chunk;
use crate::errors::{ErrorBody, Failure};
use crate::rows_json::{RowsJson, append, room, warnings_of};

/// A format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, one row in a line.
    Ndjson,
    /// A table whose first line names the columns.
    Csv,
}

/// The columns of an answer behind its numbers.
const COLUMNS: [&str; 4] = ["warnings", "code", "field", "message"];

/// The formats of a request.
pub struct Formats {
    pub of_rows: Format,
    pub of_answers: Format,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Formats {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        match formats(request) {
            Ok(formats) => Outcome::Success(formats),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

fn formats(request: &Request<'_>) -> Result<Formats, Failure> {
    let allowed = "allowed: application/x-ndjson (one JSON object in a line) or text/csv, in UTF-8";
    let kind = request.content_type();
    let of_rows = kind.and_then(|kind| Format::of(kind.media_type())).ok_or_else(|| {
        let found = kind
            .map_or_else(|| "no Content-Type".to_owned(), |kind| format!("the Content-Type {:?}", kind.to_string()));
        Failure::new(Status::UnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", format!("found {found}; {allowed}"))
    })?;
    let Some(accept) = request.accept() else { return Ok(Formats { of_rows, of_answers: of_rows }) };
    let mut wanted: Vec<_> = accept.iter().filter(|kind| kind.weight_or(1.0) > 0.0).collect();
    // A stable sort: among equals the first one is preferred.
    wanted.sort_by(|a, b| b.weight_or(1.0).total_cmp(&a.weight_or(1.0)));
    let of_answers = wanted.iter().find_map(|kind| {
        let kind = kind.media_type();
        let any = kind.top() == "*" || (kind.sub() == "*" && kind.top() == of_rows.media_type().top().as_str());
        if any { Some(of_rows) } else { Format::of(kind) }
    });
    let of_answers = of_answers.ok_or_else(|| {
        let message =
            format!("found the Accept {:?}; {allowed}, or none for the format of the rows", accept.to_string());
        Failure::new(Status::NotAcceptable, "NOT_ACCEPTABLE", message)
    })?;
    Ok(Formats { of_rows, of_answers })
}

impl Format {
    /// The format of this type, under the names that are in use.
    fn of(kind: &MediaType) -> Option<Self> {
        if kind.param("charset").is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
            return None;
        }
        let is = |top: &str, subs: &[&str]| kind.top() == top && subs.iter().any(|sub| kind.sub() == *sub);
        if is("application", &["x-ndjson", "ndjson", "jsonl", "x-jsonlines"]) {
            Some(Self::Ndjson)
        } else if is("text", &["csv"]) {
            Some(Self::Csv)
        } else {
            None
        }
    }

    fn media_type(self) -> MediaType {
        match self {
            Self::Ndjson => MediaType::new("application", "x-ndjson"),
            Self::Csv => MediaType::CSV,
        }
    }

    pub fn content_type(self) -> ContentType {
        ContentType(self.media_type())
    }

    /// What stands above the answers.
    pub fn head(self, predictor: &Predictor) -> Vec<u8> {
        match self {
            Self::Ndjson => Vec::new(),
            Self::Csv => {
                let numbers = NUMBERS.iter().take(if predictor.schema().coordinates.is_some() { 7 } else { 5 });
                let names: Vec<_> = numbers.chain(&COLUMNS).copied().collect();
                format!("{}\n", names.join(",")).into_bytes()
            }
        }
    }

    /// The answers to these rows, one in a line.
    pub fn write(self, chunk: &Chunk) -> Vec<u8> {
        match self {
            Self::Ndjson => ndjson(chunk),
            Self::Csv => csv(chunk),
        }
    }
}

fn ndjson(chunk: &Chunk) -> Vec<u8> {
    let mut bytes = room(chunk.len());
    let rows = RowsJson::new(&chunk.predictions);
    for answer in chunk.answers() {
        // What cannot be written is in the log.
        let _ = match answer {
            Ok(row) => rows.write(row, &mut bytes),
            Err(error) => append(&mut bytes, &ErrorBody { error }),
        };
        bytes.push(b'\n');
    }
    bytes
}

fn csv(chunk: &Chunk) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(chunk.len() * 80));
    let numbers = chunk.predictions.columns().count();
    for answer in chunk.answers() {
        let written = match answer {
            Ok(row) => {
                let warnings: Vec<_> = warnings_of(&chunk.predictions, row).map(ToString::to_string).collect();
                let numbers = chunk.predictions.columns().map(|(_, column)| column[row].to_string());
                writer.write_record(numbers.chain([warnings.join("; "), String::new(), String::new(), String::new()]))
            }
            Err(failure) => {
                let blank = std::iter::repeat_n("", numbers + 1);
                let field = failure.field.as_deref().unwrap_or_default();
                writer.write_record(blank.chain([failure.code, field, &failure.message]))
            }
        };
        if let Err(error) = written {
            log::error!("an answer could not be written as CSV: {error}");
        }
    }
    writer.into_inner().unwrap_or_else(|error| {
        log::error!("answers could not be written as CSV: {error}");
        Vec::new()
    })
}
