//! CSV that comes in pieces: its columns, and its records.

use csv_core::{ReadRecordResult, Reader};
use latency_core::schema::FieldKind;
use latency_core::{Batch, Column, Entry, Predictor, Value};
use rocket::http::Status;

use crate::errors::Failure;
use crate::predict::{MAX_ROW_BYTES, row_too_long};

/// More columns than any table has.
pub const MAX_COLUMNS: usize = 1_000;

/// A table whose first record names the columns.
pub struct Table {
    reader: Reader,
    cells: Box<[u8]>,
    filled: usize,
    ends: Box<[usize]>,
    count: usize,
    /// Whether the record is too long already, so that the rest of it is not kept.
    too_long: bool,
    columns: Option<Columns>,
    /// Whether a byte order mark may stand there.
    begins: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            cells: vec![0; MAX_ROW_BYTES].into(),
            filled: 0,
            ends: vec![0; MAX_COLUMNS].into(),
            count: 0,
            too_long: false,
            columns: None,
            begins: true,
        }
    }
}

impl Table {
    /// Gives the records that end in this piece to `take`; if the piece is empty, the last one.
    pub fn cut(
        &mut self,
        mut piece: &[u8],
        predictor: &Predictor,
        mut take: impl FnMut(&Columns, Result<Record<'_>, Failure>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if std::mem::take(&mut self.begins) {
            piece = piece.strip_prefix(b"\xef\xbb\xbf").unwrap_or(piece);
        }
        let ended = piece.is_empty();
        while ended || !piece.is_empty() {
            let (result, read, written, ends) =
                self.reader.read_record(piece, &mut self.cells[self.filled..], &mut self.ends[self.count..]);
            piece = &piece[read..];
            self.filled += written;
            self.count += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.too_long = true;
                    (self.filled, self.count) = (0, 0);
                }
                ReadRecordResult::Record => {
                    let record = self.record();
                    match &self.columns {
                        Some(columns) => take(columns, record)?,
                        None => self.columns = Some(Columns::read(&record?, predictor)?),
                    }
                    self.too_long = false;
                    (self.filled, self.count) = (0, 0);
                }
                ReadRecordResult::End => break,
            }
        }
        Ok(())
    }

    fn record(&self) -> Result<Record<'_>, Failure> {
        if self.too_long {
            return Err(row_too_long("INVALID_CSV", &format!("more than {MAX_ROW_BYTES}")));
        }
        let ends = &self.ends[..self.count];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let cells = starts.zip(ends).map(|(start, end)| std::str::from_utf8(&self.cells[start..*end]).map(str::trim));
        cells
            .collect::<Result<_, _>>()
            .map(Record)
            .map_err(|_| invalid_csv("found bytes that are not UTF-8; allowed: CSV in UTF-8"))
    }

    /// The columns that the model has no field for.
    pub fn ignored_columns(&self) -> &[String] {
        self.columns.as_ref().map_or(&[], |columns| &columns.ignored)
    }
}

/// The cells of a record.
pub struct Record<'a>(Vec<&'a str>);

/// What the columns hold.
pub struct Columns {
    columns: Vec<(String, Holds)>,
    ignored: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Numbers,
    Words,
    Nothing,
}

impl Columns {
    /// Reads the names; a required one that is not there, or one that stands there twice, is no matter of single rows.
    fn read(names: &Record<'_>, predictor: &Predictor) -> Result<Self, Failure> {
        let schema = predictor.schema();
        let holds = |name: &str| match schema.field(name).map(|field| &field.kind) {
            Some(FieldKind::Number { .. }) => Holds::Numbers,
            Some(FieldKind::Category { .. }) => Holds::Words,
            None if matches!(name, "src" | "dst") && schema.coordinates.is_some() => Holds::Words,
            None => Holds::Nothing,
        };
        let mut columns: Vec<_> = names.0.iter().map(|name| ((*name).to_owned(), holds(name))).collect();
        let batch = columns.iter().fold(Batch::new(), |batch, (name, holds)| match holds {
            Holds::Words => batch.with(name.as_str(), [None::<&str>].into_iter().collect::<Column<'_>>()),
            Holds::Numbers | Holds::Nothing => batch.with(name.as_str(), [f64::NAN]),
        });
        let ignored = predictor.predict_valid_rows(&batch)?.0.notes.ignored_columns;
        for (name, holds) in &mut columns {
            if ignored.contains(name) {
                *holds = Holds::Nothing;
            }
        }
        Ok(Self { columns, ignored })
    }

    /// A record as a row takes it: empty cells are not given.
    pub fn entries(&self, Record(cells): Record<'_>) -> Result<Vec<(String, Entry)>, Failure> {
        if cells.len() != self.columns.len() {
            let (found, allowed) = (cells.len(), self.columns.len());
            let message = format!(
                "found {found} cells; allowed: {allowed}, one for each column; put cells with commas in double quotes"
            );
            return Err(invalid_csv(message));
        }
        let given = self.columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        let entries = given.filter_map(|((name, holds), cell)| {
            let value = match holds {
                Holds::Nothing => return None,
                Holds::Words => cell.into(),
                Holds::Numbers => match cell.parse::<f64>() {
                    Ok(number) if number.is_nan() => return None,
                    Ok(number) => Value::Number(number),
                    // The model's field says what is allowed.
                    Err(_) => cell.into(),
                },
            };
            Some((name.clone(), Entry::Value(value)))
        });
        Ok(entries.collect())
    }

    /// Names the field at fault as the table does.
    pub fn rename(&self, failure: &mut Failure) {
        if let Some(field) = &mut failure.field
            && let Some((end, part)) = field.split_once('.')
            && !self.columns.iter().any(|(name, _)| name == end)
        {
            *field = format!("{end}_{part}");
        }
    }
}

fn invalid_csv(message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Status::BadRequest, "INVALID_CSV", message)
}
