//! The formats of rows and answers: which one a request asks for.

use rocket::Request;
use rocket::http::{ContentType, MediaType, Status};
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};

use crate::errors::Failure;
use crate::parquet;

/// A format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, one row in a line.
    Ndjson,
    /// A table whose first line names the columns.
    Csv,
    /// A table as a stream of Arrow's IPC format.
    Arrow,
    /// A table as a file, whose end says what is in it.
    Parquet,
}

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
    let allowed = "allowed: application/x-ndjson (one JSON object in a line) or text/csv, in UTF-8, \
        application/vnd.apache.arrow.stream or application/vnd.apache.parquet";
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
        } else if is("application", &["vnd.apache.arrow.stream"]) {
            Some(Self::Arrow)
        } else {
            parquet::is_parquet(kind).then_some(Self::Parquet)
        }
    }

    fn media_type(self) -> MediaType {
        match self {
            Self::Ndjson => MediaType::new("application", "x-ndjson"),
            Self::Csv => MediaType::CSV,
            Self::Arrow => MediaType::new("application", "vnd.apache.arrow.stream"),
            Self::Parquet => parquet::media_type(),
        }
    }

    pub fn content_type(self) -> ContentType {
        ContentType(self.media_type())
    }
}
