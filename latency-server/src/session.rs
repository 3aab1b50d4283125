//! Sessions of the pages that change something: an encrypted cookie, and a secret that every form must send back, so
//! that no other site's page can send it.

use rocket::Request;
use rocket::http::{Cookie, SameSite, Status};
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};

use crate::client::Client;
use crate::errors::Failure;
use crate::tokens::{self, Hash};

/// How long a session lasts, however busy it is.
const LIFETIME: Duration = Duration::hours(1);

/// A visitor of the pages.
pub(crate) struct Session {
    /// What forms must send back.
    pub csrf: String,
    /// The hash of the token that the visitor has shown. It counts as long as it is in the file.
    pub token: Option<Hash>,
    expires: OffsetDateTime,
}

impl Session {
    /// A new one; `token` is what the visitor has shown.
    pub fn start(token: Option<Hash>) -> Result<Self, Failure> {
        let csrf = tokens::random().map_err(|error| {
            log::error!("the system gives no random numbers: {error}");
            Failure::internal()
        })?;
        Ok(Self { csrf, token, expires: OffsetDateTime::now_utc() + LIFETIME })
    }

    /// Gives it to the visitor's browser.
    pub fn keep(&self, request: &Request<'_>) {
        let token = self.token.map(hex::encode).unwrap_or_default();
        let value = format!("{} {} {token}", self.csrf, self.expires.unix_timestamp());
        let cookie = Cookie::build((name(request), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(Client::of(request).secure)
            .max_age(LIFETIME)
            .expires(self.expires);
        request.cookies().add_private(cookie);
    }

    /// Whether a form comes from a page of this session.
    pub fn check(&self, csrf: &str) -> Result<(), Failure> {
        if self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into() { Ok(()) } else { Err(not_from_here()) }
    }

    /// Makes the visitor's browser forget it.
    pub fn end(request: &Request<'_>) {
        request
            .cookies()
            .remove_private(Cookie::build((name(request), "")).path("/").secure(Client::of(request).secure));
    }

    /// The session of a request, if it has one.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        let cookie = request.cookies().get_private(name(request))?;
        let mut parts = cookie.value().split(' ');
        let (csrf, expires, token) = (parts.next()?, parts.next()?, parts.next()?);
        let expires = OffsetDateTime::from_unix_timestamp(expires.parse().ok()?).ok()?;
        let token = if token.is_empty() { None } else { Some(tokens::from_hex(token)?) };
        // Browsers forget it by then; those who copied it might not.
        (expires > OffsetDateTime::now_utc()).then(|| Self { csrf: csrf.to_owned(), token, expires })
    }
}

/// With `__Host-`, browsers take it from this host over TLS alone, and give it to no other.
fn name(request: &Request<'_>) -> &'static str {
    if Client::of(request).secure { "__Host-session" } else { "session" }
}

pub(crate) fn not_from_here() -> Failure {
    Failure::new(
        Status::Forbidden,
        "CSRF",
        "found a form that is not from a page of this session, or the session is over; open the page again",
    )
}
