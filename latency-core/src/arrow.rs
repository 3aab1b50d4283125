//! Columns and tables of Apache Arrow as columns of a batch.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};

use crate::batch::{Batch, Column};
use crate::error::{Error, ErrorKind, Result};

/// A column of Arrow: numbers or text in any of Arrow's forms, in one chunk or many. Numbers are borrowed where they lie if
/// they are `f64` in one chunk without nulls; all others are converted, null to NaN.
///
/// ```
/// use std::sync::Arc;
/// use latency_core::arrow_array::{Array, ArrayRef, Int32Array};
/// use latency_core::{ArrowColumn, Column};
/// # fn main() -> latency_core::Result<()> {
/// let chunk: ArrayRef = Arc::new(Int32Array::from(vec![Some(51), None]));
/// let column = ArrowColumn::new("src_lat", &chunk.data_type().clone(), vec![chunk])?;
/// assert!(matches!(column.column(), Column::Numbers(numbers) if numbers[0] == 51.0 && numbers[1].is_nan()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ArrowColumn(Cells);

#[derive(Debug, Clone)]
enum Cells {
    /// One chunk of f64 without nulls.
    Borrowed(ArrayRef),
    /// Numbers of any other kind, NaN for null.
    Numbers(Vec<f64>),
    /// Text in any of its forms.
    Texts(Vec<ArrayRef>),
}

impl ArrowColumn {
    /// The column of this name and type.
    ///
    /// ```
    /// use latency_core::ArrowColumn;
    /// use latency_core::arrow_schema::DataType;
    ///
    /// assert!(ArrowColumn::new("src", &DataType::Utf8View, vec![]).is_ok());
    /// let error = ArrowColumn::new("src", &DataType::Boolean, vec![]).unwrap_err();
    /// assert_eq!(error.to_string(), "src: found true and false; allowed: numbers or strings, with null for a missing value");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] for types that are neither numbers nor text, and for chunks of another type.
    pub fn new(name: &str, kind: &DataType, chunks: Vec<ArrayRef>) -> Result<Self> {
        if chunks.iter().any(|chunk| chunk.data_type() != kind) {
            return Err(refused(name, "chunks of several types"));
        }
        if let (DataType::Float64, [chunk]) = (kind, chunks.as_slice())
            && chunk.null_count() == 0
        {
            return Ok(Self(Cells::Borrowed(chunk.clone())));
        }
        if is_text(kind) {
            return Ok(Self(Cells::Texts(chunks)));
        }
        if !is_number(kind) {
            let found = if *kind == DataType::Boolean { "true and false" } else { &format!("Arrow's {kind}") };
            return Err(refused(name, found));
        }
        let mut numbers = Vec::with_capacity(chunks.iter().map(Array::len).sum());
        for chunk in &chunks {
            push_numbers(chunk, &mut numbers);
        }
        Ok(Self(Cells::Numbers(numbers)))
    }

    /// The same cells as a batch takes them.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use latency_core::arrow_array::Float64Array;
    /// use latency_core::arrow_schema::DataType;
    /// use latency_core::{ArrowColumn, Column};
    /// # fn main() -> latency_core::Result<()> {
    /// let chunk = Arc::new(Float64Array::from(vec![51.51, 48.86]));
    /// let column = ArrowColumn::new("src_lat", &DataType::Float64, vec![chunk])?;
    /// assert_eq!(column.column(), Column::from(&[51.51, 48.86][..]));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn column(&self) -> Column<'_> {
        match &self.0 {
            Cells::Borrowed(chunk) => Column::from(&chunk.as_primitive::<Float64Type>().values()[..]),
            Cells::Numbers(numbers) => Column::from(numbers.as_slice()),
            Cells::Texts(chunks) => {
                let mut texts = Vec::with_capacity(chunks.iter().map(Array::len).sum());
                for chunk in chunks {
                    push_texts(chunk, &mut texts);
                }
                Column::Texts(texts)
            }
        }
    }
}

