//! Rows as they arrive: read, cut, parsed and predicted, a piece of the body at a time.

use std::sync::Arc;

use super::arrow_rows::ArrowRows;
use super::format::Format;
use super::lines::Lines;
use super::table::Table;
use crate::body::Pieces;
use crate::errors::Failure;
use crate::logging::spawn_blocking;
use crate::metrics::Question;
use crate::models::Served;
use crate::parquet::{ParquetRows, Readers};
use crate::predict::{MAX_ROWS, too_many_rows};
use crate::rows_json::warnings_of;
use latency_core::{Predictions, Row, RowBatch, RowReader};

/// Smaller pieces are worked off where they are read: microseconds are not worth another thread.
const SMALL_BYTES: usize = 1024;

/// About how much the numbers of an answer take: a row of a table may take nothing.
const ANSWER_BYTES: usize = 64;

/// Answers to the rows of one piece.
#[derive(Default)]
pub struct Chunk {
    /// The number of its first row.
    first: usize,
    pub predictions: Predictions,
    /// What is wrong with some of the rows, in their order.
    failures: Vec<Failure>,
}

impl Chunk {
    /// One failure, of the request and not of a row.
    pub fn failed(failure: Failure) -> Self {
        Self { failures: vec![failure], ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.predictions.len().max(self.failures.len())
    }

    /// About how much of it is kept until it is sent.
    fn answer_bytes(&self) -> usize {
        self.len() * ANSWER_BYTES + self.failures.iter().map(|failure| failure.message.len()).sum::<usize>()
    }

    /// One answer for each row: the number of its prediction, or its failure.
    pub fn answers(&self) -> impl Iterator<Item = Result<usize, &Failure>> {
        let mut failures = self.failures.iter().peekable();
        let mut rows = 0..self.predictions.len();
        std::iter::from_fn(move || {
            let Some(row) = rows.next() else { return failures.next().map(Err) };
            if let Some(failure) = failures.next_if(|failure| failure.row == Some(self.first + row)) {
                return Some(Err(failure));
            }
            Some(Ok(row))
        })
    }
}

/// The rows of a request's body.
pub struct Intake<'r> {
    body: Pieces<'r>,
    readers: &'r Readers,
    /// Whether rows are answered as soon as they are there.
    live: bool,
    /// None when the body has ended.
    worker: Option<Worker>,
    ignored: Vec<String>,
    begun: bool,
}

impl<'r> Intake<'r> {
    pub fn new(format: Format, served: Arc<Served>, body: Pieces<'r>, readers: &'r Readers, live: bool) -> Self {
        let cutter = match format {
            Format::Ndjson => Cutter::Lines(Lines::default()),
            Format::Csv => Cutter::Table(Box::default()),
            Format::Arrow => Cutter::Arrow(Box::default()),
            Format::Parquet => Cutter::Parquet(Box::default()),
        };
        let worker = Worker { cutter, names: RowReader::new(), served, rows: 0, ended: false };
        Self { body, readers, live, worker: Some(worker), ignored: Vec::new(), begun: false }
    }

    /// Answers to the next rows; none when there are no more.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        while let Some(mut worker) = self.worker.take() {
            // Rows that have come already are answered before more is read.
            let piece = if worker.is_waiting() { None } else { Some(self.body.next(self.live).await?) };
            if let (Some(b""), Cutter::Parquet(rows)) = (piece.as_deref(), &mut worker.cutter) {
                // Requests without a body have their turn already.
                self.body.share().end_turn();
                rows.begin(self.readers.leave().await?);
            }
            self.turn(&worker, piece.as_ref().map_or(0, Vec::len)).await?;
            let tables = worker.takes_tables();
            let small = piece.as_ref().is_some_and(|piece| !piece.is_empty() && piece.len() <= SMALL_BYTES);
            let (worker, chunk) = if small && !tables {
                worker.work(piece.as_deref())
            } else {
                spawn_blocking(move || worker.work(piece.as_deref())).await.map_err(|error| {
                    log::error!("a piece of a batch was not finished: {error}");
                    Failure::internal()
                })?
            };
            self.body.share().end_turn();
            worker.ignored_columns().clone_into(&mut self.ignored);
            if !worker.ended || worker.is_waiting() {
                self.worker = Some(worker);
            } else if let Some(seen) = worker.served.seen() {
                seen.batch(worker.rows);
            }
            let chunk = chunk?;
            if chunk.len() > 0 {
                if tables && !self.live {
                    self.body.share().hold(chunk.answer_bytes())?;
                }
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Waits for the turn of the next piece. What was begun is ended: only the first may be told to come again later.
    async fn turn(&mut self, worker: &Worker, bytes: usize) -> Result<(), Failure> {
        let share = self.body.share();
        if self.begun {
            share.admit_again().await?;
        } else {
            share.admit().await?;
        }
        self.begun = true;
        // Kept answers take about as much as their rows; tables lie here until they are whole.
        if self.live && !worker.takes_tables() { Ok(()) } else { self.body.share().hold(bytes) }
    }

    /// Reads and throws away what comes still, so that the client gets to the answer.
    pub async fn drain(&mut self) {
        self.body.share().end_turn();
        self.body.drain().await;
    }

    /// Columns of a table that the model has no field for.
    pub fn ignored_columns(&self) -> &[String] {
        &self.ignored
    }
}

enum Cutter {
    Lines(Lines),
    Table(Box<Table>),
    Arrow(Box<ArrowRows>),
    Parquet(Box<ParquetRows>),
}

/// What goes through a body: it moves to another thread and back with each piece.
struct Worker {
    cutter: Cutter,
    names: RowReader,
    served: Arc<Served>,
    rows: usize,
    ended: bool,
}

impl Worker {
    /// Answers to the rows that end in this piece; to the last one if it is empty; without one, to rows that have come already.
    fn work(mut self, piece: Option<&[u8]>) -> (Self, Result<Chunk, Failure>) {
        self.ended |= piece.is_some_and(<[u8]>::is_empty);
        let chunk = self.answer(piece);
        if let (Ok(chunk), Some(seen)) = (&chunk, self.served.seen())
            && chunk.len() > 0
        {
            let mut seen = seen.piece(Question::Predict);
            for answer in chunk.answers() {
                match answer {
                    Ok(row) => {
                        let p50_ms = chunk.predictions.p50_ms[row];
                        seen.note_row(p50_ms, warnings_of(&chunk.predictions, row));
                    }
                    Err(failure) => seen.failed(failure.code),
                }
            }
        }
        (self, chunk)
    }

