//! The configuration: defaults, bad values, `.env`, and that the documents list what there is.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use crate::common::program::{KEY, Program, run};
use latency_server::arguments::Arguments;
use latency_server::logging::LogFormat;
use latency_server::models::Source;
use latency_server::settings::{self, Origin};
use latency_server::variables::{VARIABLES, Variable};
use latency_server::{Config, ConfigError, Models, Settings};

fn read(variables: &[(&str, &str)], release: bool) -> Result<Config, ConfigError> {
    let variables: HashMap<_, _> = variables.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
    Config::from_lookup(|name| variables.get(name).cloned(), release)
}

#[test]
fn without_variables_the_defaults_hold() {
    for variables in
        [&[][..], &[("LATENCY_PORT", ""), ("LATENCY_MODEL", ""), ("SECRET_KEY", ""), ("LATENCY_SESSIONS", "")]]
    {
        let config = read(variables, false).unwrap();
        assert_eq!(SocketAddr::new(config.address, config.port).to_string(), "127.0.0.1:5000");
        assert_eq!((config.model, config.sessions, config.secret_key), (Source::Bundled, None, None));
        assert_eq!(config.max_body_bytes, 64 * 1024 * 1024);
        assert_eq!((config.log_level, config.log_format), (log::LevelFilter::Warn, LogFormat::Text));
        assert_eq!((config.drain.as_secs(), config.grace_seconds, config.ort_library), (5, 10, None));
    }
}

#[test]
fn variables_are_read() {
    let config = read(
        &[
            ("LATENCY_MODEL", "/models/own.onnx"),
            ("LATENCY_MODELS", "edge=/models/edge.onnx, own-2 = /models/a=b.onnx,"),
            ("LATENCY_OBSERVATIONS", "/data/observations.db"),
            ("LATENCY_OBSERVATIONS_DAYS", "7"),
            ("LATENCY_ADDRESS", "::"),
            ("LATENCY_PORT", "0"),
            ("LATENCY_LOG_LEVEL", "INFO"),
            ("LATENCY_MAX_BODY_BYTES", "1024"),
            ("LATENCY_SESSIONS", "3"),
            ("LATENCY_CORS_ORIGINS", "https://app.example, http://localhost:3000"),
            ("LATENCY_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8, fd00::/8"),
            ("LATENCY_RATE_LIMIT", "100"),
            ("LATENCY_RATE_BURST", "200"),
            ("LATENCY_MAX_CONCURRENCY", "7"),
            ("LATENCY_BODY_TIMEOUT", "5"),
            ("LATENCY_LOG_FORMAT", "json"),
            ("LATENCY_DRAIN_SECONDS", "0"),
            ("LATENCY_GRACE_SECONDS", "30"),
            ("LATENCY_ORT_DYLIB_PATH", "/lib/onnxruntime.so"),
            ("SECRET_KEY", KEY),
        ],
        true,
    )
    .unwrap();
    assert_eq!((config.cors_origins.len(), config.trusted_proxies.len()), (2, 3));
    let limits = config.limits;
    assert_eq!((limits.concurrency, limits.body_timeout.as_secs()), (Some(7), 5));
    assert_eq!((limits.rate.unwrap().get(), limits.burst.unwrap().get()), (100, 200));
    assert_eq!(read(&[("LATENCY_RATE_LIMIT", "off")], false).unwrap().limits.rate, None);
    assert_eq!(config.model, Source::File("/models/own.onnx".into()));
    let models = [("edge", "/models/edge.onnx"), ("own-2", "/models/a=b.onnx")];
    assert_eq!(config.models, models.map(|(name, path)| (name.to_owned(), Source::File(path.into()))));
    let observations = config.observations.unwrap();
    assert_eq!(
        (observations.place.to_string().as_str(), observations.keep.as_secs()),
        ("/data/observations.db", 7 * 86_400)
    );
    assert_eq!(SocketAddr::new(config.address, config.port).to_string(), "[::]:0");
    assert_eq!(config.log_level, log::LevelFilter::Info);
    assert_eq!((config.max_body_bytes, config.sessions.unwrap().get()), (1024, 3));
    assert_eq!((config.log_format, config.drain.as_secs(), config.grace_seconds), (LogFormat::Json, 0, 30));
    assert_eq!(config.ort_library.as_deref(), Some(Path::new("/lib/onnxruntime.so")));
    assert!(config.secret_key.is_some_and(|key| key.is_provided()));
}

