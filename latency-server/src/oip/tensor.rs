//! Input tensors: one value per row, or all numbers of each row in a matrix, from JSON or from bytes.

use std::borrow::Cow;
use std::fmt;

use latency_core::{Entry, Value};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::all_rows::invalid_batch;
use crate::errors::Failure;
use crate::predict::{MAX_ROW_BYTES, MAX_ROWS, too_many_rows};
use crate::python_json::unreadable;
use crate::question::invalid_field;

/// What an input looks like, for messages.
pub const EXAMPLE: &str = r#"{"name": "src_lat", "shape": [1], "datatype": "FP64", "data": [51.51]}"#;

/// The longest name that is shown, and the longest shape that is read.
const SHORT: usize = 64;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Datatype {
    Fp32,
    Fp64,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bytes,
}

/// With their names and, if it is fixed, the size of an element.
const DATATYPES: [(&str, Datatype, usize); 11] = [
    ("FP32", Datatype::Fp32, 4),
    ("FP64", Datatype::Fp64, 8),
    ("INT8", Datatype::Int8, 1),
    ("INT16", Datatype::Int16, 2),
    ("INT32", Datatype::Int32, 4),
    ("INT64", Datatype::Int64, 8),
    ("UINT8", Datatype::Uint8, 1),
    ("UINT16", Datatype::Uint16, 2),
    ("UINT32", Datatype::Uint32, 4),
    ("UINT64", Datatype::Uint64, 8),
    ("BYTES", Datatype::Bytes, 0),
];

/// An input as the request's JSON has it.
#[derive(Deserialize)]
pub struct Input<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    shape: &'a RawValue,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parameters {
    binary_data_size: Option<usize>,
}

/// The values of one input, one per row.
pub struct Tensor<'a> {
    pub name: Cow<'a, str>,
    values: Values<'a>,
}

enum Values<'a> {
    /// NaN where none is known.
    Numbers(Vec<f64>),
    /// Empty where none is known.
    Texts(Vec<Cow<'a, str>>),
}

/// How many values there are, and how they lie.
#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    /// Of a matrix.
    columns: Option<usize>,
}

impl Shape {
    fn values(self) -> usize {
        self.rows.saturating_mul(self.columns.unwrap_or(1))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.columns {
            Some(columns) => write!(f, "[{}, {columns}]", self.rows),
            None => write!(f, "{}", self.rows),
        }
    }
}

impl<'a> Input<'a> {
    /// Its name for messages, which do not repeat what has no end.
    pub fn short_name(&self) -> String {
        self.name.chars().take(SHORT).collect()
    }

    /// Whether it has a row of values for each row.
    pub fn is_matrix(&self) -> bool {
        matches!(dimensions(self.shape.get()).as_deref(), Some([_, _]))
    }

