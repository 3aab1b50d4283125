//! What the pages are made of beside their text: part of the program.

use rocket::http::{ContentType, Header};
use rocket::response::Responder;
use rocket::{Route, get, routes};

/// A file that browsers may keep for a while.
#[derive(Responder)]
struct File {
    body: &'static str,
    kind: ContentType,
    cache: Header<'static>,
}

impl File {
    fn new(body: &'static str, kind: ContentType) -> Self {
        Self { body, kind, cache: Header::new("Cache-Control", "public, max-age=3600") }
    }
}

pub fn routes() -> Vec<Route> {
    routes![page_css, docs_css, page_js, icon, world]
}

#[get("/page.css")]
fn page_css() -> File {
    File::new(include_str!("../../static/page.css"), ContentType::CSS)
}

#[get("/docs.css")]
fn docs_css() -> File {
    File::new(include_str!("../../static/docs.css"), ContentType::CSS)
}

#[get("/page.js")]
fn page_js() -> File {
    File::new(include_str!("../../static/page.js"), ContentType::JavaScript)
}

#[get("/icon.svg")]
fn icon() -> File {
    File::new(include_str!("../../static/icon.svg"), ContentType::SVG)
}

#[get("/world.svg")]
fn world() -> File {
    File::new(include_str!("../../static/world.svg"), ContentType::SVG)
}
