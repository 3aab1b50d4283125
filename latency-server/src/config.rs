//! The configuration, read from values and checked. What there is: [`variables`](crate::variables); where the values come
//! from: [`settings`](crate::settings).

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use latency_core::{Engine, Error, ErrorKind};
use log::LevelFilter;
use rocket::config::{Ident, LogLevel, SecretKey, Shutdown};
use rocket::data::{Limits, ToByteUnit};

use crate::cors::AllowedOrigin;
use crate::gate::RequireToken;
use crate::limits;
use crate::logging::LogFormat;
use crate::models::registry::{Credentials, Registry};
use crate::models::{Loading, Models, Options, Source};
use crate::observations::{self, Place};
use crate::parquet::this_program;
use crate::spans;
use crate::tls::Tls;
use crate::tokens::Tokens;
use crate::variables::allowed;

/// The fewest bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Not one random key in a million has fewer different bytes than this: 32 random bytes have 30 on average.
const SECRET_DISTINCT_BYTES: usize = 20;

/// The key in Rocket's documentation: everybody knows it.
const KNOWN_SECRET: &str = "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=";

const SECRET_CURE: &str =
    "make one with `openssl rand -base64 32` and set it as SECRET_KEY in the environment or in .env";

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the model comes from.
    pub model: Source,
    /// More models: their names, and where they come from.
    pub models: Vec<(String, Source)>,
    /// Where the model comes from that is asked for comparison alone; none if there is none.
    pub shadow: Option<Source>,
    /// How often registries are asked for another version; none for never.
    pub registry_poll: Option<Duration>,
    /// Where measured RTTs are stored; none if they are not.
    pub observations: Option<observations::Settings>,
    /// The address to listen on.
    pub address: IpAddr,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// What is logged.
    pub log_level: LevelFilter,
    /// What a line of the log looks like.
    pub log_format: LogFormat,
    /// The most bytes that a request's body may have.
    pub max_body_bytes: u64,
    /// How many predictions can run at the same time; none for one per core.
    pub sessions: Option<NonZeroUsize>,
    /// What evaluates the trees; none for ONNX Runtime.
    pub engine: Option<Engine>,
    /// Who may do what; none if nobody may change anything over HTTP.
    pub tokens: Option<Tokens>,
    /// What cannot be had without a token.
    pub require_token: RequireToken,
    /// Pages of other origins that may call.
    pub cors_origins: Vec<AllowedOrigin>,
    /// Proxies that are believed where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// How much is taken on at a time.
    pub limits: limits::Settings,
    /// HTTPS; none for plain HTTP.
    pub tls: Option<Tls>,
    /// How long it goes on answering, not ready, once it is told to stop.
    pub drain: Duration,
    /// How many seconds requests may then take to finish.
    pub grace_seconds: u32,
    /// The file of ONNX Runtime; none for where [`latency_core`] finds one.
    pub ort_library: Option<PathBuf>,
    /// Protects sessions. None only in debug builds, which then make one up.
    pub secret_key: Option<SecretKey>,
    /// Where traces go; none if there are none.
    pub traces: Option<spans::Settings>,
    /// This program, which starts itself for each file of Parquet.
    pub program: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: Source::Bundled,
            models: Vec::new(),
            shadow: None,
            registry_poll: Some(Duration::from_secs(30)),
            observations: None,
            address: Ipv4Addr::LOCALHOST.into(),
            port: 5000,
            log_level: LevelFilter::Warn,
            log_format: LogFormat::Text,
            max_body_bytes: 64 << 20,
            sessions: None,
            engine: None,
            tokens: None,
            require_token: RequireToken::Off,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: limits::Settings::default(),
            tls: None,
            drain: Duration::from_secs(5),
            grace_seconds: 10,
            ort_library: None,
            secret_key: None,
            traces: None,
            program: this_program(),
        }
    }
}

