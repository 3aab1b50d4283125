//! Errors over HTTP: their status, their JSON form, and an answer where no route has one.

use std::borrow::Cow;
use std::io::Cursor;

use latency_core::ErrorGroup;
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Header, Method, Status};
use rocket::response::{self, Responder, Response};
use rocket::{Request, catch, catchers};
use serde::Serialize;

use crate::dialect::Dialect;
use crate::gate::Refused;
use crate::metrics::Metrics;
use crate::traffic;

/// Attaches the catchers.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("errors", |rocket| async { rocket.register("/", catchers![uncaught]) })
}

/// The codes of errors that have no [`latency_core::ErrorKind`].
pub const OWN_CODES: &[&str] = &[
    "BAD_REQUEST",
    "BODY_TOO_LARGE",
    "BODY_TOO_SLOW",
    "CROSS_SITE",
    "CSRF",
    "FORBIDDEN",
    "ID_CONFLICT",
    "INCOMPLETE_BODY",
    "INTERNAL",
    "INVALID_ARROW",
    "INVALID_CSV",
    "INVALID_ENCODING",
    "INVALID_PARQUET",
    "METHOD_NOT_ALLOWED",
    "MODEL_REQUIRED",
    "MODEL_UNLOADED",
    "NOT_ACCEPTABLE",
    "NOT_FOUND",
    "NOT_IN_REGISTRY",
    "NOT_READY",
    "OBSERVATIONS_BUSY",
    "OBSERVATIONS_FULL",
    "OBSERVATIONS_OFF",
    "OBSERVATIONS_UNAVAILABLE",
    "OVERLOADED",
    "RATE_LIMITED",
    "REGISTRY_UNREACHABLE",
    "REGISTRY_UNUSABLE",
    "RELOAD_IN_PROGRESS",
    "STOPPING",
    "TOO_MANY_ROWS",
    "UNAUTHORIZED",
    "UNKNOWN_MODEL",
    "UNSUPPORTED_ENCODING",
    "UNSUPPORTED_MEDIA_TYPE",
];

/// A JSON answer.
pub type Json = (ContentType, Vec<u8>);

/// The JSON answer that shows this value.
pub fn json(value: &impl Serialize) -> Result<Json, Failure> {
    serde_json::to_vec(value).map(|body| (ContentType::JSON, body)).map_err(|error| unwritten(&error))
}

/// An answer could not be written.
pub fn unwritten(error: &serde_json::Error) -> Failure {
    log::error!("an answer could not be written as JSON: {error}");
    Failure::internal()
}

/// What a caller gets to see of an error, with the status it is sent under.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    #[serde(skip)]
    pub status: Status,
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    pub message: Cow<'static, str>,
    /// What else it says, such as `Retry-After`.
    #[serde(skip)]
    pub headers: Vec<Header<'static>>,
}

impl Failure {
    pub fn new(status: Status, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, field: None, row: None, message: message.into(), headers: Vec::new() }
    }

    /// With one more header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// About this field.
    pub fn about(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    pub fn internal() -> Self {
        Self::new(Status::InternalServerError, "INTERNAL", "the server failed; its log says why; try again")
    }
}

impl From<latency_core::Error> for Failure {
    /// Callers see all of their own mistakes. Of the server's troubles they see the code; the rest may name files of
    /// this machine, and goes to the log.
    fn from(error: latency_core::Error) -> Self {
        let (status, message) = match error.kind().group() {
            ErrorGroup::Input => {
                return Self {
                    field: error.field().map(str::to_owned),
                    row: error.row(),
                    ..Self::new(Status::BadRequest, error.code(), error.message().to_owned())
                };
            }
            ErrorGroup::Runtime => (
                Status::ServiceUnavailable,
                "the server cannot predict at the moment; its log says why; try again later",
            ),
            _ => (Status::InternalServerError, "the server has trouble with its model; its log says why"),
        };
        log::error!("{error:?}");
        Self::new(status, error.code(), message)
    }
}

/// The body of every error but those of other protocols: `{"error": {"code", "field"?, "row"?, "message"}}`.
#[derive(Serialize)]
pub struct ErrorBody<F> {
    pub error: F,
}

impl<'r> Responder<'r, 'static> for Failure {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Some(metrics) = Metrics::of(request) {
            metrics.failed(self.code);
        }
        let body = Dialect::of(request).error(&self).map_err(|_| Status::InternalServerError)?;
        let mut response = Response::build();
        response.status(self.status).header(ContentType::JSON).sized_body(body.len(), Cursor::new(body));
        for header in self.headers {
            response.header(header);
        }
        response.ok()
    }
}

