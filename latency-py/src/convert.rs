//! Python values ↔ core values.

use std::borrow::Cow;

use latency_core::{Batch, Column, Entry, Error, ErrorKind, Prediction, Row, Value, shortest};
use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use crate::error::{OrRaise, to_python};

/// Keywords or a dict → a row; `src` and `dst` may be names of places or dicts.
pub fn row(values: &Bound<'_, PyDict>) -> PyResult<Row> {
    let py = values.py();
    let mut entries = Vec::with_capacity(values.len());
    for (key, value) in values {
        let key: String = key.extract()?;
        let entry = match value.cast::<PyDict>() {
            Ok(end) => Entry::End(
                end.iter()
                    .map(|(part, value)| {
                        let part: String = part.extract()?;
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
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::Text(text.extract()?));
    }
    let boolean = value.is_instance_of::<PyBool>();
    // numpy's scalars are no `float` or `int`, but convert like them; a bool is an `int`, but no number here.
    let number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() || value.hasattr("__float__")?;
    if number && !boolean {
        return Ok(Value::Number(value.extract()?));
    }
    let error = Error::new(
        ErrorKind::InvalidField,
        format!("found a value of type {}; allowed: a number, a string or None", value.get_type().name()?),
    );
    Err(to_python(value.py(), &error.with_field(field)))
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
            found.names.push(name.extract()?);
            found.columns.push(match column.extract::<PyReadonlyArray1<'py, f64>>() {
                Ok(numbers) => Cells::Numbers(numbers),
                Err(_) => Cells::Texts(column.extract()?),
            });
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

/// A prediction → a dict: numbers by name, and `warnings`.
pub fn prediction<'py>(py: Python<'py>, prediction: &Prediction) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, number) in prediction.numbers() {
        dict.set_item(name, shortest(number))?;
    }
    let warnings = prediction.warnings.iter().map(|warning| (warning.code.as_str(), &warning.field, &warning.message));
    dict.set_item("warnings", warnings.collect::<Vec<_>>())?;
    Ok(dict)
}