#[test]
fn bad_values_are_named_with_what_is_allowed() {
    for (name, value, allowed) in [
        ("LATENCY_MODELS", "/models/edge.onnx", "name=path"),
        ("LATENCY_MODELS", "edge=", "name=path"),
        ("LATENCY_MODELS", "=/models/edge.onnx", "name=path"),
        ("LATENCY_MODELS", "a b=/models/edge.onnx", "name=path"),
        ("LATENCY_ADDRESS", "localhost", "IPv4 or IPv6"),
        ("LATENCY_ADDRESS", "127.0.0.1:5000", "IPv4 or IPv6"),
        ("LATENCY_PORT", "65536", "0 to 65535"),
        ("LATENCY_PORT", "-1", "0 to 65535"),
        ("LATENCY_PORT", "http", "0 to 65535"),
        ("LATENCY_LOG_LEVEL", "loud", "off, error, warn, info, debug"),
        ("LATENCY_LOG_LEVEL", "trace", "off, error, warn, info, debug"),
        ("LATENCY_MAX_BODY_BYTES", "64MB", "1024 to 1073741824"),
        ("LATENCY_MAX_BODY_BYTES", "1023", "1024 to 1073741824"),
        ("LATENCY_MAX_BODY_BYTES", "1073741825", "1024 to 1073741824"),
        ("LATENCY_LOG_FORMAT", "xml", "text, json"),
        ("LATENCY_DRAIN_SECONDS", "301", "0 to 300"),
        ("LATENCY_DRAIN_SECONDS", "5s", "0 to 300"),
        ("LATENCY_GRACE_SECONDS", "0", "1 to 300"),
        ("LATENCY_SESSIONS", "0", "1 to 1024"),
        ("LATENCY_SESSIONS", "1025", "1 to 1024"),
        ("LATENCY_SESSIONS", "2.5", "1 to 1024"),
        ("LATENCY_OBSERVATIONS_DAYS", "0", "1 to 3650"),
        ("LATENCY_OBSERVATIONS_DAYS", "3651", "1 to 3650"),
        ("LATENCY_REQUIRE_TOKEN", "all", "off; predict"),
        ("LATENCY_CORS_ORIGINS", "*", "https://app.example"),
        ("LATENCY_CORS_ORIGINS", "https://app.example/", "https://app.example"),
        ("LATENCY_TRUSTED_PROXIES", "10.0.0.0/33", "10.0.0.0/8"),
        ("LATENCY_TRUSTED_PROXIES", "proxy", "10.0.0.0/8"),
        ("LATENCY_RATE_LIMIT", "0", "1 to 1000000, or off"),
        ("LATENCY_RATE_BURST", "off", "1 to 1000000"),
        ("LATENCY_MAX_CONCURRENCY", "0", "1 to 100000"),
        ("LATENCY_BODY_TIMEOUT", "0", "1 to 3600"),
    ] {
        let error = read(&[(name, value)], false).unwrap_err();
        assert_eq!(error.variable, name);
        let text = error.to_string();
        assert!(text.starts_with(&format!("{name}: found {value:?}; allowed: ")) && text.contains(allowed), "{text}");
    }
}

