//! Answers as tables: record batches of Arrow, in a stream of its IPC format or a file of Parquet.

use std::sync::Arc;

use arrow_ipc::writer::StreamWriter;
use latency_core::Warning;
use latency_core::arrow_array::builder::{ListBuilder, StringBuilder, StructBuilder};
use latency_core::arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use latency_core::arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::intake::Chunk;
use crate::errors::Failure;
use crate::rows_json::warnings_of;

/// Writes record batches: the numbers, null where a row has an error, its warnings, and the error's parts.
pub struct TableAnswers {
    schema: SchemaRef,
    numbers: usize,
    writer: Writer,
}

/// What they are written with.
enum Writer {
    Stream(StreamWriter<Vec<u8>>),
    File(ArrowWriter<Vec<u8>>),
}

impl TableAnswers {
    /// In a stream of Arrow's IPC format.
    pub fn in_stream(numbers: &[&str]) -> Result<Self, Failure> {
        Self::new(numbers, |schema| Ok(Writer::Stream(StreamWriter::try_new(Vec::new(), &schema)?)))
    }

    /// In a file of Parquet.
    pub fn in_file(numbers: &[&str]) -> Result<Self, Failure> {
        // Readers of all kinds know it, and it is what they write themselves.
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Self::new(numbers, |schema| Ok(Writer::File(ArrowWriter::try_new(Vec::new(), schema, Some(properties))?)))
    }

    fn new(numbers: &[&str], begin: impl FnOnce(SchemaRef) -> Result<Writer, ArrowError>) -> Result<Self, Failure> {
        let numbers_of = numbers.iter().map(|name| Field::new(*name, DataType::Float32, true));
        let warnings = Field::new_list("warnings", Field::new_list_field(DataType::Struct(warning()), false), false);
        let error = ["code", "field", "message"].map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Arc::new(Schema::new(numbers_of.chain([warnings]).chain(error).collect::<Fields>()));
        let writer = begin(Arc::clone(&schema)).map_err(|error| {
            log::error!("a table could not be begun: {error}");
            Failure::internal()
        })?;
        Ok(Self { schema, numbers: numbers.len(), writer })
    }

    /// The answers to these rows.
    pub fn write(&mut self, chunk: &Chunk) -> Vec<u8> {
        let written = self.batch(chunk).and_then(|batch| match &mut self.writer {
            Writer::Stream(stream) => stream.write(&batch),
            Writer::File(file) => Ok(file.write(&batch)?),
        });
        self.after(written)
    }

    /// What stands below them.
    pub fn end(&mut self) -> Vec<u8> {
        let ended = match &mut self.writer {
            Writer::Stream(stream) => stream.finish(),
            Writer::File(file) => file.finish().map(|_| ()).map_err(ArrowError::from),
        };
        self.after(ended)
    }

    fn after(&mut self, written: Result<(), ArrowError>) -> Vec<u8> {
        if let Err(error) = written {
            log::error!("answers could not be written as a table: {error}");
        }
        self.written()
    }

    /// What was written and not taken yet.
    pub fn written(&mut self) -> Vec<u8> {
        std::mem::take(match &mut self.writer {
            Writer::Stream(stream) => stream.get_mut(),
            Writer::File(file) => file.inner_mut(),
        })
    }

    fn batch(&self, chunk: &Chunk) -> Result<RecordBatch, ArrowError> {
        let answers: Vec<_> = chunk.answers().collect();
        let numbers = chunk.predictions.columns().map(|(_, column)| {
            let cells = answers.iter().map(|answer| answer.ok().and_then(|row| column.get(row).copied()));
            Arc::new(cells.collect::<Float32Array>()) as ArrayRef
        });
        // The failure of a whole request has no numbers at all.
        let nothing = || Arc::new(Float32Array::new_null(answers.len())) as ArrayRef;
        let mut columns: Vec<_> = numbers.chain(std::iter::repeat_with(nothing)).take(self.numbers).collect();
        let mut warnings = ListBuilder::new(StructBuilder::from_fields(warning(), 0))
            .with_field(Field::new_list_field(DataType::Struct(warning()), false));
        for answer in &answers {
            if let Ok(row) = answer {
                warnings_of(&chunk.predictions, *row).for_each(|found| push(warnings.values(), found));
            }
            warnings.append(true);
        }
        columns.push(Arc::new(warnings.finish()));
        columns.push(errors(&answers, |failure| Some(failure.code)));
        columns.push(errors(&answers, |failure| failure.field.as_deref()));
        columns.push(errors(&answers, |failure| Some(&failure.message)));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// A part of the error of each row, null where there is none.
fn errors<'a>(answers: &[Result<usize, &'a Failure>], part: impl Fn(&'a Failure) -> Option<&'a str>) -> ArrayRef {
    let parts = answers.iter().map(|answer| answer.err().and_then(&part));
    Arc::new(parts.collect::<StringArray>())
}

/// The parts of a warning.
fn warning() -> Fields {
    ["code", "field", "message"].map(|name| Field::new(name, DataType::Utf8, false)).into_iter().collect()
}

fn push(warnings: &mut StructBuilder, warning: &Warning) {
    for (index, text) in [warning.code.as_str(), &warning.field, &warning.message].into_iter().enumerate() {
        if let Some(texts) = warnings.field_builder::<StringBuilder>(index) {
            texts.append_value(text);
        }
    }
    warnings.append(true);
}
