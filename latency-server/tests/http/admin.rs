//! The page for those who hold a token: sessions, and forms that no other site can send.

use std::fs;

use crate::common::{PREDICTOR, TokenFile, config, models};
use latency_server::Config;
use latency_server::models::Source;
use rocket::http::{ContentType, Cookie, Header, SameSite, Status};
use rocket::local::blocking::{Client, LocalResponse};

/// A browser: it keeps cookies.
fn browser(config: &Config) -> Client {
    Client::tracked(latency_server::rocket(config, models())).unwrap()
}

fn with_tokens(file: &TokenFile) -> Config {
    Config { tokens: Some(file.tokens()), ..config() }
}

fn text(response: LocalResponse<'_>) -> String {
    response.into_string().unwrap()
}

fn csrf(page: &str) -> String {
    let (_, rest) = page.split_once(r#"name="csrf" value=""#).expect("a form");
    rest.split_once('"').unwrap().0.to_owned()
}

fn send<'c>(browser: &'c Client, path: &'static str, form: String) -> LocalResponse<'c> {
    browser.post(path).header(ContentType::Form).body(form).dispatch()
}

/// Signs in; the secret of the forms.
fn signed_in(browser: &Client, file: &TokenFile) -> String {
    let before = csrf(&text(browser.get("/admin").dispatch()));
    let response = send(browser, "/admin/sign-in", format!("csrf={before}&token={}", file.admin));
    assert_eq!((response.status(), response.headers().get_one("Location")), (Status::SeeOther, Some("/admin")));
    let page = text(browser.get("/admin").dispatch());
    assert!(page.contains("Sign out operator") && page.contains("Load latency again"), "{page}");
    assert!(!page.contains(&file.admin), "{page}");
    let after = csrf(&page);
    assert_ne!(before, after, "a session from before signing in is not taken over");
    after
}

#[test]
fn who_holds_a_token_loads_a_model_by_the_page() {
    let file = TokenFile::new();
    let browser = browser(&with_tokens(&file));
    let page = text(browser.get("/admin").dispatch());
    assert!(page.contains(r#"type="password""#) && !page.contains("Load latency again"), "{page}");
    let csrf = signed_in(&browser, &file);
    let response = send(&browser, "/admin/reload", format!("csrf={csrf}&model=latency"));
    assert_eq!(response.status(), Status::SeeOther);
    let page = text(browser.get("/admin").dispatch());
    assert!(page.contains("unchanged, ") && page.contains("by token:operator"), "{page}");
    let response = send(&browser, "/admin/reload", format!("csrf={csrf}&model=other"));
    assert_eq!(response.status(), Status::NotFound);

    assert_eq!(send(&browser, "/admin/sign-out", format!("csrf={csrf}")).status(), Status::SeeOther);
    assert!(text(browser.get("/admin").dispatch()).contains(r#"type="password""#));
    assert_eq!(send(&browser, "/admin/reload", format!("csrf={csrf}&model=latency")).status(), Status::Forbidden);
}

#[test]
fn a_model_that_need_not_answer_is_unloaded_by_the_page() {
    let file = TokenFile::new();
    let models = models().with("other", PREDICTOR.clone(), Source::Bundled);
    let browser = Client::tracked(latency_server::rocket(&with_tokens(&file), models)).unwrap();
    let csrf = signed_in(&browser, &file);
    let page = || text(browser.get("/admin").dispatch());
    assert!(page().contains("Unload other") && !page().contains("Unload latency"), "{}", page());
    let unload = |form: String| send(&browser, "/admin/unload", form).status();
    assert_eq!(unload("csrf=&model=other".to_owned()), Status::Forbidden);
    assert_eq!(unload(format!("csrf={csrf}&model=latency")), Status::Conflict);
    assert_eq!(unload(format!("csrf={csrf}&model=other")), Status::SeeOther);
    assert!(page().contains("Unloaded since") && !page().contains("Unload other"), "{}", page());
    let answer =
        || browser.post("/predict?model=other").body(r#"{"src": "London", "dst": "Tokyo"}"#).dispatch().status();
    assert_eq!(answer(), Status::NotFound);
    assert_eq!(send(&browser, "/admin/reload", format!("csrf={csrf}&model=other")).status(), Status::SeeOther);
    assert_eq!(answer(), Status::Ok);
    assert!(page().contains("Unload other"), "{}", page());
}

#[test]
fn the_cookie_is_closed_to_scripts_other_sites_and_readers() {
    let file = TokenFile::new();
    let browser = browser(&with_tokens(&file));
    signed_in(&browser, &file);
    let response = browser.get("/admin").dispatch();
    let cookie = response.cookies().get("session").unwrap();
    assert_eq!(
        (cookie.http_only(), cookie.same_site(), cookie.path()),
        (Some(true), Some(SameSite::Strict), Some("/"))
    );
    assert_eq!(cookie.max_age().unwrap().whole_hours(), 1);
    assert_ne!(cookie.secure(), Some(true), "plain HTTP: browsers would drop it");
    let page = text(browser.get("/admin").dispatch());
    assert!(!cookie.value().contains(&csrf(&page)), "it is encrypted");

    let trusted = Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..with_tokens(&file) };
    let client = crate::common::client(&trusted);
    let request = client.get("/admin").remote("10.0.0.1:2".parse().unwrap());
    let response = request.header(Header::new("X-Forwarded-Proto", "https")).dispatch();
    let cookie = response.cookies().get("__Host-session").unwrap();
    assert_eq!((cookie.secure(), cookie.path(), cookie.domain()), (Some(true), Some("/"), None));
}

#[test]
fn forms_of_other_pages_do_nothing() {
    let file = TokenFile::new();
    let browser = browser(&with_tokens(&file));
    let csrf = signed_in(&browser, &file);
    let other = {
        let other = self::browser(&with_tokens(&file));
        self::csrf(&text(other.get("/admin").dispatch()))
    };
    for form in [
        "model=latency".to_owned(),
        "csrf=&model=latency".to_owned(),
        format!("csrf={other}&model=latency"),
        String::new(),
    ] {
        let response = send(&browser, "/admin/reload", form);
        assert_eq!(response.status(), Status::Forbidden);
        assert!(text(response).contains("CSRF"));
    }
    let request = browser.post("/admin/reload").header(ContentType::Form).body(format!("csrf={csrf}&model=latency"));
    assert_eq!(request.header(Header::new("Sec-Fetch-Site", "cross-site")).dispatch().status(), Status::Forbidden);
    // Rocket lets forms say which method they mean.
    let response = send(&browser, "/admin/reload", format!("_method=get&csrf={csrf}&model=latency"));
    assert_eq!(response.status(), Status::MethodNotAllowed);
    assert!(!text(browser.get("/admin").dispatch()).contains("by token:operator"));
    assert_eq!(send(&browser, "/admin/reload", format!("csrf={csrf}&model=latency")).status(), Status::SeeOther);
}

#[test]
fn wrong_tokens_and_forged_or_outdated_sessions_see_nothing() {
    let file = TokenFile::new();
    let browser = browser(&with_tokens(&file));
    let csrf = csrf(&text(browser.get("/admin").dispatch()));
    for token in [&file.predict, "wrong", ""] {
        let response = send(&browser, "/admin/sign-in", format!("csrf={csrf}&token={token}"));
        assert_eq!(response.status(), Status::Unauthorized);
        let page = text(response);
        assert!(page.contains(r#"role="alert""#) && page.contains(r#"type="password""#), "{page}");
    }
    let response = send(&browser, "/admin/reload", format!("csrf={csrf}&model=latency"));
    assert_eq!(response.status(), Status::Unauthorized);

    let csrf = signed_in(&browser, &file);
    fs::write(&file.path, "").unwrap();
    let response = send(&browser, "/admin/reload", format!("csrf={csrf}&model=latency"));
    assert_eq!(response.status(), Status::Unauthorized);

    // As it would be without encryption.
    let forged = Cookie::new("session", format!("secret {} ", u32::MAX));
    let stranger = crate::common::client(&with_tokens(&file));
    let request = stranger.post("/admin/sign-out").header(ContentType::Form).body("csrf=secret");
    assert_eq!(request.cookie(forged.clone()).dispatch().status(), Status::Forbidden);
    let request = stranger.post("/admin/sign-out").header(ContentType::Form).body("csrf=secret");
    assert_eq!(request.private_cookie(forged).dispatch().status(), Status::SeeOther);
}

#[test]
fn a_session_ends_by_its_own_clock() {
    let file = TokenFile::new();
    let hash = fs::read_to_string(&file.path).unwrap().split_ascii_whitespace().nth(2).unwrap().to_owned();
    // As this server encrypts it.
    for (expires, status) in [(i64::from(u32::MAX), Status::SeeOther), (1_000_000_000, Status::Forbidden)] {
        let client = crate::common::client(&with_tokens(&file));
        let request = client.post("/admin/reload").header(ContentType::Form).body("csrf=secret&model=latency");
        let session = Cookie::new("session", format!("secret {expires} {hash}"));
        assert_eq!(request.private_cookie(session).dispatch().status(), status);
    }
}

#[test]
fn without_tokens_the_page_says_how_to_make_one() {
    let response = crate::common::local().get("/admin").dispatch();
    assert_eq!(response.status(), Status::Forbidden);
    let page = text(response);
    assert!(page.contains("latency-server token NAME --scope admin") && !page.contains("<form"), "{page}");
}
