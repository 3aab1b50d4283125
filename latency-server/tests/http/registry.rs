//! Models of a registry: found by alias, followed, refused if they are not what they say, and there when `MLflow` is not.
//! `make registry` does the same with `MLflow` itself; this is as much of its REST API as the server speaks.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use latency_server::models::registry::{Credentials, Registry, Version};
use latency_server::models::{Models, Options, Source};
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::tokio::runtime::Runtime;
use rocket::{State, get, routes};
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{Server, TokenFile, config, models, write_variant};
use crate::tls::Authority;
use latency_server::Config;

/// What the registry holds.
#[derive(Default)]
struct Content {
    champion: Option<u64>,
    /// File and SHA-256 of each version.
    versions: BTreeMap<u64, (Vec<u8>, String)>,
    proxied: bool,
}

type Shared = Arc<Mutex<Content>>;
type Json = (ContentType, String);

fn shown(value: &Value) -> Json {
    (ContentType::JSON, value.to_string())
}

#[get("/api/2.0/mlflow/registered-models/alias?<name>&<alias>")]
fn of_alias(name: &str, alias: &str, content: &State<Shared>) -> (Status, Json) {
    let content = content.lock().unwrap();
    let champion = content.champion.filter(|_| (name, alias) == ("latency", "champion"));
    let Some(version) = champion else {
        let message = format!("Registered model alias {alias} not found.");
        let refusal = json!({"error_code": "INVALID_PARAMETER_VALUE", "message": message});
        return (Status::BadRequest, shown(&refusal));
    };
    let tags =
        json!([{"key": "other", "value": "x"}, {"key": "latency.sha256", "value": content.versions[&version].1}]);
    (Status::Ok, shown(&json!({"model_version": {"name": name, "version": version.to_string(), "tags": tags}})))
}

#[get("/api/2.0/mlflow/model-versions/get-download-uri?<name>&<version>")]
fn download_uri(name: &str, version: u64, content: &State<Shared>) -> Json {
    let scheme = if content.lock().unwrap().proxied { "mlflow-artifacts:/" } else { "s3://bucket/" };
    shown(&json!({"artifact_uri": format!("{scheme}1/models/{name} {version}/artifacts")}))
}

#[get("/api/2.0/mlflow-artifacts/artifacts?<path>")]
fn list(path: &str) -> Json {
    assert!(path.starts_with("1/models/latency ") && path.ends_with("/artifacts/data"), "{path}");
    shown(&json!({"files": [{"path": "latency.onnx", "is_dir": false, "file_size": 1}]}))
}

#[get("/api/2.0/mlflow-artifacts/artifacts/1/models/<model>/artifacts/data/latency.onnx")]
fn artifact(model: &str, content: &State<Shared>) -> Vec<u8> {
    let version: u64 = model.strip_prefix("latency ").unwrap().parse().unwrap();
    content.lock().unwrap().versions[&version].0.clone()
}

/// The registry on a free port, until it is dropped.
struct Tracking {
    address: SocketAddr,
    content: Shared,
    _runtime: Runtime,
}

impl Tracking {
    fn start() -> Self {
        let content = Shared::default();
        content.lock().unwrap().proxied = true;
        let runtime = Runtime::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let figment = rocket::Config::figment().merge(("port", 0)).merge(("log_level", "off"));
        let rocket = rocket::custom(figment)
            .manage(Arc::clone(&content))
            .mount("/", routes![of_alias, download_uri, list, artifact])
            .attach(AdHoc::on_liftoff("port", move |rocket| {
                Box::pin(async move {
                    let _ = sender.send(SocketAddr::new(rocket.config().address, rocket.config().port));
                })
            }));
        runtime.spawn(async {
            let _ = rocket.launch().await;
        });
        Self { address: receiver.recv().unwrap(), content, _runtime: runtime }
    }

    /// Adds a version, and makes it the champion; its SHA-256.
    fn promote(&self, version: u64, file: Vec<u8>) -> String {
        let sha256 = hex::encode(Sha256::digest(&file));
        let mut content = self.content.lock().unwrap();
        content.versions.insert(version, (file, sha256.clone()));
        content.champion = Some(version);
        sha256
    }

    fn source(&self, cache: &Path) -> Source {
        Source::Registry(Registry {
            uri: "models:/latency@champion".parse().unwrap(),
            server: format!("http://{}", self.address),
            credentials: Credentials::None,
            cache: cache.to_owned(),
        })
    }
}

fn variant(number: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latency.onnx");
    write_variant(&path, number);
    std::fs::read(path).unwrap()
}

