//! Where the values of the configuration come from: flags, then the environment, then `.env`, then a file, then the
//! defaults.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

use rocket::figment::providers::{Format, Toml};
use rocket::figment::value::Value;

use crate::config::{Config, ConfigError};
use crate::observations::Place;
use crate::variables::VARIABLES;

/// Variables that are known under more names than their own: all of them, in the order in which they count.
const NAMES: &[(&str, [&str; 2])] = &[
    ("SECRET_KEY", ["SECRET_KEY", "ROCKET_SECRET_KEY"]),
    // The standard has them once for all that is exported, and once for traces alone.
    ("OTEL_EXPORTER_OTLP_PROTOCOL", ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]),
    ("OTEL_EXPORTER_OTLP_HEADERS", ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"]),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]),
];

/// What is shown of a secret.
const NOT_SHOWN: &str = "set, and not shown";

/// Where a value comes from. What comes first wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// The file `.env` in the working directory.
    DotEnv,
    /// The file that `LATENCY_CONFIG` names.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::DotEnv => f.write_str(".env"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The values that are set, and where they come from. An empty value counts as not set.
#[derive(Debug, Default)]
pub struct Settings {
    found: BTreeMap<&'static str, Found>,
    unknown: Vec<String>,
}

struct Found {
    value: OsString,
    origin: Origin,
    /// As it is called there.
    name: String,
}

impl fmt::Debug for Found {
    /// The value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name, self.origin)
    }
}

/// The flag of a variable: `--max-body-bytes` for `LATENCY_MAX_BODY_BYTES`. Secrets have none, since everybody on the
/// machine sees command lines.
#[must_use]
pub fn flag(variable: &str) -> Option<String> {
    (!is_secret(variable)).then(|| key(variable).replace('_', "-"))
}

/// The key of a variable in the file: `max_body_bytes` for `LATENCY_MAX_BODY_BYTES`.
#[must_use]
pub fn key(variable: &str) -> String {
    variable.strip_prefix("LATENCY_").unwrap_or(variable).to_ascii_lowercase()
}

/// Whether a value is never to be shown. What a `_FILE` or `_PATH` names is a secret, where it lies is none.
#[must_use]
pub fn is_secret(variable: &str) -> bool {
    ["SECRET", "PASSWORD", "TRACKING_TOKEN", "OTLP_HEADERS"].iter().any(|word| variable.contains(word))
        && !["_FILE", "_PATH"].iter().any(|end| variable.ends_with(end))
}

/// The known name that this one was meant to be, if one is near.
#[must_use]
pub fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    near.min().filter(|(distance, _)| *distance <= 1 + name.len() / 6).map(|(_, known)| known)
}

impl Settings {
    /// Reads the environment, `.env` in the working directory, and the file that one of these or a flag names.
    ///
    /// # Errors
    /// If one of the files cannot be read or understood, or the file has keys that nobody knows.
    pub fn read(flags: BTreeMap<&'static str, OsString>) -> Result<Self, ConfigError> {
        Self::from_places(flags, std::env::vars_os(), Path::new(".env"))
    }

