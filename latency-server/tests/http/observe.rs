//! `POST /observe` and what comes of it: nothing that was answered is lost, and the figures say how good predictions were.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::program::{KEY, Program, command, run};
use crate::common::{
    Connection, PREDICTOR, Server, TokenFile, client, config, json, local, observations, place, postgres, write_variant,
};
use latency_server::Config;
use latency_server::gate::RequireToken;
use latency_server::limits::Settings;
use latency_server::models::{Models, Options, Source};
use rocket::http::{Header, Status};
use rocket::local::blocking::Client;
use rocket::tokio::runtime::Runtime;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

/// A server that keeps observations in this folder.
pub fn observing(folder: &Path) -> Client {
    client(&Config { observations: Some(observations(folder)), ..config() })
}

fn observe(client: &Client, body: &Value) -> (u16, Value) {
    let response = client.post("/observe").body(body.to_string()).dispatch();
    (response.status().code, json(response))
}

fn figures(client: &Client) -> Vec<Value> {
    json(client.get("/observations").dispatch())["models"].as_array().unwrap().clone()
}

/// Enough that all figures are there: a thousand that others are compared with, others, and a path with its median.
pub fn observe_much(client: &Client) {
    // As predicted, but each tenth beyond the 90 % quantile.
    let answer = observe(client, &measured(1_000, 0.0, |index| if index % 10 == 0 { 450.0 } else { 232.0 })).1;
    assert!(answer["observations"].as_array().unwrap().iter().all(|answer| answer["status"] == "stored"));
    std::thread::sleep(Duration::from_millis(5));
    // Later everybody asks for places further in the north.
    observe(client, &measured(200, 5.0, |_| 232.0));
    observe(client, &Value::from(vec![json!({"src": "London", "dst": "Tokyo", "measured_ms": 230}); 5]));
}

/// Measurements between London and Tokyo, and so many km to the north of there.
fn measured(count: usize, north: f64, ms: impl Fn(usize) -> f64) -> Value {
    let row = |index: usize| {
        json!({
            "src": "London",
            "dst": {"lat": 35.69 + north + index as f64 / 10_000.0, "lon": 139.69, "access": "wifi"},
            "measured_ms": ms(index),
        })
    };
    (0..count).map(row).collect()
}

#[test]
fn a_measurement_is_stored_once_beside_its_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let client = observing(folder.path());
    let row =
        json!({"src": "London", "dst": "Tokyo", "measured_ms": 240, "at": "2026-01-31T12:00:00+01:00", "id": "a"});
    let (status, stored) = observe(&client, &row);
    assert_eq!((status, &stored["status"], &stored["verdict"]), (200, &json!("stored"), &json!("plausible")));
    let predicted = json(client.post("/predict").body(r#"{"src": "London", "dst": "Tokyo"}"#).dispatch());
    for number in ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms"] {
        assert_eq!(stored[number], predicted[number], "{number}");
    }
    assert_eq!(stored["model"]["version"], predicted["model"]["version"]);
    // The same in other words; the time too.
    let again = json!({"id": "a", "at": "2026-01-31T11:00:00Z", "src": {"place": "London"}, "dst": "Tokyo", "measured_ms": 240.0});
    let (status, mut duplicate) = observe(&client, &again);
    assert_eq!((status, &duplicate["status"]), (200, &json!("duplicate")));
    duplicate["status"] = json!("stored");
    assert_eq!(duplicate, stored);
    for (key, value) in [("measured_ms", json!(241)), ("dst", json!("Osaka")), ("at", json!("2026-01-31T11:00:01Z"))] {
        let mut other = row.clone();
        other[key] = value;
        let (status, answer) = observe(&client, &other);
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("ID_CONFLICT")), "{key}");
    }
    // Without an id it is another measurement.
    let nameless = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240});
    for _ in 0..2 {
        assert_eq!(observe(&client, &nameless).1["status"], "stored");
    }
    assert_eq!(figures(&client)[0]["observations"], 3);
}

