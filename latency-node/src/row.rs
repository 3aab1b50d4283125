//! JavaScript objects → rows.

use latency_core::{Entry, Error, ErrorKind, Place, Row, Value as CoreValue};
use napi::bindgen_prelude::Unknown;

use crate::error::Failure;
use crate::value::{Value, entries};

/// Reads a row: an end is a string or an object, other fields stand beside them, and flat names are understood too.
pub fn from_js(value: &Unknown<'_>) -> Result<Row, Failure> {
    let object = match Value::read(value)? {
        Value::Object(object) => object,
        other => {
            let message =
                format!("found {}; allowed: an object such as {{src: \"London\", dst: \"Tokyo\"}}", other.kind());
            return Err(Error::new(ErrorKind::InvalidJson, message).into());
        }
    };
    let mut row = Vec::new();
    for (name, value) in entries(&object)? {
        let entry = entry(&name, value)?;
        row.push((name, entry));
    }
    Ok(Row::from_entries(row)?)
}

/// Reads what stands under one key of a row; `name` is what the caller calls it.
pub fn entry(name: &str, value: Value<'_>) -> Result<Entry, Failure> {
    let Value::Object(end) = value else { return Ok(Entry::Value(scalar(value, || name.to_owned())?)) };
    let parts = entries(&end)?;
    let is_place = parts.iter().any(|(part, value)| Place::is_kind(part) && matches!(value, Value::Object(_)));
    let (mut place, mut values) = (serde_json::Map::new(), Vec::new());
    for (part, value) in parts {
        if is_place && Place::has_key(&part) {
            let json = to_json(value)?;
            place.insert(part, json);
        } else {
            let value = scalar(value, || format!("{name}.{part}"))?;
            values.push((part, value));
        }
    }
    if !is_place {
        return Ok(Entry::End(values));
    }
    let place = Place::from_json(place.into()).map_err(|error| error.with_field(name))?;
    Ok(Entry::Place(place, values))
}

/// `field` is what the caller calls it.
fn scalar(value: Value<'_>, field: impl FnOnce() -> String) -> Result<CoreValue, Failure> {
    match value {
        Value::Number(number) if number.is_finite() => Ok(CoreValue::Number(number)),
        Value::Number(number) => {
            let found = if number.is_nan() { "NaN" } else { "an infinite number" };
            Err(Failure::invalid(
                field(),
                format!("found {found}; allowed: a finite number; leave it out if it is not known"),
            ))
        }
        Value::Text(text) => Ok(CoreValue::Text(text)),
        Value::Null | Value::Undefined => Ok(CoreValue::Missing),
        Value::Object(_) | Value::Other(_) => Err(Failure::found(field(), &value, "a number, a string or null")),
    }
}

/// What a place consists of, as deep as its `kind` goes: what does not fit there becomes null, which no place has.
fn to_json(value: Value<'_>) -> napi::Result<serde_json::Value> {
    let plain = |value: Value<'_>| match value {
        Value::Number(number) => number.into(),
        Value::Text(text) => text.into(),
        _ => serde_json::Value::Null,
    };
    Ok(match value {
        Value::Object(kind) => entries(&kind)?.into_iter().map(|(part, value)| (part, plain(value))).collect(),
        value => plain(value),
    })
}
