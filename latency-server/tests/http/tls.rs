//! HTTPS with certificates that are made here, and clients that must show one.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{collections::HashMap, fs};

use crate::common::{Server, TokenFile};
use latency_server::Config;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

pub struct Authority(pub CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn sign(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }

    /// The TLS of a server `localhost`.
    pub fn server(&self) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign("localhost");
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

struct Files {
    folder: tempfile::TempDir,
    authority: Authority,
    clients: Authority,
}

impl Files {
    fn new() -> Self {
        let files =
            Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new(), clients: Authority::new() };
        let (certificate, key) = files.authority.sign("localhost");
        fs::write(files.path("cert.pem"), certificate.pem()).unwrap();
        fs::write(files.path("key.pem"), key.serialize_pem()).unwrap();
        fs::write(files.path("clients.pem"), files.clients.0.pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As the environment gives it.
    fn config(&self, mutual: bool) -> Config {
        let mut variables =
            HashMap::from([("LATENCY_TLS_CERT", self.path("cert.pem")), ("LATENCY_TLS_KEY", self.path("key.pem"))]);
        if mutual {
            variables.insert("LATENCY_TLS_CLIENT_CA", self.path("clients.pem"));
        }
        let config =
            Config::from_lookup(|name| variables.get(name).map(|path| path.clone().into_os_string()), false).unwrap();
        Config { secret_key: crate::common::config().secret_key, ..config }
    }

    /// A connection that believes our authority, and shows this certificate.
    fn connect(
        &self,
        address: SocketAddr,
        shown: Option<(Certificate, KeyPair)>,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match shown {
            Some((certificate, key)) => {
                let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }
}

fn get(stream: &mut (impl Read + Write), path: &str) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        // Without the goodbye of TLS.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !text.is_empty() => Ok(text),
        Err(error) => Err(error),
        Ok(_) => Ok(text),
    }
}

#[test]
fn https_answers_and_tells_browsers_to_stay() {
    let (files, tokens) = (Files::new(), TokenFile::new());
    let server = Server::start(Config { tokens: Some(tokens.tokens()), ..files.config(false) });
    let answer = get(&mut files.connect(server.address, None), "/health").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        answer.to_ascii_lowercase().matches("strict-transport-security: max-age=31536000\r\n").count(),
        1,
        "{answer}"
    );

    let answer = get(&mut files.connect(server.address, None), "/admin").unwrap();
    let (_, cookie) = answer.split_once("__Host-session=").expect("a cookie for this host alone");
    let cookie = cookie.split_once("\r\n").unwrap().0;
    for part in ["; HttpOnly", "; SameSite=Strict", "; Secure", "; Path=/", "; Max-Age=3600"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");

    // Whoever speaks plain HTTP there gets no answer.
    let mut plain = TcpStream::connect(server.address).unwrap();
    assert!(!get(&mut plain, "/health").is_ok_and(|answer| answer.contains("HTTP/1.1 200")));
}

#[test]
fn mutual_tls_lets_in_those_with_a_certificate_of_the_authority() {
    let files = Files::new();
    let server = Server::start(files.config(true));
    let shown = files.clients.sign("client");
    let answer = get(&mut files.connect(server.address, Some(shown)), "/health").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stranger = Authority::new().sign("client");
    for shown in [None, Some(stranger)] {
        assert!(get(&mut files.connect(server.address, shown), "/health").is_err());
    }
}

#[test]
fn a_key_that_does_not_fit_stops_the_start_and_the_message_says_what() {
    let files = Files::new();
    fs::write(files.path("other.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let run = |key: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_latency-server"));
        command.env_clear().current_dir(files.folder.path()).env("LATENCY_PORT", "0");
        command.env("SECRET_KEY", "q0ZyS1u7Xw3vJm9dKc2RtA5pLfHbE8gNiOeVxY4T6kQ=");
        command.envs(std::env::var_os("LATENCY_ORT_DYLIB_PATH").map(|library| ("LATENCY_ORT_DYLIB_PATH", library)));
        command.env("LATENCY_TLS_CERT", files.path("cert.pem")).env("LATENCY_TLS_KEY", key);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, errors) = run(&files.path("other.pem"));
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("LATENCY_TLS_KEY") && errors.contains("bad TLS"), "{errors}");
    let (code, errors) = run(&files.path("cert.pem"));
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("LATENCY_TLS_KEY: found no PRIVATE KEY"), "{errors}");
}
