//! Python values ↔ core values.

use std::borrow::Cow;

use latency_core::{Batch, Column, Entry, Error, ErrorKind, Prediction, Row, Value, shortest};
use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};

use crate::error::{OrRaise, to_python};

/// Keywords or a dict → a row; `src` and `dst` may be names of places or dicts.
pub fn row(values: &Bound<'_, PyDict>) -> PyResult<Row> {
    let py = values.py();
    let mut entries = Vec::with_capacity(values.len());
    for (key, value) in values {
        let key = text("", &key)?;
        let entry = match value.cast::<PyDict>() {
            Ok(end) => Entry::End(
                end.iter()
                    .map(|(part, value)| {
                        let part = text(&key, &part)?;
                        let value = scalar(&format!("{key}.{part}"), &value)?;
                        Ok((part, value))
                    })
                    .collect::<PyResult<_>>()?,
            ),
            Err(_) => Entry::Value(scalar(&key, &value)?),
        };
        entries.push((key, entry));
    }
    Row::from_entries(entries).or_raise(py)
}

fn scalar(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Value> {
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
        invalid(value.py(), field, format!("found {found}; allowed: a number, a string or None"))
    })
}

/// A string that is text: Python's may also hold half a character.
fn text(field: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return text.extract().map_err(|_: PyErr| {
            invalid(value.py(), field, "found a string with half a character; allowed: text that UTF-8 can hold")
        });
    }
    let kind = value.get_type().name()?;
    Err(invalid(value.py(), field, format!("found a name of type {kind}; allowed: names that are strings")))
}

fn invalid(py: Python<'_>, field: &str, message: impl Into<String>) -> PyErr {
    let error = Error::new(ErrorKind::InvalidField, message);
    to_python(py, &if field.is_empty() { error } else { error.with_field(field) })
}

/// The columns of a batch, kept alive while the core reads them.
pub struct Columns<'py> {
    names: Vec<String>,
    columns: Vec<Cells<'py>>,
}

enum Cells<'py> {
    Numbers(PyReadonlyArray1<'py, f64>),
    Texts(Vec<Option<String>>),
}

impl<'py> Columns<'py> {
    /// From a dict of f64 arrays and lists of strings, as `latency_predictor.table` prepares it.
    pub fn extract(columns: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut found = Self { names: Vec::new(), columns: Vec::new() };
        for (name, column) in columns {
            let name = text("", &name)?;
            found.columns.push(match column.extract::<PyReadonlyArray1<'py, f64>>() {
                Ok(numbers) => Cells::Numbers(numbers),
                Err(_) => Cells::Texts(texts(&name, &column)?),
            });
            found.names.push(name);
        }
        Ok(found)
    }

    /// The batch; numbers are borrowed where they lie in one piece.
    pub fn batch(&self) -> Batch<'_> {
        let mut batch = Batch::new();
        for (name, cells) in self.names.iter().zip(&self.columns) {
            let column = match cells {
                Cells::Numbers(numbers) if numbers.is_contiguous() => {
                    numbers.as_slice().map_or_else(|_| Column::from(numbers.as_array().to_vec()), Column::from)
                }
                Cells::Numbers(numbers) => Column::from(numbers.as_array().to_vec()),
                Cells::Texts(texts) => {
                    Column::Texts(texts.iter().map(|text| text.as_deref().map(Cow::Borrowed)).collect())
                }
            };
            batch.push(name.as_str(), column);
        }
        batch
    }
}

fn texts(name: &str, column: &Bound<'_, PyAny>) -> PyResult<Vec<Option<String>>> {
    column
        .try_iter()?
        .map(|cell| cell.and_then(|cell| if cell.is_none() { Ok(None) } else { text(name, &cell).map(Some) }))
        .collect()
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
