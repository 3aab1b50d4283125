//! Observations in a database of `PostgreSQL`. With one in `LATENCY_TEST_POSTGRES`, which `make postgres` starts, the tests of
//! `observe` use it too.

use std::net::TcpListener;

use crate::common::program::{KEY, Program, run};
use crate::common::{Connection, Server, config, observations};
use latency_server::Config;
use serde_json::{Value, json};

const PASSWORD: &str = "s3cret-of-this-test";

/// The address of a database on a port on which nobody listens.
fn nobody() -> (String, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rest = format!("127.0.0.1:{port}/rtt");
    (format!("postgres://latency:{PASSWORD}@{rest}?sslmode=disable"), format!("postgres://latency@{rest}"))
}

#[test]
fn without_its_database_the_server_predicts_and_refuses_observations_for_now() {
    let folder = tempfile::tempdir().unwrap();
    let (address, shown) = nobody();
    let program = Program::with(folder.path(), &[("LATENCY_OBSERVATIONS", &address)]);
    let line = program.line("LATENCY_OBSERVATIONS");
    assert!(line.contains(&format!("{shown} does not answer: ")), "{line}");
    let mut connection = Connection::to(program.address);
    assert_eq!(connection.post("/predict", br#"{"src": "London", "dst": "Tokyo"}"#).status, 200);
    assert_eq!(connection.get("/ready", "").status, 200);
    let row = json!({"src": "London", "dst": "Tokyo", "measured_ms": 240}).to_string();
    for answer in [connection.post("/observe", row.as_bytes()), connection.get("/observations", "")] {
        let code = &answer.json()["error"]["code"];
        assert_eq!((answer.status, code), (503, &json!("OBSERVATIONS_UNAVAILABLE")), "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    }
    let log = program.kill();
    assert!(!log.iter().any(|line| line.contains(PASSWORD)), "{log:?}");
}

#[test]
fn the_configuration_is_shown_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let (address, shown) = nobody();
    let check = |arguments: &[&str], address: &str| {
        let variables = [("LATENCY_OBSERVATIONS", address), ("SECRET_KEY", KEY)];
        let (code, table, errors) = run(folder.path(), &[arguments, &["--check-config"]].concat(), &variables);
        assert!(!table.contains(PASSWORD) && !errors.contains(PASSWORD), "{table}{errors}");
        (code, table, errors)
    };
    let (code, table, errors) = check(&[], &address);
    assert_eq!(code, Some(0), "{errors}");
    assert!(table.contains(&format!("{shown} (environment)")), "{table}");
    assert!(errors.contains(&format!("LATENCY_OBSERVATIONS: {shown} does not answer: ")), "{errors}");
    for (arguments, address, expected) in [
        (
            &[][..],
            format!("mysql://latency:{PASSWORD}@db/rtt"),
            "LATENCY_OBSERVATIONS: found the scheme \"mysql\"; allowed: ",
        ),
        (&[], format!("{address}&secret=x"), "LATENCY_OBSERVATIONS: found the parameter \"secret\"; known are "),
        (
            &[],
            format!("postgres://latency:5/{PASSWORD}@db/rtt"),
            "LATENCY_OBSERVATIONS: found a `@` or `#` after the host",
        ),
        (&["--observations", &address], String::new(), "LATENCY_OBSERVATIONS: found a password on the command line"),
    ] {
        let (code, _, errors) = check(arguments, &address);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(&expected.replace("LATENCY_OBSERVATIONS: ", ": ")), "{errors}");
    }
}

fn observe(server: &Server, rows: &Value) -> Vec<Value> {
    let answer = server.connect().post("/observe", rows.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["observations"].as_array().unwrap().iter().map(|answer| answer["status"].clone()).collect()
}

fn figures(server: &Server) -> Value {
    server.connect().get("/observations", "").json()["models"][0].clone()
}

#[test]
#[ignore = "needs PostgreSQL: make postgres"]
fn servers_that_share_a_database_compare_with_the_same_first_observations() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::start(Config { observations: Some(observations(folder.path())), ..config() });
    let servers = [start(), start()];
    let rows = |from: usize, count: usize, north: f64| -> Value {
        let row = |index: usize| {
            json!({
                "src": "London",
                "dst": {"lat": 35.0 + north + index as f64 / 10_000.0, "lon": 139.69},
                "measured_ms": 232,
                "id": format!("{north}-{index}"),
            })
        };
        (from..from + count).map(row).collect()
    };
    // The first one has its thousand first, in the south; the second one has others, in the north.
    for (server, north) in servers.iter().zip([0.0, 5.0]) {
        assert!(observe(server, &rows(0, 1_000, north)).iter().all(|status| status == "stored"));
    }
    for server in &servers {
        observe(server, &rows(1_000, 1, if server.address == servers[0].address { 0.0 } else { 5.0 }));
        assert_eq!(figures(server)["psi"]["reference"], "first_observations");
    }
    // What the second one was told has moved from what the first one was told.
    assert!(figures(&servers[1])["psi"]["features"]["dst_lat"].as_f64().unwrap() > 1.0, "{}", figures(&servers[1]));
    // What another server has stored is known to all; the figures are of all who start later.
    assert_eq!(observe(&servers[0], &rows(0, 3, 5.0)), ["duplicate"; 3]);
    assert_eq!(figures(&start())["observations"], 2_002);
}
