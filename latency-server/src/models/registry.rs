//! A model that an `MLflow` registry names: which version that is, and its file, kept on disk so that the server starts
//! when `MLflow` is down.
//!
//! `MLflow`'s REST API: an alias leads to a version, the version to its artifacts, and the tracking server hands these out
//! itself (`mlflow-artifacts:`), so that no other credentials are needed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};

/// The tag of a version with the SHA-256 of its file: `latency mlflow register` sets it.
const SHA256_TAG: &str = "latency.sha256";

/// Where `mlflow.pyfunc` puts the file of a model, below its artifacts.
const DATA: &str = "data";

/// No model is larger.
const MAX_BYTES: u64 = 1 << 30;

/// A connection that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// The longest that one request may take.
const LONGEST: Duration = Duration::from_mins(5);

/// Files that nobody refers to are kept for so long: another process may have just written them.
const KEEP: Duration = Duration::from_hours(24);

/// How the name of a file ends that is not whole yet.
const PART: &str = ".part";

/// `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUri {
    name: String,
    wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Alias(String),
    Version(u64),
}

impl ModelUri {
    /// The name of the registered model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for ModelUri {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("models:/").ok_or(())?;
        let (name, wanted) = match rest.rsplit_once('@') {
            Some((name, alias)) if !alias.is_empty() => (name, Wanted::Alias(alias.to_owned())),
            Some(_) => return Err(()),
            None => {
                let (name, version) = rest.rsplit_once('/').ok_or(())?;
                (name, Wanted::Version(version.parse().map_err(|_| ())?))
            }
        };
        let good = |text: &str| !text.is_empty() && !text.contains(['/', '\\', ':', '\0']) && !text.starts_with('.');
        let alias_is_good = !matches!(&wanted, Wanted::Alias(alias) if !good(alias));
        if good(name) && alias_is_good { Ok(Self { name: name.to_owned(), wanted }) } else { Err(()) }
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Alias(alias) => write!(f, "models:/{}@{alias}", self.name),
            Wanted::Version(version) => write!(f, "models:/{}/{version}", self.name),
        }
    }
}

/// How the server is asked.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// By anybody.
    #[default]
    None,
    /// With a name and a password.
    Basic(String, String),
    /// With a bearer token.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic(..) => "Basic",
            Self::Token(_) => "Token",
        })
    }
}

/// A model in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Which model.
    pub uri: ModelUri,
    /// The address of the tracking server, such as `http://mlflow:5001`.
    pub server: String,
    /// How it is asked.
    pub credentials: Credentials,
    /// A folder for files.
    pub cache: PathBuf,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: String,
    /// What its file has to be.
    pub sha256: String,
}

/// Why the registry gives no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It does not answer, or not as `MLflow` does, or what it answers cannot be kept here: it may go well later.
    #[error("{0}")]
    Unreachable(String),
    /// It has no such model, alias or version.
    #[error("{0}")]
    NotFound(String),
    /// What it has is no model that was registered here, or is not what it says.
    #[error("{0}")]
    Unusable(String),
}

impl RegistryError {
    /// The code that callers see.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "REGISTRY_UNREACHABLE",
            Self::NotFound(_) => "NOT_IN_REGISTRY",
            Self::Unusable(_) => "REGISTRY_UNUSABLE",
        }
    }
}

type Result<T, E = RegistryError> = std::result::Result<T, E>;

#[derive(Deserialize)]
struct OfVersion {
    model_version: ModelVersion,
}