#[test]
fn rows_of_an_array_stand_for_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let client = observing(folder.path());
    let row = |id: &str, ms: f64| json!({"src": "London", "dst": "Tokyo", "measured_ms": ms, "id": id});
    let body = json!([row("a", 240.0), {"src": "Lndon", "dst": "Tokyo", "measured_ms": 1}, row("a", 240.0), row("a", 1.0), 5, row("b", 40.0)]);
    let (status, answer) = observe(&client, &body);
    assert_eq!(status, 200);
    let answers = answer["observations"].as_array().unwrap();
    let said: Vec<_> =
        answers.iter().map(|answer| answer["status"].as_str().or(answer["error"]["code"].as_str())).collect();
    let expected = ["stored", "UNKNOWN_PLACE", "duplicate", "ID_CONFLICT", "INVALID_JSON", "stored"];
    assert_eq!(said, expected.map(Some));
    assert!(answers.iter().enumerate().all(|(row, answer)| answer["error"].is_null() || answer["error"]["row"] == row));
    assert_eq!(answers[5]["verdict"], "impossible");
    assert_eq!(observe(&client, &json!([])), (200, json!({"observations": []})));
}

#[test]
fn what_cannot_be_a_measurement_is_refused() {
    let base = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240});
    for (key, value, code) in [
        ("measured_ms", Value::Null, "MISSING_FIELD"),
        ("measured_ms", json!(0), "INVALID_FIELD"),
        ("measured_ms", json!(-5), "INVALID_FIELD"),
        ("measured_ms", json!(1e9), "INVALID_FIELD"),
        ("measured_ms", json!("240"), "INVALID_FIELD"),
        ("at", json!("yesterday"), "INVALID_FIELD"),
        ("at", json!("2999-01-01T00:00:00Z"), "INVALID_FIELD"),
        ("at", json!("1969-12-31T23:59:59Z"), "INVALID_FIELD"),
        ("at", json!(1_700_000_000), "INVALID_FIELD"),
        ("id", json!(""), "INVALID_FIELD"),
        ("id", json!("a\nb"), "INVALID_FIELD"),
        ("id", json!("a".repeat(129)), "INVALID_FIELD"),
        ("id", json!(7), "INVALID_FIELD"),
        ("weather", json!("rain"), "UNKNOWN_FIELD"),
    ] {
        let mut row = base.clone();
        row[key] = value;
        let (status, answer) = observe(local(), &row);
        let error = &answer["error"];
        assert_eq!((status, &error["code"], &error["field"]), (400, &json!(code), &json!(key)), "{row}");
    }
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert_eq!(local().post("/observe").body(many).dispatch().status(), Status::PayloadTooLarge);
    let response = local().post("/observe?quantiles=0.5").body(base.to_string()).dispatch();
    assert_eq!(json(response)["error"]["code"], "UNKNOWN_FIELD");
}

#[test]
fn nothing_is_kept_unless_the_operator_asks_for_it() {
    let tokens = TokenFile::new();
    let client = client(&Config { tokens: Some(tokens.tokens()), ..config() });
    let (status, answer) = observe(&client, &json!({"src": "London", "dst": "Tokyo", "measured_ms": 240}));
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("OBSERVATIONS_OFF")));
    assert_eq!(json(client.get("/observations").dispatch())["error"]["code"], "OBSERVATIONS_OFF");
    let response = client.get("/observations/export").header(bearer(&tokens.admin)).dispatch();
    assert_eq!(json(response)["error"]["code"], "OBSERVATIONS_OFF");
}

fn bearer(token: &str) -> Header<'static> {
    Header::new("Authorization", format!("Bearer {token}"))
}

