//! Record batches of Arrow that come in pieces, as a stream of its IPC format. The format: <https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>.

use std::collections::VecDeque;

use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{Endianness, RecordBatch as RecordBatchHeader, root_as_message};
use latency_core::arrow_array::RecordBatch;
use latency_core::arrow_schema::Schema;
use latency_core::{ArrowColumn, ArrowTable, Batch, Column, Predictions, Predictor};
use rocket::http::Status;

use super::ROWS_AT_ONCE;
use super::table::MAX_COLUMNS;
use crate::all_rows::invalid_batch;
use crate::errors::Failure;
use crate::logging::quietly;
use crate::predict::{MAX_ROWS, too_many_rows};

/// What a file of Arrow begins with.
const MARK_OF_FILES: &[u8] = b"ARROW1";

/// What stands before a message's length since version 5 of the format.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The most bytes of what describes a message: a hundred for each column are many.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

const ALLOWED: &str = "allowed: one whole stream of Arrow's IPC format, little-endian and uncompressed";

/// The rows of a stream.
pub struct ArrowRows {
    part: Part,
    /// What has come of that part.
    begun: Vec<u8>,
    decoder: StreamDecoder,
    waiting: VecDeque<RecordBatch>,
    /// All rows that have come.
    rows: usize,
    /// Those that are answered.
    answered: usize,
    /// Whether the columns were looked at.
    checked: bool,
    ignored: Vec<String>,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Part {
    Length,
    Message {
        bytes: usize,
    },
    Body {
        bytes: usize,
    },
    /// Nothing: it has had its end.
    Nothing,
}

impl Default for ArrowRows {
    fn default() -> Self {
        Self {
            part: Part::Length,
            begun: Vec::new(),
            decoder: StreamDecoder::new(),
            waiting: VecDeque::new(),
            rows: 0,
            answered: 0,
            checked: false,
            ignored: Vec::new(),
        }
    }
}

impl ArrowRows {
    /// Takes the next piece of the body; an empty one is its end.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        if piece.is_empty() {
            return self.end();
        }
        while let Some(bytes) = self.part.bytes() {
            let (next, rest) = piece.split_at(piece.len().min(bytes - self.begun.len()));
            self.begun.extend_from_slice(next);
            piece = rest;
            if self.begun.len() < bytes {
                return Ok(());
            }
            let begun = std::mem::take(&mut self.begun);
            self.part = self.read(begun)?;
        }
        if piece.is_empty() {
            return Ok(());
        }
        Err(invalid_arrow("found bytes behind the end of the stream; send one stream in a request"))
    }

    /// Reads a part, and says what comes next.
    fn read(&mut self, part: Vec<u8>) -> Result<Part, Failure> {
        match self.part {
            Part::Length if part == CONTINUATION => Ok(Part::Length),
            Part::Length if MARK_OF_FILES.starts_with(&part) => {
                Err(invalid_arrow("found a file of Arrow; write a stream"))
            }
            Part::Length => {
                let length = part.try_into().map_or(0, u32::from_le_bytes) as usize;
                if length > MAX_MESSAGE_BYTES {
                    let found = format!(
                        "found a message of {length} bytes beside its body, where up to {MAX_MESSAGE_BYTES} may be"
                    );
                    return Err(invalid_arrow(&found));
                }
                Ok(if length == 0 { Part::Nothing } else { Part::Message { bytes: length } })
            }
            Part::Message { .. } => {
                let bytes = self.check(&part)?;
                // The length again, as the decoder wants to read it.
                self.decode(u32::try_from(part.len()).unwrap_or(0).to_le_bytes().to_vec())?;
                self.decode(part)?;
                if bytes > 0 {
                    return Ok(Part::Body { bytes });
                }
                self.decode(CONTINUATION.to_vec())?;
                Ok(Part::Length)
            }
            Part::Body { .. } => {
                self.decode(part)?;
                // A message without a body is looked at only when there is more.
                self.decode(CONTINUATION.to_vec())?;
                Ok(Part::Length)
            }
            Part::Nothing => Ok(Part::Nothing),
        }
    }

    /// The bytes of a message's body. What may not be is refused before it takes memory.
    fn check(&self, message: &[u8]) -> Result<usize, Failure> {
        let message = root_as_message(message).map_err(|_| invalid_arrow("found a message that cannot be read"))?;
        let body =
            usize::try_from(message.bodyLength()).map_err(|_| invalid_arrow("found a body of negative length"))?;
        if let Some(schema) = message.header_as_schema() {
            if schema.endianness() != Endianness::Little {
                return Err(invalid_arrow("found numbers in big-endian order"));
            }
            let columns = schema.fields().map_or(0, |fields| fields.len());
            if columns > MAX_COLUMNS {
                return Err(invalid_arrow(&format!("found {columns} columns, where up to {MAX_COLUMNS} may be")));
            }
        } else if let Some(dictionary) = message.header_as_dictionary_batch() {
            // Each would copy all that came before.
            if dictionary.isDelta() {
                return Err(invalid_arrow("found a dictionary that comes in several parts"));
            }
            check_buffers(dictionary.data(), body)?;
        } else if let Some(batch) = message.header_as_record_batch() {
            check_buffers(Some(batch), body)?;
            let rows = usize::try_from(batch.length()).unwrap_or(usize::MAX);
            if rows > MAX_ROWS - self.rows {
                return Err(too_many_rows(&format!("more than {MAX_ROWS}")));
            }
        } else {
            return Err(invalid_arrow("found a message that holds no rows"));
        }
        Ok(body)
    }

    fn decode(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        let mut bytes = bytes.into();
        loop {
            // Strangers send anything, and this library panics at some of it: at types that it does not know, for one.
            match quietly(|| self.decoder.decode(&mut bytes)) {
                Some(Ok(Some(batch))) => {
                    self.rows += batch.num_rows();
                    self.waiting.push_back(batch);
                }
                Some(Ok(None)) => return Ok(()),
                Some(Err(error)) => return Err(invalid_arrow(&format!("found what cannot be read ({error})"))),
                None => return Err(invalid_arrow("found what cannot be read")),
            }
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        // A stream may end without its last mark.
        if !matches!(self.part, Part::Nothing | Part::Length) || !self.begun.is_empty() {
            return Err(invalid_arrow("found a body that ends in the middle"));
        }
        if self.decoder.schema().is_some() {
            return Ok(());
        }
        Err(invalid_arrow("found a body without a schema"))
    }

    /// Whether there are rows to answer.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Answers some of the rows that are there; what is wrong with some of them, by their numbers in all.
    pub fn predict(&mut self, predictor: &Predictor) -> Result<(Predictions, Vec<Failure>), Failure> {
        if !self.checked
            && let Some(schema) = self.decoder.schema()
        {
            self.ignored = check_columns(&schema, predictor)?;
            self.checked = true;
        }
        let Some(batch) = self.waiting.pop_front() else { return Ok((Predictions::default(), Vec::new())) };
        let rows = batch.num_rows().min(ROWS_AT_ONCE);
        if rows < batch.num_rows() {
            self.waiting.push_front(batch.slice(rows, batch.num_rows() - rows));
        }
        let schema = predictor.schema();
        let table = ArrowTable::new(&batch.schema(), &[batch.slice(0, rows)], |name| schema.takes(name))?;
        let (predictions, errors) = predictor.predict_valid_rows(&table.batch())?;
        let first = self.answered;
        self.answered += rows;
        let failures = errors.into_iter().map(|error| {
            let row = error.row().map(|row| first + row);
            Failure { row, ..error.into() }
        });
        Ok((predictions, failures.collect()))
    }

    /// Columns that the model has no field for.
    pub fn ignored_columns(&self) -> &[String] {
        &self.ignored
    }
}

