//! Where spans go, which there are and how they get there: the standard variables of OpenTelemetry.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;
use rocket::http::RawStr;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::config::{ConfigError, Lookup, refused};

/// What a collector is to this server.
#[derive(Clone)]
pub struct Settings {
    /// Where spans are posted to.
    pub(super) endpoint: String,
    /// What is sent with them; may be secret.
    pub(super) headers: HeaderMap,
    pub(super) gzip: bool,
    /// How long a batch may take.
    pub(super) timeout: Duration,
    /// What spans say about the server.
    pub(super) resource: Vec<(String, String)>,
    pub(super) sampler: Sampler,
    /// Spans that wait, at most.
    pub(super) queue: usize,
    /// Spans that are sent at a time, at most.
    pub(super) batch: usize,
    /// How long they wait for others.
    pub(super) delay: Duration,
}

impl fmt::Debug for Settings {
    /// Without the headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// None if no spans are wanted: the other variables then do not matter, since some platforms set them for every
    /// program.
    pub(crate) fn read(variables: &Lookup<impl Fn(&str) -> Option<OsString>>) -> Result<Option<Self>, ConfigError> {
        if variables.choice("OTEL_SDK_DISABLED", &[("true", true), ("false", false)])?.unwrap_or(false) {
            return Ok(None);
        }
        let Some(endpoint) = endpoint(variables)? else { return Ok(None) };
        variables.choice("OTEL_EXPORTER_OTLP_PROTOCOL", &[("http/protobuf", ())])?;
        let compression = variables.choice("OTEL_EXPORTER_OTLP_COMPRESSION", &[("none", false), ("gzip", true)])?;
        let milliseconds = |name, default| {
            let given = variables.parse(name, |milliseconds| (1..=600_000).contains(milliseconds))?;
            Ok(Duration::from_millis(given.unwrap_or(default)))
        };
        let queue = "OTEL_BSP_MAX_QUEUE_SIZE";
        let queue = variables.parse(queue, |spans| (1..=1_000_000).contains(spans))?.unwrap_or(2_048);
        let batch = variables.parse("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |spans| (1..=queue).contains(spans))?;
        Ok(Some(Self {
            endpoint,
            headers: headers(variables)?,
            gzip: compression.unwrap_or(false),
            timeout: milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?
                .min(milliseconds("OTEL_BSP_EXPORT_TIMEOUT", 30_000)?),
            resource: resource(variables)?,
            sampler: sampler(variables)?,
            queue,
            batch: batch.unwrap_or(512).min(queue),
            delay: milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
        }))
    }
}

fn endpoint(variables: &Lookup<impl Fn(&str) -> Option<OsString>>) -> Result<Option<String>, ConfigError> {
    let (own, all) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
    let (name, address) = match (variables.address(own)?, variables.address(all)?) {
        (Some(own_address), _) => (own, own_address),
        (None, Some(address)) => (all, format!("{}/v1/traces", address.trim_end_matches('/'))),
        (None, None) => return Ok(None),
    };
    match address.parse::<Uri>() {
        Ok(_) => Ok(Some(address)),
        Err(error) => Err(refused(name, &format!("{address:?} ({error})"))),
    }
}

fn headers(variables: &Lookup<impl Fn(&str) -> Option<OsString>>) -> Result<HeaderMap, ConfigError> {
    let name = "OTEL_EXPORTER_OTLP_HEADERS";
    let mut headers = HeaderMap::new();
    for pair in pairs(variables, name)? {
        let header = pair.and_then(|(name, value)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        });
        // Not shown: it may be a secret.
        let (header, value) = header.ok_or_else(|| refused(name, "a part that is no header"))?;
        headers.insert(header, value);
    }
    Ok(headers)
}

fn resource(variables: &Lookup<impl Fn(&str) -> Option<OsString>>) -> Result<Vec<(String, String)>, ConfigError> {
    let name = "OTEL_RESOURCE_ATTRIBUTES";
    let mut resource = vec![("service.name".to_owned(), "latency-server".to_owned())];
    for pair in pairs(variables, name)? {
        resource.push(pair.ok_or_else(|| refused(name, "a part that is no name=value"))?);
    }
    // The last one counts.
    resource.extend(variables.text("OTEL_SERVICE_NAME")?.map(|service| ("service.name".to_owned(), service)));
    Ok(resource)
}

fn sampler(variables: &Lookup<impl Fn(&str) -> Option<OsString>>) -> Result<Sampler, ConfigError> {
    let share = variables.parse("OTEL_TRACES_SAMPLER_ARG", |share| (0.0..=1.0).contains(share))?.unwrap_or(1.0);
    let share = Sampler::TraceIdRatioBased(share);
    let by_parent = |root: &Sampler| Sampler::ParentBased(Box::new(root.clone()));
    let chosen = variables.choice(
        "OTEL_TRACES_SAMPLER",
        &[
            ("parentbased_always_on", by_parent(&Sampler::AlwaysOn)),
            ("parentbased_always_off", by_parent(&Sampler::AlwaysOff)),
            ("parentbased_traceidratio", by_parent(&share)),
            ("always_on", Sampler::AlwaysOn),
            ("always_off", Sampler::AlwaysOff),
            ("traceidratio", share),
        ],
    )?;
    Ok(chosen.unwrap_or_else(|| by_parent(&Sampler::AlwaysOn)))
}

/// `name=value,name=value`, values percent-encoded; none for a part that is something else.
fn pairs(
    variables: &Lookup<impl Fn(&str) -> Option<OsString>>,
    name: &str,
) -> Result<Vec<Option<(String, String)>>, ConfigError> {
    let text = variables.text(name)?.unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let (name, value) = (name.trim(), RawStr::new(value.trim()).percent_decode().ok()?);
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    Ok(parts.map(pair).collect())
}