#[test]
fn figures_are_those_of_the_last_observations_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let client = observing(folder.path());
        let empty = &figures(&client)[0];
        assert_eq!(
            (&empty["observations"], &empty["below_p90"], &empty["psi"]["reference"]),
            (&json!(0), &Value::Null, &Value::Null)
        );
        observe_much(&client);
        observe(&client, &json!({"src": "London", "dst": "Tokyo", "measured_ms": 3}));
        figures(&client).pop().unwrap()
    };
    assert_eq!(before["observations"], 1_206);
    assert_eq!(before["verdicts"]["impossible"], 1);
    let number = |path: &str| before.pointer(path).and_then(Value::as_f64).unwrap();
    assert!((number("/below_p90") - 1105.0 / 1205.0).abs() < 1e-9, "{before}");
    assert_eq!(before["interval"], json!({"about": "path", "count": 1, "inside": 1.0}));
    assert!(number("/median_relative_error") < 0.1 && number("/mean_absolute_error_ms") > 10.0, "{before}");
    assert!((number("/pinball_ms/p50") - number("/mean_absolute_error_ms") / 2.0).abs() < 1e-9, "{before}");
    assert_eq!(
        (&before["psi"]["reference"], &before["psi"]["observations"]),
        (&json!("first_observations"), &json!(205))
    );
    assert!(number("/psi/features/dst_lat") > 1.0 && number("/psi/features/src_lat") < 0.01, "{before}");
    let client = observing(folder.path());
    assert_eq!(figures(&client), [before]);
    let text = client.get("/metrics").dispatch().into_string().unwrap();
    for line in [
        "latency_observed_window{model=\"latency\"} 1206",
        "latency_observed_coverage{model=\"latency\",of=\"interval\"} 1",
        // Since this start nothing was stored.
        "latency_observations_total{model=\"latency\",verdict=\"plausible\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains("latency_feature_psi{feature=\"dst_lat\",model=\"latency\"} "));
    observe(&client, &json!({"src": "London", "dst": "Tokyo", "measured_ms": 240}));
    let text = client.get("/metrics").dispatch().into_string().unwrap();
    for line in [
        "latency_observations_total{model=\"latency\",verdict=\"plausible\"} 1",
        "latency_observed_absolute_error_seconds_count{model=\"latency\"} 1",
        "latency_observed_relative_error_count{model=\"latency\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn the_status_page_shows_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let client = observing(folder.path());
    let page = |client: &Client| client.get("/status").dispatch().into_string().unwrap();
    assert!(!page(&client).contains("What was measured since"));
    observe_much(&client);
    let page = page(&client);
    for shown in
        ["What was measured since", "<dd>1205</dd>", "Below the 90 % quantile", "Medians of paths within the interval"]
    {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
}

#[test]
fn the_export_is_a_table_of_what_can_be_true() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokenFile::new();
    let settings =
        Config { observations: Some(observations(folder.path())), tokens: Some(tokens.tokens()), ..config() };
    let client = client(&Config { require_token: RequireToken::Predict, ..settings });
    let post =
        |token: &str, body: &Value| client.post("/observe").header(bearer(token)).body(body.to_string()).dispatch();
    assert_eq!(client.post("/observe").body("{}").dispatch().status(), Status::Unauthorized);
    assert_eq!(client.get("/observations").dispatch().status(), Status::Unauthorized);
    for row in [
        json!({"src": {"place": "London", "access": "wifi"}, "dst": "aws:us-east-1", "measured_ms": 81.5}),
        json!({"src": "London", "dst": "aws:us-east-1", "measured_ms": 3}),
        json!({"src": "51.5,-0.1", "dst": "Tokyo", "measured_ms": 240}),
    ] {
        assert_eq!(post(&tokens.predict, &row).status(), Status::Ok, "{row}");
    }
    let export = |token: &str| client.get("/observations/export").header(bearer(token)).dispatch();
    assert_eq!(export(&tokens.predict).status(), Status::Forbidden);
    let response = export(&tokens.admin);
    assert_eq!((response.status(), response.content_type()), (Status::Ok, Some(rocket::http::ContentType::CSV)));
    let place = |name: &str| {
        json(client.get(format!("/places?q={name}")).header(bearer(&tokens.predict)).dispatch())["place"].clone()
    };
    let (london, virginia, tokyo) = (place("London"), place("aws:us-east-1"), place("Tokyo"));
    assert_eq!(
        response.into_string().unwrap(),
        format!(
            "src_lat,src_lon,dst_lat,dst_lon,src_access,dst_provider,rtt_ms\n{},{},{},{},wifi,aws,81.5\n51.5,-0.1,{},{},,,240\n",
            london["lat"], london["lon"], virginia["lat"], virginia["lon"], tokyo["lat"], tokyo["lon"]
        )
    );
    assert_eq!(
        json(client.get("/observations/export?model=x").header(bearer(&tokens.admin)).dispatch())["error"]["code"],
        "UNKNOWN_MODEL"
    );
}

#[test]
fn a_long_table_comes_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokenFile::new();
    let client =
        client(&Config { observations: Some(observations(folder.path())), tokens: Some(tokens.tokens()), ..config() });
    observe(&client, &measured(2_500, 0.0, |index| 232.0 + index as f64));
    let text = client.get("/observations/export").header(bearer(&tokens.admin)).dispatch().into_string().unwrap();
    assert_eq!(text.lines().count(), 2_501);
    assert!(text.ends_with(",2731\n"), "{}", &text[text.len() - 100..]);
}

