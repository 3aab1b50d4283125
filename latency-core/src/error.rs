//! One error type for the whole crate: what went wrong, where, what is allowed, and the cure.

use std::fmt::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

/// `Result` with this crate's [`Error`].
///
/// ```
/// fn median_ms(src: &str, dst: &str) -> latency_core::Result<f32> {
///     let path = latency_core::Path::between(src, dst)?;
///     Ok(latency_core::Predictor::bundled()?.predict(&path)?.p50_ms)
/// }
/// assert!(median_ms("Lisbon", "Madrid")? < median_ms("Lisbon", "Tokyo")?);
/// # Ok::<(), latency_core::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

macro_rules! error_kinds {
    ($( $(#[doc = $doc:literal])+ $variant:ident => $code:literal, $group:ident; )+) => {
        /// What kind of thing went wrong. New kinds may be added.
        ///
        /// ```
        /// use latency_core::{ErrorKind, Place};
        ///
        /// let error = Place::find("Nowhereville").unwrap_err();
        /// match error.kind() {
        ///     ErrorKind::UnknownPlace | ErrorKind::AmbiguousPlace => println!("ask the user again: {error}"),
        ///     other => panic!("{other}"),
        /// }
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl ErrorKind {
            /// Every kind there is: the catalogue that the tests of each language walk.
            ///
            /// ```
            /// use latency_core::ErrorKind;
            ///
            /// let codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
            /// assert!(codes.contains(&"INVALID_FIELD"));
            /// ```
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The stable name of this kind, the same in Rust, Python, Node.js and over HTTP.
            ///
            /// ```
            /// assert_eq!(latency_core::ErrorKind::AmbiguousPlace.code(), "AMBIGUOUS_PLACE");
            /// ```
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            /// Whose mistake this is: the caller's input, the model file, or the runtime library.
            ///
            /// ```
            /// use latency_core::{ErrorGroup, ErrorKind};
            ///
            /// assert_eq!(ErrorKind::UnknownPlace.group(), ErrorGroup::Input);
            /// assert_eq!(ErrorKind::RuntimeNotLoaded.group(), ErrorGroup::Runtime);
            /// ```
            #[must_use]
            pub const fn group(self) -> ErrorGroup {
                match self { $( Self::$variant => ErrorGroup::$group, )+ }
            }
        }
    };
}

error_kinds! {
    /// A value is out of range, not a number, of the wrong type, or not one of the allowed categories.
    InvalidField => "INVALID_FIELD", Input;
    /// A required field was not given.
    MissingField => "MISSING_FIELD", Input;
    /// A field was given that the model or the request does not have.
    UnknownField => "UNKNOWN_FIELD", Input;
    /// No place has this name.
    UnknownPlace => "UNKNOWN_PLACE", Input;
    /// Several places have this name and none is clearly the largest.
    AmbiguousPlace => "AMBIGUOUS_PLACE", Input;
    /// The columns of a batch do not fit together.
    InvalidBatch => "INVALID_BATCH", Input;
    /// The text is not JSON, or not JSON of the expected form.
    InvalidJson => "INVALID_JSON", Input;
    /// The loaded model cannot answer this question.
    Unsupported => "UNSUPPORTED", Input;
    /// The model file cannot be read.
    ModelNotReadable => "MODEL_NOT_READABLE", Model;
    /// The model file is not an ONNX model that ONNX Runtime can load.
    InvalidModel => "INVALID_MODEL", Model;
    /// The model has no `latency.schema`, or one that this version cannot use.
    InvalidSchema => "INVALID_SCHEMA", Model;
    /// The model does not reproduce the golden rows stored in it.
    GoldenMismatch => "GOLDEN_MISMATCH", Model;
    /// No usable ONNX Runtime library was found.
    RuntimeNotLoaded => "RUNTIME_NOT_LOADED", Runtime;
    /// ONNX Runtime failed while predicting.
    InferenceFailed => "INFERENCE_FAILED", Runtime;
    /// The caller stopped it: see [`Cancel`](crate::Cancel).
    Cancelled => "CANCELLED", Runtime;
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Whose mistake an error is. Bindings choose their exception class, and HTTP its status, by this.
///
/// ```
/// use latency_core::{Error, ErrorGroup};
///
/// fn status(error: &Error) -> u16 {
///     match error.kind().group() {
///         ErrorGroup::Input => 422,
///         _ => 500,
///     }
/// }
/// assert_eq!(status(&latency_core::Endpoint::at(91.0, 0.0).unwrap_err()), 422);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorGroup {
    /// The caller's input.
    Input,
    /// The model file.
    Model,
    /// What runs the model: ONNX Runtime that is missing, unusable or failing, or work that was stopped.
    Runtime,
}

/// An error with its kind, a message that says what was found, what is allowed and the cure, and where it happened.
///
/// `Display` is one line, `row 3: src_lat: found 91; allowed: -90 to 90`. The cause, if any, is in
/// [`source`](std::error::Error::source).
///
/// ```
/// use latency_core::{Batch, ErrorKind, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let batch = Batch::new().with("src", ["London", "London"]).with("dst", ["Tokyo", "Springfield"]);
/// let error = Predictor::bundled()?.predict_batch(&batch).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::AmbiguousPlace);
/// assert_eq!((error.row(), error.field()), (Some(1), Some("dst")));
/// # Ok(())
/// # }
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{}{}{message}", RowPrefix(*row), FieldPrefix(field.as_deref()))]
struct Inner {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    row: Option<usize>,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind with this message, which is put on one line.
    ///
    /// ```
    /// use latency_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::InvalidField, "found 2; allowed: 0 to 1");
    /// assert_eq!(error.to_string(), "found 2; allowed: 0 to 1");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: one_line(message.into()),
            field: None,
            row: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// Names the field at fault.
    ///
    /// ```
    /// use latency_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::InvalidField, "found 2; allowed: 0 to 1").with_field("load");
    /// assert_eq!(error.to_string(), "load: found 2; allowed: 0 to 1");
    /// ```
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Names the row of a batch, counted from 0.
    ///
    /// ```
    /// use latency_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::MissingField, "give it").with_field("src_lat").with_row(3);
    /// assert_eq!(error.to_string(), "row 3: src_lat: give it");
    /// ```
    #[must_use]
    pub fn with_row(mut self, row: usize) -> Self {
        self.0.row = Some(row);
        self
    }

    /// The same error about a candidate of [`rank`](crate::Predictor::rank), counted from 0, with the field as the caller
    /// wrote it: `candidates[2].lat` for what is `dst.lat` of its path. What holds for all candidates keeps its name.
    ///
    /// ```
    /// let path = latency_core::Row::from_json_str(r#"{"src": "London", "dst": {"place": "Nowhereville"}}"#);
    /// assert_eq!(path.unwrap_err().in_candidate(2).field(), Some("candidates[2].place"));
    /// ```
    #[must_use]
    pub fn in_candidate(self, index: usize) -> Self {
        let error = self.without_row();
        // A flat name holds for all candidates.
        let inside = error.field().and_then(|field| field.strip_prefix("dst"));
        match inside.filter(|rest| rest.is_empty() || rest.starts_with('.')) {
            Some(rest) => {
                let field = format!("candidates[{index}]{rest}");
                error.with_field(field)
            }
            None => error,
        }
    }

    pub(crate) fn without_row(mut self) -> Self {
        self.0.row = None;
        self
    }

    /// Adds a named detail, such as the path of a file.
    ///
    /// ```
    /// use latency_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::ModelNotReadable, "cannot read the model").with_context("file", "mine.onnx");
    /// assert_eq!(error.context(), [("file", "mine.onnx".to_owned())]);
    /// ```
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Keeps the error that caused this one.
    ///
    /// ```
    /// use std::error::Error as _;
    ///
    /// use latency_core::{Error, ErrorKind};
    ///
    /// let cause = std::io::Error::other("the disk is gone");
    /// let error = Error::new(ErrorKind::ModelNotReadable, "cannot read the model").with_source(cause);
    /// assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind of this error.
    ///
    /// ```
    /// use latency_core::{ErrorKind, Row};
    ///
    /// assert_eq!(Row::between("Nowhereville", "Tokyo").unwrap_err().kind(), ErrorKind::UnknownPlace);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code of this error's kind, the same in every language.
    ///
    /// ```
    /// assert_eq!(latency_core::Place::find("Nowhereville").unwrap_err().code(), "UNKNOWN_PLACE");
    /// ```
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The message without the field's name in front.
    ///
    /// ```
    /// let error = latency_core::Endpoint::at(91.0, 0.0).unwrap_err();
    /// assert_eq!(error.to_string(), format!("lat: {}", error.message()));
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field at fault, if one is: `src_lat` in tables and rows, `src.lat` in nested objects.
    ///
    /// ```
    /// use latency_core::{Predictor, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// let row = Row::between("London", "Tokyo")?.with("src_acess", "wifi");
    /// let error = Predictor::bundled()?.predict(&row).unwrap_err();
    /// assert_eq!((error.code(), error.field()), ("UNKNOWN_FIELD", Some("src_acess")));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The row of the batch at fault, counted from 0.
    ///
    /// ```
    /// use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London", "Nowhereville"]).with("dst", ["Tokyo", "Tokyo"]);
    /// assert_eq!(Predictor::bundled()?.predict_batch(&batch).unwrap_err().row(), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn row(&self) -> Option<usize> {
        self.0.row
    }

    /// Named details such as paths. They may name files of this machine: keep them out of answers to strangers.
    ///
    /// ```
    /// let error = latency_core::Predictor::builder().file("missing.onnx").build().unwrap_err();
    /// assert_eq!(error.context(), [("file", "missing.onnx".to_owned())]);
    /// ```
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

struct RowPrefix(Option<usize>);

impl fmt::Display for RowPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |row| write!(f, "row {row}: "))
    }
}