fn serve(source: &Source, tokens: &TokenFile) -> Server {
    let models = Models::new(source.load_first(Options::default()).unwrap(), source.clone(), None);
    let poll = Some(Duration::from_millis(50));
    Server::with(Config { registry_poll: poll, tokens: Some(tokens.tokens()), ..config() }, models)
}

fn info(server: &Server) -> Value {
    server.connect().get("/model_info", "").json()
}

/// Waits until the server says so.
fn until(server: &Server, what: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let info = info(server);
        if what(&info) {
            return info;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{info}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_champion_is_followed_and_kept() {
    let (folder, tokens, tracking) = (tempfile::tempdir().unwrap(), TokenFile::new(), Tracking::start());
    let cache = folder.path().join("cache");
    let source = tracking.source(&cache);
    // Nobody is champion yet.
    let server = serve(&source, &tokens);
    let first = until(&server, |info| info["registry"]["error"] == "NOT_IN_REGISTRY");
    let metrics = server.connect().get("/metrics", "");
    assert!(metrics.text().contains(r#"latency_registry_up{model="latency"} 1"#), "{}", metrics.text());
    assert_eq!((&first["registry"]["serving"], &first["registry"]["wanted"]), (&Value::Null, &Value::Null));
    assert_eq!((&first["source"], &first["registry"]["uri"]), (&"registry".into(), &"models:/latency@champion".into()));

    let one = tracking.promote(1, variant(0));
    let found = until(&server, |info| info["registry"]["serving"] == "1");
    assert_eq!((&found["sha256"], &found["registry"]["error"]), (&one.into(), &Value::Null));
    assert_eq!(found["reloads"]["last"]["by"], "the registry");

    // The same file under another number is that version, and answers as before.
    let since = found["since"].clone();
    let two = tracking.promote(2, variant(0));
    let found = until(&server, |info| info["registry"]["serving"] == "2");
    assert_eq!((&found["sha256"], &found["since"]), (&two.into(), &since));

    // One that is not what the registry says is tried once, and the old one goes on.
    {
        let mut content = tracking.content.lock().unwrap();
        content.versions.insert(3, (variant(2), "0".repeat(64)));
        content.champion = Some(3);
    }
    let found = until(&server, |info| info["registry"]["wanted"] == "3" && info["reloads"]["failed"] == 1);
    assert_eq!(
        (&found["registry"]["serving"], &found["reloads"]["last"]["error"]),
        (&"2".into(), &"REGISTRY_UNUSABLE".into())
    );
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(info(&server)["reloads"]["failed"], 1);
    let metrics = server.connect().get("/metrics", "");
    for line in [
        r#"latency_registry_model_version{model="latency",which="serving"} 2"#,
        r#"latency_registry_model_version{model="latency",which="wanted"} 3"#,
        r#"latency_registry_up{model="latency"} 1"#,
    ] {
        assert!(metrics.text().contains(line), "{line} is not in {}", metrics.text());
    }
    // Who asks for it is told.
    let head = format!("Authorization: Bearer {}\r\n", tokens.admin);
    let answer = server.connect().get("/reload_model", &head);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (502, &"REGISTRY_UNUSABLE".into()));

    // A file that is no model.
    tracking.promote(4, b"no model".to_vec());
    let found = until(&server, |info| info["registry"]["wanted"] == "4" && info["reloads"]["failed"] == 3);
    assert_eq!(found["reloads"]["last"]["error"], "INVALID_MODEL");
    tracking.content.lock().unwrap().proxied = false;
    tracking.promote(5, variant(5));
    let found = until(&server, |info| info["registry"]["wanted"] == "5" && info["reloads"]["failed"] == 4);
    assert_eq!(found["reloads"]["last"]["error"], "REGISTRY_UNUSABLE");
    tracking.content.lock().unwrap().proxied = true;
    let last = tracking.promote(6, variant(6));
    until(&server, |info| info["registry"]["serving"] == "6");
    assert!(
        files(&cache).iter().all(|path| path.extension().is_some_and(|suffix| suffix != "part")),
        "{:?}",
        files(&cache)
    );

    // MLflow goes: it answers on, and so does one that starts now.
    drop(tracking);
    until(&server, |info| info["registry"]["error"] == "REGISTRY_UNREACHABLE");
    assert_eq!(info(&server)["sha256"], last);
    drop(server);
    let server = serve(&source, &tokens);
    let found = info(&server);
    assert_eq!((&found["sha256"], &found["registry"]["serving"]), (&last.into(), &"6".into()));
    let metrics = until(&server, |info| info["registry"]["error"] == "REGISTRY_UNREACHABLE");
    assert_eq!(metrics["reloads"]["failed"], 0);
    assert!(server.connect().get("/metrics", "").text().contains(r#"latency_registry_up{model="latency"} 0"#));
}

#[test]
fn a_model_that_was_unloaded_is_not_brought_back_by_a_promotion() {
    let (folder, tokens, tracking) = (tempfile::tempdir().unwrap(), TokenFile::new(), Tracking::start());
    tracking.promote(1, variant(1));
    let source = tracking.source(&folder.path().join("cache"));
    let models = models().with("followed", source.load_first(Options::default()).unwrap(), source);
    let poll = Some(Duration::from_millis(50));
    let server = Server::with(Config { registry_poll: poll, tokens: Some(tokens.tokens()), ..config() }, models);
    let info = || server.connect().get("/model_info?model=followed", "").json();
    let change = |what: &str| {
        let mut connection = server.connect();
        let token = &tokens.admin;
        let head = format!("Host: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 0");
        connection.send(format!("POST /v2/repository/models/followed/{what} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
        connection.answer(true).status
    };
    assert_eq!(change("unload"), 200);
    tracking.promote(2, variant(2));
    let started = Instant::now();
    while info()["registry"]["wanted"] != "2" {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", info());
        std::thread::sleep(Duration::from_millis(20));
    }
    // Several turns later.
    std::thread::sleep(Duration::from_millis(300));
    let found = info();
    assert_eq!((&found["registry"]["serving"], &found["reloads"]["loaded"]), (&Value::Null, &0.into()), "{found}");
    assert_eq!(found["unloaded"]["by"], "token:operator from 127.0.0.1");
    let metrics = server.connect().get("/metrics", "");
    let text = metrics.text();
    assert!(text.contains("latency_registry_model_version{model=\"followed\",which=\"wanted\"} 2\n"), "{text}");
    assert!(!text.contains("latency_registry_model_version{model=\"followed\",which=\"serving\"}"), "{text}");
    assert_eq!(change("load"), 200);
    assert_eq!((&info()["registry"]["serving"], &info()["reloads"]["loaded"]), (&"2".into(), &1.into()));
}

/// The shadow fetches what the model fetches when a challenger is made the champion.
#[test]
fn several_may_fetch_a_version_at_once() {
    let (folder, tracking) = (tempfile::tempdir().unwrap(), Tracking::start());
    let sha256 = tracking.promote(1, variant(1));
    let version = Version { version: "1".to_owned(), sha256: sha256.clone() };
    for round in 0..5 {
        let cache = folder.path().join(round.to_string());
        let Source::Registry(registry) = tracking.source(&cache) else { unreachable!("it is one") };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let file = registry.fetch(&version).unwrap();
                    assert_eq!(hex::encode(Sha256::digest(std::fs::read(file).unwrap())), sha256);
                });
            }
        });
        assert_eq!(files(&cache), [cache.join(format!("{sha256}.onnx"))]);
    }
}

#[test]
fn without_a_registry_and_a_cache_the_bundled_model_answers() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Registry(Registry {
        uri: "models:/latency/7".parse().unwrap(),
        server: "http://127.0.0.1:1".to_owned(),
        credentials: Credentials::Basic("name".to_owned(), "password".to_owned()),
        cache: folder.path().join("none"),
    });
    let loaded = source.load_first(Options::default()).unwrap();
    assert_eq!((loaded.version, loaded.predictor.model_info().name.as_str()), (None, "latency"));
    let error = source.load(Options::default()).unwrap_err();
    assert_eq!(error.code(), "REGISTRY_UNREACHABLE");
    assert!(!format!("{source:?}{error}").contains("password"), "{source:?} {error}");
}

#[test]
fn a_registry_is_trusted_as_the_system_trusts() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let tls = authority.server();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&tls)).unwrap(), stream.unwrap());
            // Those that do not trust it hang up.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ =
                    stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        }
    });
    for (trusted, words) in [(&authority, "418"), (&other, "ertificate")] {
        let authorities = folder.path().join("authorities.pem");
        std::fs::write(&authorities, trusted.0.pem()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_latency-server"))
            .current_dir(folder.path())
            .env_clear()
            .env("LATENCY_MODEL", "models:/latency@champion")
            .env("MLFLOW_TRACKING_URI", &address)
            .env("SSL_CERT_FILE", authorities)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}