#[test]
fn what_belongs_together_is_set_together() {
    let folder = tempfile::tempdir().unwrap();
    let (text, tokens) = (folder.path().join("text"), folder.path().join("tokens"));
    std::fs::write(&text, "no certificate").unwrap();
    std::fs::write(&tokens, "ci admin secret-token").unwrap();
    let (text, tokens) = (text.to_str().unwrap(), tokens.to_str().unwrap());
    for (variables, name, words) in [
        (&[("LATENCY_REQUIRE_TOKEN", "predict")][..], "LATENCY_REQUIRE_TOKEN", "set LATENCY_TOKENS_FILE"),
        (&[("LATENCY_TOKENS_FILE", "/nowhere/tokens")], "LATENCY_TOKENS_FILE", "cannot be read"),
        (&[("LATENCY_TOKENS_FILE", tokens)], "LATENCY_TOKENS_FILE", "line 1: found something else than 64"),
        (&[("LATENCY_TLS_CERT", text)], "LATENCY_TLS_KEY", "found none; allowed: path of a PEM file"),
        (&[("LATENCY_TLS_KEY", text)], "LATENCY_TLS_CERT", "found none"),
        (&[("LATENCY_TLS_CLIENT_CA", text)], "LATENCY_TLS_CERT", "found none"),
        (&[("LATENCY_TLS_CERT", text), ("LATENCY_TLS_KEY", text)], "LATENCY_TLS_CERT", "found no CERTIFICATE"),
        (&[("LATENCY_TLS_CERT", "/nowhere/cert"), ("LATENCY_TLS_KEY", text)], "LATENCY_TLS_CERT", "cannot be read"),
    ] {
        let error = read(variables, false).unwrap_err();
        assert_eq!(error.variable, name, "{error}");
        assert!(error.message.contains(words) && !error.message.contains("secret-token"), "{error}");
    }
}

#[test]
fn a_secret_may_have_rockets_name() {
    assert!(read(&[("ROCKET_SECRET_KEY", KEY)], true).unwrap().secret_key.is_some());
    let error = read(&[("ROCKET_SECRET_KEY", "c2hvcnQ=")], true).unwrap_err();
    assert_eq!(error.variable, "ROCKET_SECRET_KEY");
    // The other one wins, and must be good.
    assert!(read(&[("SECRET_KEY", "c2hvcnQ="), ("ROCKET_SECRET_KEY", KEY)], true).is_err());
}

#[test]
fn a_weak_secret_is_refused_and_never_shown() {
    for (key, why) in [
        ("", "found none"),
        ("not base64 at all!", "not base64"),
        ("c2hvcnQ=", "5 bytes"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "pattern"),
        ("changemechangemechangemechangemechangemechan", "pattern"),
        ("hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=", "public documentation"),
    ] {
        let error = read(&[("SECRET_KEY", key)], true).unwrap_err();
        assert_eq!(error.variable, "SECRET_KEY");
        assert!(error.message.contains(why), "{key}: {error}");
        assert!(error.message.contains("openssl rand -base64 32"), "{error}");
        assert!(key.is_empty() || !error.message.contains(key), "{error}");
        // A key that is set must be a good one everywhere; only none at all is fine while developing.
        assert_eq!(read(&[("SECRET_KEY", key)], false).is_ok(), key.is_empty(), "{key}");
    }
    let wrapped = format!("{}\n{}", &KEY[..20], &KEY[20..]);
    for key in [KEY, KEY.trim_end_matches('='), &wrapped] {
        let config = read(&[("SECRET_KEY", key)], true).unwrap();
        assert!(!format!("{config:?}").contains(&KEY[..8]), "{config:?}");
    }
}

#[test]
fn dot_env_is_read_and_the_environment_wins() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), format!("# A comment\nSECRET_KEY={KEY}\nLATENCY_PORT=http\n")).unwrap();
    let (code, _, errors) = run(folder.path(), &["--check-config"], &[]);
    assert_eq!(code, Some(2));
    assert_eq!(
        errors,
        "latency-server: LATENCY_PORT in .env: found \"http\"; allowed: 0 to 65535; 0 for any free port\n"
    );

    let (code, text, errors) = run(folder.path(), &["--check-config"], &[("LATENCY_PORT", "4321")]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(text.ends_with("127.0.0.1:4321\n") && text.contains("\nThe configuration is good: model "), "{text}");
}

