//! Python's tables → the columns of a batch: `NumPy` arrays and Arrow columns are borrowed where they lie.

use std::borrow::Cow;

use latency_core::{ArrowColumn, ArrowTable, Batch, Column, Error, ErrorKind, Strided};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3_arrow::input::{AnyArray, AnyRecordBatch};

use crate::convert::text;
use crate::error::Failure;

/// The columns of a batch, kept alive while the core reads them.
pub enum Columns<'py> {
    Dict(Vec<(String, Cells<'py>)>),
    Arrow(ArrowTable),
}

pub enum Cells<'py> {
    Numbers(PyReadonlyArray1<'py, f64>),
    Matrix(PyReadonlyArray2<'py, f64>, usize),
    Texts(Vec<Option<String>>),
    /// A word of a list for each row, none where the code is negative.
    Words(PyReadonlyArray1<'py, i64>, Vec<String>),
    Arrow(ArrowColumn),
}

impl<'py> Columns<'py> {
    /// From a dict of columns, as `latency_predictor.table` prepares it, or from a table that speaks the Arrow
    /// `PyCapsule` interface, of which only the columns that are `read` are looked at.
    pub fn extract(table: &Bound<'py, PyAny>, read: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        match table.cast::<PyDict>() {
            Ok(columns) => Self::of_dict(columns),
            Err(_) => Self::of_arrow(table.extract().map_err(|error| no_table(table, &error))?, read),
        }
    }

    fn of_dict(columns: &Bound<'py, PyDict>) -> Result<Self, Failure> {
        let cells = columns.iter().map(|(name, column)| {
            let name = text("", &name)?;
            let cells = Cells::extract(&name, &column)?;
            Ok((name, cells))
        });
        Ok(Self::Dict(cells.collect::<Result<_, Failure>>()?))
    }

    fn of_arrow(table: AnyRecordBatch, read: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        let (batches, schema) = table.into_table().map_err(PyErr::from)?.into_inner();
        Ok(Self::Arrow(ArrowTable::new(&schema, &batches, read)?))
    }

    /// The batch; numbers are borrowed where they lie in one piece.
    pub fn batch(&self) -> Batch<'_> {
        let columns = match self {
            Self::Dict(columns) => columns,
            Self::Arrow(table) => return table.batch(),
        };
        let mut batch = Batch::new();
        for (name, cells) in columns {
            let column = match cells {
                Cells::Numbers(numbers) => match numbers.as_slice() {
                    Ok(slice) if numbers.is_contiguous() => Column::from(slice),
                    _ => Column::from(numbers.as_array().to_vec()),
                },
                Cells::Matrix(matrix, index) => match matrix.as_slice() {
                    Ok(slice) if matrix.is_c_contiguous() => {
                        Column::Strided(Strided::new(slice, *index, matrix.shape()[1]))
                    }
                    _ => Column::from(matrix.as_array().column(*index).to_vec()),
                },
                Cells::Texts(texts) => {
                    Column::Texts(texts.iter().map(|text| text.as_deref().map(Cow::Borrowed)).collect())
                }
                Cells::Words(codes, words) => Column::Texts(
                    codes
                        .as_array()
                        .iter()
                        .map(|code| Some(Cow::Borrowed(words.get(usize::try_from(*code).ok()?)?.as_str())))
                        .collect(),
                ),
                Cells::Arrow(column) => column.column(),
            };
            batch.push(name.as_str(), column);
        }
        batch
    }
}

/// A column alone speaks Arrow too.
fn no_table(table: &Bound<'_, PyAny>, error: &PyErr) -> Failure {
    let kind = table.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string());
    Failure::Core(Error::new(
        ErrorKind::InvalidBatch,
        format!("found a {kind} that is no table with named columns ({error}); allowed: a table, or a dict of columns"),
    ))
}

impl<'py> Cells<'py> {
    fn extract(name: &str, column: &Bound<'py, PyAny>) -> Result<Self, Failure> {
        if let Ok(numbers) = column.extract::<PyReadonlyArray1<'py, f64>>() {
            return Ok(Self::Numbers(numbers));
        }
        if let Ok((matrix, index)) = column.extract::<(PyReadonlyArray2<'py, f64>, usize)>() {
            return Ok(Self::Matrix(matrix, index));
        }
        if let Ok(pair) = column.cast::<PyTuple>() {
            let codes = pair.get_item(0)?.extract::<PyReadonlyArray1<'py, i64>>()?;
            let words = pair.get_item(1)?.try_iter()?.map(|word| text(name, &word?));
            return Ok(Self::Words(codes, words.collect::<Result<_, _>>()?));
        }
        if column.hasattr("__arrow_c_stream__")? || column.hasattr("__arrow_c_array__")? {
            let (chunks, field) = column.extract::<AnyArray>()?.into_chunked_array().map_err(PyErr::from)?.into_inner();
            return Ok(Self::Arrow(ArrowColumn::new(name, field.data_type(), chunks)?));
        }
        let texts =
            column.try_iter()?.map(|cell| cell.map_err(Failure::from).and_then(|cell| optional_text(name, &cell)));
        Ok(Self::Texts(texts.collect::<Result<_, _>>()?))
    }
}

fn optional_text(name: &str, cell: &Bound<'_, PyAny>) -> Result<Option<String>, Failure> {
    if cell.is_none() { Ok(None) } else { text(name, cell).map(Some) }
}
