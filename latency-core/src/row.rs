//! A row: the values of one path, as callers in every language write them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, number as shown_number, text as shown_text};
use crate::path::check_uncertainty_km;
use crate::places::Place;

/// One value of a row.
///
/// ```
/// use latency_core::{Row, Value};
///
/// let load: Option<f64> = None;
/// let row = Row::new().with("hops", 5).with("link", "fibre").with("load", load);
/// assert_eq!(row.get("hops"), Some(&Value::Number(5.0)));
/// assert_eq!(row.get("load"), Some(&Value::Missing));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A category, or the name of a place.
    Text(String),
    /// Not known; the same as leaving the field out.
    Missing,
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<f32> for Value {
    /// The number that its decimal form says: 0.1 stays 0.1.
    fn from(number: f32) -> Self {
        Self::Number(crate::shortest(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

/// What may stand under the keys `src` and `dst`.
pub(crate) const END: &str = "a place such as \"London\", or an object with `lat` and `lon`, or with `place`";

/// More values than any model has fields: hostile rows end here, before they cost time.
const MAX_VALUES: usize = 1000;

/// What a caller wrote under one key of a row: see [`Row::from_entries`].
///
/// ```
/// use latency_core::{Entry, Row, Value};
/// # fn main() -> latency_core::Result<()> {
/// let end = Entry::End(vec![("place".into(), "Tokyo".into()), ("access".into(), "wifi".into())]);
/// let row = Row::from_entries([("src".into(), Entry::Value("London".into())), ("dst".into(), end)])?;
/// assert_eq!(row.get("dst_access"), Some(&Value::from("wifi")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A plain value; for the keys `src` and `dst` the name of a place.
    Value(Value),
    /// A place that was found before, for the keys `src` and `dst`, with what else is known of that end: as in `End`, but
    /// not where it is.
    Place(Place, Vec<(String, Value)>),
    /// The values of one end: `lat` and `lon`, or `place`, and what else the model's fields have for an end; also
    /// `uncertainty_km`, as [`Endpoint::with_uncertainty_km`](crate::Endpoint::with_uncertainty_km) has it.
    End(Vec<(String, Value)>),
}

/// An [`Entry`] whose keys may lie in what was read.
pub(crate) enum Written<'a> {
    Value(Value),
    Place(Place, Vec<(Cow<'a, str>, Value)>),
    End(Vec<(Cow<'a, str>, Value)>),
}

impl From<Entry> for Written<'_> {
    fn from(entry: Entry) -> Self {
        let shared =
            |values: Vec<(String, Value)>| values.into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect();
        match entry {
            Entry::Value(value) => Self::Value(value),
            Entry::Place(place, values) => Self::Place(place, shared(values)),
            Entry::End(values) => Self::End(shared(values)),
        }
    }
}

impl From<Written<'_>> for Entry {
    fn from(written: Written<'_>) -> Self {
        let owned = |values: Vec<(Cow<'_, str>, Value)>| {
            values.into_iter().map(|(key, value)| (key.into_owned(), value)).collect()
        };
        match written {
            Written::Value(value) => Self::Value(value),
            Written::Place(place, values) => Self::Place(place, owned(values)),
            Written::End(values) => Self::End(owned(values)),
        }
    }
}

/// What a caller calls a field of an end, for messages: written out when there is one.
#[derive(Clone, Copy)]
enum Shown<'a> {
    /// `src`
    Key(&'a str),
    /// `src.lat`
    Part(&'a str, &'a str),
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Part(end, part) => write!(f, "{end}.{part}"),
        }
    }
}

/// The flat names of fields that most rows give: these take no memory.
const FLAT: [(&str, &str, &str); 10] = [
    ("src", "lat", "src_lat"),
    ("src", "lon", "src_lon"),
    ("src", "access", "src_access"),
    ("src", "provider", "src_provider"),
    ("src", "tier", "src_tier"),
    ("dst", "lat", "dst_lat"),
    ("dst", "lon", "dst_lon"),
    ("dst", "access", "dst_access"),
    ("dst", "provider", "dst_provider"),
    ("dst", "tier", "dst_tier"),
];

/// The flat name of a part of an end.
fn flat_of(end: &str, part: &str) -> Cow<'static, str> {
    match FLAT.iter().find(|(of, known, _)| *known == part && *of == end) {
        Some((_, _, flat)) => Cow::Borrowed(flat),
        None => Cow::Owned(format!("{end}_{part}")),
    }
}

/// A flat name, kept.
fn flat(name: Cow<'_, str>) -> Cow<'static, str> {
    match FLAT.iter().find(|(_, _, flat)| *flat == name) {
        Some((_, _, flat)) => Cow::Borrowed(flat),
        None => Cow::Owned(name.into_owned()),
    }
}

/// The features of one path: values by the flat names of the model's fields.
///
/// ```
/// use latency_core::Row;
/// # fn main() -> latency_core::Result<()> {
/// let by_coordinates = Row::new().with("src_lat", 51.51).with("src_lon", -0.13).with("dst_lat", 35.68).with("dst_lon", 139.69);
/// let by_name = Row::between("London", "aws:ap-northeast-1")?.with("src_access", "wifi");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    values: Vec<Given>,
    /// Fields that the name of a place implies: a model without them does not mind, and the caller can override them.
    pub(crate) implied: Vec<Cow<'static, str>>,
    /// Whether an end was given as a place or a group of values.
    pub(crate) nested: bool,
    /// How far from its position each end may be, where the kind of its place says so, km.
    pub(crate) uncertainty_km: [Option<f64>; 2],
}

/// A value, by the flat name of its field.
#[derive(Debug, Clone, PartialEq)]
struct Given {
    field: Cow<'static, str>,
    value: Value,
    /// Whether it stood inside an end.
    nested: bool,
}

impl Row {
    /// A row without values.
    ///
    /// ```
    /// assert_eq!(latency_core::Row::new().iter().count(), 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A row for the path between two places, each in one of the forms that [`Place::find`] understands.
    ///
    /// ```
    /// use latency_core::{Row, Value};
    /// # fn main() -> latency_core::Result<()> {
    /// let row = Row::between("London", "aws:ap-northeast-1")?;
    /// assert_eq!(row.get("src_lat"), Some(&Value::Number(51.51)));
    /// assert_eq!(row.get("dst_provider"), Some(&Value::from("aws")));
    /// assert_eq!(Row::between("London", "Nowhereville").unwrap_err().field(), Some("dst"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownPlace`], [`ErrorKind::AmbiguousPlace`] or [`ErrorKind::InvalidField`] (coordinates out of
    /// range), with the field `src` or `dst`.
    pub fn between(src: &str, dst: &str) -> Result<Self> {
        let mut row = Self { nested: true, ..Self::default() };
        for (end, name) in [("src", src), ("dst", dst)] {
            row.set_place(end, Shown::Key(end), &find_place(end, name, Place::find)?)?;
        }
        Ok(row)
    }

    /// Adds a value; it replaces an earlier one of the same name.
    ///
    /// ```
    /// use latency_core::{Row, Value};
    ///
    /// let row = Row::new().with("hops", 5).with("hops", 6);
    /// assert_eq!(row.get("hops"), Some(&Value::Number(6.0)));
    /// ```
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(field, value);
        self
    }

    /// Adds a value; it replaces an earlier one of the same name.
    ///
    /// ```
    /// use latency_core::{Row, Value};
    ///
    /// let mut row = Row::new();
    /// for (field, value) in [("hops", 5.0), ("load", 0.3)] {
    ///     row.set(field, value);
    /// }
    /// assert_eq!(row.get("load"), Some(&Value::Number(0.3)));
    /// ```
    pub fn set(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        let (field, value) = (Cow::Owned(field.into()), value.into());
        self.implied.retain(|implied| *implied != field);
        match self.values.iter_mut().find(|given| given.field == field) {
            Some(given) => *given = Given { field, value, nested: false },
            None => self.values.push(Given { field, value, nested: false }),
        }
    }

    /// The value of a field.
    ///
    /// ```
    /// use latency_core::Row;
    ///
    /// assert_eq!(Row::new().with("link", "fibre").get("hops"), None);
    /// ```
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.values.iter().find(|given| given.field == field).map(|given| &given.value)
    }

    /// All values, in the order in which they were added.
    ///
    /// ```
    /// use latency_core::Row;
    ///
    /// let row = Row::new().with("hops", 5).with("link", "fibre");
    /// assert_eq!(row.iter().map(|(field, _)| field).collect::<Vec<_>>(), ["hops", "link"]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|given| (&*given.field, &given.value))
    }

    /// Builds a row from what a caller wrote: an end is the name of a place or a group of values, other fields stand
    /// beside them, and flat names are understood too. What every binding and [`from_json`](Self::from_json) use.
    ///
    /// ```
    /// use latency_core::{Entry, Row, Value};
    /// # fn main() -> latency_core::Result<()> {
    /// let entries = [("src", "London"), ("dst", "Tokyo"), ("dst_access", "wifi")];
    /// let row = Row::from_entries(entries.map(|(key, text)| (key.to_owned(), Entry::Value(text.into()))))?;
    /// assert_eq!(row.get("dst_lat"), Some(&Value::Number(35.69)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] for values of a wrong type or given twice, and the errors of [`Place::find`].
    pub fn from_entries(entries: impl IntoIterator<Item = (String, Entry)>) -> Result<Self> {
        Self::from_entries_by(entries, Place::find)
    }

    pub(crate) fn from_entries_by(entries: impl IntoIterator<Item = (String, Entry)>, find: Find) -> Result<Self> {
        Self::from_written(entries.into_iter().map(|(key, entry)| (Cow::Owned(key), entry.into())), find)
    }

    /// From what a caller wrote; keys may lie in what was read.
    pub(crate) fn from_written<'a>(
        entries: impl IntoIterator<Item = (Cow<'a, str>, Written<'a>)>,
        find: Find,
    ) -> Result<Self> {
        let mut row = Self::default();
        let mut ends = [false; 2];
        for (key, entry) in entries {
            // Whatever stands in either: a parsed object would have lost one.
            if let "src" | "dst" = &*key
                && std::mem::replace(&mut ends[usize::from(key == "dst")], true)
            {
                return Err(Error::new(ErrorKind::InvalidField, "found twice; give it once").with_field(key));
            }
            if row.values.len() > MAX_VALUES {
                return Err(Error::new(
                    ErrorKind::InvalidField,
                    format!("found more than {MAX_VALUES} values in one row; allowed: the model's fields, each once"),
                )
                .with_field(key));
            }
            match (&*key, entry) {
                (end @ ("src" | "dst"), Written::Value(Value::Text(name))) => {
                    row.nested = true;
                    row.set_place(end, Shown::Key(end), &find_place(end, &name, find)?)?;
                }
                (end @ ("src" | "dst"), Written::Place(place, values)) => {
                    row.nested = true;
                    row.set_place(end, Shown::Key(end), &place)?;
                    row.set_end(end, values, find)?;
                }
                (end @ ("src" | "dst"), Written::End(values)) => {
                    row.nested = true;
                    row.set_end(end, values, find)?;
                }
                (end @ ("src" | "dst"), Written::Value(value)) => {
                    let found = if value == Value::Missing { "nothing" } else { "a number" };
                    return Err(
                        Error::new(ErrorKind::InvalidField, format!("found {found}; allowed: {END}")).with_field(end)
                    );
                }
                (_, Written::Value(value)) => row.set_once(flat(key), value, None)?,
                (field, Written::End(_) | Written::Place(..)) => {
                    return Err(Error::new(
                        ErrorKind::InvalidField,
                        "found an object; allowed: a number, a string or null; only `src` and `dst` can be objects",
                    )
                    .with_field(field));
                }
            }
        }
        Ok(row)
    }

    fn set_end(&mut self, end: &str, values: Vec<(Cow<'_, str>, Value)>, find: Find) -> Result<()> {
        if values.len() > MAX_VALUES {
            return Err(Error::new(
                ErrorKind::InvalidField,
                format!("found {} values for one end; allowed: the model's fields, each once", values.len()),
            )
            .with_field(end));
        }
        let mut places = values.iter().filter(|(part, _)| part == "place").map(|(_, value)| value);
        let place = places.next();
        if places.next().is_some() {
            return Err(
                Error::new(ErrorKind::InvalidField, "found twice; give it once").with_field(format!("{end}.place"))
            );
        }
        match place {
            Some(Value::Text(name)) => {
                let shown = Shown::Part(end, "place");
                if values.iter().any(|(part, _)| part == "lat" || part == "lon") {
                    return Err(Error::new(
                        ErrorKind::InvalidField,
                        "found a place beside `lat` or `lon`; allowed: either a place or coordinates; leave one out",
                    )
                    .with_field(shown.to_string()));
                }
                self.set_place(end, shown, &find_place(shown, name, find)?)?;
            }
            Some(Value::Number(number)) => {
                return Err(Error::new(
                    ErrorKind::InvalidField,
                    format!(
                        "found the number {}; allowed: the name of a place, such as \"London\"",
                        shown_number(*number)
                    ),
                )
                .with_field(format!("{end}.place")));
            }
            Some(Value::Missing) | None => {}
        }
        let mut uncertainty_km = None;
        for (part, value) in values.into_iter().filter(|(part, _)| part != "place") {
            let shown = Shown::Part(end, &part);
            if part == UNCERTAINTY {
                let km = uncertainty(&value).map_err(|error| error.with_field(shown.to_string()))?;
                if uncertainty_km.replace(km).is_some() {
                    return Err(
                        Error::new(ErrorKind::InvalidField, "found twice; give it once").with_field(shown.to_string())
                    );
                }
                continue;
            }
            self.set_once(flat_of(end, &part), value, Some(shown))?;
        }
        if let Some(Some(km)) = uncertainty_km {
            self.uncertainty_km[usize::from(end == "dst")] = Some(km);
        }
        Ok(())
    }

    /// Adds a value that may stand there once; `inside` is how the caller wrote it if it stood inside an end.
    fn set_once(&mut self, field: Cow<'static, str>, value: Value, inside: Option<Shown<'_>>) -> Result<()> {
        // What the caller says of an end overrides what its place's name implies.
        if self.implied.contains(&field) {
            self.implied.retain(|implied| *implied != field);
            self.values.retain(|given| given.field != field);
        }
        if let Some(given) = self.values.iter().find(|given| given.field == field) {
            // The same value, but the caller wrote it in two ways.
            let also = match (given.nested, inside, field.split_once('_')) {
                (true, None, Some((end, _))) => format!(", also in `{end}`"),
                (false, Some(_), _) => format!(", also as `{field}`"),
                _ => String::new(),
            };
            return Err(Error::new(ErrorKind::InvalidField, format!("found twice{also}; give it once"))
                .with_field(inside.map_or_else(|| field.into_owned(), |shown| shown.to_string())));
        }
        self.values.push(Given { field, value, nested: inside.is_some() });
        Ok(())
    }

    fn set_place(&mut self, end: &str, shown: Shown<'_>, place: &Place) -> Result<()> {
        self.uncertainty_km[usize::from(end == "dst")] = Some(place.uncertainty_km());
        self.set_once(flat_of(end, "lat"), place.lat.into(), Some(shown))?;
        self.set_once(flat_of(end, "lon"), place.lon.into(), Some(shown))?;
        let field = flat_of(end, "provider");
        if let Some(provider) = place.provider().filter(|_| self.get(&field).is_none()) {
            self.set_once(field.clone(), provider.as_str().into(), Some(shown))?;
            self.implied.push(field);
        }
        Ok(())
    }

    /// Whether this field stood inside an end, or would have to.
    fn is_nested(&self, field: &str) -> bool {
        self.values.iter().find(|given| given.field == field).map_or(self.nested, |given| given.nested)
    }

    /// The field's name as this row's caller wrote it.
    pub(crate) fn shown<'a>(&self, field: &'a str) -> Cow<'a, str> {
        match field.split_once('_') {
            Some((end @ ("src" | "dst"), rest)) if self.is_nested(field) => Cow::Owned(format!("{end}.{rest}")),
            _ => Cow::Borrowed(field),
        }
    }
}

/// What an end may say of itself that is no field of a model: how far from its position it may be, km.
const UNCERTAINTY: &str = "uncertainty_km";

fn uncertainty(value: &Value) -> Result<Option<f64>> {
    match value {
        Value::Number(km) => check_uncertainty_km(*km).map(Some),
        Value::Text(text) => Err(Error::new(
            ErrorKind::InvalidField,
            format!("found the text {}; allowed: a number from 0 to 20100 (km)", shown_text(text)),
        )),
        Value::Missing => Ok(None),
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Row {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        let mut row = Self::new();
        for (field, value) in values {
            row.set(field, value);
        }
        row
    }
}

/// How names become places: [`Place::find`], or what is quicker where many are unknown.
pub(crate) type Find = fn(&str) -> Result<Place>;

/// `shown` is what the caller calls the field that holds the name.
pub(crate) fn find_place(shown: impl fmt::Display, name: &str, find: Find) -> Result<Place> {
    find(name).map_err(|error| {
        let field = error.field().map_or_else(|| shown.to_string(), |axis| format!("{shown}.{axis}"));
        error.with_field(field)
    })
}
