//! JavaScript's columns → the columns of a batch.

use std::borrow::Cow;

use latency_core::schema::FieldKind;
use latency_core::{Batch, Column, Error, ErrorKind, Schema};
use napi::bindgen_prelude::{Env, Float64ArraySlice, FromNapiValue, JsValue, TypedArray, TypedArrayType, Unknown};

use crate::error::Failure;
use crate::value::{List, Pace, Value};

/// The columns of a batch as they come, whole or in pieces.
#[derive(Default)]
pub struct Columns {
    columns: Vec<(String, Cells)>,
}

/// How many cells of an array get their memory at once.
const RESERVED_ROWS: u32 = 1 << 16;

enum Cells {
    Numbers(Vec<f64>),
    Texts(Vec<Option<String>>),
    /// The number of cells of a column that the model has no field for.
    Unread(usize),
}

/// What the cells of a column are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Text,
    Unread,
}

impl Kind {
    fn of(schema: &Schema, name: &str) -> Self {
        let places = schema.coordinates.is_some() && matches!(name, "src" | "dst");
        match schema.field(name).map(|field| &field.kind) {
            Some(FieldKind::Number { .. }) => Self::Number,
            Some(_) => Self::Text,
            None if places => Self::Text,
            None => Self::Unread,
        }
    }
}

impl Columns {
    /// Reads a column, or goes on with it at the cell `from`, until the pace says that it is time for others; returns the
    /// first cell that is not read yet. `fault` takes the errors of cells, and says whether to go on; the core then refuses
    /// the rows of those cells.
    pub fn read(
        &mut self,
        env: Env,
        schema: &Schema,
        name: &str,
        column: &Unknown<'_>,
        from: u32,
        mut fault: impl FnMut(Failure) -> Result<(), Failure>,
    ) -> Result<u32, Failure> {
        let kind = Kind::of(schema, name);
        if column.is_typedarray()? {
            let cells = match (numbers(&TypedArray::from_unknown(*column)?), kind) {
                (Some(numbers), Kind::Unread) => Cells::Unread(numbers.len()),
                (Some(numbers), _) => Cells::Numbers(numbers),
                (None, _) => {
                    return Err(Failure::invalid(
                        name,
                        "found a typed array of BigInts or of half floats; allowed: Float64Array, Float32Array, arrays of \
                         integers up to 32 bits, or an array",
                    ));
                }
            };
            self.columns.push((name.to_owned(), cells));
            return Ok(u32::MAX);
        }
        let Some(array) = List::read(env, column)? else {
            let found = Value::read(column)?;
            return Err(Failure::found(name, &found, "a typed array, or an array of numbers or strings"));
        };
        if kind == Kind::Unread {
            self.columns.push((name.to_owned(), Cells::Unread(array.length as usize)));
            return Ok(u32::MAX);
        }
        if from == 0 {
            // A length alone is no cells: an array may have none of those that it claims.
            let rows = array.length.min(RESERVED_ROWS) as usize;
            let cells = match kind {
                Kind::Number => Cells::Numbers(Vec::with_capacity(rows)),
                _ => Cells::Texts(Vec::with_capacity(rows)),
            };
            self.columns.push((name.to_owned(), cells));
        }
        let Some((_, cells)) = self.columns.last_mut() else { return Ok(u32::MAX) };
        let mut pace = Pace::start();
        for row in from..array.length {
            if pace.is_over() {
                return Ok(row);
            }
            if let Err(found) = cells.push(Value::read(&array.get(row)?)?) {
                let allowed = if kind == Kind::Number { "a number or null" } else { "a string or null" };
                let message = format!("found {found}; allowed: {allowed}");
                fault(Failure::invalid(name, message).in_row(row as usize))?;
            }
        }
        Ok(u32::MAX)
    }

    /// The batch, with further columns that are borrowed where they lie.
    pub fn batch<'a>(&'a self, borrowed: &'a [(String, Float64ArraySlice<'_>)], filler: &'a mut Vec<f64>) -> Batch<'a> {
        let unread = self.columns.iter().map(|(_, cells)| if let Cells::Unread(rows) = cells { *rows } else { 0 });
        filler.resize(unread.max().unwrap_or_default(), f64::NAN);
        let mut batch = Batch::new();
        for (name, numbers) in borrowed {
            batch.push(name.as_str(), &**numbers);
        }
        for (name, cells) in &self.columns {
            let column = match cells {
                Cells::Numbers(numbers) => Column::from(numbers.as_slice()),
                Cells::Texts(texts) => {
                    Column::Texts(texts.iter().map(|text| text.as_deref().map(Cow::Borrowed)).collect())
                }
                Cells::Unread(rows) => Column::from(&filler[..*rows]),
            };
            batch.push(name.as_str(), column);
        }
        batch
    }
}

impl Cells {
    /// Adds a cell; in place of what does not fit, and is returned in words, one that the core refuses for any field.
    fn push(&mut self, value: Value<'_>) -> Result<(), String> {
        match (self, value) {
            (Self::Numbers(numbers), Value::Number(number)) => numbers.push(number),
            (Self::Numbers(numbers), Value::Null | Value::Undefined) => numbers.push(f64::NAN),
            (Self::Texts(texts), Value::Text(text)) => texts.push(Some(text)),
            (Self::Texts(texts), Value::Null | Value::Undefined) => texts.push(None),
            (Self::Numbers(numbers), other) => {
                numbers.push(f64::INFINITY);
                return Err(other.shown());
            }
            (Self::Texts(texts), other) => {
                texts.push(Some("\0".to_owned()));
                return Err(other.shown());
            }
            (Self::Unread(rows), _) => *rows += 1,
        }
        Ok(())
    }
}

/// The numbers of a typed array, copied; none for kinds that are no numbers of JavaScript.
fn numbers(array: &TypedArray<'_>) -> Option<Vec<f64>> {
    macro_rules! read {
        ($number:ty) => {{
            let chunks = array.arraybuffer.chunks_exact(size_of::<$number>());
            let number =
                |bytes: &[u8]| bytes.try_into().map_or(f64::NAN, |bytes| f64::from(<$number>::from_ne_bytes(bytes)));
            chunks.map(number).collect()
        }};
    }
    Some(match array.typed_array_type {
        TypedArrayType::Float64 => read!(f64),
        TypedArrayType::Float32 => read!(f32),
        TypedArrayType::Int32 => read!(i32),
        TypedArrayType::Uint32 => read!(u32),
        TypedArrayType::Int16 => read!(i16),
        TypedArrayType::Uint16 => read!(u16),
        TypedArrayType::Int8 => read!(i8),
        TypedArrayType::Uint8 | TypedArrayType::Uint8Clamped => read!(u8),
        _ => return None,
    })
}

/// The error of one row, if it is one.
pub fn of_one_row(failure: Failure) -> Result<Error, Failure> {
    match failure {
        Failure::Core(error) if error.row().is_some() && error.kind() != ErrorKind::InvalidBatch => Ok(error),
        other => Err(other),
    }
}
