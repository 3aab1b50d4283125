//! The collector: the POST that takes spans there.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rocket::async_trait;
use ureq::Agent;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use ureq::http::{HeaderMap, HeaderValue};
use ureq::tls::{RootCerts, TlsConfig};

use super::queue::Tally;
use super::settings::Settings;

/// A collector says in a few words how many spans it took.
const MAX_ANSWER: u64 = 64 * 1024;

pub(super) struct Collector {
    agent: Agent,
    headers: HeaderMap,
    gzip: bool,
    tally: Arc<Tally>,
}

impl fmt::Debug for Collector {
    /// Headers may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl Collector {
    pub fn new(settings: &Settings, tally: Arc<Tally>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // Secrets are for this collector, not for where it points to.
            .max_redirects(0)
            .timeout_global(Some(settings.timeout))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build()
            .into();
        Self { agent, headers: settings.headers.clone(), gzip: settings.gzip, tally }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (given, body) = request.into_parts();
        let mut body = Vec::from(body);
        // Not all that was given: the SDK adds headers from the environment, whatever wins over it here.
        let mut headers = HeaderMap::new();
        for name in [CONTENT_TYPE, USER_AGENT] {
            if let Some(value) = given.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if self.gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&body)?;
            body = encoder.finish()?;
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.extend(self.headers.clone());
        let mut request = Request::post(given.uri).body(body)?;
        *request.headers_mut() = headers;
        let (answer, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(answer, body.into()))
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Blocks: the thread that calls it does nothing else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.send(request).inspect_err(|error| self.tally.trouble(error))
    }
}
