//! A batch: many rows as columns.

use std::borrow::Cow;

use ndarray::{ArrayView1, ArrayView2, Axis};

use crate::error::{Error, ErrorKind, Result};

/// One column of a batch.
///
/// ```
/// use latency_core::Column;
///
/// let numbers = [51.51, 35.68];
/// let borrowed = Column::from(&numbers[..]);
/// let words = Column::from(["wifi", "server"]);
/// let gaps: Column = [Some("wifi"), None].into_iter().collect();
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Column<'a> {
    /// Numbers; NaN is a missing value.
    Numbers(Cow<'a, [f64]>),
    /// Numbers of one column of a row-major matrix; NaN is a missing value. See [`Batch::from_matrix`].
    Strided(Strided<'a>),
    /// Categories, or names of places in the columns `src` and `dst`.
    Texts(Vec<Option<Cow<'a, str>>>),
}

/// Numbers that lie in equal steps through a slice.
///
/// ```
/// use latency_core::{Batch, Column, Predictor, Strided};
///
/// let row_major = [51.51, -0.13, 48.86, 2.35];
/// let latitudes = Column::Strided(Strided::new(&row_major, 0, 2));
/// assert_eq!(Batch::new().with("src_lat", latitudes).len(), 2);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    values: &'a [f64],
    step: usize,
}

impl<'a> Strided<'a> {
    /// The numbers at `first`, `first + step`, … to the end of the slice; none if `first` lies beyond it. A step of 0
    /// counts as 1.
    ///
    /// ```
    /// let column = latency_core::Strided::new(&[1.0, 2.0, 3.0, 4.0], 1, 2);
    /// assert_eq!(column.iter().collect::<Vec<_>>(), [&2.0, &4.0]);
    /// ```
    #[must_use]
    pub fn new(values: &'a [f64], first: usize, step: usize) -> Self {
        Self { values: values.get(first..).unwrap_or_default(), step: step.max(1) }
    }

    /// The numbers in order.
    ///
    /// ```
    /// assert_eq!(latency_core::Strided::new(&[1.0, 2.0, 3.0], 0, 2).iter().sum::<f64>(), 4.0);
    /// ```
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a f64> {
        self.values.iter().step_by(self.step)
    }
}

/// Equal if the numbers are, wherever they lie.
impl PartialEq for Strided<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Column<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Strided(numbers) => numbers.iter().len(),
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

impl<const N: usize> From<[f64; N]> for Column<'_> {
    fn from(numbers: [f64; N]) -> Self {
        Self::from(Vec::from(numbers))
    }
}

impl<'a> From<ArrayView1<'a, f64>> for Column<'a> {
    /// Borrowed if it lies in one piece, else copied.
    fn from(numbers: ArrayView1<'a, f64>) -> Self {
        Self::Numbers(numbers.to_slice().map_or_else(|| Cow::Owned(numbers.to_vec()), Cow::Borrowed))
    }
}

impl<'a> From<&[&'a str]> for Column<'a> {
    fn from(texts: &[&'a str]) -> Self {
        Self::Texts(texts.iter().map(|text| Some(Cow::Borrowed(*text))).collect())
    }
}

impl<'a> From<&'a [String]> for Column<'a> {
    fn from(texts: &'a [String]) -> Self {
        Self::Texts(texts.iter().map(|text| Some(Cow::Borrowed(text.as_str()))).collect())
    }
}

impl<'a, const N: usize> From<[&'a str; N]> for Column<'a> {
    fn from(texts: [&'a str; N]) -> Self {
        Self::from(texts.as_slice())
    }
}

impl<'a> FromIterator<Option<&'a str>> for Column<'a> {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(texts: I) -> Self {
        Self::Texts(texts.into_iter().map(|text| text.map(Cow::Borrowed)).collect())
    }
}

/// Many rows as columns of equal length, by the flat names of the model's fields. A model that knows places also
/// takes columns `src` and `dst` with names of places.
///
/// ```
/// use latency_core::{Batch, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let batch = Batch::new().with("src", ["Lisbon"; 2]).with("dst", ["aws:eu-west-2", "aws:us-east-1"]);
/// let predictions = Predictor::bundled()?.predict_batch(&batch)?;
/// assert!(predictions.p50_ms[0] < predictions.p50_ms[1]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch<'a> {
    pub(crate) columns: Vec<(Cow<'a, str>, Column<'a>)>,
}

impl<'a> Batch<'a> {
    /// A batch without columns.
    ///
    /// ```
    /// assert!(latency_core::Batch::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The columns of a matrix, by name. Nothing is copied if it lies in one piece, row-major or column-major.
    ///
    /// ```
    /// use latency_core::{Batch, Predictor};
    /// use ndarray::array;
    /// # fn main() -> latency_core::Result<()> {
    /// let paths = array![[51.51, -0.13, 35.68, 139.69], [48.86, 2.35, 35.68, 139.69]];
    /// let batch = Batch::from_matrix(&["src_lat", "src_lon", "dst_lat", "dst_lon"], &paths.view())?;
    /// assert_eq!(Predictor::bundled()?.predict_batch(&batch)?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBatch`] if there is not one name for each column.
    pub fn from_matrix(names: &[&'a str], matrix: &ArrayView2<'a, f64>) -> Result<Self> {
        if names.len() != matrix.ncols() {
            return Err(Error::new(
                ErrorKind::InvalidBatch,
                format!(
                    "found {} names for a matrix of {} columns; give one name for each",
                    names.len(),
                    matrix.ncols()
                ),
            ));
        }
        let mut batch = Self::new();
        for (index, name) in names.iter().enumerate() {
            let column = match matrix.to_slice() {
                Some(values) => Column::Strided(Strided::new(values, index, names.len())),
                None => (*matrix).index_axis_move(Axis(1), index).into(),
            };
            batch.push(*name, column);
        }
        Ok(batch)
    }

    /// Adds a column.
    ///
    /// ```
    /// let batch = latency_core::Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]);
    /// assert_eq!(batch.len(), 1);
    /// ```
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, column: impl Into<Column<'a>>) -> Self {
        self.push(name, column);
        self
    }

    /// Adds a column.
    ///
    /// ```
    /// let mut batch = latency_core::Batch::new();
    /// batch.push("src_lat", vec![51.51, 48.86]);
    /// assert_eq!(batch.len(), 2);
    /// ```
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, column: impl Into<Column<'a>>) {
        self.columns.push((name.into(), column.into()));
    }

    /// The number of rows: the length of the first column.
    ///
    /// ```
    /// assert_eq!(latency_core::Batch::new().with("src_lat", vec![1.0, 2.0, 3.0]).len(), 3);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Whether there are no rows.
    ///
    /// ```
    /// assert!(latency_core::Batch::new().with("src_lat", vec![]).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column<'a>> {
        self.columns.iter().find(|(candidate, _)| candidate == name).map(|(_, column)| column)
    }
}