    /// The values, from the JSON or from the bytes behind it, which are taken away.
    pub fn read(self, binary: &mut &'a [u8]) -> Result<Tensor<'a>, Failure> {
        let name = self.short_name();
        let rows = rows(self.shape.get()).map_err(|failure| failure.about(&*name))?;
        let values = self.values(Shape { rows, columns: None }, binary)?;
        Ok(Tensor { name: self.name, values })
    }

    /// The columns of a matrix, which have these names.
    pub fn read_matrix(self, names: &[&str], binary: &mut &'a [u8]) -> Result<Vec<Tensor<'a>>, Failure> {
        let about = |failure: Failure| failure.about(self.short_name());
        let rows = matrix_rows(self.shape.get(), names).map_err(about)?;
        match self.values(Shape { rows, columns: Some(names.len()) }, binary)? {
            Values::Numbers(numbers) => {
                let column = |(at, name): (usize, &&str)| Tensor {
                    name: Cow::Owned((*name).to_owned()),
                    values: Values::Numbers(numbers.iter().skip(at).step_by(names.len()).copied().collect()),
                };
                Ok(names.iter().enumerate().map(column).collect())
            }
            Values::Texts(_) => Err(about(invalid_batch(
                "found a matrix of words; allowed: numbers in a matrix, and words in a tensor for each field",
            ))),
        }
    }

    fn values(&self, shape: Shape, binary: &mut &'a [u8]) -> Result<Values<'a>, Failure> {
        let name = self.short_name();
        let about = |failure: Failure| failure.about(&*name);
        let (_, datatype, size) =
            DATATYPES.into_iter().find(|(known, ..)| *known == self.datatype).ok_or_else(|| {
                let found: String = self.datatype.chars().take(SHORT).collect();
                let allowed = DATATYPES.map(|(name, ..)| name).join(", ");
                invalid_field(&name, format!("found the datatype {found:?}; allowed: {allowed}"))
            })?;
        let binary_size = self.parameters.as_ref().and_then(|parameters| parameters.binary_data_size);
        let values = match (self.data, binary_size) {
            (Some(data), None) => from_json(data.get(), datatype, shape),
            (None, Some(length)) => match binary.split_at_checked(length) {
                Some((bytes, rest)) => {
                    *binary = rest;
                    from_bytes(bytes, datatype, size, shape)
                }
                None => Err(invalid_batch(format!(
                    "found {} bytes behind the JSON, but `binary_data_size` is {length}; send them, and the header \
                     Inference-Header-Content-Length with the length of the JSON",
                    binary.len()
                ))),
            },
            (None, None) => {
                Err(invalid_batch(format!("found neither `data` nor `binary_data_size`; give one, as in {EXAMPLE}")))
            }
            (Some(_), Some(_)) => Err(invalid_batch("found both `data` and `binary_data_size`; give one of them")),
        };
        values.map_err(about)
    }
}

impl Tensor<'_> {
    pub fn rows(&self) -> usize {
        match &self.values {
            Values::Numbers(numbers) => numbers.len(),
            Values::Texts(texts) => texts.len(),
        }
    }

    /// The value of a row, if it is known.
    pub fn entry(&self, row: usize) -> Option<(String, Entry)> {
        let value: Value = match &self.values {
            Values::Numbers(numbers) => (*numbers.get(row).filter(|number| !number.is_nan())?).into(),
            Values::Texts(texts) => (&**texts.get(row).filter(|text| !text.is_empty())?).into(),
        };
        Some((self.name.clone().into_owned(), Entry::Value(value)))
    }
}

fn dimensions(shape: &str) -> Option<Vec<usize>> {
    (shape.len() <= SHORT).then(|| serde_json::from_str(shape).ok()).flatten()
}

/// The number of rows that a shape means.
fn rows(shape: &str) -> Result<usize, Failure> {
    match dimensions(shape).as_deref() {
        Some([rows] | [rows, 1]) if *rows <= MAX_ROWS => Ok(*rows),
        Some([rows] | [rows, 1]) => Err(too_many_rows(&rows.to_string())),
        _ => {
            let found: String = shape.chars().take(SHORT).collect();
            Err(invalid_batch(format!(
                "found the shape {found}; allowed: [rows] or [rows, 1], one tensor for each field"
            )))
        }
    }
}

/// The number of rows of a matrix that has a column for each of these names.
fn matrix_rows(shape: &str, names: &[&str]) -> Result<usize, Failure> {
    match dimensions(shape).as_deref() {
        Some([rows, columns]) if *columns == names.len() && *rows <= MAX_ROWS => Ok(*rows),
        Some([rows, columns]) if *columns == names.len() => Err(too_many_rows(&rows.to_string())),
        _ => {
            let found: String = shape.chars().take(SHORT).collect();
            let (allowed, columns) = (names.len(), names.join(", "));
            Err(invalid_batch(format!(
                "found the shape {found}; allowed: [rows, {allowed}] for a matrix of the model's numbers, {columns}; or a \
                 tensor for each field"
            )))
        }
    }
}

fn from_json(text: &str, datatype: Datatype, shape: Shape) -> Result<Values<'_>, Failure> {
    if datatype == Datatype::Bytes {
        return flat(text, shape, "an array of strings, one for each row").map(Values::Texts);
    }
    let allowed = match shape.columns {
        None => "an array of numbers, one for each row; null where none is known",
        Some(_) => "an array of arrays of numbers, one array for each row; null where none is known",
    };
    let mut numbers: Vec<f64> = flat(text, shape, allowed)?;
    if datatype == Datatype::Fp32 {
        // The number that bytes would have held.
        for number in &mut numbers {
            *number = (*number as f32).into();
        }
    }
    Ok(Values::Numbers(numbers))
}

fn flat<'a, T: Element<'a>>(text: &'a str, shape: Shape, allowed: &str) -> Result<Vec<T>, Failure> {
    // Whatever the shape says: each element is a character and a comma, at least.
    let mut elements = Vec::with_capacity(shape.values().min(text.len() / 2 + 1));
    let mut json = serde_json::Deserializer::from_str(text);
    Elements { into: &mut elements, shape, depth: 0 }
        .deserialize(&mut json)
        .map_err(|error| unreadable(&error, allowed))?;
    check_number(elements.len(), shape)?;
    if let Some(length) = elements.iter().map(T::length).find(|length| *length > MAX_ROW_BYTES) {
        return Err(too_long(length));
    }
    Ok(elements)
}

fn check_number(found: usize, shape: Shape) -> Result<(), Failure> {
    if found == shape.values() {
        Ok(())
    } else {
        Err(invalid_batch(format!("found {found} values for a shape of {shape}; give as many")))
    }
}

fn too_long(length: usize) -> Failure {
    invalid_batch(format!("found a value of {length} bytes; allowed: up to {MAX_ROW_BYTES}"))
}

/// An element of an array in JSON.
trait Element<'de>: Sized {
    /// None if this is no place for numbers.
    fn number(number: f64) -> Option<Self>;
    /// None if this is no place for text.
    fn text(text: Cow<'de, str>) -> Option<Self>;
    fn missing() -> Self;
    /// Its length in bytes, if that can grow.
    fn length(&self) -> usize;
}

impl Element<'_> for f64 {
    fn number(number: f64) -> Option<Self> {
        Some(number)
    }