/// A variable whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable's name, or the file that cannot be read.
    pub variable: String,
    /// What was found, what is allowed, the cure. Never a secret.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn new(variable: impl Into<String>, message: impl Into<String>) -> Self {
        Self { variable: variable.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads variables through `lookup`; `release` says whether the server must be safe to expose.
    ///
    /// # Errors
    /// A value that cannot be used, and in release builds a missing `SECRET_KEY`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>, release: bool) -> Result<Self, ConfigError> {
        let variables = Lookup(|name: &str| lookup(name).filter(|value| !value.is_empty()));
        let default = Self::default();
        let secret = |name: &str| variables.text(name)?.map(|text| secret_key(name, &text)).transpose();
        let secret_key = match secret("SECRET_KEY")?.map_or_else(|| secret("ROCKET_SECRET_KEY"), |key| Ok(Some(key)))? {
            Some(key) => Some(key),
            None if release => return Err(ConfigError::new("SECRET_KEY", format!("found none; {SECRET_CURE}"))),
            None => None,
        };
        let tokens = variables.path("LATENCY_TOKENS_FILE").map(Tokens::open).transpose();
        let tokens = tokens.map_err(|message| ConfigError::new("LATENCY_TOKENS_FILE", message))?;
        Ok(Self {
            model: variables.model()?.unwrap_or(default.model),
            models: variables.models()?,
            shadow: variables.shadow()?,
            registry_poll: variables.registry_poll(default.registry_poll)?,
            observations: variables.observations()?,
            address: variables.parse("LATENCY_ADDRESS", |_| true)?.unwrap_or(default.address),
            port: variables.parse("LATENCY_PORT", |_| true)?.unwrap_or(default.port),
            log_level: variables
                .parse("LATENCY_LOG_LEVEL", |level| *level != LevelFilter::Trace)?
                .unwrap_or(default.log_level),
            log_format: variables.parse("LATENCY_LOG_FORMAT", |_| true)?.unwrap_or(default.log_format),
            max_body_bytes: variables
                .parse("LATENCY_MAX_BODY_BYTES", |bytes| (1 << 10..=1 << 30).contains(bytes))?
                .unwrap_or(default.max_body_bytes),
            sessions: variables.parse("LATENCY_SESSIONS", |sessions: &NonZeroUsize| sessions.get() <= 1024)?,
            engine: variables.parse("LATENCY_ENGINE", |_| true)?,
            require_token: variables.require_token(tokens.is_some())?,
            tokens,
            cors_origins: variables.list("LATENCY_CORS_ORIGINS", |text| text.parse().ok())?,
            trusted_proxies: variables.list("LATENCY_TRUSTED_PROXIES", |text| {
                text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            })?,
            limits: variables.limits()?,
            tls: variables.tls()?,
            drain: variables
                .parse("LATENCY_DRAIN_SECONDS", |seconds| (0..=300).contains(seconds))?
                .map_or(default.drain, Duration::from_secs),
            grace_seconds: variables
                .parse("LATENCY_GRACE_SECONDS", |seconds| (1..=300).contains(seconds))?
                .unwrap_or(default.grace_seconds),
            ort_library: variables.path("LATENCY_ORT_DYLIB_PATH"),
            secret_key,
            traces: spans::Settings::read(&variables)?,
            program: default.program,
        })
    }

    /// Loads the models and checks them.
    ///
    /// # Errors
    /// Those of [`PredictorBuilder::build`](latency_core::PredictorBuilder::build), and a name that two models would have.
    pub fn load_models(&self) -> latency_core::Result<Models> {
        let loading = Loading { sessions: self.sessions, engine: self.engine };
        let options = Options { loading, library: self.ort_library.as_deref() };
        let mut models = Models::new(self.model.load_first(options)?, self.model.clone(), loading);
        for (name, source) in &self.models {
            if models.slot(name).is_some() {
                let message = format!("found the name {name:?}, which another model has; allowed: each name once");
                return Err(Error::new(ErrorKind::InvalidField, message).with_field("LATENCY_MODELS"));
            }
            models = models.with(name, source.load_first(options)?, source.clone());
        }
        match &self.shadow {
            Some(source) => Ok(models.with_shadow(source.load_first(options)?, source.clone())),
            None => Ok(models),
        }
    }

    pub(crate) fn rocket(&self) -> rocket::Config {
        let mut config = rocket::Config {
            address: self.address,
            port: self.port,
            ident: Ident::none(),
            cli_colors: false,
            // Our own logger decides; this is for programs that start Rocket without it, such as tests.
            log_level: LogLevel::Off,
            // Signals are ours: see `stopping`.
            shutdown: Shutdown {
                ctrlc: false,
                #[cfg(unix)]
                signals: HashSet::new(),
                grace: self.grace_seconds,
                mercy: 2,
                ..Shutdown::default()
            },
            limits: Limits::default().limit("bytes", self.max_body_bytes.bytes()),
            // Rocket believes any client's X-Real-IP; `client` says where a request comes from.
            ip_header: None,
            tls: self.tls.as_ref().map(Tls::rocket),
            ..rocket::Config::default()
        };
        if let Some(secret_key) = &self.secret_key {
            config.secret_key = secret_key.clone();
        }
        config
    }
}

/// Where variables are read. One that is empty is not there.
pub(crate) struct Lookup<F>(F);

