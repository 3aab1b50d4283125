//! Python values ↔ rows and predictions of the core.

use latency_core::{Entry, Error, ErrorKind, Prediction, Row, Value, shortest};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};

use crate::error::Failure;
use crate::place::Place;

/// Keywords or a dict → a row; `src` and `dst` may be places, their names, or dicts.
pub fn row(values: &Bound<'_, PyDict>) -> Result<Row, Failure> {
    let mut entries = Vec::with_capacity(values.len());
    for (key, value) in values {
        let key = text("", &key)?;
        let entry = if let Ok(end) = value.cast::<PyDict>() {
            let values = end.iter().map(|(part, value)| {
                let part = text(&key, &part)?;
                let value = scalar(&format!("{key}.{part}"), &value)?;
                Ok((part, value))
            });
            Entry::End(values.collect::<Result<_, Failure>>()?)
        } else if let Ok(place) = value.cast::<Place>() {
            Entry::Place(place.get().inner().clone(), Vec::new())
        } else {
            Entry::Value(scalar(&key, &value)?)
        };
        entries.push((key, entry));
    }
    Ok(Row::from_entries(entries)?)
}

fn scalar(field: &str, value: &Bound<'_, PyAny>) -> Result<Value, Failure> {
    if value.is_none() {
        return Ok(Value::Missing);
    }
    if value.is_instance_of::<PyString>() {
        return text(field, value).map(Value::Text);
    }
    let kind = value.get_type().name()?;
    // A bool is an `int`, and numpy's converts like a number, but neither is one here.
    let boolean = value.is_instance_of::<PyBool>() || kind == "bool" || kind == "bool_";
    // Arrays have `__float__` too, and refuse it unless they hold one number.
    let number = if boolean { None } else { value.extract::<f64>().ok() };
    number.map(Value::Number).ok_or_else(|| {
        let found = if value.is_instance_of::<PyInt>() && !boolean {
            "an integer beyond all floats".to_owned()
        } else {
            format!("a value of type {kind}")
        };
        invalid(field, format!("found {found}; allowed: a number, a string or None"))
    })
}

/// A string that is text: Python's may also hold half a character.
pub fn text(field: &str, value: &Bound<'_, PyAny>) -> Result<String, Failure> {
    if let Ok(text) = value.cast::<PyString>() {
        return text.extract().map_err(|_: PyErr| {
            invalid(field, "found a string with half a character; allowed: text that UTF-8 can hold")
        });
    }
    let kind = value.get_type().name()?;
    Err(invalid(field, format!("found a name of type {kind}; allowed: names that are strings")))
}

fn invalid(field: &str, message: impl Into<String>) -> Failure {
    let error = Error::new(ErrorKind::InvalidField, message);
    Failure::Core(if field.is_empty() { error } else { error.with_field(field) })
}

/// A prediction → a dict: numbers by name, `warnings` and `missing`.
pub fn prediction<'py>(py: Python<'py>, prediction: &Prediction) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, number) in prediction.numbers() {
        dict.set_item(name, shortest(number))?;
    }
    let warnings = prediction.warnings.iter().map(|warning| (warning.code.as_str(), &warning.field, &warning.message));
    dict.set_item("warnings", warnings.collect::<Vec<_>>())?;
    dict.set_item("missing", PyTuple::new(py, prediction.missing.iter().map(|field| &**field))?)?;
    Ok(dict)
}
