//! Spans of OpenTelemetry: one for each request that is sampled, and for some work of its own. They go to a collector over
//! OTLP/HTTP; if none is configured, nothing of this is there.
//!
//! Whatever the collector does, no request waits for it: spans wait in a queue for a thread of their own, and those that
//! do not fit in are dropped, and counted.

mod collector;
mod queue;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span};
use prometheus::IntCounterVec;
use rocket::Request;
use rocket::fairing::AdHoc;

use self::collector::Collector;
use self::queue::{Delivery, Queue, Tally};
use crate::client::Client;
use crate::logging;
use crate::models::{Models, Reload, Served};
use crate::trace::Parent as Traceparent;

pub use settings::Settings;

/// How long the last spans may take when the server stops.
const LAST: Duration = Duration::from_secs(2);

/// The most bytes of a text that a caller wrote: spans wait in memory.
const MAX_TEXT: usize = 1_024;

/// What can become of a span, for the metrics.
pub const FATES: [&str; 3] = [queue::EXPORTED, queue::FAILED, queue::DROPPED];

/// Attaches spans to what is there when the server starts; the models are managed already.
pub(crate) fn stage(spans: Option<Spans>) -> AdHoc {
    AdHoc::on_ignite("spans", |rocket| async {
        let Some(spans) = spans else { return rocket };
        if let Some(models) = rocket.state::<Models>() {
            models.slots().chain(models.shadow()).for_each(|slot| slot.trace_by(spans.clone()));
        }
        rocket.manage(spans)
    })
}

/// Where spans begin.
#[derive(Clone)]
pub struct Spans {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}

impl Spans {
    /// Starts the thread that sends spans; none, and a line in the log, if that cannot be.
    pub(crate) fn start(settings: &Settings) -> Option<Self> {
        match Self::build(settings) {
            Ok(spans) => {
                log::info!("traces go to {}", settings.endpoint);
                Some(spans)
            }
            Err(error) => {
                log::error!("there are no traces: {error}");
                None
            }
        }
    }

    fn build(settings: &Settings) -> Result<Self, ExporterBuildError> {
        let tally = Arc::new(Tally::default());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(settings, Arc::clone(&tally)))
            .with_endpoint(&settings.endpoint)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(settings.timeout)
            .build()?;
        // All that the SDK would read from the environment alone.
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(settings.queue)
            .with_max_export_batch_size(settings.batch)
            .with_scheduled_delay(settings.delay)
            .build();
        let processor = BatchSpanProcessor::new(Delivery::new(exporter, Arc::clone(&tally)), batches);
        let attributes = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(attributes)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Queue::new(processor, settings.queue, Arc::clone(&tally)))
            .with_sampler(settings.sampler.clone())
            .with_resource(resource)
            .build();
        let scope = InstrumentationScope::builder("latency-server").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { tracer: provider.tracer_with_scope(scope), provider, tally })
    }

    /// The span of a request, if it is sampled.
    pub(crate) fn of_request(&self, request: &Request<'_>, parent: Option<Traceparent<'_>>) -> Option<Box<Span>> {
        let parent = parent.and_then(|parent| {
            let flags = u8::from_str_radix(parent.flags, 16).ok()?;
            let state = request.headers().get("tracestate").collect::<Vec<_>>().join(",");
            Some(SpanContext::new(
                TraceId::from_hex(parent.trace_id).ok()?,
                SpanId::from_hex(parent.span_id).ok()?,
                TraceFlags::new(flags) & TraceFlags::SAMPLED,
                true,
                // What cannot be understood, or is too long, is left out, as the standard allows.
                if state.len() <= MAX_TEXT { state.parse().unwrap_or_default() } else { TraceState::NONE },
            ))
        });
        // Which route answers is not known yet.
        self.begin(SpanBuilder::from_name(request.method().as_str()).with_kind(SpanKind::Server), parent)
    }

    /// The span of a request that was not understood: nothing is known but its answer.
    pub(crate) fn of_broken_request(&self) -> Option<Box<Span>> {
        self.begin(SpanBuilder::from_name("HTTP").with_kind(SpanKind::Server), None)
    }

    /// The span of loading a model again: a trace of its own, which names the request that asked for it.
    pub(crate) fn of_reload(&self) -> Option<Box<Span>> {
        let mut span = self.begin(SpanBuilder::from_name("reload model").with_kind(SpanKind::Internal), None)?;
        if let Some(Parent(parent)) = logging::current_span() {
            span.add_link(parent.context.clone(), Vec::new());
        }
        Some(span)
    }

    fn begin(&self, span: SpanBuilder, parent: Option<SpanContext>) -> Option<Box<Span>> {
        let within = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let span = self.tracer.build_with_context(span, &within);
        span.is_recording().then(|| Box::new(span))
    }

    /// What work within this span belongs to.
    pub(crate) fn parent(&self, span: &Span) -> Parent {
        Parent(Arc::new(Inner { spans: self.clone(), context: span.span_context().clone() }))
    }

    /// Counts there what becomes of spans.
    pub(crate) fn count_in(&self, counter: IntCounterVec) {
        self.tally.count_in(counter);
    }

    /// Sends what waits, but not for long. Nothing is sent afterwards.
    pub fn stop(&self) {
        // How it went, the tally knows.
        let _ = self.provider.shutdown_with_timeout(LAST);
        self.tally.stopped();
    }
}