#[test]
fn a_broken_dot_env_is_an_error_that_shows_no_value() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["SECRET_KEY=\"hidden-value", "hidden-value", "SECRET_KEY=hidden-value two words"] {
        std::fs::write(folder.path().join(".env"), line).unwrap();
        let (code, _, errors) = run(folder.path(), &["--check-config"], &[]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(".env: found") && errors.contains("allowed: lines NAME=value"), "{errors}");
        assert!(!errors.contains("hidden-value"), "{errors}");
    }
}

#[test]
fn a_model_that_cannot_be_loaded_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.onnx"), "no model").unwrap();
    for (model, words) in [("missing.onnx", "cannot read the model file missing.onnx"), ("broken.onnx", "8 bytes")] {
        let (code, _, errors) = run(folder.path(), &[], &[("LATENCY_MODEL", model), ("SECRET_KEY", KEY)]);
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.starts_with("latency-server: cannot start: ") && errors.contains(words), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn flags() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text, _) = run(folder.path(), &["--help"], &[]);
    assert_eq!(code, Some(0));
    assert!(text.contains("--check-config") && VARIABLES.iter().all(|variable| text.contains(variable.name)), "{text}");
    let (code, text, _) = run(folder.path(), &["--version"], &[]);
    assert_eq!((code, text), (Some(0), format!("latency-server {}\n", env!("CARGO_PKG_VERSION"))));
    let (code, _, errors) = run(folder.path(), &["--prot", "80"], &[]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("--prot; did you mean --port?") && errors.contains("--help"), "{errors}");
    let (code, _, errors) = run(folder.path(), &["--port", "http"], &[("LATENCY_PORT", "80"), ("SECRET_KEY", KEY)]);
    assert_eq!(
        (code, errors.as_str()),
        (Some(2), "latency-server: --port: found \"http\"; allowed: 0 to 65535; 0 for any free port\n")
    );
}

/// What is set by this command line, environment, `.env` and file.
fn settings(flags: &str, environment: &[(&str, &str)], dot_env: &str, file: &str) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(folder.path().join(".env"), dot_env).unwrap();
    std::fs::write(&path, file).unwrap();
    let flags = flags.replace("FILE", path.to_str().unwrap());
    let arguments = Arguments::parse(flags.split_whitespace().map(OsString::from)).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Settings::from_places(arguments.flags, environment, &folder.path().join(".env"))
}

#[test]
fn flags_win_over_the_environment_over_dot_env_over_the_file_over_the_defaults() {
    let file = "port = 1\naddress = \"::1\"\nlog_level = \"info\"\nsessions = 4\n";
    let dot_env = "LATENCY_PORT=2\nLATENCY_ADDRESS=0.0.0.0\nLATENCY_LOG_LEVEL=debug\n";
    let environment = [("LATENCY_PORT", "3"), ("LATENCY_ADDRESS", "127.0.0.2"), ("LATENCY_LOG_LEVEL", "")];
    let settings = settings("--port 4 --config FILE", &environment, dot_env, file).unwrap();
    let config = settings.config(false).unwrap();
    assert_eq!(SocketAddr::new(config.address, config.port).to_string(), "127.0.0.2:4");
    // Empty is not set.
    assert_eq!(config.log_level, log::LevelFilter::Debug);
    assert_eq!((config.sessions.unwrap().get(), config.max_body_bytes), (4, 64 << 20));
    assert_eq!(settings.origin("LATENCY_PORT"), Some(&Origin::Flag));
    assert_eq!(settings.origin("LATENCY_ADDRESS"), Some(&Origin::Environment));
    assert_eq!(settings.origin("LATENCY_LOG_LEVEL"), Some(&Origin::DotEnv));
    assert!(matches!(settings.origin("LATENCY_SESSIONS"), Some(Origin::File(path)) if path.ends_with("server.toml")));
    assert_eq!(settings.origin("LATENCY_MAX_BODY_BYTES"), None);
    let table = settings.table();
    let words: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words.contains(&vec!["LATENCY_PORT", "4", "(flag)"]), "{table}");
    assert!(words.contains(&vec!["LATENCY_ADDRESS", "127.0.0.2", "(environment)"]), "{table}");
    assert!(words.contains(&vec!["LATENCY_MAX_BODY_BYTES", "67108864", "(default)"]), "{table}");
}

