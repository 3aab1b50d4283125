//! Many rows, read one by one for the same caller.

use crate::error::{ErrorKind, Result};
use crate::places::Place;
use crate::row::{Entry, Find, Row};

/// For so many unknown names near ones are looked for. Who has more of them has another problem than their spelling.
const NEAR_NAMES: u32 = 100;

/// Counts unknown names of places, and stops looking for near ones where they are many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    unknown: u32,
}

impl Names {
    pub fn find(&self) -> Find {
        if self.unknown < NEAR_NAMES { Place::find } else { Place::find_briefly }
    }

    /// Counts what came of it.
    pub fn note<T>(&mut self, found: Result<T>) -> Result<T> {
        if found.as_ref().is_err_and(|error| error.kind() == ErrorKind::UnknownPlace) {
            self.unknown = self.unknown.saturating_add(1);
        }
        found
    }
}

/// Reads the rows of one caller, such as those of one request. Its errors are those of [`Row`], but after a hundred unknown
/// names of places they no longer list near ones: that takes a hundred times as long as all else, and a hundred thousand
/// misspelt names should not.
///
/// ```
/// use latency_core::RowReader;
///
/// let mut reader = RowReader::new();
/// let mut message = || reader.json_str(r#"{"src": "Lndon", "dst": "Tokyo"}"#).unwrap_err().message().to_owned();
/// assert!(message().contains("near names: `London`"));
/// (0..100).for_each(|_| drop(message()));
/// assert!(!message().contains("near names"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct RowReader {
    names: Names,
}

impl RowReader {
    /// A reader that has read nothing.
    ///
    /// ```
    /// assert!(latency_core::RowReader::new().json_str("{}").is_ok());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next row as [`Row::from_json_str`] does.
    ///
    /// ```
    /// let row = latency_core::RowReader::new().json_str(r#"{"src": "London", "dst": "Tokyo"}"#)?;
    /// assert!(row.get("src_lat").is_some());
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Row::from_json_str`].
    pub fn json_str(&mut self, text: &str) -> Result<Row> {
        let row = Row::from_json_str_by(text, self.names.find());
        self.names.note(row)
    }

    /// Reads the next row as [`Row::from_entries`] does.
    ///
    /// ```
    /// use latency_core::{Entry, RowReader};
    ///
    /// let row = RowReader::new().entries([("hops".to_owned(), Entry::Value(5.into()))])?;
    /// assert!(row.get("hops").is_some());
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Row::from_entries`].
    pub fn entries(&mut self, entries: impl IntoIterator<Item = (String, Entry)>) -> Result<Row> {
        let row = Row::from_entries_by(entries, self.names.find());
        self.names.note(row)
    }
}
