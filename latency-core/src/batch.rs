//! A batch: many rows as columns.

use std::borrow::Cow;

/// One column of a batch.
#[derive(Debug, Clone)]
pub enum Column<'a> {
    /// Numbers; NaN is a missing value.
    Numbers(Cow<'a, [f64]>),
    /// Categories, or names of places in the columns `src` and `dst`.
    Texts(Vec<Option<Cow<'a, str>>>),
}

impl Column<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

impl<'a> From<&'a [f64]> for Column<'a> {
    fn from(numbers: &'a [f64]) -> Self {
        Self::Numbers(Cow::Borrowed(numbers))
    }
}

impl From<Vec<f64>> for Column<'_> {
    fn from(numbers: Vec<f64>) -> Self {
        Self::Numbers(Cow::Owned(numbers))
    }
}

impl<'a> From<&[&'a str]> for Column<'a> {
    fn from(texts: &[&'a str]) -> Self {
        Self::Texts(texts.iter().map(|text| Some(Cow::Borrowed(*text))).collect())
    }
}

impl<'a> FromIterator<Option<&'a str>> for Column<'a> {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(texts: I) -> Self {
        Self::Texts(texts.into_iter().map(|text| text.map(Cow::Borrowed)).collect())
    }
}

/// Many rows as columns of equal length, by the flat names of the model's fields. A model that knows places also
/// takes columns `src` and `dst` with names of places.
#[derive(Debug, Clone, Default)]
pub struct Batch<'a> {
    pub(crate) columns: Vec<(Cow<'a, str>, Column<'a>)>,
}

impl<'a> Batch<'a> {
    /// A batch without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, column: impl Into<Column<'a>>) -> Self {
        self.push(name, column);
        self
    }

    /// Adds a column.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, column: impl Into<Column<'a>>) {
        self.columns.push((name.into(), column.into()));
    }

    /// The number of rows: the length of the first column.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column<'a>> {
        self.columns.iter().find(|(candidate, _)| candidate == name).map(|(_, column)| column)
    }
}