#[test]
fn the_file_is_strict() {
    for (file, words) in [
        ("prot = 80", "found the key `prot` (did you mean `port`?); allowed: model, models, shadow, "),
        ("LATENCY_PORT = 80", "found the key `LATENCY_PORT` (did you mean `port`?"),
        ("max-body-bytes = 1024", "did you mean `max_body_bytes`?"),
        ("config = \"other.toml\"", "found the key `config`"),
        ("[server]\nport = 80", "found the key `server`"),
        ("port = 8.5", "found a value of `port` that is no text, whole number, true or false"),
        ("port = [80]", "found a value of `port`"),
        ("port = 80\nsecret_key = hidden-value", "not TOML in line 2"),
        ("port = 80\nport = 81", "not TOML in line 2"),
    ] {
        let error = settings("--config FILE", &[], "", file).unwrap_err();
        assert!(error.variable.ends_with("server.toml") && error.message.contains(words), "{error}");
        assert!(!error.to_string().contains("hidden-value"), "{error}");
    }
    let error = settings("--config FILE", &[], "", "port = 65536").unwrap().config(false).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("port in ") && text.contains("server.toml: found \"65536\"; allowed: 0 to 65535"),
        "{text}"
    );
    let error = settings("--config /nowhere.toml", &[], "", "").unwrap_err();
    assert!(error.to_string().starts_with("/nowhere.toml: the file cannot be read: "), "{error}");
}

#[test]
fn each_variable_has_a_flag_and_a_key_that_mean_it() {
    for Variable { name, .. } in VARIABLES {
        if let Some(flag) = settings::flag(name) {
            // The last one wins: the file of this configuration is not there.
            let found = settings(&format!("--config FILE --{flag}=x"), &[], "", "");
            assert_eq!(found.is_err(), *name == "LATENCY_CONFIG", "{name}");
            assert!(found.map_or(true, |found| found.origin(name) == Some(&Origin::Flag)), "{name}");
        }
        if *name != "LATENCY_CONFIG" {
            let found = settings("--config FILE", &[], "", &format!("{} = \"x\"", settings::key(name))).unwrap();
            assert!(matches!(found.origin(name), Some(Origin::File(_))), "{name}");
        }
    }
}

#[test]
fn secrets_have_two_names_and_are_never_shown() {
    let other = KEY.replace('q', "r");
    for (environment, dot_env, origin) in [
        (vec![("ROCKET_SECRET_KEY", KEY)], String::new(), Origin::Environment),
        (vec![("SECRET_KEY", KEY), ("ROCKET_SECRET_KEY", "weak")], String::new(), Origin::Environment),
        (vec![("SECRET_KEY", ""), ("ROCKET_SECRET_KEY", KEY)], "SECRET_KEY=weak".into(), Origin::Environment),
        (vec![], format!("ROCKET_SECRET_KEY={other}\nSECRET_KEY={KEY}"), Origin::DotEnv),
    ] {
        let settings = settings("", &environment, &dot_env, "").unwrap();
        assert_eq!((settings.origin("SECRET_KEY"), settings.get("SECRET_KEY")), (Some(&origin), Some(KEY.as_ref())));
        assert!(settings.config(true).is_ok());
        assert!(settings.table().contains("set, and not shown"), "{}", settings.table());
        assert!(!settings.table().contains(KEY) && !format!("{settings:?}").contains(KEY));
    }
    let error = settings("", &[("ROCKET_SECRET_KEY", "weak")], "", "").unwrap().config(false).unwrap_err();
    assert!(error.to_string().starts_with("ROCKET_SECRET_KEY: found"), "{error}");
}