    fn answer(&mut self, piece: Option<&[u8]>) -> Result<Chunk, Failure> {
        let predictor = &self.served.predictor;
        let first = self.rows;
        let mut rows = Piece { batch: predictor.row_batch(), first, failures: Vec::new() };
        // Only tables have rows that wait.
        let bytes = piece.unwrap_or_default();
        let answered = match &mut self.cutter {
            Cutter::Lines(lines) => {
                lines.cut(bytes, |line| {
                    rows.push(line.and_then(|line| crate::predict::row_from(&mut self.names, line)), |_| {})
                })?;
                None
            }
            Cutter::Table(table) => {
                table.cut(bytes, predictor, |columns, record| {
                    let row = record.and_then(|record| Ok(self.names.entries(columns.entries(record)?)?));
                    rows.push(row, |failure| columns.rename(failure))
                })?;
                None
            }
            Cutter::Arrow(rows) => {
                piece.map_or(Ok(()), |piece| rows.take(piece))?;
                Some(rows.predict(predictor)?)
            }
            Cutter::Parquet(rows) => {
                rows.take(bytes);
                Some(rows.predict(predictor)?)
            }
        };
        let Some((predictions, failures)) = answered else {
            self.rows += rows.batch.len();
            return rows.finish();
        };
        self.rows += predictions.len();
        Ok(Chunk { first, predictions, failures })
    }

    /// Whether rows have come that are not answered.
    fn is_waiting(&self) -> bool {
        match &self.cutter {
            Cutter::Lines(_) | Cutter::Table(_) => false,
            Cutter::Arrow(rows) => rows.is_waiting(),
            Cutter::Parquet(rows) => rows.is_waiting(),
        }
    }

    /// Whether rows come as tables that are whole, and not one by one.
    fn takes_tables(&self) -> bool {
        matches!(self.cutter, Cutter::Arrow(_) | Cutter::Parquet(_))
    }

    fn ignored_columns(&self) -> &[String] {
        match &self.cutter {
            Cutter::Lines(_) => &[],
            Cutter::Table(table) => table.ignored_columns(),
            Cutter::Arrow(rows) => rows.ignored_columns(),
            Cutter::Parquet(rows) => rows.ignored_columns(),
        }
    }
}

/// The rows of a piece.
struct Piece {
    batch: RowBatch,
    first: usize,
    failures: Vec<Failure>,
}

impl Piece {
    /// Adds a row; `name` puts the field at fault as the caller wrote it.
    fn push(&mut self, row: Result<Row, Failure>, name: impl Fn(&mut Failure)) -> Result<(), Failure> {
        let number = self.first + self.batch.len();
        if number >= MAX_ROWS {
            return Err(too_many_rows(&format!("more than {MAX_ROWS}")));
        }
        let failure = match row {
            Ok(row) => self.batch.push(Ok(&row)).err().map(Failure::from),
            Err(failure) => {
                // It has its place in the batch.
                let nothing = latency_core::Error::new(latency_core::ErrorKind::InvalidField, "");
                let _ = self.batch.push::<Row>(Err(nothing));
                Some(failure)
            }
        };
        if let Some(mut failure) = failure {
            failure.row = Some(number);
            name(&mut failure);
            self.failures.push(failure);
        }
        Ok(())
    }

    fn finish(self) -> Result<Chunk, Failure> {
        Ok(Chunk { first: self.first, predictions: self.batch.predict()?, failures: self.failures })
    }
}
