//! Columns of Arrow → columns of a batch.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use latency_core::{Column, Error, ErrorKind};

use crate::error::Failure;

/// A column of a table: its chunks as they lie, or its numbers where they must be converted.
pub enum ArrowColumn {
    /// One chunk of f64 without nulls.
    Borrowed(ArrayRef),
    /// Numbers of any other kind, NaN for null.
    Numbers(Vec<f64>),
    /// Text in any of its forms.
    Texts(Vec<ArrayRef>),
}

impl ArrowColumn {
    /// The column of this name and type. Refuses types that are neither numbers nor text.
    pub fn new(name: &str, kind: &DataType, chunks: Vec<ArrayRef>) -> Result<Self, Failure> {
        if let (DataType::Float64, [chunk]) = (kind, chunks.as_slice())
            && chunk.null_count() == 0
        {
            return Ok(Self::Borrowed(chunk.clone()));
        }
        if is_text(kind) {
            return Ok(Self::Texts(chunks));
        }
        let mut numbers = Vec::with_capacity(chunks.iter().map(Array::len).sum());
        for chunk in &chunks {
            push_numbers(chunk, &mut numbers).ok_or_else(|| refused(name, kind))?;
        }
        if is_number(kind) { Ok(Self::Numbers(numbers)) } else { Err(refused(name, kind)) }
    }

    /// The same cells as the core takes them.
    pub fn column(&self) -> Column<'_> {
        match self {
            Self::Borrowed(chunk) => Column::from(&chunk.as_primitive::<Float64Type>().values()[..]),
            Self::Numbers(numbers) => Column::from(numbers.as_slice()),
            Self::Texts(chunks) => {
                let mut texts = Vec::with_capacity(chunks.iter().map(Array::len).sum());
                for chunk in chunks {
                    push_texts(chunk, &mut texts);
                }
                Column::Texts(texts)
            }
        }
    }
}

fn refused(name: &str, kind: &DataType) -> Failure {
    let found = match kind {
        DataType::Boolean => "true and false".to_owned(),
        kind => format!("Arrow's {kind}"),
    };
    let message = format!("found {found}; allowed: numbers or strings, with null for a missing value");
    Failure::Core(Error::new(ErrorKind::InvalidField, message).with_field(name))
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Decimal128(..) | DataType::Decimal256(..) => true,
        DataType::Dictionary(_, values) => is_number(values),
        kind => kind.is_integer() || kind.is_floating(),
    }
}

/// Appends a chunk's numbers; none if its type has no numbers.
fn push_numbers(chunk: &ArrayRef, numbers: &mut Vec<f64>) -> Option<()> {
    match chunk.data_type() {
        DataType::Float64 => primitive::<Float64Type>(chunk, numbers, |number| number),
        DataType::Float32 => primitive::<Float32Type>(chunk, numbers, f64::from),
        DataType::Float16 => primitive::<Float16Type>(chunk, numbers, f64::from),
        DataType::Int8 => primitive::<Int8Type>(chunk, numbers, f64::from),
        DataType::Int16 => primitive::<Int16Type>(chunk, numbers, f64::from),
        DataType::Int32 => primitive::<Int32Type>(chunk, numbers, f64::from),
        DataType::Int64 => primitive::<Int64Type>(chunk, numbers, |number| number as f64),
        DataType::UInt8 => primitive::<UInt8Type>(chunk, numbers, f64::from),
        DataType::UInt16 => primitive::<UInt16Type>(chunk, numbers, f64::from),
        DataType::UInt32 => primitive::<UInt32Type>(chunk, numbers, f64::from),
        DataType::UInt64 => primitive::<UInt64Type>(chunk, numbers, |number| number as f64),
        DataType::Decimal128(..) => decimal::<Decimal128Type>(chunk, numbers),
        DataType::Decimal256(..) => decimal::<Decimal256Type>(chunk, numbers),
        DataType::Dictionary(..) => {
            let dictionary = chunk.as_any_dictionary();
            let mut values = Vec::with_capacity(dictionary.values().len());
            push_numbers(dictionary.values(), &mut values)?;
            let keys = dictionary.normalized_keys();
            numbers.extend(keys.iter().enumerate().map(|(row, key)| {
                if dictionary.is_null(row) { f64::NAN } else { values.get(*key).copied().unwrap_or(f64::NAN) }
            }));
        }
        _ => return None,
    }
    Some(())
}

fn primitive<T: ArrowPrimitiveType>(chunk: &ArrayRef, numbers: &mut Vec<f64>, number: impl Fn(T::Native) -> f64) {
    numbers.extend(chunk.as_primitive::<T>().iter().map(|cell| cell.map_or(f64::NAN, &number)));
}

/// By its decimal form, which is what it says exactly.
fn decimal<T: DecimalType + ArrowPrimitiveType>(chunk: &ArrayRef, numbers: &mut Vec<f64>) {
    let decimals = chunk.as_primitive::<T>();
    numbers.extend((0..decimals.len()).map(|row| {
        if decimals.is_null(row) { f64::NAN } else { decimals.value_as_string(row).parse().unwrap_or(f64::NAN) }
    }));
}

fn push_texts<'a>(chunk: &'a ArrayRef, texts: &mut Vec<Option<Cow<'a, str>>>) {
    match chunk.data_type() {
        DataType::Utf8 => texts.extend(chunk.as_string::<i32>().iter().map(|cell| cell.map(Cow::Borrowed))),
        DataType::LargeUtf8 => texts.extend(chunk.as_string::<i64>().iter().map(|cell| cell.map(Cow::Borrowed))),
        DataType::Utf8View => texts.extend(chunk.as_string_view().iter().map(|cell| cell.map(Cow::Borrowed))),
        DataType::Dictionary(..) => {
            let dictionary = chunk.as_any_dictionary();
            let mut words = Vec::with_capacity(dictionary.values().len());
            push_texts(dictionary.values(), &mut words);
            let keys = dictionary.normalized_keys();
            texts.extend(
                keys.iter()
                    .enumerate()
                    .map(|(row, key)| if dictionary.is_null(row) { None } else { words.get(*key).cloned().flatten() }),
            );
        }
        // All null.
        _ => texts.extend((0..chunk.len()).map(|_| None)),
    }
}
