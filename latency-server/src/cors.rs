//! Pages of other origins that may call this server from a browser: none, unless the operator names them.

use std::str::FromStr;

use rocket::fairing::AdHoc;
use rocket::http::{Header, Method, Status};
use rocket::{Request, Response};

/// Headers that such a page may send and read beyond the usual ones.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Traceparent, X-Request-Id";
const RESPONSE_HEADERS: &str = "Retry-After, Traceparent, X-Request-Id";

/// An origin as browsers write it: `https://example.org`, with a port if it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin(String);

impl FromStr for AllowedOrigin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (scheme, rest) = text.split_once("://").ok_or(())?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let host_fits = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte));
        let usual = if scheme == "https" { "443" } else { "80" };
        // Browsers leave the usual port out; an origin with it would never be met.
        let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok() && port != usual);
        if matches!(scheme, "http" | "https") && host_fits && port_fits { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

struct Allowed(Vec<AllowedOrigin>);

/// Attaches the headers that let pages of these origins in.
pub(crate) fn stage(origins: Vec<AllowedOrigin>) -> AdHoc {
    AdHoc::on_ignite("cors", |rocket| async {
        if origins.is_empty() {
            return rocket;
        }
        rocket.manage(Allowed(origins)).attach(AdHoc::on_response("cors", |request, response| {
            answer(request, response);
            Box::pin(async {})
        }))
    })
}

/// Whether a browser asks, before it sends a request, if a page may, and it may.
pub(crate) fn is_allowed_preflight(request: &Request<'_>) -> bool {
    request.method() == Method::Options
        && request.headers().contains("Access-Control-Request-Method")
        && allowed_origin(request).is_some()
}

fn allowed_origin<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let Allowed(origins) = request.rocket().state::<Allowed>()?;
    let origin = request.headers().get_one("Origin")?;
    origins.iter().find(|allowed| allowed.0 == origin).map(|allowed| allowed.0.as_str())
}

fn answer(request: &Request<'_>, response: &mut Response<'_>) {
    // Caches must not give one origin what another was told.
    response.adjoin_header(Header::new("Vary", "Origin"));
    let Some(origin) = allowed_origin(request) else { return };
    response.set_header(Header::new("Access-Control-Allow-Origin", origin.to_owned()));
    // Not refused by the gate, nor answered by a route.
    let unanswered = matches!(response.status(), Status::NotFound | Status::MethodNotAllowed);
    if is_allowed_preflight(request) && unanswered {
        response.set_status(Status::NoContent);
        for name in ["Content-Type", "Content-Length", "Allow"] {
            response.remove_header(name);
        }
        response.set_header(Header::new("Access-Control-Allow-Methods", "GET, HEAD, POST"));
        response.set_header(Header::new("Access-Control-Allow-Headers", REQUEST_HEADERS));
        response.set_header(Header::new("Access-Control-Max-Age", "600"));
        response.adjoin_header(Header::new("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers"));
    } else {
        response.set_header(Header::new("Access-Control-Expose-Headers", RESPONSE_HEADERS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        for good in [
            "https://example.org",
            "http://localhost:3000",
            "https://a-b.example:8443",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert!(good.parse::<AllowedOrigin>().is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "example.org",
            "https://",
            "https://example.org/",
            "https://Example.org",
            "https://example.org:443",
            "http://example.org:80",
            "https://*.example.org",
            "ftp://example.org",
            "https://user@example.org",
            "https://a:b",
        ] {
            assert!(bad.parse::<AllowedOrigin>().is_err(), "{bad}");
        }
    }
}