/// A span that work can belong to.
#[derive(Clone)]
pub struct Parent(Arc<Inner>);

struct Inner {
    spans: Spans,
    context: SpanContext,
}

/// The span of predicting these rows, if the request that is worked on has one. It ends when it is dropped.
pub(crate) fn of_rows(served: &Served, rows: usize) -> Option<Box<Span>> {
    let Parent(parent) = logging::current_span()?;
    let span = SpanBuilder::from_name("predict rows").with_kind(SpanKind::Internal);
    let mut span = parent.spans.begin(span, Some(parent.context.clone()))?;
    let info = served.predictor.model_info();
    span.set_attributes([
        KeyValue::new("latency.model.name", info.name.clone()),
        KeyValue::new("latency.model.version", info.version.clone()),
        KeyValue::new("latency.rows", i64::try_from(rows).unwrap_or(i64::MAX)),
    ]);
    Some(span)
}

/// What is said of a request when its answer is there.
pub(crate) struct Answered<'a> {
    /// As it was asked for; none if it was not understood.
    pub method: Option<&'static str>,
    /// The pattern of the route; none if there is none.
    pub route: Option<&'a str>,
    pub status: u16,
    pub id: Option<&'a str>,
}

/// Describes a request, by the semantic conventions for HTTP. Neither its query nor its headers are among what is said but
/// the host that it names.
pub(crate) fn describe(span: &mut Span, request: &Request<'_>, answered: &Answered<'_>) {
    let method = answered.method.unwrap_or("_OTHER");
    span.set_attributes([
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.response.status_code", i64::from(answered.status)),
        KeyValue::new("url.scheme", if Client::of(request).secure { "https" } else { "http" }),
    ]);
    if answered.method.is_some() {
        span.set_attribute(KeyValue::new("url.path", cut(request.uri().path().as_str())));
    }
    if let Some(route) = answered.route {
        span.update_name(format!("{method} {route}"));
        span.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
    if let Some(id) = answered.id {
        let id = Value::Array(Array::String(vec![id.to_owned().into()]));
        span.set_attribute(KeyValue::new("http.response.header.x-request-id", id));
    }
    if let Some(client) = request.remote() {
        span.set_attribute(KeyValue::new("client.address", client.ip().to_string()));
    }
    if let Some(host) = request.host() {
        span.set_attribute(KeyValue::new("server.address", cut(host.domain().as_str())));
        if let Some(port) = host.port() {
            span.set_attribute(KeyValue::new("server.port", i64::from(port)));
        }
    }
    if answered.status >= 500 {
        fail(span, answered.status.to_string());
    }
}

/// As much of a text as is kept.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// Describes how a model was loaded again; the words of an error may name files of this machine.
pub(crate) fn describe_reload(span: &mut Span, model: &str, reload: &Reload) {
    span.set_attributes([
        KeyValue::new("latency.model.name", model.to_owned()),
        KeyValue::new("latency.reload.result", reload.result.word()),
    ]);
    if let Some(version) = &reload.to {
        span.set_attribute(KeyValue::new("latency.model.version", version.clone()));
    }
    if let Some(code) = reload.error {
        fail(span, code);
    }
}

/// Says that what this span is about failed; `kind` is one of few words.
fn fail(span: &mut Span, kind: impl Into<Value>) {
    span.set_attribute(KeyValue::new("error.type", kind));
    span.set_status(Status::error(""));
}