/// A table of Arrow, kept while a batch borrows from it.
///
/// ```
/// use std::sync::Arc;
/// use latency_core::arrow_array::{ArrayRef, RecordBatch, StringArray};
/// use latency_core::{ArrowTable, Predictor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let predictor = Predictor::bundled()?;
/// let (src, dst): (ArrayRef, ArrayRef) =
///     (Arc::new(StringArray::from(vec!["London", "Paris"])), Arc::new(StringArray::from(vec!["Tokyo", "Tokyo"])));
/// let paths = RecordBatch::try_from_iter([("src", src), ("dst", dst)])?;
/// let table = ArrowTable::new(&paths.schema(), &[paths], |name| predictor.schema().takes(name))?;
/// assert_eq!(predictor.predict_batch(&table.batch())?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ArrowTable {
    /// None for those that nobody reads.
    columns: Vec<(String, Option<ArrowColumn>)>,
    /// What stands in their place, of the table's length.
    filler: Vec<f64>,
}

impl ArrowTable {
    /// The rows of these record batches, one after the other. Only columns that are `read` are looked at; of the others the
    /// batch has the names, so that predictions list them as ignored.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use latency_core::arrow_array::{ArrayRef, BooleanArray, RecordBatch};
    /// use latency_core::ArrowTable;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let raining: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    /// let weather = RecordBatch::try_from_iter([("raining", raining)])?;
    /// assert!(ArrowTable::new(&weather.schema(), &[weather.clone()], |_| true).is_err());
    /// assert_eq!(ArrowTable::new(&weather.schema(), &[weather], |_| false)?.batch().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ArrowColumn::new`], and [`ErrorKind::InvalidBatch`] if a record batch has other columns than `schema`.
    pub fn new(schema: &Schema, batches: &[RecordBatch], read: impl Fn(&str) -> bool) -> Result<Self> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let name = field.name();
            let column = if read(name) {
                let chunks = batches.iter().map(|batch| batch.columns().get(index).cloned());
                let chunks = chunks.collect::<Option<_>>().ok_or_else(|| {
                    let message = "found a record batch with fewer columns than its schema; give each the same columns";
                    Error::new(ErrorKind::InvalidBatch, message).with_field(name)
                })?;
                Some(ArrowColumn::new(name, field.data_type(), chunks)?)
            } else {
                None
            };
            columns.push((name.clone(), column));
        }
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let unread = columns.iter().any(|(_, column)| column.is_none());
        Ok(Self { columns, filler: vec![f64::NAN; if unread { rows } else { 0 }] })
    }

    /// The same rows as the predictor takes them.
    ///
    /// ```
    /// use latency_core::arrow_schema::Schema;
    /// use latency_core::ArrowTable;
    /// # fn main() -> latency_core::Result<()> {
    /// assert!(ArrowTable::new(&Schema::empty(), &[], |_| true)?.batch().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        let mut batch = Batch::new();
        for (name, column) in &self.columns {
            let unread = || Column::from(self.filler.as_slice());
            batch.push(name.as_str(), column.as_ref().map_or_else(unread, ArrowColumn::column));
        }
        batch
    }
}

fn refused(name: &str, found: &str) -> Error {
    let message = format!("found {found}; allowed: numbers or strings, with null for a missing value");
    Error::new(ErrorKind::InvalidField, message).with_field(name)
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

/// Appends a chunk's numbers.
fn push_numbers(chunk: &ArrayRef, numbers: &mut Vec<f64>) {
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
            let values = chunk.as_any_dictionary().values();
            let mut found = Vec::with_capacity(values.len());
            push_numbers(values, &mut found);
            numbers.extend(keys(chunk).map(|key| key.and_then(|key| found.get(key).copied()).unwrap_or(f64::NAN)));
        }
        _ => numbers.extend((0..chunk.len()).map(|_| f64::NAN)),
    }
}

/// The places of a dictionary's cells among its values; none for null.
fn keys(chunk: &ArrayRef) -> impl Iterator<Item = Option<usize>> {
    let dictionary = chunk.as_any_dictionary();
    // It panics if there are no values, which a column of nulls needs not have.
    let keys = if dictionary.values().is_empty() { vec![0; chunk.len()] } else { dictionary.normalized_keys() };
    keys.into_iter().enumerate().map(move |(row, key)| (!dictionary.is_null(row)).then_some(key))
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
            let values = chunk.as_any_dictionary().values();
            let mut words = Vec::with_capacity(values.len());
            push_texts(values, &mut words);
            texts.extend(keys(chunk).map(|key| words.get(key?).cloned().flatten()));
        }
        // All null.
        _ => texts.extend((0..chunk.len()).map(|_| None)),
    }
}