#[test]
fn each_version_has_figures_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.onnx");
    write_variant(&model, 1);
    let source = Source::File(model.clone());
    let models = Models::new(source.load(Options::default()).unwrap(), source, None).with(
        "other",
        PREDICTOR.clone(),
        Source::Bundled,
    );
    let slot = models.default_slot().clone();
    let config = Config { observations: Some(observations(folder.path())), ..config() };
    let client = Client::untracked(latency_server::rocket(&config, models)).unwrap();
    let row = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240});
    observe(&client, &row);
    write_variant(&model, 2);
    slot.reload("test").unwrap();
    observe(&client, &Value::from(vec![row; 2]));
    // Another model is observed by the same name.
    let named = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240, "id": "a"});
    for path in ["/observe", "/observe?model=other"] {
        assert_eq!(json(client.post(path).body(named.to_string()).dispatch())["status"], "stored", "{path}");
    }
    let counts = figures(&client);
    let counts: Vec<_> = counts.iter().map(|figures| (&figures["model"], &figures["observations"])).collect();
    let (latency, other) = (json!("latency"), json!("other"));
    assert_eq!(counts, [(&latency, &json!(1)), (&latency, &json!(3)), (&other, &json!(1))]);
    let text = client.get("/metrics").dispatch().into_string().unwrap();
    assert!(text.contains("latency_observed_window{model=\"latency\"} 3"), "{text}");
}

#[test]
fn what_is_too_old_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokenFile::new();
    observe(&observing(folder.path()), &measured(10, 0.0, |_| 232.0));
    let settings = latency_server::observations::Settings { keep: Duration::ZERO, ..observations(folder.path()) };
    let client = client(&Config { observations: Some(settings), tokens: Some(tokens.tokens()), ..config() });
    let export = || client.get("/observations/export").header(bearer(&tokens.admin)).dispatch().into_string().unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while export() != "rtt_ms\n" {
        assert!(std::time::Instant::now() < end, "{}", export());
    }
    assert_eq!(figures(&client)[0]["observations"], 0);
}

#[test]
fn models_without_places_are_observed_too() {
    let folder = tempfile::tempdir().unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx");
    let config = Config { model: Source::File(own), observations: Some(observations(folder.path())), ..config() };
    let client = Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap();
    let (status, answer) = observe(&client, &json!({"hops": 7, "link": "fibre", "measured_ms": 12}));
    assert_eq!((status, &answer["status"], answer.get("verdict")), (200, &json!("stored"), None));
    let found = &figures(&client)[0];
    assert_eq!((&found["interval"]["about"], &found["verdicts"]["none"]), (&json!("measurement"), &json!(1)));
}

/// Another program that writes where what belongs to this folder is stored.
enum OtherWriter {
    Sqlite(Runtime, SqliteConnection),
    Postgres(Runtime, PgConnection),
}

impl OtherWriter {
    fn start(folder: &Path) -> Self {
        let (runtime, place) = (Runtime::new().unwrap(), place(folder));
        if postgres().is_none() {
            let options = SqliteConnectOptions::new().filename(place);
            let mut connection = runtime.block_on(SqliteConnection::connect_with(&options)).unwrap();
            runtime.block_on(sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection)).unwrap();
            return Self::Sqlite(runtime, connection);
        }
        let mut connection = runtime.block_on(PgConnection::connect(&place)).unwrap();
        let lock = "BEGIN; SELECT pg_advisory_xact_lock('observations'::regclass::oid::bigint)";
        runtime.block_on(sqlx::raw_sql(lock).execute(&mut connection)).unwrap();
        Self::Postgres(runtime, connection)
    }

    fn end(self) {
        match self {
            Self::Sqlite(runtime, mut file) => runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut file)).map(drop),
            Self::Postgres(runtime, mut database) => {
                runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut database)).map(drop)
            }
        }
        .unwrap();
    }
}