    fn text(text: Cow<'_, str>) -> Option<Self> {
        (text == "NaN").then_some(Self::NAN)
    }

    fn missing() -> Self {
        Self::NAN
    }

    fn length(&self) -> usize {
        0
    }
}

impl<'de> Element<'de> for Cow<'de, str> {
    fn number(_: f64) -> Option<Self> {
        None
    }

    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }

    fn missing() -> Self {
        "".into()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

/// The elements of an array, which may lie in arrays of one each, or of a row of a matrix.
struct Elements<'v, T> {
    into: &'v mut Vec<T>,
    shape: Shape,
    depth: usize,
}

impl<T> Elements<'_, T> {
    fn push<E: de::Error>(&mut self, element: Option<T>, found: &str) -> Result<(), E> {
        let element = element.filter(|_| self.depth > 0);
        let element = element.ok_or_else(|| E::custom(format_args!("found {found} where none is allowed")))?;
        if self.into.len() == self.shape.values() {
            return Err(E::custom(format_args!("found more values than the {} of the shape", self.shape.values())));
        }
        self.into.push(element);
        Ok(())
    }
}

impl<'de, T: Element<'de>> DeserializeSeed<'de> for Elements<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element<'de>> Visitor<'de> for Elements<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of values, one for each row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        if self.depth > 1 {
            return Err(de::Error::custom("found arrays inside arrays inside an array"));
        }
        let Self { into, shape, depth } = self;
        let before = into.len();
        while sequence.next_element_seed(Elements { into: &mut *into, shape, depth: depth + 1 })?.is_some() {}
        let found = into.len() - before;
        match shape.columns.filter(|columns| depth == 1 && (found != *columns || !before.is_multiple_of(*columns))) {
            Some(columns) => {
                Err(de::Error::custom(format_args!("found a row of {found} values where the shape has {columns}")))
            }
            None => Ok(()),
        }
    }

    fn visit_f64<E: de::Error>(mut self, number: f64) -> Result<(), E> {
        self.push(T::number(number), "a number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_unit<E: de::Error>(mut self) -> Result<(), E> {
        self.push(Some(T::missing()), "null")
    }

    fn visit_borrowed_str<E: de::Error>(mut self, text: &'de str) -> Result<(), E> {
        self.push(T::text(text.into()), "a string")
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        self.push(T::text(text.to_owned().into()), "a string")
    }
}

