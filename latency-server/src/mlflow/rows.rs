//! The forms in which `MLflow`'s clients send rows.

use latency_core::{Entry, Predictor};
use rocket::http::MediaType;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::all_rows::{AllRows, invalid_batch};
use crate::elements::Elements;
use crate::errors::Failure;
use crate::parquet::is_parquet;
use crate::predict::{MAX_ROW_BYTES, MAX_ROWS, invalid_json, row_too_long, too_many_rows};
use crate::predict_batch::table::{MAX_COLUMNS, Table};
use crate::python_json::{text, unreadable};
use crate::question::{Keys, MAX_KEYS, invalid_field, kind};

/// What a body may hold, for messages.
const ALLOWED: &str = r#"an object with one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, such as {"dataframe_records": [{"src": "London", "dst": "Tokyo"}]}"#;

/// The format of a body.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text(Text),
    Parquet,
}

/// A format whose rows are read one by one.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    Json,
    Csv,
}

/// One of these holds the rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    dataframe_split: Option<&'a RawValue>,
    #[serde(borrow)]
    dataframe_records: Option<&'a RawValue>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    /// These models have none, and `MLflow` ignores those that a model does not have.
    #[serde(rename = "params")]
    _params: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split<'a> {
    #[serde(borrow)]
    columns: Elements<'a, MAX_COLUMNS>,
    #[serde(rename = "index")]
    _index: Option<IgnoredAny>,
    #[serde(borrow)]
    data: Elements<'a, MAX_ROWS>,
}

impl Kind {
    /// The format of this type; as in `MLflow`, it may name its charset, which has to be UTF-8.
    pub fn of(kind: &MediaType) -> Option<Self> {
        if kind.params().any(|(name, value)| name != "charset" || !value.eq_ignore_ascii_case("utf-8")) {
            return None;
        }
        let is = |top: &str, sub: &str| kind.top() == top && kind.sub() == sub;
        if is("application", "json") {
            Some(Self::Text(Text::Json))
        } else if is("text", "csv") {
            Some(Self::Text(Text::Csv))
        } else {
            is_parquet(kind).then_some(Self::Parquet)
        }
    }
}

impl Text {
    /// Adds the rows of a body.
    pub fn read(self, body: &[u8], predictor: &Predictor, rows: &mut AllRows) -> Result<(), Failure> {
        match self {
            Self::Json => from_json(&text(body)?, rows),
            Self::Csv => {
                let mut table = Table::default();
                // Without a piece, it gives the last record.
                [body, b""].into_iter().try_for_each(|piece| {
                    table.cut(piece, predictor, |columns, record| {
                        rows.push(record.and_then(|record| columns.entries(record)))
                    })
                })
            }
        }
    }
}

fn from_json(body: &str, rows: &mut AllRows) -> Result<(), Failure> {
    let body: Body<'_> = serde_json::from_str(body).map_err(|error| unreadable(&error, ALLOWED))?;
    let given = [
        ("dataframe_split", body.dataframe_split),
        ("dataframe_records", body.dataframe_records),
        ("instances", body.instances),
        ("inputs", body.inputs),
    ];
    let mut given = given.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let (Some((key, value)), None) = (given.next(), given.next()) else {
        return Err(invalid_json(format!("found none of the keys that hold rows, or several; allowed: {ALLOWED}")));
    };
    let value = value.get();
    match (key, kind(value)) {
        ("dataframe_split", _) => split(value, rows),
        ("inputs", "an object") => columns(value, rows),
        (_, "an array") => records(key, value, rows),
        (_, found) => Err(invalid_field(key, format!("found {found}; allowed: an array of objects, one for each row"))),
    }
}

/// `{"columns": [name, …], "data": [[value, …], …]}`.
fn split(value: &str, rows: &mut AllRows) -> Result<(), Failure> {
    let about = |failure: Failure| failure.about("dataframe_split");
    let allowed = r#"{"columns": ["src", "dst"], "data": [["London", "Tokyo"]]}"#;
    let Split { columns, data, .. } =
        serde_json::from_str(value).map_err(|error| about(unreadable(&error, allowed)))?;
    check_rows(data.found)?;
    check_columns(columns.found).map_err(about)?;
    let names: Result<Vec<String>, _> = columns.elements.iter().map(|name| serde_json::from_str(name.get())).collect();
    let names = names.map_err(|error| about(unreadable(&error, allowed)))?;
    for row in data.elements {
        rows.push(cells(row, &names).and_then(|cells| entries(rows, names.iter().zip(cells))))?;
    }
    Ok(())
}

