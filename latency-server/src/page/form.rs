//! The parts of forms that ask for ends of a path.

use latency_core::schema::FieldKind;
use latency_core::{ATTRIBUTION, ModelTag, Place, Predictor, Row};
use serde::Serialize;

use super::words::{Piece, pieces};
use crate::errors::Failure;

/// One end of a path, as it stands in the form.
#[derive(Serialize)]
pub struct End<'a> {
    pub name: &'static str,
    label: &'static str,
    placeholder: &'static str,
    pub value: &'a str,
    pub error: Option<Vec<Piece>>,
    pub access: Option<Access<'a>>,
}

/// A field for a number of milliseconds, which may be empty.
#[derive(Serialize)]
pub struct Milliseconds<'a> {
    name: &'static str,
    value: &'a str,
    error: Option<Vec<Piece>>,
}

impl<'a> Milliseconds<'a> {
    pub fn new(name: &'static str, value: Option<&'a str>) -> Self {
        Self { name, value: value.unwrap_or_default().trim(), error: None }
    }

    /// The number, if there is one, or an error beside the field.
    pub fn read(&mut self) -> Result<Option<f64>, ()> {
        if self.value.is_empty() {
            return Ok(None);
        }
        self.value.parse().map(Some).map_err(|_| {
            self.error = Some(pieces(&format!("found `{}`; allowed: a number above 0 (ms)", self.value)));
        })
    }

    /// Puts this failure beside the field, if it is about it.
    pub fn take(&mut self, failure: &Failure) -> bool {
        let is_mine = failure.field.as_deref() == Some(self.name);
        if is_mine {
            self.error = Some(pieces(&failure.message));
        }
        is_mine
    }
}

/// What stands around every form.
#[derive(Serialize)]
pub struct Around<'a> {
    knows_places: bool,
    suggestions: &'a Suggestions,
    attribution: &'static str,
    model: ModelTag<'a>,
    version: &'static str,
}

impl<'a> Around<'a> {
    pub fn new(predictor: &'a Predictor, suggestions: &'a Suggestions) -> Self {
        Self {
            knows_places: predictor.schema().coordinates.is_some(),
            suggestions,
            attribution: ATTRIBUTION,
            model: predictor.model_info().tag(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// The choice of access technology at one end, for models that have such a field.
#[derive(Serialize)]
pub struct Access<'a> {
    pub value: &'a str,
    options: Vec<Choice<'a>>,
    pub error: Option<Vec<Piece>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    value: &'a str,
    label: &'a str,
}

impl<'a> End<'a> {
    pub fn src(value: Option<&'a str>, access: Option<&'a str>, predictor: &'a Predictor) -> Self {
        Self::new("src", "From", "London", value, access, predictor)
    }

    pub fn dst(value: Option<&'a str>, access: Option<&'a str>, predictor: &'a Predictor) -> Self {
        Self::new("dst", "To", "Tokyo", value, access, predictor)
    }

    fn new(
        name: &'static str,
        label: &'static str,
        placeholder: &'static str,
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
        Self { name, label, placeholder, value: value.unwrap_or_default(), error: None, access }
    }

    /// The place that is meant, or an error beside its field.
    pub fn place(&mut self) -> Option<Place> {
        Place::find(self.value).map_err(|error| self.error = Some(pieces(error.message()))).ok()
    }

    /// Adds what is chosen beside the place.
    pub fn describe(&self, row: Row) -> Row {
        match self.access.as_ref().map(|access| access.value).filter(|value| !value.is_empty()) {
            Some(access) => row.with(format!("{}_access", self.name), access),
            None => row,
        }
    }

    /// Puts this failure beside the field that it is about, if that is one of this end's.
    pub fn take(&mut self, failure: &Failure) -> bool {
        let field = failure.field.as_deref().unwrap_or_default();
        // The words of the server's own troubles belong to no field.
        if failure.status.code >= 500 || !field.starts_with(self.name) {
            return false;
        }
        let error = Some(pieces(&failure.message));
        match &mut self.access {
            Some(access) if field.ends_with("access") => access.error = error,
            _ => self.error = error,
        }
        true
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

/// What text fields propose in browsers without scripts: the cloud regions.
#[derive(Serialize)]
pub struct Suggestions(Vec<Suggestion>);

#[derive(Serialize)]
struct Suggestion {
    value: String,
    label: String,
}

impl Suggestions {
    pub fn new() -> Self {
        let suggestion = |place: Place| Suggestion { value: place.to_string(), label: place.name.into_owned() };
        Self(Place::cloud_regions().map(suggestion).collect())
    }
}
