//! Who asks: the bearer token of a request, and what it allows.

use std::net::IpAddr;
use std::sync::Arc;

use rocket::Request;
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};

use crate::client::Client;
use crate::errors::Failure;
use crate::tokens::{Token, Tokens};

/// What a server without tokens says to those who want to change something.
const NO_TOKENS: &str = "this server has no tokens, so nobody may do this over HTTP; its operator makes one with \
                         `latency-server token NAME --scope admin`, puts the line into a file and names the file in \
                         LATENCY_TOKENS_FILE, or sends the process SIGHUP, which loads the models again";

/// The tokens, if the operator has made any.
pub(crate) struct Known(pub Option<Tokens>);

/// Attaches the tokens.
pub fn stage(tokens: Option<Tokens>) -> AdHoc {
    AdHoc::on_ignite("tokens", |rocket| async {
        tokens.iter().for_each(Tokens::warn_if_open_to_all);
        rocket.manage(Known(tokens))
    })
}

/// Somebody who may change models: a request with a token of the scope `admin`, in the header `Authorization`, where no
/// other site can make a browser put it.
pub(crate) struct Admin {
    /// Who, for the log.
    pub by: String,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Admin {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        let admin = bearer(request).and_then(|token| {
            if token.scopes.admin {
                Ok(Self { by: by(&token, Client::of(request).ip) })
            } else {
                Err(too_little("admin"))
            }
        });
        match admin {
            Ok(admin) => Outcome::Success(admin),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

/// `token:NAME from IP`, for the log.
pub(crate) fn by(token: &Token, ip: Option<IpAddr>) -> String {
    match ip {
        Some(ip) => format!("token:{} from {ip}", token.name),
        None => format!("token:{}", token.name),
    }
}

/// The tokens that this server knows.
pub(crate) fn tokens<'r>(request: &'r Request<'_>) -> Result<&'r Tokens, Failure> {
    let Some(Known(tokens)) = request.rocket().state::<Known>() else { return Err(Failure::internal()) };
    tokens.as_ref().ok_or_else(|| Failure::new(Status::Forbidden, "FORBIDDEN", NO_TOKENS))
}

/// The token that a request shows.
pub(crate) fn bearer(request: &Request<'_>) -> Result<Arc<Token>, Failure> {
    let tokens = tokens(request)?;
    let mut headers = request.headers().get("Authorization");
    let (Some(header), None) = (headers.next(), headers.next()) else {
        let found = if request.headers().contains("Authorization") { "several tokens" } else { "no token" };
        return Err(unauthorized(found, r#"Bearer realm="latency""#));
    };
    let text = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = text.and_then(|(_, text)| tokens.find(text.trim()));
    token.ok_or_else(|| unauthorized("a token that is not known", r#"Bearer realm="latency", error="invalid_token""#))
}

/// Whoever asks for predictions where that needs a token. Who may change the model may say anything in its name, and so
/// may predict as well.
pub(crate) fn predicting(request: &Request<'_>) -> Result<(), Failure> {
    let scopes = bearer(request)?.scopes;
    if scopes.predict || scopes.admin { Ok(()) } else { Err(too_little("predict")) }
}

fn unauthorized(found: &str, challenge: &'static str) -> Failure {
    Failure::new(
        Status::Unauthorized,
        "UNAUTHORIZED",
        format!(
            "found {found}; allowed: one header `Authorization: Bearer TOKEN`, with a token that this server knows"
        ),
    )
    .with_header("WWW-Authenticate", challenge)
}

fn too_little(scope: &'static str) -> Failure {
    Failure::new(
        Status::Forbidden,
        "FORBIDDEN",
        format!("found a token without the scope {scope}; allowed: one with it"),
    )
    .with_header("WWW-Authenticate", format!(r#"Bearer realm="latency", error="insufficient_scope", scope="{scope}""#))
}

/// A request that no other site's page makes a browser send.
pub(crate) struct OwnSite;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OwnSite {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        match request.headers().get_one("Sec-Fetch-Site") {
            // Programs do not say.
            None | Some("same-origin" | "none") => Outcome::Success(Self),
            Some(_) => Outcome::Error((
                Status::Forbidden,
                Failure::new(
                    Status::Forbidden,
                    "CROSS_SITE",
                    "found a request that another site's page makes a browser send; allowed: from a page of this server, or \
                     from a program",
                ),
            )),
        }
    }
}