impl Part {
    /// How long it is; none if nothing more is read.
    fn bytes(self) -> Option<usize> {
        match self {
            Self::Length => Some(CONTINUATION.len()),
            Self::Message { bytes } | Self::Body { bytes } => Some(bytes),
            Self::Nothing => None,
        }
    }
}

/// The columns that the model has no field for. What is wrong with the others is no matter of single rows, and is wrong even
/// where there are none.
fn check_columns(columns: &Schema, predictor: &Predictor) -> Result<Vec<String>, Failure> {
    if columns.fields().is_empty() {
        return Err(invalid_batch("found a table without columns; allowed: the model's fields by name"));
    }
    let mut batch = Batch::new();
    for field in columns.fields() {
        let name = field.name().as_str();
        let column = predictor.schema().takes(name).then(|| ArrowColumn::new(name, field.data_type(), Vec::new()));
        match column.transpose()?.as_ref().map(ArrowColumn::column) {
            Some(Column::Texts(_)) => batch.push(name, [None::<&str>].into_iter().collect::<Column<'_>>()),
            _ => batch.push(name, [f64::NAN]),
        }
    }
    Ok(predictor.predict_valid_rows(&batch)?.0.notes.ignored_columns)
}

/// A buffer may lie anywhere in the body, and is copied if it lies badly: together they may have no more bytes than it.
fn check_buffers(batch: Option<RecordBatchHeader<'_>>, body: usize) -> Result<(), Failure> {
    let Some(batch) = batch else { return Ok(()) };
    if batch.compression().is_some() {
        return Err(invalid_arrow("found compressed buffers; write them with `compression=None`"));
    }
    let mut lengths = batch.buffers().into_iter().flatten().map(|buffer| usize::try_from(buffer.length()).ok());
    let all = lengths.try_fold(0_usize, |all, length| all.checked_add(length?));
    if all.is_some_and(|all| all <= body) {
        return Ok(());
    }
    Err(invalid_arrow("found buffers that are longer than the body they lie in"))
}

fn invalid_arrow(found: &str) -> Failure {
    Failure::new(Status::BadRequest, "INVALID_ARROW", format!("{found}; {ALLOWED}"))
}