#[test]
fn names_that_look_like_mistakes_are_warned_of() {
    let environment = [("LATENCY_PROT", "80"), ("LATENCY_DATA_MIRROR", "/data"), ("PORT", "80")];
    let settings = settings("", &environment, "LATENCY_MODLE=a.onnx", "").unwrap();
    assert_eq!(
        settings.warnings(),
        [
            "LATENCY_PROT in environment is not read; did you mean LATENCY_PORT?",
            "LATENCY_MODLE in .env is not read; did you mean LATENCY_MODEL?"
        ]
    );
}

#[test]
fn the_program_serves_from_any_folder_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[], &[("LATENCY_PORT", "0"), ("SECRET_KEY", KEY)]);
    let address = program.address;
    assert_eq!(
        program.greeting,
        format!(r#"Try: curl http://{address}/predict -d '{{"src": "London", "dst": "Tokyo"}}'"#)
    );

    let mut connection = crate::common::Connection::to(address);
    let answer = connection.post("/predict", br#"{"src": "London", "dst": "Tokyo"}"#);
    assert_eq!(answer.status, 200);
    assert!(answer.json()["p50_ms"].as_f64().unwrap() > 50.0);
    connection.send(b"GET /?src=London&dst=Tokyo HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(connection.answer(true).status, 200);
    // The body of a bad request does not get into the log.
    assert_eq!(connection.post("/predict", b"{\"private\": \"private\"").status, 400);
    assert_eq!(connection.post("/nothing", b"private").status, 404);

    let taken = address.port().to_string();
    let (code, _, errors) = run(folder.path(), &[], &[("LATENCY_PORT", &taken), ("SECRET_KEY", KEY)]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains(&format!("cannot listen on {address}")) && errors.contains("LATENCY_PORT"), "{errors}");

    assert_eq!(program.kill(), Vec::<String>::new());
}

#[test]
fn the_native_engine_needs_no_library_and_gives_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let start = |engine: &str, library: &str| {
        let variables = [
            ("LATENCY_PORT", "0"),
            ("SECRET_KEY", KEY),
            ("LATENCY_ENGINE", engine),
            ("LATENCY_ORT_DYLIB_PATH", library),
        ];
        Program::start(folder.path(), &[], &variables)
    };
    let predicted = |program: &Program| {
        let mut connection = crate::common::Connection::to(program.address);
        connection.post("/predict", br#"{"src": "London", "dst": "Tokyo"}"#).json()
    };
    let (native, reference) =
        (start("native", "/no/library.so"), start("", &std::env::var("LATENCY_ORT_DYLIB_PATH").unwrap()));
    let (mut one, other) = (predicted(&native), predicted(&reference));
    assert_eq!((&one["model"]["engine"], &other["model"]["engine"]), (&"native".into(), &"onnxruntime".into()));
    one["model"] = other["model"].clone();
    assert_eq!(one, other);

    let (code, _, errors) = run(folder.path(), &[], &[("LATENCY_ENGINE", "steam"), ("SECRET_KEY", KEY)]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains(r#"LATENCY_ENGINE: found "steam"; allowed: onnxruntime, native"#), "{errors}");
}

fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn the_documents_list_every_variable() {
    let guide = document("docs/server.md");
    let rows: Vec<_> = guide
        .lines()
        .filter(|line| {
            ["LATENCY_", "MLFLOW_", "SECRET_", "ROCKET_", "OTEL_"]
                .iter()
                .any(|start| line.starts_with(&format!("| `{start}")))
        })
        .collect();
    let expected: Vec<_> = VARIABLES
        .iter()
        .map(|variable| {
            let Variable { name, purpose, allowed, default } = variable;
            format!("| `{name}` | {purpose} | {allowed} | {default} |")
        })
        .collect();
    assert_eq!(rows, expected);

    let example = document(".env.example");
    let (example, _) = example.split_once("# ----").expect("then what docker-compose.yml alone reads");
    let names: Vec<_> = example
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once('=').map(|(name, _)| name))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .collect();
    assert_eq!(names, VARIABLES.iter().map(|variable| variable.name).collect::<Vec<_>>());
    let secret = example.lines().find_map(|line| line.strip_prefix("SECRET_KEY="));
    assert_eq!(secret, Some(""), "the example holds no secret, and so does not start a release build");
}

#[test]
fn no_model_takes_the_place_of_another() {
    let error = read(&[("LATENCY_MODELS", "edge=/a.onnx,edge=/b.onnx")], false).unwrap_err();
    assert_eq!(error.to_string(), "LATENCY_MODELS: found \"edge\" twice; allowed: each name once");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/latency.onnx");
    let config =
        |name: &str| Config { models: vec![(name.to_owned(), Source::File(path.into()))], ..Config::default() };
    let names = |models: &Models| models.slots().map(|slot| slot.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&config("edge").load_models().unwrap()), ["edge", "latency"]);
    let error = config("latency").load_models().unwrap_err();
    assert_eq!(error.field(), Some("LATENCY_MODELS"));
    assert!(error.message().contains("found the name \"latency\", which another model has"), "{error}");
}

#[test]
fn models_of_a_registry() {
    let read = |variables: &[(&str, &str)]| {
        Config::from_lookup(
            |name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into()),
            false,
        )
    };
    let server = ("MLFLOW_TRACKING_URI", "http://mlflow:5001/");
    let config = read(&[
        ("LATENCY_MODEL", "models:/latency@champion"),
        ("LATENCY_MODELS", "old=models:/latency/3, own=/models/own.onnx"),
        ("LATENCY_CACHE", "/cache"),
        ("LATENCY_REGISTRY_POLL", "5"),
        ("MLFLOW_TRACKING_TOKEN", "hush"),
        server,
    ])
    .unwrap();
    let Source::Registry(registry) = &config.model else { panic!("{:?}", config.model) };
    assert_eq!(
        (registry.uri.to_string().as_str(), registry.cache.to_str()),
        ("models:/latency@champion", Some("/cache"))
    );
    assert_eq!(config.models[0].1.to_string(), "models:/latency/3");
    assert_eq!(config.models[1].1, Source::File("/models/own.onnx".into()));
    assert_eq!(config.registry_poll, Some(std::time::Duration::from_secs(5)));
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    assert_eq!(read(&[("LATENCY_REGISTRY_POLL", "off")]).unwrap().registry_poll, None);

    let champion = ("LATENCY_MODEL", "models:/latency@champion");
    let shadow = |place| read(&[champion, server, ("LATENCY_SHADOW", place)]).unwrap().shadow.unwrap().to_string();
    assert_eq!(shadow("@challenger"), "models:/latency@challenger");
    assert_eq!(shadow("models:/other/4"), "models:/other/4");
    assert_eq!(shadow("/models/own.onnx"), "/models/own.onnx");
    for (variables, variable, words) in [
        (vec![champion], "MLFLOW_TRACKING_URI", "found none"),
        (vec![("LATENCY_MODEL", "models:/latency"), server], "LATENCY_MODEL", "models:/NAME@ALIAS"),
        (vec![("LATENCY_MODELS", "a=models:/b/c"), server], "LATENCY_MODELS", "found \"models:/b/c\""),
        (vec![champion, ("MLFLOW_TRACKING_URI", "sqlite:///x.db")], "MLFLOW_TRACKING_URI", "another scheme"),
        (vec![champion, ("MLFLOW_TRACKING_URI", "http://me:hush@mlflow")], "MLFLOW_TRACKING_URI", "a name in it"),
        (vec![champion, server, ("MLFLOW_TRACKING_USERNAME", "me")], "MLFLOW_TRACKING_PASSWORD", "found none"),
        (vec![("LATENCY_SHADOW", "@challenger")], "LATENCY_SHADOW", "LATENCY_MODEL is not of a registry"),
        (vec![("LATENCY_REGISTRY_POLL", "0")], "LATENCY_REGISTRY_POLL", "1 to 86400"),
    ] {
        let error = read(&variables).unwrap_err();
        assert_eq!(error.variable, variable, "{error}");
        assert!(error.message.contains(words) && !error.message.contains("hush"), "{error}");
    }
}