#[derive(Deserialize)]
struct ModelVersion {
    version: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
struct Download {
    artifact_uri: String,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    #[serde(default)]
    is_dir: bool,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// Which version is meant now.
    ///
    /// # Errors
    /// If the registry does not answer, has no such version, or one that `latency mlflow register` did not make.
    pub fn wanted(&self) -> Result<Version> {
        let name = self.uri.name.as_str();
        let found: OfVersion = match &self.uri.wanted {
            Wanted::Alias(alias) => self.ask("registered-models/alias", &[("name", name), ("alias", alias)])?,
            Wanted::Version(version) => {
                self.ask("model-versions/get", &[("name", name), ("version", &version.to_string())])?
            }
        };
        let ModelVersion { version, tags } = found.model_version;
        let sha256 = tags.into_iter().find(|tag| tag.key == SHA256_TAG).map(|tag| tag.value);
        match sha256 {
            Some(sha256) if sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Version { version, sha256: sha256.to_ascii_lowercase() })
            }
            found => Err(RegistryError::Unusable(format!(
                "version {version} of {name} has the tag {SHA256_TAG} {found:?}; allowed: a SHA-256, as `latency mlflow \
                 register` writes it; register the model with that"
            ))),
        }
    }

    /// The file of this version, fetched unless it is there already.
    ///
    /// # Errors
    /// If it cannot be fetched or kept, or is not the file that the registry names.
    pub fn fetch(&self, version: &Version) -> Result<PathBuf> {
        let path = self.file(version);
        if sha256_of(&path).is_ok_and(|found| found == version.sha256) {
            return Ok(path);
        }
        let artifacts = self.artifacts(version)?;
        let data = format!("{artifacts}/{DATA}");
        let listing: Listing = self.get(&self.address("mlflow-artifacts/artifacts"), &[("path", &data)])?;
        let mut files = listing.files.iter().filter(|file| !file.is_dir && has_onnx_suffix(&file.path));
        let (Some(file), None) = (files.next(), files.next()) else {
            return Err(RegistryError::Unusable(format!(
                "version {} of {} has not one .onnx file in {data}; register a model that `latency` has logged",
                version.version, self.uri.name
            )));
        };
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        self.download(&format!("{data}/{name}"), &path, version)?;
        Ok(path)
    }

    /// Remembers that this version is good, for a start without `MLflow`; files that nobody refers to any more go.
    pub fn keep(&self, version: &Version) {
        let written = serde_json::to_vec(version).map_err(io::Error::from).and_then(|bytes| {
            let mut part = self.part()?;
            part.write_all(&bytes)?;
            part.persist(self.pointer()).map(drop).map_err(io::Error::from)
        });
        if let Err(error) = written {
            log::warn!("{}: cannot be remembered in {}: {error}", self.uri, self.cache.display());
        }
        prune(&self.cache);
    }

    /// The version that was good last, if its file is still there.
    #[must_use]
    pub fn kept(&self) -> Option<(Version, PathBuf)> {
        let version: Version = serde_json::from_slice(&fs::read(self.pointer()).ok()?).ok()?;
        let path = self.file(&version);
        let found = sha256_of(&path).ok()?;
        (found == version.sha256).then_some((version, path))
    }

    /// The path below the server's own artifacts.
    fn artifacts(&self, version: &Version) -> Result<String> {
        let Download { artifact_uri } =
            self.ask("model-versions/get-download-uri", &[("name", &self.uri.name), ("version", &version.version)])?;
        // `mlflow-artifacts:/path`, or with a host in between.
        let path = artifact_uri.strip_prefix("mlflow-artifacts:").map(|rest| match rest.strip_prefix("//") {
            Some(with_host) => with_host.split_once('/').map_or("", |(_, path)| path),
            None => rest,
        });
        path.map(|path| path.trim_matches('/').to_owned()).ok_or_else(|| {
            RegistryError::Unusable(format!(
                "the artifacts of version {} of {} are at {artifact_uri}; allowed: mlflow-artifacts:/…, which the tracking \
                 server hands out itself; `latency mlflow doctor` says how to get there",
                version.version, self.uri.name
            ))
        })
    }

    fn download(&self, artifact: &str, path: &Path, version: &Version) -> Result<()> {
        let address = format!("{}/{}", self.address("mlflow-artifacts/artifacts"), escaped(artifact));
        let kept =
            |error: io::Error| RegistryError::Unreachable(format!("{}: cannot be kept: {error}", path.display()));
        fs::create_dir_all(&self.cache).map_err(kept)?;
        let mut part = self.part().map_err(kept)?;
        let response = self.request(&address, &[])?;
        let mut body = response.into_body().into_with_config().limit(MAX_BYTES).reader();
        let written = copy(&mut body, &mut part).and_then(|found| part.as_file().sync_all().map(|()| found));
        let found = written.map_err(|error| {
            RegistryError::Unreachable(format!("{address}: its body ended early, or could not be kept: {error}"))
        })?;
        if found != version.sha256 {
            return Err(RegistryError::Unusable(format!(
                "{address}: found a file with the SHA-256 {found}; allowed: {}, as version {} of {} says; somebody changed \
                 the file; register it again",
                version.sha256, version.version, self.uri.name
            )));
        }
        part.persist(path).map(drop).map_err(|error| kept(error.error))
    }

    /// A file that nobody else writes, until it is whole and gets its name: the shadow, or another server with the same
    /// folder, may be fetching the same version.
    fn part(&self) -> io::Result<NamedTempFile> {
        // Others may read it, as far as the umask allows; by itself a temporary file is its owner's alone.
        let permissions = fs::Permissions::from_mode(0o666);
        tempfile::Builder::new().suffix(PART).permissions(permissions).tempfile_in(&self.cache)
    }

    fn file(&self, version: &Version) -> PathBuf {
        self.cache.join(format!("{}.onnx", version.sha256))
    }

    /// Names the last good version of this model of this server.
    fn pointer(&self) -> PathBuf {
        let digest = Sha256::digest(format!("{} {}", self.server, self.uri));
        self.cache.join(format!("{}.json", hex::encode(&digest[..8])))
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/2.0/{path}", self.server.trim_end_matches('/'))
    }

    fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        self.get(&self.address(&format!("mlflow/{path}")), query)
    }

    fn get<T: DeserializeOwned>(&self, address: &str, query: &[(&str, &str)]) -> Result<T> {
        self.request(address, query)?.into_body().read_json().map_err(|error| {
            RegistryError::Unreachable(format!("{address}: found an answer that is not MLflow's ({error})"))
        })
    }

    fn request(&self, address: &str, query: &[(&str, &str)]) -> Result<ureq::http::Response<ureq::Body>> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_global(Some(LONGEST))
            // What the system trusts, and not what was compiled in.
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build()
            .into();
        let mut request = agent.get(address).query_pairs(query.iter().copied());
        request = match &self.credentials {
            Credentials::None => request,
            Credentials::Basic(name, password) => {
                let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{name}:{password}"));
                request.header("Authorization", format!("Basic {encoded}"))
            }
            Credentials::Token(token) => request.header("Authorization", format!("Bearer {token}")),
        };
        let mut response = request.call().map_err(|error| RegistryError::Unreachable(format!("{address}: {error}")))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal = response.body_mut().with_config().limit(64 * 1024).read_json::<Refusal>();
        Err(match refusal {
            // An alias that nobody has is an invalid parameter to MLflow.
            Ok(Refusal { error_code, message })
                if status == StatusCode::NOT_FOUND
                    || error_code == "RESOURCE_DOES_NOT_EXIST"
                    || error_code == "INVALID_PARAMETER_VALUE" =>
            {
                RegistryError::NotFound(format!("{address}: {message}"))
            }
            Ok(Refusal { message, .. }) => RegistryError::Unreachable(format!("{address}: {status}: {message}")),
            Err(_) => RegistryError::Unreachable(format!("{address}: {status}")),
        })
    }
}

