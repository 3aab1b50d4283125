//! `GET /places`: what is at a name, and which names begin so.

use latency_core::{ATTRIBUTION, Place};
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Header};
use rocket::response::Responder;
use rocket::{get, routes};
use serde::Serialize;

use crate::errors::{Failure, json};
use crate::query::{Query, refused};

/// The most suggestions at once.
pub const MAX_SUGGESTIONS: usize = 50;

/// As many as a person looks through while typing.
pub const DEFAULT_SUGGESTIONS: usize = 10;

/// Attaches the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("places", |rocket| async { rocket.mount("/", routes![places]) })
}

#[derive(Serialize)]
struct Places {
    /// The place of exactly this name, as `/predict` would take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    /// Places whose names begin so, the largest first.
    suggestions: Vec<Place>,
    /// What to write instead, if there is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    attribution: &'static str,
}

/// JSON that a browser may keep: names of places change with versions of the server only.
#[derive(Responder)]
struct Kept {
    body: (ContentType, Vec<u8>),
    cache: Header<'static>,
}

#[get("/places")]
fn places(query: Query) -> Result<Kept, Failure> {
    let query = query.only(&["q", "limit"])?;
    let Some(name) = query.get("q") else {
        let message = "required, but not given; allowed: a name of a place or its beginning, as in `/places?q=san+f`";
        return Err(refused("MISSING_FIELD", "q", message));
    };
    let limit = query.get("limit").map_or(Ok(DEFAULT_SUGGESTIONS), |text| {
        text.parse().ok().filter(|limit| *limit <= MAX_SUGGESTIONS).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            let message = format!("found {text:?}; allowed: a whole number from 0 to {MAX_SUGGESTIONS}");
            refused("INVALID_FIELD", "limit", message)
        })
    })?;
    let suggestions = Place::suggest(name, limit);
    let (place, error) = match Place::find(name) {
        Ok(place) => (Some(place), None),
        Err(error) if suggestions.is_empty() => (None, Some(Failure::from(error.with_field("q")))),
        Err(_) => (None, None),
    };
    let body = json(&Places { place, suggestions, error, attribution: ATTRIBUTION })?;
    Ok(Kept { body, cache: Header::new("Cache-Control", "public, max-age=3600") })
}
