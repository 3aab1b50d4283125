//! Tokens: who may load models again, and who may predict where that needs a token.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{TokenFile, client, config, json};
use latency_server::Config;
use latency_server::gate::RequireToken;
use latency_server::models::{Models, Options, Source};
use rocket::http::Header;
use rocket::local::blocking::{Client, LocalResponse};
use serde_json::{Value, json};

/// A server with a model of its own file.
fn with_file(path: &Path, config: &Config) -> Client {
    crate::common::write_variant(path, 0);
    let source = Source::File(path.to_owned());
    let models = Models::new(source.load(Options::default()).unwrap(), source, None);
    Client::untracked(latency_server::rocket(config, models)).unwrap()
}

fn bearer(token: &str) -> Header<'static> {
    Header::new("Authorization", format!("Bearer {token}"))
}

fn assert_failure(response: LocalResponse<'_>, status: u16, code: &str, words: &str) {
    assert_eq!(response.status().code, status);
    let body = json(response);
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains(words), "{body}");
}

#[test]
fn a_reload_swaps_a_changed_file_says_what_is_unchanged_and_survives_a_broken_one() {
    let (file, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.onnx");
    let client = with_file(&path, &Config { tokens: Some(file.tokens()), ..config() });
    let reload = |method| {
        let request = client.req(method, "/reload_model").header(bearer(&file.admin));
        request.remote("192.0.2.7:1234".parse().unwrap()).dispatch()
    };
    let info = || json(client.get("/model_info").dispatch());
    let first = info()["version"].clone();

    let answer = json(reload(rocket::http::Method::Post));
    assert_eq!(answer["reload"]["result"], "unchanged");
    assert_eq!(answer["reload"]["by"], "token:operator from 192.0.2.7");
    assert_eq!(answer["model"]["version"], first);

    crate::common::write_variant(&path, 1);
    let answer = json(reload(rocket::http::Method::Get));
    assert_eq!((&answer["reload"]["result"], &answer["reload"]["from"]), (&json!("swapped"), &first));
    assert_ne!(answer["model"]["version"], first);
    assert_eq!(info()["version"], answer["model"]["version"]);

    fs::write(&path, "no model").unwrap();
    let response = reload(rocket::http::Method::Post);
    assert_eq!(response.status().code, 500);
    let text = response.into_string().unwrap();
    assert!(text.contains("\"code\":\"INVALID_MODEL\"") && !text.contains("model.onnx"), "{text}");
    fs::remove_file(&path).unwrap();
    assert_failure(reload(rocket::http::Method::Get), 500, "MODEL_NOT_READABLE", "the one from before goes on");
    let after = info();
    assert_eq!(after["version"], answer["model"]["version"]);
    let reloads = &after["reloads"];
    assert_eq!((&reloads["swapped"], &reloads["unchanged"], &reloads["failed"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!(
        (&reloads["last"]["result"], &reloads["last"]["error"]),
        (&json!("failed"), &json!("MODEL_NOT_READABLE"))
    );
    let row = r#"{"src": "London", "dst": "Tokyo"}"#;
    assert_eq!(client.post("/predict").body(row).dispatch().status().code, 200);
}

#[test]
fn a_reload_needs_the_right_token_in_the_right_place() {
    let file = TokenFile::new();
    let client = client(&Config { tokens: Some(file.tokens()), ..config() });
    let challenge = |response: &LocalResponse<'_>| response.headers().get_one("WWW-Authenticate").unwrap().to_owned();
    for path in ["/reload_model".to_owned(), format!("/reload_model?token={0}&access_token={0}", file.admin)] {
        for method in [rocket::http::Method::Post, rocket::http::Method::Get] {
            let response = client.req(method, path.clone()).dispatch();
            assert_eq!(challenge(&response), r#"Bearer realm="latency""#);
            assert_failure(response, 401, "UNAUTHORIZED", "found no token");
        }
    }
    let basic = Header::new("Authorization", format!("Basic {}", file.admin));
    for wrong in [bearer("latency_wrong"), bearer(""), basic, Header::new("Authorization", file.admin.clone())] {
        let response = client.post("/reload_model").header(wrong).dispatch();
        assert!(challenge(&response).contains("invalid_token"));
        assert_failure(response, 401, "UNAUTHORIZED", "a token that is not known");
    }
    let response = client.post("/reload_model").header(bearer(&file.predict)).dispatch();
    assert!(challenge(&response).contains(r#"error="insufficient_scope", scope="admin""#));
    assert_failure(response, 403, "FORBIDDEN", "without the scope admin");
    let twice = client.post("/reload_model").header(bearer(&file.predict)).header(bearer(&file.admin)).dispatch();
    assert_failure(twice, 401, "UNAUTHORIZED", "several tokens");
    let unknown = client.post("/reload_model?model=other").header(bearer(&file.admin)).dispatch();
    assert_failure(unknown, 404, "UNKNOWN_MODEL", "other");
    // The words of a scheme come in any case.
    let shouted = Header::new("Authorization", format!("BEARER {}", file.admin));
    assert_eq!(client.post("/reload_model").header(shouted).dispatch().status().code, 200);
}

#[test]
fn no_other_site_and_no_look_changes_a_model() {
    let file = TokenFile::new();
    let client = client(&Config { tokens: Some(file.tokens()), ..config() });
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let request = client.get("/reload_model").header(bearer(&file.admin));
        let response = request.header(Header::new("Sec-Fetch-Site", site)).dispatch();
        assert_eq!(response.status().code, status, "{site}");
    }
    let counts = || json(client.get("/model_info").dispatch())["reloads"].clone();
    let before = counts();
    assert_eq!(before["unchanged"], 2);
    let response = client.head("/reload_model").header(bearer(&file.admin)).dispatch();
    assert_eq!((response.status().code, response.headers().get_one("Allow")), (405, Some("GET, POST")));
    assert_eq!(counts(), before);
}

#[test]
fn without_tokens_nobody_loads_a_model() {
    let client = client(&config());
    let response = client.post("/reload_model").header(bearer("x")).dispatch();
    assert_failure(response, 403, "FORBIDDEN", "latency-server token NAME --scope admin");
}

#[test]
fn a_token_that_is_taken_out_of_the_file_counts_no_more() {
    let file = TokenFile::new();
    let client = client(&Config { tokens: Some(file.tokens()), ..config() });
    let reload = || client.post("/reload_model").header(bearer(&file.admin)).dispatch().status().code;
    assert_eq!(reload(), 200);
    let lines = fs::read_to_string(&file.path).unwrap();
    fs::write(&file.path, lines.replace("operator", "# operator")).unwrap();
    assert_eq!(reload(), 401);
    fs::write(&file.path, lines.replace("operator", "# operator") + "broken").unwrap();
    assert_eq!(reload(), 401);
    fs::write(&file.path, lines).unwrap();
    assert_eq!(reload(), 200);
}

#[test]
fn predicting_can_need_a_token() {
    let file = TokenFile::new();
    let config = Config { tokens: Some(file.tokens()), require_token: RequireToken::Predict, ..config() };
    let client = client(&config);
    let row = r#"{"src": "London", "dst": "Tokyo"}"#;
    for path in ["/", "/?src=London&dst=Tokyo", "/model_info", "/nothing", "/health/x", "/healthy"] {
        assert_failure(client.get(path).dispatch(), 401, "UNAUTHORIZED", "no token");
    }
    assert_failure(client.post("/predict").body(row).dispatch(), 401, "UNAUTHORIZED", "no token");
    for token in [&file.predict, &file.admin] {
        assert_eq!(client.post("/predict").header(bearer(token)).body(row).dispatch().status().code, 200);
    }
    for path in ["/health", "/ready", "/static/page.css"] {
        assert_eq!(client.get(path).dispatch().status().code, 200, "{path}");
    }
    assert_failure(client.post("/reload_model").header(bearer(&file.predict)).dispatch(), 403, "FORBIDDEN", "admin");
}

#[test]
fn every_route_needs_a_token_or_is_meant_not_to() {
    let file = TokenFile::new();
    let config = Config { tokens: Some(file.tokens()), require_token: RequireToken::Predict, ..config() };
    let client = client(&config);
    let mut open = Vec::new();
    for route in client.rocket().routes() {
        let path = route.uri.path().replace(['<', '>'], "");
        if client.req(route.method, path.clone()).dispatch().status().code != 401 {
            open.push(format!("{} {path}", route.method));
        }
    }
    open.sort();
    let own = [
        "HEAD /reload_model",
        "POST /admin/reload",
        "POST /admin/sign-in",
        "POST /admin/sign-out",
        "POST /admin/unload",
    ];
    let vital =
        ["GET /health", "GET /ready", "GET /metrics", "GET /ping", "GET /v2/health/live", "GET /v2/health/ready"];
    let fits = |route: &String| {
        own.contains(&route.as_str())
            || vital.contains(&route.as_str())
            || route == "GET /admin"
            || route.starts_with("GET /static/")
    };
    assert!(open.iter().all(fits), "{open:?}");
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_latency-server")).args(arguments).env_clear().output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_program_makes_tokens_that_the_server_knows() {
    let (code, text, errors) = run(&["token", "ci", "--scope", "admin,predict"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let lines: Vec<_> = text.lines().collect();
    let (token, line) = (lines[1], lines[4]);
    assert!(token.starts_with("latency_") && line.starts_with("ci admin,predict ") && !line.contains(token), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, line).unwrap();
    let tokens = latency_server::tokens::Tokens::open(&path).unwrap();
    let client = client(&Config { tokens: Some(tokens), ..config() });
    assert_eq!(client.post("/reload_model").header(bearer(token)).dispatch().status().code, 200);

    assert_ne!(run(&["token", "ci"]).1.lines().nth(1), run(&["token", "ci"]).1.lines().nth(1));
    assert!(run(&["token", "ci"]).1.contains("\nci predict "));
    for (arguments, words) in [
        (&["token"][..], "found no name"),
        (&["token", "a b"], "found the name \"a b\"; allowed"),
        (&["token", "a", "--scope", "root"], "found the scope \"root\"; allowed: admin, predict"),
        (&["token", "a", "b"], "b"),
    ] {
        let (code, text, errors) = run(arguments);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}

#[test]
fn errors_are_json_everywhere() {
    let file = TokenFile::new();
    let config = Config { tokens: Some(file.tokens()), require_token: RequireToken::Predict, ..config() };
    let client = client(&config);
    let body: Value = json(client.post("/predict").header(bearer("wrong")).body("{}").dispatch());
    assert_eq!(body["error"].as_object().unwrap().keys().collect::<Vec<_>>(), ["code", "message"]);
}
