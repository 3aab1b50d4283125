//! `GET /`: the page. A plain form, answered by the server, so that it works without scripts and its address can be
//! shared.

use std::borrow::Cow;

use latency_core::schema::FieldKind;
use latency_core::{ATTRIBUTION, ErrorGroup, ModelTag, Place, Prediction, Predictor, Row};
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Header, Status};
use rocket::response::Responder;
use rocket::{State, get, routes};
use rocket_dyn_templates::Template;
use serde::Serialize;

use crate::admin;
use crate::errors::Failure;
use crate::metrics::Question;
use crate::models::{Models, Served};
use crate::openapi;

const TEMPLATE: &str = "page.html";

/// Attaches the routes and the templates, which are part of the program.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("page", |rocket| async {
        // Rocket insists on a template folder, and in debug builds watches all of it. The program's own file stands in
        // for one: wherever the program runs, it is there, and there is nothing in it.
        let folder = std::env::current_exe().unwrap_or_else(|_| "/".into());
        let figment = rocket.figment().clone().merge(("template_dir", folder));
        rocket
            .configure(figment)
            .manage(Suggestions::new())
            .attach(Template::try_custom(|engines| {
                engines.tera.add_raw_templates([
                    ("base.html", include_str!("../templates/base.html")),
                    (TEMPLATE, include_str!("../templates/page.html")),
                    (admin::TEMPLATE, include_str!("../templates/admin.html")),
                    (openapi::TEMPLATE, include_str!("../templates/docs.html")),
                ])?;
                Ok(())
            }))
            .mount("/", routes![page, style, icon])
    })
}

/// A file that is part of the program.
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

#[get("/static/page.css")]
fn style() -> File {
    File::new(include_str!("../static/page.css"), ContentType::CSS)
}

#[get("/static/icon.svg")]
fn icon() -> File {
    File::new(include_str!("../static/icon.svg"), ContentType::SVG)
}

#[get("/?<src>&<dst>&<src_access>&<dst_access>")]
fn page(
    src: Option<&str>,
    dst: Option<&str>,
    src_access: Option<&str>,
    dst_access: Option<&str>,
    models: &State<Models>,
    suggestions: &State<Suggestions>,
) -> (Status, Template) {
    let served = models.default_slot().served();
    let predictor = &served.predictor;
    let mut ends =
        [End::new("src", "From", src, src_access, predictor), End::new("dst", "To", dst, dst_access, predictor)];
    let asked = src.is_some() || dst.is_some();
    let (status, outcome) = if asked { answer(&mut ends, &served) } else { (Status::Ok, Outcome::default()) };
    let view = View {
        ends: &ends,
        outcome,
        knows_places: predictor.schema().coordinates.is_some(),
        suggestions: &suggestions.0,
        attribution: ATTRIBUTION,
        model: predictor.model_info().tag(),
        version: env!("CARGO_PKG_VERSION"),
    };
    (status, Template::render(TEMPLATE, view))
}

/// Predicts between the two ends, or writes beside them what is wrong.
fn answer(ends: &mut [End<'_>; 2], served: &Served) -> (Status, Outcome) {
    let mut places = [None, None];
    for (end, found) in ends.iter_mut().zip(&mut places) {
        match Place::find(end.value) {
            Ok(place) => *found = Some(place),
            Err(error) => end.error = Some(pieces(error.message())),
        }
    }
    let [Some(src), Some(dst)] = places else { return (Status::BadRequest, Outcome::default()) };
    let row = Row::between(ends[0].value, ends[1].value).map(|row| {
        ends.iter()
            .filter_map(|end| Some((end.access.as_ref()?, end.name)))
            .filter(|(access, _)| !access.value.is_empty())
            .fold(row, |row, (access, end)| row.with(format!("{end}_access"), access.value))
    });
    match row.and_then(|row| served.predictor.predict(&row)) {
        Ok(prediction) => {
            if let Some(seen) = served.seen() {
                seen.note(Question::Predict, &prediction);
            }
            (Status::Ok, Outcome { result: Some(Shown::new(&prediction, &src, &dst)), error: None })
        }
        Err(error) => {
            let is_input = error.kind().group() == ErrorGroup::Input;
            let failure = Failure::from(error);
            let message = pieces(&failure.message);
            let field = failure.field.as_deref().filter(|_| is_input).unwrap_or_default();
            let end = ends.iter_mut().find(|end| field.starts_with(end.name));
            let error = match end {
                Some(End { access: Some(access), .. }) if field.ends_with("access") => {
                    access.error = Some(message);
                    None
                }
                Some(end) => {
                    end.error = Some(message);
                    None
                }
                None => Some(message),
            };
            (failure.status, Outcome { result: None, error })
        }
    }
}

/// What the template gets to see.
#[derive(Serialize)]
struct View<'a> {
    ends: &'a [End<'a>; 2],
    #[serde(flatten)]
    outcome: Outcome,
    knows_places: bool,
    suggestions: &'a [Suggestion],
    attribution: &'static str,
    model: ModelTag<'a>,
    version: &'static str,
}