fn cells<'a>(row: &'a RawValue, names: &[String]) -> Result<Vec<&'a RawValue>, Failure> {
    check_row(row)?;
    let cells: Elements<'_, MAX_COLUMNS> =
        serde_json::from_str(row.get()).map_err(|error| unreadable(&error, "an array of the row's values"))?;
    if cells.found == names.len() {
        return Ok(cells.elements);
    }
    Err(invalid_json(format!("found {} values; allowed: {}, one for each column", cells.found, names.len())))
}

/// `[{name: value, …}, …]`.
fn records(key: &str, value: &str, rows: &mut AllRows) -> Result<(), Failure> {
    let records: Elements<'_, MAX_ROWS> =
        serde_json::from_str(value).map_err(|error| unreadable(&error, "an array of objects").about(key))?;
    check_rows(records.found)?;
    for record in records.elements {
        rows.push(check_row(record).and_then(|()| {
            let keys = keys(record.get(), "an object for each row, with the values by name")
                .map_err(|failure| failure.about(key))?;
            entries(rows, keys.iter().map(|(name, value)| (name, *value)))
        }))?;
    }
    Ok(())
}

/// `{name: [value, …], …}`.
fn columns(value: &str, rows: &mut AllRows) -> Result<(), Failure> {
    let keys = keys(value, "an object of columns, or an array of rows").map_err(|failure| failure.about("inputs"))?;
    let mut columns: Vec<(&String, Vec<&RawValue>)> = Vec::new();
    // Those that the model does not take are not even read.
    for (name, values) in keys.iter().filter(|(name, _)| rows.takes(name)) {
        if columns.iter().any(|(other, _)| *other == name) {
            return Err(invalid_field(name, "found twice; give each column once"));
        }
        let values: Elements<'_, MAX_ROWS> = serde_json::from_str(values.get())
            .map_err(|error| unreadable(&error, "an array with one value for each row").about(name))?;
        check_rows(values.found)?;
        columns.push((name, values.elements));
    }
    let Some((first, count)) = columns.first().map(|(name, values)| (*name, values.len())) else {
        return Err(invalid_batch("found none of the model's columns; allowed: its fields, each with an array"));
    };
    if let Some((name, values)) = columns.iter().find(|(_, values)| values.len() != count) {
        let message = format!("found {} values, but `{first}` has {count}; give as many", values.len());
        return Err(invalid_field(name, message));
    }
    for row in 0..count {
        let cells = columns.iter().filter_map(|(name, values)| Some((*name, *values.get(row)?)));
        rows.push(entries(rows, cells))?;
    }
    Ok(())
}

/// The names in an object, with their values. None is lost: who does not know a name ignores it.
fn keys<'a>(value: &'a str, allowed: &str) -> Result<Vec<(String, &'a RawValue)>, Failure> {
    let Keys(keys) = serde_json::from_str(value).map_err(|error| unreadable(&error, allowed))?;
    if keys.len() < MAX_KEYS {
        return Ok(keys);
    }
    Err(invalid_json(format!("found {MAX_KEYS} names in one object, or more; allowed: fewer")))
}

/// Values that are not known are left out, and so is what the model does not take: `MLflow` hands neither on.
fn entries<'a>(
    rows: &AllRows,
    cells: impl Iterator<Item = (&'a String, &'a RawValue)>,
) -> Result<Vec<(String, Entry)>, Failure> {
    let mut cells = cells.filter(|(name, _)| rows.takes(name)).peekable();
    if cells.peek().is_none() {
        // Not even unknown: a model without required fields would answer, whatever was meant.
        return Err(invalid_batch("found none of the model's columns; allowed: its fields by name"));
    }
    cells
        .filter(|(_, value)| value.get() != "null")
        .map(|(name, value)| {
            if value.get().len() > MAX_ROW_BYTES {
                return Err(row_too_long("INVALID_JSON", &value.get().len().to_string()));
            }
            Ok((name.clone(), Entry::from_json_str(name, value.get())?))
        })
        .collect()
}

fn check_row(row: &RawValue) -> Result<(), Failure> {
    let length = row.get().len();
    if length > MAX_ROW_BYTES { Err(row_too_long("INVALID_JSON", &length.to_string())) } else { Ok(()) }
}

fn check_rows(found: usize) -> Result<(), Failure> {
    if found > MAX_ROWS { Err(too_many_rows(&found.to_string())) } else { Ok(()) }
}

fn check_columns(found: usize) -> Result<(), Failure> {
    if found <= MAX_COLUMNS {
        return Ok(());
    }
    Err(invalid_json(format!("found {found} columns; allowed: up to {MAX_COLUMNS}")))
}