struct FieldPrefix<'a>(Option<&'a str>);

impl fmt::Display for FieldPrefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(field) = self.0 else { return Ok(()) };
        let end = field.char_indices().nth(LONGEST_FIELD).map_or(field.len(), |(end, _)| end);
        for c in field[..end].chars() {
            if is_hidden(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }?;
        }
        f.write_str(if end < field.len() { "…: " } else { ": " })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.code())?;
        for (name, value) in self.context() {
            write!(f, "\n  {name}: {value}")?;
        }
        let mut cause = self.0.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The form that every language and HTTP show: `{"code", "message", "field"?, "row"?}`. Context and cause stay inside.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", self.code())?;
        if let Some(field) = self.field() {
            map.serialize_entry("field", field)?;
        }
        if let Some(row) = self.row() {
            map.serialize_entry("row", &row)?;
        }
        map.serialize_entry("message", self.message())?;
        map.end()
    }
}

/// Characters of a field's name that `Display` shows: callers can invent endless ones.
const LONGEST_FIELD: usize = 60;
/// Characters of a caller's text that messages show.
const LONGEST_TEXT: usize = 40;
/// Items of a list that messages show.
const LONGEST_LIST: usize = 40;

/// Whether a character would break a line, or the terminal.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text on one line: what would break it is escaped.
pub(crate) fn one_line(text: String) -> String {
    if !text.contains(is_hidden) {
        return text;
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// What a caller wrote, in quotes: its beginning, if it is long.
pub(crate) fn text(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// A number, with an exponent where it would have endless zeros.
pub(crate) fn number(number: f64) -> String {
    Shown(number).to_string()
}

/// The same within other words.
pub(crate) struct Shown(pub f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size.is_finite() && size != 0.0 && !(1e-6..1e16).contains(&size) {
            fmt::LowerExp::fmt(&self.0, f)
        } else {
            fmt::Display::fmt(&self.0, f)
        }
    }
}

/// `1, 2, 3`: lists in messages.
pub(crate) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let shown: Vec<_> = items.by_ref().take(LONGEST_LIST).map(|item| item.to_string()).collect();
    match items.count() {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_upper_case() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')));
    }

    #[test]
    fn display_is_one_line_and_debug_shows_context_and_cause() {
        let error = Error::new(ErrorKind::InvalidField, "found 91; allowed: -90 to 90")
            .with_field("src_lat")
            .with_row(3)
            .with_context("file", "a.csv")
            .with_source("the cause");
        assert_eq!(error.to_string(), "row 3: src_lat: found 91; allowed: -90 to 90");
        assert_eq!(
            format!("{error:?}"),
            "INVALID_FIELD: row 3: src_lat: found 91; allowed: -90 to 90\n  file: a.csv\n  caused by: the cause"
        );
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"code":"INVALID_FIELD","field":"src_lat","row":3,"message":"found 91; allowed: -90 to 90"}"#
        );
        let bare = Error::new(ErrorKind::Unsupported, "no places");
        assert_eq!(format!("{bare} {bare:?}"), "no places UNSUPPORTED: no places");
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"code":"UNSUPPORTED","message":"no places"}"#);
    }

    #[test]
    fn candidates_are_named_as_they_were_written() {
        for (field, expected) in [
            (Some("dst"), Some("candidates[7]")),
            (Some("dst.lat"), Some("candidates[7].lat")),
            (Some("dst_access"), Some("dst_access")),
            (Some("dstx"), Some("dstx")),
            (Some("src.lat"), Some("src.lat")),
            (None, None),
        ] {
            let bare = || Error::new(ErrorKind::InvalidField, "found 2").with_row(7);
            let error = field.map_or_else(bare, |field| bare().with_field(field)).in_candidate(7);
            assert_eq!((error.field(), error.row()), (expected, None));
        }
    }

    #[test]
    fn causes_of_causes_are_shown_in_order() {
        let first = Error::new(ErrorKind::InvalidField, "first").with_row(1).with_source("the very first");
        let error = Error::new(ErrorKind::InvalidSchema, "last").with_source(first);
        assert_eq!(
            format!("{error:?}"),
            "INVALID_SCHEMA: last\n  caused by: row 1: first\n  caused by: the very first"
        );
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.downcast_ref::<Error>().unwrap().row(), Some(1));
    }

    #[test]
    fn nothing_that_a_caller_writes_breaks_the_line_or_makes_it_endless() {
        let hostile = "a\nb\u{1b}\u{2028}";
        let error = Error::new(ErrorKind::UnknownField, hostile).with_field(hostile);
        assert_eq!(error.to_string(), r"a\nb\u{1b}\u{2028}: a\nb\u{1b}\u{2028}");
        assert_eq!(error.field(), Some(hostile), "programs get it as it is");
        let endless = Error::new(ErrorKind::UnknownField, "no such field").with_field("é".repeat(1000));
        assert_eq!(endless.to_string(), format!("{}…: no such field", "é".repeat(60)));
        assert_eq!(text("wi\"fi\t"), r#""wi\"fi\t""#);
        assert_eq!(text(&"é".repeat(40)), format!("\"{}\"", "é".repeat(40)));
        assert_eq!(text(&"é".repeat(41)), format!("\"{}…\"", "é".repeat(40)));
        assert_eq!(list(1..=40).rsplit_once(", ").unwrap().1, "40");
        assert_eq!(list(1..=42).rsplit_once(", 40").unwrap().1, ", and 2 more");
        assert_eq!(list(["a"; 0]), "");
    }

    #[test]
    fn numbers_are_short() {
        for (found, shown) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (20_100.0, "20100"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-7"),
            (1e15, "1000000000000000"),
            (-1e16, "-1e16"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(found), shown);
        }
    }
}