impl<F: Fn(&str) -> Option<OsString>> Lookup<F> {
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name).map(PathBuf::from)
    }

    fn model(&self) -> Result<Option<Source>, ConfigError> {
        self.path("LATENCY_MODEL").map(|place| self.source("LATENCY_MODEL", place)).transpose()
    }

    fn shadow(&self) -> Result<Option<Source>, ConfigError> {
        let name = "LATENCY_SHADOW";
        let Some(place) = self.path(name) else { return Ok(None) };
        let Some(alias) = place.to_str().and_then(|text| text.strip_prefix('@')) else {
            return self.source(name, place).map(Some);
        };
        let Some(Source::Registry(registry)) = self.model()? else {
            let message =
                format!("found \"@{alias}\", but LATENCY_MODEL is not of a registry; allowed: {}", allowed(name));
            return Err(ConfigError::new(name, message));
        };
        self.registered(name, &format!("models:/{}@{alias}", registry.uri.name())).map(Some)
    }

    fn source(&self, name: &str, place: PathBuf) -> Result<Source, ConfigError> {
        // A path need not be UTF-8.
        match place.to_str().filter(|text| text.starts_with("models:")) {
            Some(uri) => self.registered(name, uri),
            None => Ok(Source::File(place)),
        }
    }

    fn models(&self) -> Result<Vec<(String, Source)>, ConfigError> {
        let name = "LATENCY_MODELS";
        let models = self.list(name, named_model)?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = models.iter().find(|(model, _)| !names.insert(model)) {
            return Err(ConfigError::new(name, format!("found {twice:?} twice; allowed: each name once")));
        }
        models.into_iter().map(|(model, place)| Ok((model, self.source(name, place.into())?))).collect()
    }

    /// A model of a registry, `models:/…`.
    fn registered(&self, name: &str, uri: &str) -> Result<Source, ConfigError> {
        let uri = uri.parse().map_err(|()| {
            let message = format!("found {uri:?}; allowed: models:/NAME@ALIAS, models:/NAME/VERSION");
            ConfigError::new(name, message)
        })?;
        let server = "MLFLOW_TRACKING_URI";
        let address = self.address(server)?.ok_or_else(|| {
            ConfigError::new(server, format!("found none; allowed: {}, since {name} is {uri}", allowed(server)))
        })?;
        let [user, password, token] = ["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"]
            .map(|name| self.text(name));
        let credentials = match (user?, password?, token?) {
            (Some(user), Some(password), _) => Credentials::Basic(user, password),
            (None, None, Some(token)) => Credentials::Token(token),
            (None, None, None) => Credentials::None,
            (user, ..) => {
                let missing = if user.is_none() { "MLFLOW_TRACKING_USERNAME" } else { "MLFLOW_TRACKING_PASSWORD" };
                return Err(ConfigError::new(missing, format!("found none; allowed: {}", allowed(missing))));
            }
        };
        let cache = self.cache()?;
        Ok(Source::Registry(Registry { uri, server: address, credentials, cache }))
    }

    fn cache(&self) -> Result<PathBuf, ConfigError> {
        if let Some(folder) = self.path("LATENCY_CACHE") {
            return Ok(folder);
        }
        let folder = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
        folder.map(|folder| folder.join("latency-predictor")).ok_or_else(|| {
            ConfigError::new("LATENCY_CACHE", "found none, and no home folder; allowed: path of a folder")
        })
    }

    fn registry_poll(&self, default: Option<Duration>) -> Result<Option<Duration>, ConfigError> {
        let name = "LATENCY_REGISTRY_POLL";
        if self.text(name)?.is_some_and(|text| text.trim() == "off") {
            return Ok(None);
        }
        let seconds = self.parse(name, |seconds| (1..=86_400).contains(seconds))?;
        Ok(seconds.map(Duration::from_secs).or(default))
    }

    fn observations(&self) -> Result<Option<observations::Settings>, ConfigError> {
        let days: u64 = self.parse("LATENCY_OBSERVATIONS_DAYS", |days| (1..=3650).contains(days))?.unwrap_or(90);
        let name = "LATENCY_OBSERVATIONS";
        let Some(text) = (self.0)(name) else { return Ok(None) };
        // Not shown: it may hold a password.
        let place = Place::parse(text)
            .map_err(|found| ConfigError::new(name, format!("{found}; allowed: {}", allowed(name))))?;
        Ok(Some(observations::Settings { place, keep: Duration::from_hours(24 * days) }))
    }

    fn require_token(&self, has_tokens: bool) -> Result<RequireToken, ConfigError> {
        let name = "LATENCY_REQUIRE_TOKEN";
        let required = self.parse(name, |_| true)?.unwrap_or_default();
        if required == RequireToken::Predict && !has_tokens {
            let message = "found predict without any tokens; set LATENCY_TOKENS_FILE, or nobody can predict";
            return Err(ConfigError::new(name, message));
        }
        Ok(required)
    }

    fn limits(&self) -> Result<limits::Settings, ConfigError> {
        let default = limits::Settings::default();
        let million = |number: &NonZeroU32| number.get() <= 1_000_000;
        let name = "LATENCY_RATE_LIMIT";
        let off = self.text(name)?.is_some_and(|text| text.trim() == "off");
        Ok(limits::Settings {
            concurrency: self.parse("LATENCY_MAX_CONCURRENCY", |number| (1..=100_000).contains(number))?,
            rate: if off { None } else { self.parse(name, million)? },
            burst: self.parse("LATENCY_RATE_BURST", million)?,
            body_timeout: self
                .parse("LATENCY_BODY_TIMEOUT", |seconds| (1..=3600).contains(seconds))?
                .map_or(default.body_timeout, Duration::from_secs),
        })
    }

    fn tls(&self) -> Result<Option<Tls>, ConfigError> {
        let [certificate, key, authorities] =
            ["LATENCY_TLS_CERT", "LATENCY_TLS_KEY", "LATENCY_TLS_CLIENT_CA"].map(|name| self.path(name));
        match (certificate, key) {
            (Some(certificate), Some(key)) => Tls::read(&certificate, &key, authorities.as_deref())
                .map(Some)
                .map_err(|(variable, message)| ConfigError::new(variable, message)),
            (None, None) if authorities.is_none() => Ok(None),
            (certificate, _) => {
                let missing = if certificate.is_none() { "LATENCY_TLS_CERT" } else { "LATENCY_TLS_KEY" };
                Err(ConfigError::new(
                    missing,
                    format!("found none; allowed: {}, since the others are set", allowed(missing)),
                ))
            }
        }
    }

    /// An address on the web, without a name and a password.
    pub(crate) fn address(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let address = text.trim();
        // None is shown: it may hold a password.
        match address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")) {
            Some(rest) if rest.split('/').next().is_some_and(|host| !host.is_empty() && !host.contains('@')) => {
                Ok(Some(address.to_owned()))
            }
            Some(_) => Err(refused(name, "an address with a name in it, or without a host")),
            None => Err(refused(name, "another scheme")),
        }
    }

    /// One of these words, in capitals or not.
    pub(crate) fn choice<T: Clone>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim())) {
            Some((_, choice)) => Ok(Some(choice.clone())),
            None => Err(refused(name, &format!("{text:?}"))),
        }
    }

    /// Parts between commas.
    fn list<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(Vec::new()) };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                parse(part).ok_or_else(|| ConfigError::new(name, format!("found {part:?}; allowed: {}", allowed(name))))
            })
            .collect()
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        (self.0)(name)
            .map(OsString::into_string)
            .transpose()
            .map_err(|_| ConfigError::new(name, format!("found bytes that are not UTF-8; allowed: {}", allowed(name))))
    }

    pub(crate) fn parse<T: FromStr>(&self, name: &str, fits: impl Fn(&T) -> bool) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(value) if fits(&value) => Ok(Some(value)),
            _ => Err(ConfigError::new(name, format!("found {text:?}; allowed: {}", allowed(name)))),
        }
    }
}