    /// As [`read`](Self::read), from this environment and this `.env`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn from_places(
        flags: BTreeMap<&'static str, OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        dot_env: &Path,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for (name, value) in flags {
            let shown = flag(name).map_or_else(|| name.to_owned(), |flag| format!("--{flag}"));
            settings.set(name, value, &Origin::Flag, shown);
        }
        let environment = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        settings.set_variables(environment.collect(), &Origin::Environment);
        settings.set_variables(dot_env_lines(dot_env)?, &Origin::DotEnv);
        if let Some(path) = settings.get("LATENCY_CONFIG").map(PathBuf::from) {
            settings.set_from_file(&path)?;
        }
        Ok(settings)
    }

    fn set(&mut self, variable: &'static str, value: OsString, origin: &Origin, name: String) {
        if !value.is_empty() {
            self.found.entry(variable).or_insert_with(|| Found { value, origin: origin.clone(), name });
        }
    }

    fn set_variables(&mut self, mut given: BTreeMap<String, OsString>, origin: &Origin) {
        for variable in VARIABLES {
            let names = NAMES.iter().find(|(name, _)| *name == variable.name);
            for name in names.map_or(std::slice::from_ref(&variable.name), |(_, names)| names) {
                if let Some(value) = given.remove(*name) {
                    self.set(variable.name, value, origin, (*name).to_owned());
                }
            }
        }
        for name in given.keys().filter(|name| name.starts_with("LATENCY_")) {
            // Other programs of this project have variables of their own.
            if let Some(meant) = meant(name, VARIABLES.iter().map(|variable| variable.name)) {
                self.unknown.push(format!("{name} in {origin} is not read; did you mean {meant}?"));
            }
        }
    }

    fn set_from_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let fail = |message: String| ConfigError::new(path.display().to_string(), message);
        let text = std::fs::read_to_string(path).map_err(|error| {
            fail(format!("the file cannot be read: {error}; allowed in LATENCY_CONFIG: the path of a TOML file"))
        })?;
        let keys: BTreeMap<String, Value> = Toml::from_str(&text).map_err(|error| {
            // Not the line itself: it may hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.split('\n').count();
            fail(format!("found something that is not TOML in line {line}; allowed: lines such as port = 5000"))
        })?;
        let known: Vec<_> = VARIABLES
            .iter()
            .map(|variable| (variable.name, key(variable.name)))
            .skip_while(|(name, _)| *name == "LATENCY_CONFIG")
            .collect();
        for (name, value) in keys {
            let Some((variable, _)) = known.iter().find(|(_, key)| *key == name) else {
                let names = || known.iter().map(|(_, key)| key.as_str());
                let meant = meant(&key(&name.to_ascii_uppercase()).replace('-', "_"), names());
                let meant = meant.map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
                let allowed = names().collect::<Vec<_>>().join(", ");
                return Err(fail(format!("found the key `{name}`{meant}; allowed: {allowed}")));
            };
            let text = match value {
                Value::String(_, text) => text,
                Value::Num(_, number) if number.to_f64().is_none() => number
                    .to_u128()
                    .map_or_else(|| number.to_i128().unwrap_or_default().to_string(), |number| number.to_string()),
                Value::Bool(_, yes) => yes.to_string(),
                _ => {
                    return Err(fail(format!(
                        "found a value of `{name}` that is no text, whole number, true or false"
                    )));
                }
            };
            self.set(variable, text.into(), &Origin::File(path.to_owned()), name);
        }
        Ok(())
    }

    /// The value of a variable, if it is set.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<&OsStr> {
        self.found.get(variable).map(|found| found.value.as_os_str())
    }

    /// Where the value of a variable comes from, if it is set.
    #[must_use]
    pub fn origin(&self, variable: &str) -> Option<&Origin> {
        self.found.get(variable).map(|found| &found.origin)
    }

    /// The configuration; `release` says whether the server must be safe to expose.
    ///
    /// # Errors
    /// A value that cannot be used, and where it comes from; in release builds also a missing `SECRET_KEY`.
    pub fn config(&self, release: bool) -> Result<Config, ConfigError> {
        let config = Config::from_lookup(|name| self.get(name).map(OsStr::to_owned), release).and_then(|config| {
            let on_command_line = self.origin("LATENCY_OBSERVATIONS") == Some(&Origin::Flag);
            match &config.observations {
                Some(observations) if on_command_line && observations.place.has_password() => {
                    let message = "found a password on the command line, which everybody on this machine sees; allowed: the \
                                   address without it, and PGPASSWORD or PGPASSFILE in the environment";
                    Err(ConfigError::new("LATENCY_OBSERVATIONS", message))
                }
                _ => Ok(config),
            }
        });
        config.map_err(|error| match self.found.get(error.variable.as_str()) {
            Some(Found { origin: Origin::Flag | Origin::Environment, name, .. }) => {
                ConfigError::new(name, error.message)
            }
            Some(Found { origin, name, .. }) => ConfigError::new(format!("{name} in {origin}"), error.message),
            None => error,
        })
    }

    /// What looks like a mistake, but stops nothing.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.unknown
    }

    /// Each variable, its value and where that comes from, a line each. No secrets.
    #[must_use]
    pub fn table(&self) -> String {
        let width = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for variable in VARIABLES {
            let (value, origin) = match self.found.get(variable.name) {
                Some(found) if is_secret(variable.name) => (NOT_SHOWN.into(), found.origin.to_string()),
                Some(found) if variable.name == "LATENCY_OBSERVATIONS" => {
                    let place = Place::parse(found.value.clone());
                    (
                        place.map_or_else(|_| NOT_SHOWN.into(), |place| place.to_string().into()),
                        found.origin.to_string(),
                    )
                }
                Some(found) => (found.value.to_string_lossy(), found.origin.to_string()),
                None => (variable.default.into(), "default".to_owned()),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{:width$}  {} ({origin})", variable.name, value.escape_debug());
        }
        table
    }
}

/// The lines `NAME=value` of this file. No file is no error.
fn dot_env_lines(path: &Path) -> Result<BTreeMap<String, OsString>, ConfigError> {
    // Its lines may hold secrets: messages name none of their text but the name before the `=`.
    let fail =
        |what: String| ConfigError::new(".env", format!("{what}; allowed: lines NAME=value, and comments after #"));
    let understood = |error| match error {
        dotenvy::Error::Io(error) => fail(format!("the file cannot be read: {error}")),
        dotenvy::Error::LineParse(line, _) => match line.split_once('=') {
            Some((name, _)) => fail(format!("found a value of {} that needs quotes", name.trim())),
            None => fail("found a line without `=`".to_owned()),
        },
        _ => fail("the file cannot be understood".to_owned()),
    };
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(understood(error)),
    };
    lines.map(|line| line.map(|(name, value)| (name, value.into())).map_err(understood)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_flags_and_keys() {
        assert_eq!(flag("LATENCY_MAX_BODY_BYTES").as_deref(), Some("max-body-bytes"));
        assert_eq!(flag("SECRET_KEY"), None);
        assert_eq!((key("LATENCY_MAX_BODY_BYTES"), key("SECRET_KEY")), ("max_body_bytes".into(), "secret_key".into()));
        assert!(
            is_secret("LATENCY_MLFLOW_PASSWORD") && !is_secret("LATENCY_TOKENS_FILE") && !is_secret("LATENCY_MODEL")
        );
    }

    #[test]
    fn near_names_are_meant() {
        let known = ["LATENCY_PORT", "LATENCY_MODEL", "LATENCY_MODELS"];
        for (name, expected) in [
            ("LATENCY_PROT", Some("LATENCY_PORT")),
            ("LATENCY_MODLE", Some("LATENCY_MODEL")),
            ("LATENCY_DATA_MIRROR", None),
        ] {
            assert_eq!(meant(name, known), expected, "{name}");
        }
    }
}
