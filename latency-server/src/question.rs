//! JSON objects that hold a path and, beside it, what is asked about it.

use std::fmt;

use latency_core::{Entry, Row};
use rocket::http::Status;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::errors::Failure;
use crate::predict::{MAX_ROW_BYTES, invalid_json, not_json};

/// More keys than a row may have: the rest is not kept, since it will be refused anyway.
pub const MAX_KEYS: usize = 1_100;

/// An object taken apart: values that are not parsed yet, by key.
pub struct Question<'a> {
    own: Vec<(&'static str, &'a RawValue)>,
    row: Vec<(String, &'a RawValue)>,
}

impl<'a> Question<'a> {
    /// Reads an object; `own` are the keys that do not belong to the path. `example` is shown to who sends something else.
    pub fn read(text: &'a str, own: &[&'static str], example: &str) -> Result<Self, Failure> {
        let start = text.trim_start_matches([' ', '\t', '\n', '\r']);
        if !start.starts_with('{') {
            let found = if start.is_empty() { "an empty body" } else { kind(start) };
            return Err(invalid_json(format!("found {found}; allowed: one object such as {example}")));
        }
        let Keys(keys) =
            serde_json::from_str(text).map_err(|error| not_json(&error, &format!("one object such as {example}")))?;
        let mut question = Self { own: Vec::new(), row: Vec::new() };
        for (key, value) in keys {
            match own.iter().find(|own| **own == key) {
                None => question.row.push((key, value)),
                Some(own) if question.get(own).is_none() => question.own.push((own, value)),
                Some(own) => return Err(invalid_field(own, "found twice; give it once")),
            }
        }
        Ok(question)
    }

    /// One of the own values; null is none.
    pub fn get(&self, own: &str) -> Option<&'a RawValue> {
        let found = self.own.iter().find(|(key, _)| *key == own).map(|(_, value)| *value);
        found.filter(|value| value.get() != "null")
    }

    /// One of the own values that has to be a number.
    pub fn number(&self, own: &str) -> Result<Option<f64>, Failure> {
        let Some(value) = self.get(own) else { return Ok(None) };
        let text = value.get();
        let found = match kind(text) {
            "a number" => match serde_json::from_str(text) {
                Ok(number) => return Ok(Some(number)),
                Err(_) => "a number without end",
            },
            kind => kind,
        };
        Err(invalid_field(own, format!("found {found}; allowed: a number")))
    }

    /// The RTT that was measured, which has to be given.
    pub fn measured_ms(&self) -> Result<f64, Failure> {
        self.number("measured_ms")?.ok_or_else(|| {
            let message = "required, but not given; allowed: a number above 0 (ms); give it";
            let failure = Failure::new(Status::BadRequest, "MISSING_FIELD", message);
            Failure { field: Some("measured_ms".to_owned()), ..failure }
        })
    }

    /// What belongs to the path.
    pub fn entries(&self) -> Result<Vec<(String, Entry)>, Failure> {
        let bytes: usize = self.row.iter().map(|(key, value)| key.len() + value.get().len()).sum();
        if bytes > MAX_ROW_BYTES {
            return Err(invalid_json(format!("found {bytes} bytes for one row; allowed: up to {MAX_ROW_BYTES}")));
        }
        self.row.iter().map(|(key, value)| Ok((key.clone(), Entry::from_json_str(key, value.get())?))).collect()
    }

    /// The path.
    pub fn row(&self) -> Result<Row, Failure> {
        Ok(Row::from_entries(self.entries()?)?)
    }
}

pub fn invalid_field(field: &str, message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure { field: Some(field.to_owned()), ..Failure::new(Status::BadRequest, "INVALID_FIELD", message) }
}

/// What a JSON text is.
pub fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "something that is not JSON",
    }
}

/// The keys of an object, each as often as it stands there.
pub struct Keys<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if keys.len() < MAX_KEYS {
                        keys.push(entry);
                    }
                }
                Ok(Keys(keys))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