/// Little endian; text has its length in four bytes before it.
fn from_bytes(bytes: &[u8], datatype: Datatype, size: usize, shape: Shape) -> Result<Values<'_>, Failure> {
    let allowed = shape.values().saturating_mul(size);
    if datatype != Datatype::Bytes && bytes.len() != allowed {
        let (found, values) = (bytes.len(), shape.values());
        return Err(invalid_batch(format!(
            "found {found} bytes; allowed: {allowed}, {size} for each of the {values} values of the shape"
        )));
    }
    Ok(Values::Numbers(match datatype {
        Datatype::Bytes => return texts(bytes, shape).map(Values::Texts),
        Datatype::Fp32 => numbers(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        Datatype::Fp64 => numbers(bytes, f64::from_le_bytes),
        Datatype::Int8 => numbers(bytes, |bytes| i8::from_le_bytes(bytes).into()),
        Datatype::Int16 => numbers(bytes, |bytes| i16::from_le_bytes(bytes).into()),
        Datatype::Int32 => numbers(bytes, |bytes| i32::from_le_bytes(bytes).into()),
        Datatype::Int64 => numbers(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        Datatype::Uint8 => numbers(bytes, |bytes| u8::from_le_bytes(bytes).into()),
        Datatype::Uint16 => numbers(bytes, |bytes| u16::from_le_bytes(bytes).into()),
        Datatype::Uint32 => numbers(bytes, |bytes| u32::from_le_bytes(bytes).into()),
        Datatype::Uint64 => numbers(bytes, |bytes| u64::from_le_bytes(bytes) as f64),
    }))
}

fn numbers<const N: usize>(bytes: &[u8], number: fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()
}

fn texts(mut bytes: &[u8], shape: Shape) -> Result<Vec<Cow<'_, str>>, Failure> {
    // Each has its length in 4 bytes, at least.
    let mut texts = Vec::with_capacity(shape.values().min(bytes.len() / 4));
    while !bytes.is_empty() && texts.len() < shape.values() {
        let text = bytes.split_first_chunk().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            rest.split_at_checked(length)
        });
        let (text, rest) = text.ok_or_else(|| {
            invalid_batch("found text that ends before its end; send its length in 4 bytes, then its bytes")
        })?;
        if text.len() > MAX_ROW_BYTES {
            return Err(too_long(text.len()));
        }
        let row = texts.len();
        let text = std::str::from_utf8(text).map_err(|_| Failure {
            row: Some(row),
            ..invalid_batch("found bytes that are not UTF-8; allowed: text in UTF-8")
        })?;
        texts.push(Cow::Borrowed(text));
        bytes = rest;
    }
    check_number(texts.len(), shape)?;
    if bytes.is_empty() {
        Ok(texts)
    } else {
        Err(invalid_batch(format!("found {} bytes behind the last value; send none", bytes.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(json: &'a str, mut binary: &'a [u8]) -> Result<Vec<Option<Value>>, String> {
        let input: Input<'_> = serde_json::from_str(json).unwrap();
        let tensor = input.read(&mut binary).map_err(|failure| failure.message.into_owned())?;
        assert!(binary.is_empty());
        let value = |row| match tensor.entry(row) {
            Some((_, Entry::Value(value))) => Some(value),
            _ => None,
        };
        Ok((0..tensor.rows()).map(value).collect())
    }

    /// What the first row of each column has, and how many rows there are.
    fn read_matrix<'a>(json: &'a str, mut binary: &'a [u8]) -> Result<Vec<(String, usize)>, String> {
        let input: Input<'_> = serde_json::from_str(json).unwrap();
        assert!(input.is_matrix(), "{json}");
        let columns = input.read_matrix(&["a", "b"], &mut binary).map_err(|failure| failure.message.into_owned())?;
        let first = |column: &Tensor<'_>| match column.entry(0) {
            Some((name, Entry::Value(Value::Number(number)))) => format!("{name} {number}"),
            _ => String::new(),
        };
        Ok(columns.iter().map(|column| (first(column), column.rows())).collect())
    }

    #[test]
    fn a_matrix_is_read_by_its_rows() {
        let input =
            |shape: &str, rest: &str| format!(r#"{{"name": "x", "shape": {shape}, "datatype": "FP64", {rest}}}"#);
        let expected = vec![("a 1".to_owned(), 2), ("b 2".to_owned(), 2)];
        for data in ["[[1, 2], [3, 4]]", "[1, 2, 3, 4]", "[1, 2, [3, 4]]"] {
            assert_eq!(read_matrix(&input("[2, 2]", &format!(r#""data": {data}"#)), b"").unwrap(), expected, "{data}");
        }
        let bytes: Vec<u8> = [1.0_f64, 2.0, 3.0, 4.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let binary = |length: usize| format!(r#""parameters": {{"binary_data_size": {length}}}"#);
        assert_eq!(read_matrix(&input("[2, 2]", &binary(32)), &bytes).unwrap(), expected);
        assert_eq!(read_matrix(&input("[0, 2]", r#""data": []"#), b"").unwrap(), vec![(String::new(), 0); 2]);
        assert_eq!(read_matrix(&input("[1, 2]", r#""data": [[null, 2]]"#), b"").unwrap()[0], (String::new(), 1));
        for (shape, rest, message) in [
            (
                "[2, 3]",
                r#""data": []"#,
                "found the shape [2, 3]; allowed: [rows, 2] for a matrix of the model's numbers, a, b",
            ),
            ("[100001, 2]", r#""data": []"#, "found 100001 rows"),
            ("[18446744073709551615, 2]", r#""data": []"#, "found 18446744073709551615 rows"),
            ("[2, 2]", r#""data": [1, 2, 3]"#, "found 3 values for a shape of [2, 2]"),
            ("[2, 2]", r#""data": [1, 2, 3, 4, 5]"#, "found more values than the 4 of the shape"),
            ("[2, 2]", r#""data": [[1, 2, 3], [4]]"#, "found a row of 3 values where the shape has 2"),
            ("[2, 2]", r#""data": [1, [2, 3], 4]"#, "found a row of 2 values where the shape has 2"),
            ("[2, 2]", r#""data": [[[1, 2], [3, 4]]]"#, "found arrays inside arrays inside an array"),
            ("[2, 2]", &binary(16), "found 16 bytes; allowed: 32, 8 for each of the 4 values"),
        ] {
            let found = read_matrix(&input(shape, rest), &bytes[..16]).unwrap_err();
            assert!(found.contains(message), "{shape} {rest}: {found}");
        }
        let words = r#"{"name": "x", "shape": [1, 2], "datatype": "BYTES", "data": ["a", "b"]}"#;
        assert!(read_matrix(words, b"").unwrap_err().contains("found a matrix of words"));
    }

    #[test]
    fn numbers_are_read_from_json_and_from_bytes() {
        let number = |number: f64| Some(Value::Number(number));
        for (datatype, bytes) in [
            ("FP64", [1.0_f64.to_le_bytes(), f64::NAN.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat()),
            ("FP32", [1.0_f32.to_le_bytes(), f32::NAN.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat()),
        ] {
            let expected = vec![number(1.0), None, number(-2.0)];
            let length = bytes.len();
            let json = format!(
                r#"{{"name": "a", "shape": [3], "datatype": "{datatype}", "parameters": {{"binary_data_size": {length}}}}}"#
            );
            assert_eq!(read(&json, &bytes).unwrap(), expected);
            for data in ["[1, null, -2]", "[[1], [null], [-2.0]]", r#"[1, "NaN", -2e0]"#] {
                let json = format!(r#"{{"name": "a", "shape": [3, 1], "datatype": "{datatype}", "data": {data}}}"#);
                assert_eq!(read(&json, b"").unwrap(), expected, "{data}");
            }
        }
        for (datatype, bytes, expected) in [
            ("INT8", &[0xff][..], -1.0),
            ("UINT8", &[0xff], 255.0),
            ("INT16", &[0xfe, 0xff], -2.0),
            ("UINT16", &[0xfe, 0xff], 65534.0),
            ("INT32", &[1, 0, 0, 0x80], -2_147_483_647.0),
            ("UINT32", &[1, 0, 0, 0x80], 2_147_483_649.0),
            ("INT64", &[0xff; 8], -1.0),
            ("UINT64", &[5, 0, 0, 0, 0, 0, 0, 0], 5.0),
        ] {
            let length = bytes.len();
            let json = format!(
                r#"{{"name": "a", "shape": [1], "datatype": "{datatype}", "parameters": {{"binary_data_size": {length}}}}}"#
            );
            assert_eq!(read(&json, bytes).unwrap(), [number(expected)], "{datatype}");
        }
        // 51.51 has no single precision: both ways give the same number.
        let json = r#"{"name": "a", "shape": [1], "datatype": "FP32", "data": [51.51]}"#;
        assert_eq!(read(json, b"").unwrap(), [number(51.51_f32.into())]);
    }

    #[test]
    fn text_is_read_from_json_and_from_bytes() {
        let expected = ["é\"", "", "b"].map(|text| (!text.is_empty()).then(|| Value::from(text)));
        let bytes = [&[3, 0, 0, 0][..], "é\"".as_bytes(), &[0; 4], &[1, 0, 0, 0], b"b"].concat();
        let json = r#"{"name": "a", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": 16}}"#;
        assert_eq!(read(json, &bytes).unwrap(), expected);
        let json = r#"{"name": "a", "shape": [3], "datatype": "BYTES", "data": ["é\"", null, ["b"]]}"#;
        assert_eq!(read(json, b"").unwrap(), expected);
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        for (json, bytes, message) in [
            (r#""shape": [2], "datatype": "FP64", "data": [1]"#, &b""[..], "found 1 values for a shape of 2"),
            (r#""shape": [1], "datatype": "FP64", "data": [1, 2]"#, b"", "more values than the 1 of the shape"),
            (r#""shape": [1], "datatype": "FP64", "data": [[[1]]]"#, b"", "arrays inside arrays"),
            (r#""shape": [1], "datatype": "FP64", "data": 1"#, b"", "found a number where none is allowed"),
            (r#""shape": [1], "datatype": "FP64", "data": ["x"]"#, b"", "found a string where none is allowed"),
            (r#""shape": [1], "datatype": "BYTES", "data": [1]"#, b"", "found a number where none is allowed"),
            (r#""shape": [1], "datatype": "FP64", "data": [true]"#, b"", "boolean"),
            (r#""shape": [1], "datatype": "FP64", "data": [{}]"#, b"", "map"),
            (r#""shape": [1], "datatype": "FP16", "data": [1]"#, b"", "found the datatype \"FP16\"; allowed: FP32"),
            (r#""shape": [1, 2], "datatype": "FP64", "data": [1, 2]"#, b"", "found the shape [1, 2]; allowed: [rows]"),
            (r#""shape": [], "datatype": "FP64", "data": []"#, b"", "found the shape []"),
            (r#""shape": [-1], "datatype": "FP64", "data": [1]"#, b"", "found the shape [-1]"),
            (r#""shape": [100001], "datatype": "FP64", "data": []"#, b"", "found 100001 rows"),
            (r#""shape": [1], "datatype": "FP64""#, b"", "neither `data` nor `binary_data_size`"),
            (r#""shape": [1], "datatype": "FP64", "data": [1], "parameters": {"binary_data_size": 0}"#, b"", "both"),
            (
                r#""shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 9}"#,
                b"12345678",
                "found 8 bytes behind the JSON",
            ),
            (r#""shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 4}"#, b"1234", "allowed: 8"),
            (
                r#""shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 3}"#,
                b"\x01\0\0",
                "ends before its end",
            ),
            (
                r#""shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}"#,
                b"\xff\xff\xff\xffa",
                "ends before its end",
            ),
            (
                r#""shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}"#,
                b"\x01\0\0\0\xff",
                "not UTF-8",
            ),
            (
                r#""shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}"#,
                b"\x01\0\0\0ab",
                "found 1 bytes behind",
            ),
            (
                r#""shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 5}"#,
                b"\x01\0\0\0a",
                "found 1 values",
            ),
        ] {
            let found = read(&format!(r#"{{"name": "a", {json}}}"#), bytes).unwrap_err();
            assert!(found.contains(message), "{json}: {found}");
        }
        let long = "x".repeat(MAX_ROW_BYTES + 1);
        let json = format!(r#"{{"name": "a", "shape": [1], "datatype": "BYTES", "data": ["{long}"]}}"#);
        assert!(read(&json, b"").unwrap_err().contains("found a value of 16385 bytes"));
    }
}
