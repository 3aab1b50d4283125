//! What every kind of answer tells browsers and caches.

use std::collections::BTreeMap;

use crate::common::{TokenFile, client, config};
use latency_server::Config;
use rocket::http::{Header, Method};
use rocket::local::blocking::{Client, LocalResponse};

/// On every answer, to the letter.
const ALWAYS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), accelerometer=(), autoplay=(), display-capture=(), encrypted-media=(), fullscreen=(), \
         geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
         publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=(), \
         interest-cohort=()",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

fn headers(response: &LocalResponse<'_>) -> BTreeMap<String, String> {
    response
        .headers()
        .iter()
        .map(|header| (header.name().as_str().to_ascii_lowercase(), header.value().to_owned()))
        .collect()
}

/// Those that differ from answer to answer, and nothing else.
fn assert_headers(response: &LocalResponse<'_>, others: &[(&str, &str)]) {
    let mut found = headers(response);
    let cookie = found.remove("set-cookie");
    assert!(cookie.is_none_or(|cookie| cookie.starts_with("session=")));
    assert!(found.remove("x-request-id").is_some_and(|id| !id.is_empty()));
    let expected: BTreeMap<_, _> =
        ALWAYS.iter().chain(others).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_kind_of_answer() {
    let file = TokenFile::new();
    let client = client(&Config { tokens: Some(file.tokens()), ..config() });
    let (html, json) = ("text/html; charset=utf-8", "application/json");
    let row = r#"{"src": "London", "dst": "Tokyo"}"#;
    for (method, path, body, status, kind) in [
        (Method::Get, "/", "", 200, html),
        (Method::Get, "/?src=London&dst=Tokyo", "", 200, html),
        (Method::Get, "/?src=x&dst=y", "", 400, html),
        (Method::Get, "/admin", "", 200, html),
        (Method::Get, "/health", "", 200, json),
        (Method::Get, "/ready", "", 200, json),
        (Method::Head, "/health", "", 200, json),
        (Method::Get, "/model_info", "", 200, json),
        (Method::Post, "/predict", row, 200, json),
        (Method::Post, "/predict", "{}", 400, json),
        (Method::Get, "/nothing", "", 404, json),
    ] {
        let response = client.req(method, path).body(body).dispatch();
        assert_eq!(response.status().code, status, "{method} {path}");
        assert_headers(&response, &[("content-type", kind), ("cache-control", "no-store")]);
    }
    let response = client.get("/predict").dispatch();
    assert_headers(&response, &[("content-type", json), ("cache-control", "no-store"), ("allow", "POST")]);
    let response = client.post("/reload_model").dispatch();
    let challenge = ("www-authenticate", r#"Bearer realm="latency""#);
    assert_headers(&response, &[("content-type", json), ("cache-control", "no-store"), challenge]);
    let response = client.get("/static/page.css").dispatch();
    assert_headers(
        &response,
        &[("content-type", "text/css; charset=utf-8"), ("cache-control", "public, max-age=3600")],
    );
}

#[test]
fn a_panic_or_a_wrong_request_has_them_too() {
    let server = crate::common::Server::start(config());
    let mut connection = server.connect();
    connection.send(b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = connection.answer(true);
    assert_eq!(answer.status, 404);
    for (name, value) in ALWAYS {
        assert_eq!(answer.header(name), Some(*value), "{name}");
    }
    assert_eq!((answer.header("server"), answer.header("x-powered-by")), (None, None));
}

#[test]
fn behind_a_proxy_that_speaks_tls_browsers_are_told_to_stay_there() {
    let client = client(&Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..config() });
    let secure = |remote: &str, proto: &'static str| {
        let request = client.get("/").remote(remote.parse().unwrap());
        let response = request.header(Header::new("X-Forwarded-Proto", proto)).dispatch();
        response.headers().get_one("Strict-Transport-Security").map(str::to_owned)
    };
    assert_eq!(secure("10.1.2.3:4", "https").as_deref(), Some("max-age=31536000"));
    assert_eq!(secure("10.1.2.3:4", "http"), None);
    assert_eq!(secure("11.1.2.3:4", "https"), None);
}

fn from_page<'c>(client: &'c Client, method: Method, path: &'static str, origin: &'static str) -> LocalResponse<'c> {
    client.req(method, path).header(Header::new("Origin", origin)).dispatch()
}

#[test]
fn pages_of_other_origins_are_let_in_by_name_alone() {
    let names = ["access-control-allow-origin", "access-control-expose-headers", "vary"];
    let cors = |response: &LocalResponse<'_>| {
        let headers = headers(response);
        assert_eq!(headers.get("access-control-allow-credentials"), None);
        names.map(|name| headers.get(name).cloned())
    };
    let closed = client(&config());
    assert_eq!(cors(&from_page(&closed, Method::Get, "/health", "https://app.example")), [None, None, None]);

    let origins = vec!["https://app.example".parse().unwrap(), "http://localhost:3000".parse().unwrap()];
    let open = client(&Config { cors_origins: origins, ..config() });
    for path in ["/health", "/nothing"] {
        let [origin, exposed, vary] = cors(&from_page(&open, Method::Get, path, "https://app.example"));
        assert_eq!((origin.as_deref(), vary.as_deref()), (Some("https://app.example"), Some("Origin")));
        assert!(exposed.unwrap().contains("Retry-After"));
    }
    for stranger in ["https://app.example.evil", "http://app.example", "https://app.example:444", "null", "*"] {
        assert_eq!(cors(&from_page(&open, Method::Get, "/health", stranger)), [None, None, Some("Origin".to_owned())]);
    }
}

#[test]
fn a_browser_that_asks_first_is_told() {
    let file = TokenFile::new();
    let client = client(&Config {
        cors_origins: vec!["https://app.example".parse().unwrap()],
        tokens: Some(file.tokens()),
        require_token: latency_server::gate::RequireToken::Predict,
        ..config()
    });
    let ask = |origin: &'static str| {
        let request = client.options("/predict").header(Header::new("Origin", origin));
        request.header(Header::new("Access-Control-Request-Method", "POST")).dispatch()
    };
    let response = ask("https://app.example");
    assert_eq!(response.status().code, 204);
    let found = headers(&response);
    assert_eq!(found["access-control-allow-origin"], "https://app.example");
    assert_eq!(found["access-control-allow-methods"], "GET, HEAD, POST");
    assert!(found["access-control-allow-headers"].contains("Authorization"));
    assert_eq!(found["access-control-max-age"], "600");
    assert!(!found.contains_key("content-type") && !found.contains_key("allow"), "{found:?}");
    assert_eq!(response.into_string(), None);
    // Others learn no more than anybody.
    let response = ask("https://other.example");
    assert_eq!(response.status().code, 401);
    assert!(!headers(&response).contains_key("access-control-allow-origin"));
}