#[catch(default)]
fn uncaught(status: Status, request: &Request<'_>) -> Failure {
    traffic::salvaged(status, request);
    if let Refused(Some(failure)) = request.local_cache(Refused::default) {
        return failure.clone();
    }
    match status {
        // Rocket answers 404 to a wrong method as well.
        Status::NotFound => match methods(request) {
            Some(methods) => Failure::new(
                Status::MethodNotAllowed,
                "METHOD_NOT_ALLOWED",
                format!("found {}; allowed here: {methods}", request.method()),
            )
            .with_header("Allow", methods),
            None => Failure::new(status, "NOT_FOUND", format!("there is nothing here; allowed: {}", paths(request))),
        },
        Status { code: 400..500, .. } => Failure::new(
            status,
            "BAD_REQUEST",
            format!("found a request that cannot be answered ({status}); docs/server.md shows what is allowed"),
        ),
        _ => Failure::internal(),
    }
}

/// The methods that this path answers, if the path is known and the request's method is none of them.
fn methods(request: &Request<'_>) -> Option<String> {
    let path = request.uri().path();
    let mut methods: Vec<&str> = Vec::new();
    for route in request.rocket().routes().filter(|route| fits(route.uri.path(), path.as_str())) {
        methods.push(route.method.as_str());
        if route.method == Method::Get {
            methods.push(Method::Head.as_str());
        }
    }
    methods.sort_unstable();
    methods.dedup();
    (!methods.is_empty() && !methods.contains(&request.method().as_str())).then(|| methods.join(", "))
}

/// Whether a path is one of those that a route such as `/models/<name>` stands for.
fn fits(route: &str, path: &str) -> bool {
    let (mut parts, mut segments) = (route.split('/'), path.split('/'));
    loop {
        match (parts.next(), segments.next()) {
            (None, None) => return true,
            (Some(part), _) if part.starts_with('<') && part.ends_with("..>") => return true,
            (Some(part), Some(segment)) if part == segment || (part.starts_with('<') && !segment.is_empty()) => {}
            _ => return false,
        }
    }
}

fn paths(request: &Request<'_>) -> String {
    let routes = request.rocket().routes().filter(|route| !route.uri.path().starts_with("/static/"));
    let mut paths: Vec<_> = routes.map(|route| format!("{} {}", route.method, route.uri.path())).collect();
    paths.sort_unstable();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use latency_core::{Error, ErrorKind};

    use super::*;

    #[test]
    fn the_servers_own_troubles_show_their_code_and_nothing_else() {
        for kind in ErrorKind::ALL.iter().filter(|kind| kind.group() != ErrorGroup::Input) {
            let error = Error::new(*kind, "cannot read /secret/place")
                .with_field("/secret/field")
                .with_context("file", "/secret/context")
                .with_source("/secret/source");
            let failure = Failure::from(error);
            assert!(failure.status.code >= 500, "{kind}");
            let body = serde_json::to_string(&failure).unwrap();
            assert!(body.contains(kind.code()), "{body}");
            assert!(!body.contains("secret"), "{body}");
        }
    }

    #[test]
    fn the_callers_mistakes_are_shown_whole() {
        for kind in ErrorKind::ALL.iter().filter(|kind| kind.group() == ErrorGroup::Input) {
            let error = Error::new(*kind, "found 91; allowed: −90 to 90").with_field("src.lat").with_row(3);
            let expected = serde_json::to_value(&error).unwrap();
            let failure = Failure::from(error);
            assert_eq!(failure.status, Status::BadRequest);
            assert_eq!(serde_json::to_value(&failure).unwrap(), expected);
        }
    }

    #[test]
    fn routes_with_parameters_fit() {
        for (route, path, expected) in [
            ("/", "/", true),
            ("/predict", "/predict", true),
            ("/predict", "/predict/", false),
            ("/predict", "/", false),
            ("/models/<name>", "/models/a", true),
            ("/models/<name>", "/models/", false),
            ("/models/<name>/load", "/models/a/load", true),
            ("/models/<name>/load", "/models/a", false),
            ("/static/<path..>", "/static/a/b", true),
        ] {
            assert_eq!(fits(route, path), expected, "{route} {path}");
        }
    }
}