#[test]
fn a_store_that_another_program_writes_to_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let client = observing(folder.path());
    let other = OtherWriter::start(folder.path());
    let row = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240});
    let response = client.post("/observe").body(row.to_string()).dispatch();
    assert_eq!(response.headers().get_one("Retry-After"), Some("1"));
    assert_eq!(response.status(), Status::ServiceUnavailable);
    assert_eq!(json(response)["error"]["code"], "OBSERVATIONS_BUSY");
    other.end();
    assert_eq!(observe(&client, &row).1["status"], "stored");
}

#[test]
fn more_than_can_wait_are_told_when_to_come_again_and_nobody_else_waits() {
    const SENT: usize = 100;
    // 32 wait for the writer, which has taken one request, or at most 32.
    const WAITING: usize = 32;
    const REFUSED: usize = SENT - WAITING - 32;
    let folder = tempfile::tempdir().unwrap();
    // Those that wait would keep all turns, if they kept any.
    let limits = Settings { concurrency: Some(WAITING), ..Settings::default() };
    let server = Server::start(Config { observations: Some(observations(folder.path())), limits, ..config() });
    let other = OtherWriter::start(folder.path());
    let row = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240}).to_string();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..SENT {
            let (sender, server, row) = (sender.clone(), &server, &row);
            scope.spawn(move || sender.send(server.connect().post("/observe", row.as_bytes())));
            // One after the other, so that it is the queue that refuses them.
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(sender);
        let answer = || receiver.recv_timeout(Duration::from_secs(4)).expect("an answer while the store is locked");
        let mut answers: Vec<_> = (0..REFUSED).map(|_| answer()).collect();
        assert!(answers.iter().all(|answer| answer.status == 503));
        let mut connection = server.connect();
        assert_eq!(connection.get("/ready", "").status, 200);
        let predicted = connection.post("/predict", br#"{"src": "London", "dst": "Tokyo"}"#);
        assert_eq!(predicted.status, 200, "{}", predicted.text());
        other.end();
        answers.extend(receiver);
        answers
    });
    let (stored, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(
        stored.len() >= WAITING && stored.iter().all(|answer| answer.json()["status"] == "stored"),
        "{}",
        stored.len()
    );
    for answer in &refused {
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &json!("OBSERVATIONS_BUSY")));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let metrics = server.connect().get("/metrics", "");
    for line in [
        format!("latency_errors_total{{code=\"OBSERVATIONS_BUSY\"}} {}\n", refused.len()),
        format!("latency_observations_total{{model=\"latency\",verdict=\"plausible\"}} {}\n", stored.len()),
    ] {
        assert!(metrics.text().contains(&line), "{line} is not in {}", metrics.text());
    }
    assert_eq!(server.connect().post("/observe", row.as_bytes()).status, 200);
}

