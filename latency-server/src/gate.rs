//! What every request passes before any route sees it: the limits, and the token where predicting needs one.

use std::str::FromStr;

use rocket::Request;
use rocket::fairing::AdHoc;
use rocket::http::uri::Origin;

use crate::client::Client;
use crate::errors::Failure;
use crate::limits::{Limits, Share};
use crate::{auth, cors};

/// Asked by supervisors and balancers, who come often, and need their answer most when there is much to do.
pub(crate) const VITAL: &[&str] = &["/health", "/ready", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready"];

/// Whose routes ask for what they need themselves, or show nothing that is worth a token.
const OPEN: &[&str] = &["/reload_model", "/admin", "/static"];

/// What cannot be had without a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequireToken {
    /// What changes something.
    #[default]
    Off,
    /// Predictions too, and all else but whether the server is well.
    Predict,
}

impl FromStr for RequireToken {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Self::Off),
            "predict" => Ok(Self::Predict),
            _ => Err(()),
        }
    }
}

/// Why a request got no further.
#[derive(Default)]
pub(crate) struct Refused(pub Option<Failure>);

/// Attaches the gate.
pub(crate) fn stage(required: RequireToken) -> AdHoc {
    AdHoc::on_ignite("gate", move |rocket| async move {
        rocket.attach(AdHoc::on_request("gate", move |request, _| {
            Box::pin(async move {
                if let Err(failure) = pass(request, required).await {
                    request.local_cache(|| Refused(Some(failure)));
                    // Nothing answers there, so the catcher does, and the log still shows what was asked.
                    if let Ok(nowhere) = Origin::parse_owned(format!("/-{}", request.uri())) {
                        request.set_uri(nowhere);
                    }
                }
            })
        }))
    })
}

async fn pass(request: &Request<'_>, required: RequireToken) -> Result<(), Failure> {
    let path = request.uri().path().as_str();
    if VITAL.contains(&path) {
        return Ok(());
    }
    Limits::of(request)?.count(Client::of(request).ip)?;
    // A browser asks whether it may ask, without a token.
    if cors::is_allowed_preflight(request) {
        return Ok(());
    }
    if required == RequireToken::Predict && !OPEN.iter().any(|start| lies_under(path, start)) {
        auth::predicting(request)?;
    }
    if has_body(request) { Ok(()) } else { Share::of(request)?.admit().await }
}

/// Whether a path is this one, or begins with it.
pub(crate) fn lies_under(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn has_body(request: &Request<'_>) -> bool {
    let headers = request.headers();
    headers.contains("Transfer-Encoding")
        || headers.get_one("Content-Length").is_some_and(|length| length.trim() != "0")
}
