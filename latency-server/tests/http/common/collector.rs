//! A little collector of traces: it takes what is posted over OTLP/HTTP, and says what that was.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::program::PATIENCE;

/// It listens as long as the tests run.
pub struct Collector {
    pub address: SocketAddr,
    posts: Receiver<Post>,
}

/// What was posted at a time.
pub struct Post {
    /// `POST /v1/traces HTTP/1.1`.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub traces: ExportTraceServiceRequest,
}

impl Collector {
    pub fn start() -> Self {
        Self::answering(Some(200))
    }

    /// With this status, or never.
    pub fn answering(status: Option<u16>) -> Self {
        Self::by(move |stream, sender| serve(stream, status, sender))
    }

    /// Over HTTPS. Clients that do not trust its certificate post nothing.
    pub fn over_tls(config: Arc<ServerConfig>) -> Self {
        Self::by(move |stream, sender| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(connection, stream), Some(200), sender);
        })
    }

    fn by(serve: impl Fn(TcpStream, &Sender<Post>) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posts) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (serve, sender) = (serve.clone(), sender.clone());
                thread::spawn(move || serve(stream.unwrap(), &sender));
            }
        });
        Self { address, posts }
    }

    /// The address for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What comes next.
    pub fn post(&self) -> Post {
        self.posts.recv_timeout(PATIENCE).expect("traces are posted")
    }

    /// What came so far.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.try_iter().collect()
    }

    /// Waits until so many spans of this name have come.
    pub fn spans(&self, name: &str, count: usize) -> Vec<Span> {
        let (end, mut spans) = (Instant::now() + PATIENCE, Vec::new());
        while spans.len() < count {
            assert!(Instant::now() < end, "{} of {count} spans {name} came", spans.len());
            spans.extend(self.post().spans().into_iter().filter(|span| span.name == name));
        }
        spans
    }
}

fn serve(stream: impl Read + Write, status: Option<u16>, sender: &Sender<Post>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(1..) if !line.trim_end().is_empty() => lines.push(line.trim_end().to_owned()),
                Ok(1..) => break,
                // The client has ended.
                _ => return,
            }
        }
        let line = lines.remove(0);
        let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: BTreeMap<_, _> = lines.iter().filter_map(header).collect();
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
            let mut inflated = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut inflated).unwrap();
            body = inflated;
        }
        let traces = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        // The test may be over.
        let _ = sender.send(Post { line, headers, traces });
        let Some(status) = status else { continue };
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

impl Post {
    /// All spans in it.
    pub fn spans(&self) -> Vec<Span> {
        let scopes = self.traces.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What it says about the server.
    pub fn resource(&self) -> BTreeMap<String, Value> {
        attributes(&self.traces.resource_spans[0].resource.as_ref().unwrap().attributes)
    }
}

/// Attributes by name.
pub fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let found: BTreeMap<_, _> =
        attributes.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, value))).collect();
    assert_eq!(found.len(), attributes.len(), "an attribute is there twice: {attributes:?}");
    found
}

fn value(any: &AnyValue) -> Value {
    match any.value.as_ref().expect("a value") {
        Any::StringValue(text) => text.as_str().into(),
        Any::IntValue(number) => (*number).into(),
        Any::ArrayValue(array) => array.values.iter().map(value).collect(),
        other => panic!("{other:?} is not understood"),
    }
}