#[derive(Serialize, Default)]
struct Outcome {
    result: Option<Shown>,
    error: Option<Vec<Piece>>,
}

/// One end of the form.
#[derive(Serialize)]
struct End<'a> {
    name: &'static str,
    label: &'static str,
    value: &'a str,
    error: Option<Vec<Piece>>,
    access: Option<Access<'a>>,
}

/// The choice of access technology at one end, for models that have such a field.
#[derive(Serialize)]
struct Access<'a> {
    value: &'a str,
    options: Vec<Choice<'a>>,
    error: Option<Vec<Piece>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    value: &'a str,
    label: &'a str,
}

impl<'a> End<'a> {
    fn new(
        name: &'static str,
        label: &'static str,
        value: Option<&'a str>,
        access: Option<&'a str>,
        predictor: &'a Predictor,
    ) -> Self {
        let access = match predictor.schema().field(&format!("{name}_access")).map(|field| &field.kind) {
            Some(FieldKind::Category { categories, .. }) => Some(Access {
                value: access.unwrap_or_default(),
                options: categories.iter().map(|word| Choice { value: word, label: access_label(word) }).collect(),
                error: None,
            }),
            _ => None,
        };
        Self { name, label, value: value.unwrap_or_default(), error: None, access }
    }
}

fn access_label(word: &str) -> &str {
    match word {
        "server" => "Server in a data centre",
        "wired" => "Wired",
        "wifi" => "Wi-Fi",
        "cellular" => "Mobile network",
        "starlink" => "Starlink",
        "residential" => "Home, kind not known",
        word => word,
    }
}

/// Part of a message; what stood in backquotes is code.
#[derive(Serialize)]
struct Piece {
    text: String,
    code: bool,
}

fn pieces(message: &str) -> Vec<Piece> {
    let parts = message.split('`').enumerate().filter(|(_, text)| !text.is_empty());
    parts.map(|(index, text)| Piece { text: text.to_owned(), code: index % 2 == 1 }).collect()
}

/// A prediction in words.
#[derive(Serialize)]
struct Shown {
    src: String,
    dst: String,
    p50: String,
    low: String,
    high: String,
    p90: String,
    p99: String,
    floor: Option<String>,
    distance: Option<String>,
    warnings: Vec<Vec<Piece>>,
    chart: Chart,
}

/// Positions on a line from 0 ms, in units of the drawing.
#[derive(Serialize)]
struct Chart {
    width: u32,
    floor: u32,
    low: u32,
    high: u32,
    p50: u32,
    p90: u32,
    p99: u32,
}

impl Shown {
    fn new(prediction: &Prediction, src: &Place, dst: &Place) -> Self {
        Self {
            src: place(src),
            dst: place(dst),
            p50: milliseconds(prediction.p50_ms),
            low: milliseconds(prediction.low_ms),
            high: milliseconds(prediction.high_ms),
            p90: milliseconds(prediction.p90_ms),
            p99: milliseconds(prediction.p99_ms),
            floor: prediction.floor_ms.map(milliseconds),
            distance: prediction.distance_km.map(kilometres),
            warnings: prediction
                .warnings
                .iter()
                .map(|warning| pieces(&format!("{}: {}", field_label(&warning.field), warning.message)))
                .collect(),
            chart: Chart::new(prediction),
        }
    }
}

