//! Answers as they are written: their head, one or many for each piece of rows, and their end.

use latency_core::{NUMBERS, Predictor};

use super::format::Format;
use super::intake::Chunk;
use super::table_answers::TableAnswers;
use crate::errors::{ErrorBody, Failure};
use crate::rows_json::{RowsJson, append, room, warnings_of};

/// The columns of a table behind its numbers.
const COLUMNS: [&str; 4] = ["warnings", "code", "field", "message"];

/// Writes answers in one format.
pub enum Answers {
    Ndjson,
    Csv { numbers: &'static [&'static str] },
    Tables(Box<TableAnswers>),
}

impl Answers {
    pub fn new(format: Format, predictor: &Predictor) -> Result<Self, Failure> {
        let numbers = &NUMBERS[..if predictor.schema().coordinates.is_some() { 7 } else { 5 }];
        Ok(match format {
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv { numbers },
            Format::Arrow => Self::Tables(Box::new(TableAnswers::in_stream(numbers)?)),
            Format::Parquet => Self::Tables(Box::new(TableAnswers::in_file(numbers)?)),
        })
    }

    /// What stands above them.
    pub fn head(&mut self) -> Vec<u8> {
        match self {
            Self::Ndjson => Vec::new(),
            Self::Csv { numbers } => {
                let names: Vec<_> = numbers.iter().chain(&COLUMNS).copied().collect();
                format!("{}\n", names.join(",")).into_bytes()
            }
            Self::Tables(answers) => answers.written(),
        }
    }

    /// The answers to these rows.
    pub fn write(&mut self, chunk: &Chunk) -> Vec<u8> {
        match self {
            Self::Ndjson => ndjson(chunk),
            Self::Csv { numbers } => csv(chunk, numbers.len()),
            Self::Tables(answers) => answers.write(chunk),
        }
    }

    /// What stands below them.
    pub fn end(&mut self) -> Vec<u8> {
        match self {
            Self::Ndjson | Self::Csv { .. } => Vec::new(),
            Self::Tables(answers) => answers.end(),
        }
    }
}

fn ndjson(chunk: &Chunk) -> Vec<u8> {
    let mut bytes = room(chunk.len());
    let rows = RowsJson::new(&chunk.predictions);
    for answer in chunk.answers() {
        // What cannot be written is in the log.
        let _ = match answer {
            Ok(row) => rows.write(row, &mut bytes),
            Err(error) => append(&mut bytes, &ErrorBody { error }),
        };
        bytes.push(b'\n');
    }
    bytes
}

fn csv(chunk: &Chunk, numbers: usize) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(chunk.len() * 80));
    for answer in chunk.answers() {
        let written = match answer {
            Ok(row) => {
                let warnings: Vec<_> = warnings_of(&chunk.predictions, row).map(ToString::to_string).collect();
                let numbers = chunk.predictions.columns().map(|(_, column)| column[row].to_string());
                writer.write_record(numbers.chain([warnings.join("; "), String::new(), String::new(), String::new()]))
            }
            Err(failure) => {
                let blank = std::iter::repeat_n("", numbers + 1);
                let field = failure.field.as_deref().unwrap_or_default();
                writer.write_record(blank.chain([failure.code, field, &failure.message]))
            }
        };
        if let Err(error) = written {
            log::error!("an answer could not be written as CSV: {error}");
        }
    }
    writer.into_inner().unwrap_or_else(|error| {
        log::error!("answers could not be written as CSV: {error}");
        Vec::new()
    })
}