fn has_onnx_suffix(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("onnx"))
}

/// A path in an address; its parts may hold anything.
fn escaped(path: &str) -> String {
    rocket::http::RawStr::new(path).percent_encode().to_string().replace("%2F", "/")
}

fn sha256_of(path: &Path) -> io::Result<String> {
    copy(&mut File::open(path)?, &mut io::sink())
}

/// Copies, and returns the SHA-256 of what went through.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes)?;
        if read == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(&bytes[..read]);
        to.write_all(&bytes[..read])?;
    }
}

/// Removes files that no version refers to, and are not new; what a server that was killed had begun is among them.
fn prune(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let has = |path: &Path, suffix: &str| path.extension().is_some_and(|found| found == suffix);
    let pointers = paths.iter().filter(|path| has(path, "json"));
    let referred: Vec<Version> =
        pointers.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect();
    for path in paths.iter().filter(|path| has(path, "onnx") || has(path, &PART[1..])) {
        let is_referred = path.file_stem().is_some_and(|stem| referred.iter().any(|version| *version.sha256 == *stem));
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > KEEP));
        if !is_referred
            && is_old
            && let Err(error) = fs::remove_file(path)
        {
            log::info!("{}: cannot be removed: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_models() {
        for text in ["models:/latency@champion", "models:/my model/12", "models:/a.b-c_d@x.y"] {
            assert_eq!(text.parse::<ModelUri>().unwrap().to_string(), text);
        }
        for text in [
            "latency@champion",
            "models:/latency",
            "models:/latency@",
            "models:/@champion",
            "models:/latency/champion",
            "models:/a/b@c",
            "models:/../1",
            "models:/a@../b",
            "runs:/1/model",
        ] {
            assert!(text.parse::<ModelUri>().is_err(), "{text}");
        }
    }

    #[test]
    fn files_that_nobody_refers_to_go_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry {
            uri: "models:/latency@champion".parse().unwrap(),
            server: "http://127.0.0.1:1".to_owned(),
            credentials: Credentials::None,
            cache: folder.path().to_owned(),
        };
        let old = SystemTime::now() - 2 * KEEP;
        let put = |bytes: &[u8], time: SystemTime| {
            let version = Version { version: "1".to_owned(), sha256: hex::encode(Sha256::digest(bytes)) };
            let path = registry.file(&version);
            fs::write(&path, bytes).unwrap();
            File::open(&path).unwrap().set_modified(time).unwrap();
            version
        };
        let [kept, new, gone] = [put(b"kept", old), put(b"new", SystemTime::now()), put(b"gone", old)];
        let [begun, left] = ["begun.part", "left.part"].map(|name| folder.path().join(name));
        for (part, time) in [(&begun, SystemTime::now()), (&left, old)] {
            File::create(part).unwrap().set_modified(time).unwrap();
        }
        registry.keep(&kept);
        assert!(begun.exists() && !left.exists());
        assert_eq!(registry.kept(), Some((kept.clone(), registry.file(&kept))));
        assert!(registry.file(&new).exists() && !registry.file(&gone).exists());
        // A file that is not what it was is not loaded.
        fs::write(registry.file(&kept), b"changed").unwrap();
        assert_eq!(registry.kept(), None);
    }
}