/// `name=path`.
fn named_model(part: &str) -> Option<(String, String)> {
    let (name, path) = part.split_once('=')?;
    let (name, path) = (name.trim(), path.trim());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(fits) && !path.is_empty()).then(|| (name.to_owned(), path.to_owned()))
}

/// A value of this variable that cannot be used.
pub(crate) fn refused(name: &str, found: &str) -> ConfigError {
    ConfigError::new(name, format!("found {found}; allowed: {}", allowed(name)))
}

fn secret_key(name: &str, text: &str) -> Result<SecretKey, ConfigError> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let weak = |found: String| Err(ConfigError::new(name, format!("found {found}; {SECRET_CURE}")));
    // `openssl` breaks long keys into lines.
    let text: String = text.split_ascii_whitespace().collect();
    if text == KNOWN_SECRET {
        return weak("a key from public documentation, which everybody knows".to_owned());
    }
    let Ok(bytes) = BASE64.decode(&text) else { return weak("something that is not base64".to_owned()) };
    if bytes.len() < SECRET_BYTES {
        return weak(format!("a key of {} bytes; allowed: at least {SECRET_BYTES}", bytes.len()));
    }
    let mut distinct = bytes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < SECRET_DISTINCT_BYTES {
        return weak("a key that is a pattern, not random".to_owned());
    }
    Ok(SecretKey::derive_from(&bytes))
}
