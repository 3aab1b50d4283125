//! TLS: the server's certificate, and the authorities of its clients' certificates.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rocket::config::{MutualTls, TlsConfig};

/// The contents of the files, which are read once: a new certificate needs a new start.
#[derive(Clone)]
pub struct Tls {
    certificates: Vec<u8>,
    key: Vec<u8>,
    key_path: PathBuf,
    client_authorities: Option<Vec<u8>>,
}

/// A file that cannot be used: the variable that names it, and why.
pub(crate) type Error = (&'static str, String);

impl Tls {
    /// Reads the files.
    pub(crate) fn read(certificates: &Path, key: &Path, client_authorities: Option<&Path>) -> Result<Self, Error> {
        const CERTIFICATE: &str = "CERTIFICATE";
        Ok(Self {
            certificates: pem("LATENCY_TLS_CERT", certificates, CERTIFICATE)?,
            key: pem("LATENCY_TLS_KEY", key, "PRIVATE KEY")?,
            key_path: key.to_owned(),
            client_authorities: client_authorities
                .map(|path| pem("LATENCY_TLS_CLIENT_CA", path, CERTIFICATE))
                .transpose()?,
        })
    }

    pub(crate) fn rocket(&self) -> TlsConfig {
        let tls = TlsConfig::from_bytes(&self.certificates, &self.key);
        match &self.client_authorities {
            Some(authorities) => tls.with_mutual(MutualTls::from_bytes(authorities).mandatory(true)),
            None => tls,
        }
    }

    pub(crate) fn warn_if_open_to_all(&self) {
        crate::tokens::warn_if_open_to_all(&self.key_path, "LATENCY_TLS_KEY");
    }
}

/// Never shows the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("key_path", &self.key_path).finish_non_exhaustive()
    }
}

fn pem(variable: &'static str, path: &Path, what: &str) -> Result<Vec<u8>, Error> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| (variable, format!("the file {shown} cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let is_one =
        text.lines().any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{what}-----")));
    if !is_one || text.contains("ENCRYPTED PRIVATE KEY") {
        return Err((variable, format!("found no {what} in {shown}; allowed: a file in PEM format, not encrypted")));
    }
    Ok(bytes)
}
