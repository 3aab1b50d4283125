//! What the tests of the server share: one loaded model, a client, and a server on a real socket.

#[cfg(unix)]
pub mod collector;
pub mod program;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use latency_core::Predictor;
use latency_server::Config;
use latency_server::models::{Models, Options, Source};
use latency_server::observations::{Place, Settings};
use latency_server::tokens::{self, Scopes, Tokens};
use rocket::config::SecretKey;
use rocket::fairing::AdHoc;
use rocket::local::blocking::{Client, LocalResponse};
use rocket::tokio::runtime::Runtime;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

pub static PREDICTOR: LazyLock<Predictor> =
    LazyLock::new(|| Source::Bundled.load(Options::default()).expect("the bundled model loads").predictor);

thread_local! {
    static CLIENT: &'static Client = {
        let thread = format!("observations-{:?}", std::thread::current().id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(thread.replace(['(', ')'], ""));
        // Of an earlier run.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Box::leak(Box::new(client(&Config { observations: Some(observations(&folder)), ..config() })))
    };
}

/// Where what belongs to this folder is stored, as `LATENCY_OBSERVATIONS` says it: in a file there; or in the database of
/// `LATENCY_TEST_POSTGRES`, if there is one, in a part that no other folder has.
pub fn place(folder: &Path) -> String {
    let Some(address) = postgres() else { return folder.join("observations.db").display().to_string() };
    let mut hasher = DefaultHasher::new();
    (folder, std::process::id()).hash(&mut hasher);
    let schema = format!("t{:016x}", hasher.finish());
    Runtime::new().unwrap().block_on(async {
        let mut connection = PgConnection::connect(&address).await.unwrap();
        let statement = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        sqlx::raw_sql(&statement).execute(&mut connection).await.unwrap();
    });
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}options[search_path]={schema}")
}

/// The database that the tests are to use instead of files.
pub fn postgres() -> Option<String> {
    std::env::var("LATENCY_TEST_POSTGRES").ok()
}

/// Observations are kept there for a day.
pub fn observations(folder: &Path) -> Settings {
    Settings { place: Place::parse(place(folder).into()).unwrap(), keep: Duration::from_hours(24) }
}

/// The server with the usual configuration, and observations, without a socket; one per thread, since clients cannot be
/// shared.
pub fn local() -> &'static Client {
    CLIENT.with(|client| *client)
}

pub fn config() -> Config {
    // So that the tests also run in release builds, which insist on a key.
    Config {
        secret_key: Some(SecretKey::derive_from(b"only for the tests of this server")),
        // The program that runs here is that of the tests.
        program: env!("CARGO_BIN_EXE_latency-server").into(),
        ..Config::default()
    }
}

/// The bundled model alone.
pub fn models() -> Models {
    Models::new(PREDICTOR.clone(), Source::Bundled, None)
}

pub fn client(config: &Config) -> Client {
    Client::untracked(latency_server::rocket(config, models())).expect("the server ignites")
}

/// Sends this body to `/predict`; status and answer.
pub fn predict(body: impl AsRef<[u8]>) -> (u16, Value) {
    let response = local().post("/predict").body(body).dispatch();
    (response.status().code, json(response))
}

pub fn json(response: LocalResponse<'_>) -> Value {
    let text = response.into_string().expect("the answer is text");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A server on a free port of the loopback interface. It stops when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    pub fn start(config: Config) -> Self {
        Self::with(config, models())
    }

    pub fn with(config: Config, models: Models) -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let rocket = latency_server::rocket(&Config { port: 0, ..config }, models).attach(AdHoc::on_liftoff(
            "port",
            move |rocket| {
                Box::pin(async move {
                    let _ = sender.send(SocketAddr::new(rocket.config().address, rocket.config().port));
                })
            },
        ));
        runtime.spawn(async {
            let _ = rocket.launch().await;
        });
        let address = receiver.recv_timeout(Duration::from_secs(20)).expect("the server starts");
        Self { address, _runtime: runtime }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn connect(&self) -> Connection {
        Connection::to(self.address)
    }
}

/// An HTTP/1.1 connection that stays open between requests.
pub struct Connection(BufReader<TcpStream>);

/// What came back: status, headers in lower case, body.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat());
        self.answer(true)
    }

    /// With these lines of the head, each with its line end.
    pub fn get(&mut self, path: &str, lines: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes());
        self.answer(true)
    }

    /// Sends a body of this type, and takes an answer of unknown length.
    pub fn stream(&mut self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut sender = self.0.get_ref().try_clone().unwrap();
        // The server may answer before it has read all.
        std::thread::scope(|scope| {
            scope.spawn(move || sender.write_all(&[head.as_bytes(), body].concat()));
            self.answer(true)
        })
    }

    pub fn head(&mut self, path: &str) -> Answer {
        self.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        self.answer(false)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The head of an answer whose body is still to come.
    pub fn open_answer(&mut self) -> Answer {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the connection ended inside the head: {lines:?}");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let header = |line: &String| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_ascii_lowercase(), value.to_owned()))
        };
        let headers: Vec<_> = lines.iter().skip(1).filter_map(header).collect();
        Answer { status, headers, body: Vec::new() }
    }

    pub fn answer(&mut self, with_body: bool) -> Answer {
        let Answer { status, headers, .. } = self.open_answer();
        if with_body && headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
            return Answer { status, headers, body };
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
        let body = self.read(if with_body { length } else { 0 });
        Answer { status, headers, body }
    }

    /// The next piece of a body of unknown length; none at its end.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("{line:?} is no length"));
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

/// A file of tokens, and what its lines know: somebody for each scope.
pub struct TokenFile {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub admin: String,
    pub predict: String,
}

impl TokenFile {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let (admin, admin_line) = tokens::make("operator", "admin".parse().unwrap()).unwrap();
        let (predict, predict_line) = tokens::make("caller", Scopes::PREDICT).unwrap();
        std::fs::write(&path, format!("{admin_line}\n{predict_line}\n")).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { _folder: folder, path, admin, predict }
    }

    pub fn tokens(&self) -> Tokens {
        Tokens::open(&self.path).unwrap()
    }
}

/// A model file whose bytes, and so whose version, differ with the number, and nothing else does.
pub fn write_variant(path: &Path, number: u8) {
    static BUNDLED: LazyLock<Vec<u8>> =
        LazyLock::new(|| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/latency.onnx")).unwrap());
    // The field `doc_string` of an ONNX model, once more: the last one counts.
    let bytes = [BUNDLED.as_slice(), &[0x32, 1, b'a' + number]].concat();
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, path).unwrap();
}
