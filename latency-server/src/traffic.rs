//! Every request: its id, its line in the log, its counts.
//!
//! The time of an answer ends when it is ready to be sent, so that a slow client does not make the server look slow;
//! that of a streamed body ends with the stream.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use opentelemetry::trace::Span as _;
use opentelemetry_sdk::trace::Span;
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Method, Status};
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};
use rocket::response::Body;
use rocket::tokio::io::{AsyncRead, ReadBuf};
use rocket::{Data, Request, Response, async_trait};

use crate::logging::{self, ACCESS};
use crate::metrics::{InFlight, Metrics, UNMATCHED};
use crate::spans::{self, Answered, Spans};
use crate::trace::{self, Parent};

const ID: &str = "X-Request-Id";

/// The most bytes of an answer that are copied at a time.
const MAX_PIECE: usize = 256 * 1024;

/// Attaches the bookkeeping. It comes before all others, so that it knows of every request and sees every answer.
pub fn stage(spans: Option<Spans>) -> impl Fairing {
    Traffic { spans }
}

struct Traffic {
    spans: Option<Spans>,
}

/// A request that is worked on.
struct Exchange {
    started: Instant,
    /// Rocket makes a GET of a HEAD.
    method: Method,
    id: Arc<str>,
    trace: Option<String>,
    /// Taken when the answer is there.
    span: Option<Mutex<Option<Box<Span>>>>,
    array: AtomicBool,
    _logged: logging::InRequest,
    _in_flight: Option<InFlight>,
}

/// Where to say that a request asks about many rows: such are timed apart from those about one.
pub struct ManyRows<'r>(Option<&'r AtomicBool>);