impl Chart {
    const WIDTH: u32 = 1000;

    fn new(prediction: &Prediction) -> Self {
        let longest = prediction.p99_ms.max(prediction.high_ms).max(f32::MIN_POSITIVE);
        // From 0 to WIDTH, since every number lies between 0 and the longest.
        #[allow(clippy::cast_sign_loss)]
        let at = |ms: f32| (ms / longest * (Self::WIDTH - 4) as f32).clamp(0.0, Self::WIDTH as f32) as u32;
        Self {
            width: Self::WIDTH,
            floor: at(prediction.floor_ms.unwrap_or(0.0)),
            low: at(prediction.low_ms),
            high: at(prediction.high_ms),
            p50: at(prediction.p50_ms),
            p90: at(prediction.p90_ms),
            p99: at(prediction.p99_ms),
        }
    }
}

/// `Chicago, IL, US`; for a cloud region also where it is.
fn place(place: &Place) -> String {
    if place.provider().is_some() { format!("{place} ({})", place.name) } else { place.to_string() }
}

/// The words for a field that a warning is about.
fn field_label(field: &str) -> Cow<'_, str> {
    if field == "distance_km" {
        return "Distance".into();
    }
    let (end, part) = match field.split_once('_') {
        Some(("src", part)) => ("From", part),
        Some(("dst", part)) => ("To", part),
        _ if field == "src" => return "From".into(),
        _ if field == "dst" => return "To".into(),
        _ => return field.into(),
    };
    let part = match part {
        "lat" => "latitude",
        "lon" => "longitude",
        "access" => "connected by",
        part => part,
    };
    format!("{end}, {part}").into()
}

/// As many digits as are worth reading: `7.3 ms`, `123 ms`.
fn milliseconds(ms: f32) -> String {
    if ms < 99.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `9,559 km`. No way on Earth has more than five digits.
fn kilometres(km: f32) -> String {
    let km = format!("{km:.0}");
    match km.len().checked_sub(3) {
        Some(at @ 1..) => format!("{},{} km", &km[..at], &km[at..]),
        _ => format!("{km} km"),
    }
}

/// What the two text fields propose: the cloud regions.
struct Suggestions(Vec<Suggestion>);

#[derive(Serialize)]
struct Suggestion {
    value: String,
    label: String,
}

impl Suggestions {
    fn new() -> Self {
        let regions = ["aws:", "azure:", "gcp:"]
            .into_iter()
            .flat_map(|provider| Place::suggest(provider, 200))
            .filter(|place| place.provider().is_some());
        let suggestion = |place: Place| Suggestion { value: place.to_string(), label: place.name.into_owned() };
        Self(regions.map(suggestion).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.04, 7.25, 99.94, 99.96, 1234.5].map(milliseconds);
        assert_eq!(shown, ["0.0 ms", "7.2 ms", "99.9 ms", "100 ms", "1234 ms"]);
        assert_eq!([0.0, 999.4, 999.6, 20_015.0].map(kilometres), ["0 km", "999 km", "1,000 km", "20,015 km"]);
    }

    #[test]
    fn fields_are_named_as_on_the_page() {
        let labels = ["src_lat", "dst_access", "src_tier", "src", "dst", "distance_km", "rows"].map(field_label);
        assert_eq!(labels, ["From, latitude", "To, connected by", "From, tier", "From", "To", "Distance", "rows"]);
    }

    #[test]
    fn backquotes_become_code() {
        let pieces = pieces("found `x`; allowed `y`");
        let shown: Vec<_> = pieces.iter().map(|piece| (piece.text.as_str(), piece.code)).collect();
        assert_eq!(shown, [("found ", false), ("x", true), ("; allowed ", false), ("y", true)]);
    }
}
