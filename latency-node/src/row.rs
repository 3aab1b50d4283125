//! JavaScript objects → rows.

use latency_core::{Entry, Error, ErrorKind, Row, Value as CoreValue};
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
        let entry = match value {
            Value::Object(end) => {
                let mut parts = Vec::new();
                for (part, value) in entries(&end)? {
                    let value = scalar(value, || format!("{name}.{part}"))?;
                    parts.push((part, value));
                }
                Entry::End(parts)
            }
            value => Entry::Value(scalar(value, || name.clone())?),
        };
        row.push((name, entry));
    }
    Ok(Row::from_entries(row)?)
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
        Value::Object(_) | Value::Other(_) => {
            Err(Failure::invalid(field(), format!("found {}; allowed: a number, a string or null", value.kind())))
        }
    }
}