impl ManyRows<'_> {
    /// It does.
    pub fn are_asked(&self) {
        if let Some(array) = self.0 {
            array.store(true, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl<'r> FromRequest<'r> for ManyRows<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Infallible> {
        Outcome::Success(Self(request.local_cache(|| None::<Exchange>).as_ref().map(|exchange| &exchange.array)))
    }
}

/// What is said of an answered request.
struct Record {
    array: bool,
    method: &'static str,
    route: Cow<'static, str>,
    /// Without the query.
    path: String,
    status: u16,
    client: Option<IpAddr>,
    trace: Option<String>,
    span: Option<Box<Span>>,
}

#[async_trait]
impl Fairing for Traffic {
    fn info(&self) -> Info {
        Info { name: "traffic", kind: Kind::Request | Kind::Response }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let id: Arc<str> = trace::request_id(request.headers().get_one(ID)).into();
        let mut parents = request.headers().get("traceparent");
        let parent = match (parents.next(), parents.next()) {
            (Some(parent), None) => Parent::read(parent),
            _ => None,
        };
        let span = self.spans.as_ref().and_then(|spans| spans.of_request(request, parent));
        let within = self.spans.as_ref().zip(span.as_ref()).map(|(spans, span)| spans.parent(span));
        let exchange = Exchange {
            started: Instant::now(),
            method: request.method(),
            _logged: logging::in_request(Arc::clone(&id), within),
            id,
            trace: parent.map(|parent| parent.trace_id.to_owned()),
            span: span.map(|span| Mutex::new(Some(span))),
            array: AtomicBool::new(false),
            _in_flight: Metrics::of(request).map(|metrics| metrics.begin()),
        };
        request.local_cache(|| Some(exchange));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(exchange) = request.local_cache(|| None::<Exchange>) else { return };
        response.set_header(Header::new(ID, exchange.id.to_string()));
        let metrics = Metrics::of(request).cloned();
        let span = exchange.span.as_ref();
        let span = span.and_then(|span| span.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut record = Record {
            array: exchange.array.load(Ordering::Relaxed),
            method: exchange.method.as_str(),
            route: request.route().map_or(Cow::Borrowed(UNMATCHED), |route| Cow::Owned(route.uri.path().to_owned())),
            path: if log::log_enabled!(target: ACCESS, log::Level::Info) {
                request.uri().path().to_string()
            } else {
                String::new()
            },
            status: response.status().code,
            client: request.remote().map(|remote| remote.ip()),
            trace: exchange.trace.clone(),
            span,
        };
        if let Some(span) = &mut record.span {
            let answered = Answered {
                method: Some(record.method),
                route: request.route().map(|route| route.uri.path()),
                status: record.status,
                id: Some(&exchange.id),
            };
            spans::describe(span, request, &answered);
        }
        let size = response.body_mut().size().await;
        if let Some(size) = size {
            // In one piece; with a byte more, so that its end is seen without room for another piece.
            response.set_max_chunk_size(size.min(MAX_PIECE) + 1);
        }
        let body = response.body_mut();
        if body.is_some() && size.is_none() && exchange.method != Method::Head {
            let chunk = body.max_chunk_size();
            let finished = Finished { started: exchange.started, record, metrics };
            let body = Measured { body: body.take(), _finished: finished };
            response.set_streamed_body(body);
            response.set_max_chunk_size(chunk);
        } else {
            record.write(metrics.as_deref(), exchange.started.elapsed());
        }
    }
}

/// Counts a request that is so broken that fairings do not get to see it: Rocket goes straight to the catcher.
pub fn salvaged(status: Status, request: &Request<'_>) {
    if request.local_cache(|| None::<Exchange>).is_none() {
        let mut span = request.rocket().state().and_then(Spans::of_broken_request);
        if let Some(span) = &mut span {
            spans::describe(span, request, &Answered { method: None, route: None, status: status.code, id: None });
        }
        let mut record = Record {
            array: false,
            method: "other",
            route: UNMATCHED.into(),
            path: String::new(),
            status: status.code,
            client: request.remote().map(|remote| remote.ip()),
            trace: None,
            span,
        };
        record.write(Metrics::of(request).map(|metrics| &**metrics), Duration::ZERO);
    }
}

impl Record {
    fn write(&mut self, metrics: Option<&Metrics>, took: Duration) {
        if let Some(metrics) = metrics {
            metrics.answered(&self.route, self.array, self.method, self.status, took);
        }
        // It ends with its line.
        let span = self.span.take();
        let context = span.as_ref().map(|span| span.span_context());
        log::info!(
            target: ACCESS,
            method = self.method,
            path = self.path.as_str(),
            route = &*self.route,
            status = self.status,
            seconds = took.as_secs_f64(),
            client = self.client.map(|client| client.to_string()).as_deref(),
            trace_id = context.map(|context| context.trace_id().to_string()).as_deref().or(self.trace.as_deref()),
            span_id = context.map(|context| context.span_id().to_string()).as_deref();
            "{} {} {}", self.method, self.route, self.status
        );
    }
}

/// A streamed body, whose end is the end of its request.
struct Measured<'r> {
    body: Body<'r>,
    _finished: Finished,
}

struct Finished {
    started: Instant,
    record: Record,
    metrics: Option<Arc<Metrics>>,
}

impl Drop for Finished {
    fn drop(&mut self) {
        self.record.write(self.metrics.as_deref(), self.started.elapsed());
    }
}

impl AsyncRead for Measured<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.body).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocket::local::blocking::Client;
    use rocket::response::stream::TextStream;
    use rocket::tokio::time::sleep;
    use rocket::{get, routes};

    use super::*;

    const PAUSE: Duration = Duration::from_millis(50);

    #[get("/stream")]
    fn stream() -> TextStream![&'static str] {
        TextStream! {
            yield "one ";
            sleep(PAUSE).await;
            yield "two";
        }
    }

    #[test]
    fn a_streamed_answer_ends_with_its_stream() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let rocket = rocket::build().manage(Arc::clone(&metrics)).attach(stage(None)).mount("/", routes![stream]);
        let client = Client::untracked(rocket).unwrap();
        let response = client.get("/stream").dispatch();
        assert_eq!((metrics.in_flight(), metrics.answers("/stream").0), (1, 0));
        assert_eq!(response.into_string().as_deref(), Some("one two"));
        let (answers, seconds) = metrics.answers("/stream");
        assert_eq!((metrics.in_flight(), answers), (0, 1));
        assert!(seconds >= PAUSE.as_secs_f64(), "{seconds}");
    }
}