/// The program with its observations on a file system of 1 MiB that it alone sees; why not, if nobody may mount one here.
#[cfg(target_os = "linux")]
fn on_a_small_disk(folder: &Path) -> Result<Program, String> {
    const MOUNT: &str = "mount -t tmpfs -o size=1m,mode=700 tmpfs disk";
    let variables = [("SECRET_KEY", KEY), ("LATENCY_OBSERVATIONS", "disk/observations.db")];
    let program = command(folder, &["--port", "0"], &variables);
    std::fs::create_dir(folder.join("disk")).unwrap();
    let mut why = String::new();
    // As anybody, or as root where others may not.
    for options in [&["--user", "--map-root-user", "--mount"][..], &["--mount"]] {
        let inside = |script: &str| {
            let mut inside = Command::new("unshare");
            inside.args(options).args(["sh", "-c", script, "sh"]).current_dir(folder);
            inside
        };
        match inside(MOUNT).output() {
            Ok(output) if output.status.success() => {
                let mut inside = inside(&format!("{MOUNT} && exec \"$@\""));
                inside.arg(program.get_program()).args(program.get_args()).env_clear();
                inside.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
                return Ok(Program::of(inside));
            }
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_refuses_observations_and_nothing_else_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let program = match on_a_small_disk(folder.path()) {
        Ok(program) => program,
        Err(why) => {
            // Past the harness, which shows only what failing tests print.
            let _ = writeln!(std::io::stderr(), "skipped: a small file system cannot be mounted: {why}");
            return;
        }
    };
    let disk = format!("/proc/{}/root{}/disk", program.id(), folder.path().canonicalize().unwrap().display());
    let mut connection = Connection::to(program.address);
    let row = |id: &str| json!({"src": "London", "dst": "Tokyo", "measured_ms": 240, "id": id});
    let mut observe = |body: &Value| {
        let answer = connection.post("/observe", body.to_string().as_bytes());
        (answer.status, answer.json())
    };
    assert_eq!(observe(&row("first")).1["status"], "stored");

    let ballast = Path::new(&disk).join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    let full = (0..1_000).find_map(|_| file.write_all(&[0; 4096]).err()).expect("the disk is full some time");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    // One, and more than fit into a transaction's memory.
    let many: Value = (0..10_000).map(|number| row(&format!("many-{number}"))).collect();
    for body in [&row("second"), &many, &row("second")] {
        let (status, answer) = observe(body);
        assert_eq!((status, &answer["error"]["code"]), (507, &json!("OBSERVATIONS_FULL")), "{answer}");
        assert!(!answer.to_string().contains("disk/"), "{answer}");
        program.line("observations: the disk is full");
    }
    let mut other = Connection::to(program.address);
    assert_eq!(other.post("/predict", br#"{"src": "London", "dst": "Tokyo"}"#).status, 200);
    assert_eq!(other.get("/ready", "").status, 200);
    assert_eq!(other.get("/observations", "").json()["models"][0]["observations"], 1);
    // What is there already is known.
    assert_eq!(observe(&row("first")).1["status"], "duplicate");
    let metrics = other.get("/metrics", "");
    for line in [
        "latency_errors_total{code=\"OBSERVATIONS_FULL\"} 3\n",
        "latency_observations_total{model=\"latency\",verdict=\"plausible\"} 1\n",
    ] {
        assert!(metrics.text().contains(line), "{line} is not in {}", metrics.text());
    }

    std::fs::remove_file(&ballast).unwrap();
    drop(file);
    // Nothing of what was refused is there.
    assert_eq!(observe(&row("second")).1["status"], "stored");
    assert_eq!(observe(&row("many-0")).1["status"], "stored");
    // More than the disk takes, without anything else on it; and what fits is stored afterwards.
    assert_eq!(observe(&many).0, 507);
    assert_eq!(observe(&row("third")).1["status"], "stored");
    assert_eq!(other.get("/observations", "").json()["models"][0]["observations"], 4);
}

#[test]
fn what_was_answered_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let start = || Program::with(folder.path(), &[("LATENCY_OBSERVATIONS", &place)]);
    let program = start();
    let address = program.address;
    let row = |client: usize, number: usize| json!({"src": "London", "dst": "Tokyo", "measured_ms": 240, "id": format!("{client}-{number}")});
    let answered: Vec<usize> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    // Until the server is gone.
                    let mut answered = 0;
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        let mut connection = Connection::to(address);
                        loop {
                            let answer = connection.post("/observe", row(client, answered).to_string().as_bytes());
                            assert_eq!(answer.json()["status"], "stored");
                            answered += 1;
                        }
                    }));
                    answered
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(700));
        program.kill();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
    let program = start();
    let mut connection = Connection::to(program.address);
    for (client, count) in answered.into_iter().enumerate() {
        let rows: Vec<_> = (0..count).map(|number| row(client, number)).collect();
        let answer = connection.post("/observe", Value::from(rows).to_string().as_bytes()).json();
        let said = answer["observations"].as_array().unwrap();
        assert!(said.iter().all(|answer| answer["status"] == "duplicate"), "{answer}");
    }
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.db"), "no database, but long enough to be taken for one".repeat(100))
        .unwrap();
    for path in ["nowhere/observations.db", "text.db"] {
        let variables = [("LATENCY_OBSERVATIONS", path), ("SECRET_KEY", KEY), ("LATENCY_PORT", "0")];
        for arguments in [&["--check-config"][..], &[]] {
            let (code, _, errors) = run(folder.path(), arguments, &variables);
            assert_eq!(code, Some(1), "{errors}");
            assert!(errors.contains(&format!("LATENCY_OBSERVATIONS: {path} cannot be used")), "{errors}");
        }
    }
    let (code, shown, errors) =
        run(folder.path(), &["--check-config"], &[("LATENCY_OBSERVATIONS", "new.db"), ("SECRET_KEY", KEY)]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.contains("LATENCY_OBSERVATIONS_DAYS"), "{shown}");
}
