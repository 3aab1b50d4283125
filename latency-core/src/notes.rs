//! What to know before relying on a prediction: which inputs lie outside what training saw, and which were not given.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::encode::{EncodedRows, category_index};
use crate::error::{Shown, list, number};
use crate::schema::{FieldKind, Schema, SeenPairs, SeenRegions};

/// Something to know about a prediction.
///
/// ```
/// use latency_core::{Path, Predictor, WarningCode};
/// # fn main() -> latency_core::Result<()> {
/// let prediction = Predictor::bundled()?.predict(&Path::between("-77.85,166.67", "London")?)?;
/// let warning = &prediction.warnings[0];
/// assert_eq!((warning.code, warning.field.as_str()), (WarningCode::OutOfRange, "src_lat"));
/// assert!(warning.message.starts_with("found -77.85; training saw"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Warning {
    /// Stable name of the kind of warning.
    pub code: WarningCode,
    /// What it is about: a field by its flat name, `src` or `dst` for where that end is, `distance_km`.
    pub field: String,
    /// What was found, and what training saw.
    pub message: String,
}

/// The kinds of warnings.
///
/// ```
/// assert_eq!(latency_core::WarningCode::OutOfRange.as_str(), "OUT_OF_RANGE");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum WarningCode {
    /// A value, a place, or two values together lie outside what training saw: the prediction is an extrapolation.
    OutOfRange,
}

impl WarningCode {
    /// The stable name, the same in every language.
    ///
    /// ```
    /// assert_eq!(latency_core::WarningCode::OutOfRange.as_str(), "OUT_OF_RANGE");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfRange => "OUT_OF_RANGE",
        }
    }
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line, as that of an error: the field, what was found, and what training saw.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// What to know about a batch.
///
/// ```
/// use latency_core::{Batch, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let batch = Batch::new()
///     .with("src_lat", vec![51.5, 89.0]).with("src_lon", vec![-0.1, 0.0])
///     .with("dst_lat", vec![35.7, 35.7]).with("dst_lon", vec![139.7, 139.7])
///     .with("weather", vec![1.0, 2.0]);
/// let notes = Predictor::bundled()?.predict_batch(&batch)?.notes;
/// assert_eq!(notes.ignored_columns, ["weather"]);
/// assert_eq!((notes.warnings[0].0, notes.warnings[0].1.field.as_str()), (1, "src_lat"));
/// assert!(notes.missing(0).any(|field| field == "src_access"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Notes {
    /// Warnings with their row, in the order of rows.
    pub warnings: Vec<(usize, Warning)>,
    /// Columns that the model has no field for.
    pub ignored_columns: Vec<String>,
    missing: Missing,
}

/// Per row one bit for each optional field. Its JSON is a list of names for each row.
#[derive(Debug, Clone, Default, PartialEq)]
struct Missing {
    /// The optional fields.
    fields: Arc<[Arc<str>]>,
    words_per_row: usize,
    words: Vec<u64>,
}

impl Notes {
    /// The optional fields that a row does not give, in the order of the schema; the model takes them as unknown.
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let batch = Batch::new().with("src", ["London"]).with("dst", ["Tokyo"]).with("src_access", ["wifi"]);
    /// let notes = Predictor::bundled()?.predict_batch(&batch)?.notes;
    /// let missing: Vec<_> = notes.missing(0).collect();
    /// assert_eq!(missing, ["dst_access", "src_provider", "dst_provider", "src_tier", "dst_tier"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn missing(&self, row: usize) -> impl Iterator<Item = &str> {
        self.missing.row(row).map(|field| &**field)
    }

    /// For each optional field, in the order of the schema, whether each row leaves it out.
    ///
    /// ```
    /// # use latency_core::{Batch, Predictor};
    /// # fn main() -> latency_core::Result<()> {
    /// let access = [Some("wifi"), None].into_iter().collect::<latency_core::Column>();
    /// let batch = Batch::new().with("src", ["London"; 2]).with("dst", ["Tokyo"; 2]).with("src_access", access);
    /// let notes = Predictor::bundled()?.predict_batch(&batch)?.notes;
    /// let (field, missing) = notes.missing_by_field().next().unwrap();
    /// assert_eq!((field, missing.collect::<Vec<_>>()), ("src_access", vec![false, true]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn missing_by_field(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = bool>)> {
        let width = self.missing.words_per_row.max(1);
        self.missing.fields.iter().enumerate().map(move |(index, field)| {
            let words = self.missing.words.iter().skip(index / 64).step_by(width);
            (&**field, words.map(move |word| word >> (index % 64) & 1 == 1))
        })
    }

    /// The same notes for rows `numbers` of `rows`; of the others there is nothing to know.
    pub(crate) fn spread(mut self, numbers: &[usize], rows: usize) -> Self {
        self.warnings.iter_mut().for_each(|(row, _)| *row = numbers[*row]);
        let width = self.missing.words_per_row;
        let mut words = vec![0; rows * width];
        for (row, bits) in numbers.iter().zip(self.missing.words.chunks(width.max(1))) {
            words[row * width..(row + 1) * width].copy_from_slice(bits);
        }
        self.missing.words = words;
        self
    }

    /// Adds those of the rows that come next.
    pub(crate) fn append(&mut self, next: Self) {
        self.warnings.extend(next.warnings);
        self.missing.words.extend(next.missing.words);
    }

    /// The same names, shared.
    pub(crate) fn missing_names(&self, row: usize) -> Vec<Arc<str>> {
        self.missing.row(row).cloned().collect()
    }
}

impl Missing {
    fn row(&self, row: usize) -> impl Iterator<Item = &Arc<str>> {
        let bits = self.words.get(row * self.words_per_row..(row + 1) * self.words_per_row).unwrap_or_default();
        let is_missing = |index: usize| bits.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1);
        self.fields.iter().enumerate().filter(move |(index, _)| is_missing(*index)).map(|(_, field)| field)
    }
}

impl Serialize for Missing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.words.len().checked_div(self.words_per_row).unwrap_or_default();
        serializer.collect_seq((0..rows).map(|row| self.row(row).collect::<Vec<_>>()))
    }
}

/// What a schema says about what training saw and about optional fields, ready to compare rows with.
#[derive(Debug)]
pub(crate) struct NotePlan {
    seen: Vec<Seen>,
    regions: Option<RegionPlan>,
    pairs: Option<PairPlan>,
    seen_distance_km: Option<[f64; 2]>,
    optional: Vec<usize>,
    optional_names: Arc<[Arc<str>]>,
}

#[derive(Debug)]
enum Seen {
    Between(f64, f64),
    Categories(Vec<bool>),
    Anything,
}

/// The regions that training saw, and the fields of the coordinates to compare with them.
#[derive(Debug)]
struct RegionPlan {
    seen: SeenRegions,
    /// Latitude and longitude.
    src: [usize; 2],
    dst: [usize; 2],
}

/// The pairs of categories that training saw.
#[derive(Debug)]
struct PairPlan {
    fields: [usize; 2],
    /// Row-major: a row per category of the first field.
    seen: Vec<Vec<bool>>,
}

impl NotePlan {
    pub fn new(schema: &Schema) -> Self {
        let seen = |kind: &FieldKind| match kind {
            FieldKind::Number { seen: Some([low, high]), .. } => Seen::Between(*low, *high),
            FieldKind::Number { seen: None, .. } => Seen::Anything,
            FieldKind::Category { categories, seen } => {
                Seen::Categories(categories.iter().map(|word| seen.contains(word)).collect())
            }
        };
        let optional: Vec<_> = (0..schema.fields.len()).filter(|index| !schema.fields[*index].required).collect();
        Self {
            seen: schema.fields.iter().map(|field| seen(&field.kind)).collect(),
            regions: RegionPlan::new(schema),
            pairs: PairPlan::new(schema),
            seen_distance_km: schema.coordinates.as_ref().and_then(|coordinates| coordinates.seen_distance_km),
            optional_names: optional.iter().map(|index| schema.fields[*index].name.as_str().into()).collect(),
            optional,
        }
    }

    /// Notes without rows, with room for some.
    pub fn start(&self, rows: &EncodedRows) -> Notes {
        let words_per_row = self.optional.len().div_ceil(64);
        Notes {
            warnings: Vec::new(),
            ignored_columns: rows.ignored.clone(),
            missing: Missing {
                fields: Arc::clone(&self.optional_names),
                words_per_row,
                words: Vec::with_capacity(rows.rows * words_per_row),
            },
        }
    }

    /// Notes of some rows among others, to be appended to theirs.
    pub fn start_share(&self) -> Notes {
        self.start(&EncodedRows::default())
    }

    /// Adds what there is to know of the row that comes next, its number among all rows being `index`.
    pub fn note(&self, notes: &mut Notes, schema: &Schema, index: usize, row: &[f64], distance_km: Option<f64>) {
        for fields in self.optional.chunks(64) {
            let bit = |(place, field): (usize, &usize)| u64::from(row[*field].is_nan()) << place;
            notes.missing.words.push(fields.iter().enumerate().map(bit).sum());
        }
        self.warn(schema, row, distance_km, |warning| notes.warnings.push((index, warning)));
    }

    /// The same for a row alone: its warnings, and the names of what is missing.
    pub fn note_one(&self, schema: &Schema, row: &[f64], distance_km: Option<f64>) -> (Vec<Warning>, Vec<Arc<str>>) {
        let mut warnings = Vec::new();
        self.warn(schema, row, distance_km, |warning| warnings.push(warning));
        let fields = || self.optional.iter().zip(&*self.optional_names).filter(|(field, _)| row[**field].is_nan());
        // Counted first, so that there is one allocation, or none.
        let mut missing = Vec::with_capacity(fields().count());
        missing.extend(fields().map(|(_, name)| Arc::clone(name)));
        (warnings, missing)
    }

    fn warn(&self, schema: &Schema, row: &[f64], distance_km: Option<f64>, mut take: impl FnMut(Warning)) {
        for (field, (seen, value)) in self.seen.iter().zip(row).enumerate() {
            if seen.is_outside(*value) {
                take(field_warning(schema, field, *value));
            }
        }
        if let Some(regions) = &self.regions {
            for (name, place) in [("src", regions.src), ("dst", regions.dst)] {
                // A coordinate that was warned of says the same.
                let known = place.iter().all(|field| !self.seen[*field].is_outside(row[*field]));
                let [lat, lon] = place.map(|field| row[field]);
                if known && !regions.seen.contains(lat, lon) {
                    take(region_warning(name, lat, lon, regions.seen.within_km));
                }
            }
        }
        if let Some(pairs) = &self.pairs
            && let Some((src, dst)) = pairs.unseen(row)
            && !pairs.fields.iter().any(|field| self.seen[*field].is_outside(row[*field]))
        {
            take(pair_warning(schema, pairs.fields, src, dst));
        }
        if let (Some([low, high]), Some(distance)) = (self.seen_distance_km, distance_km)
            && !(low..=high).contains(&distance)
        {
            take(distance_warning(distance, low, high));
        }
    }
}

impl RegionPlan {
    fn new(schema: &Schema) -> Option<Self> {
        let coordinates = schema.coordinates.as_ref()?;
        let field = |name: &str| schema.field_index(name);
        Some(Self {
            seen: coordinates.seen_regions.clone()?,
            src: [field(&coordinates.src_lat)?, field(&coordinates.src_lon)?],
            dst: [field(&coordinates.dst_lat)?, field(&coordinates.dst_lon)?],
        })
    }
}

impl PairPlan {
    fn new(schema: &Schema) -> Option<Self> {
        let pairs = schema.seen_pairs.as_ref()?;
        let [src, dst] = &pairs.fields;
        let (src_words, dst_words) = (schema.categories(src)?, schema.categories(dst)?);
        let mut seen = vec![vec![false; dst_words.len()]; src_words.len()];
        let code = |words: &[String], word: &String| words.iter().position(|other| other == word);
        for [a, b] in &pairs.pairs {
            for (src, dst) in [(a, b), (b, a)] {
                if let Some((src, dst)) = code(src_words, src).zip(code(dst_words, dst)) {
                    seen[src][dst] = true;
                }
            }
        }
        Some(Self { fields: [schema.field_index(src)?, schema.field_index(dst)?], seen })
    }

    /// The categories of a row that training did not see together. A missing one goes with every other.
    fn unseen(&self, row: &[f64]) -> Option<(usize, usize)> {
        let [src, dst] = self.fields.map(|field| category_index(row[field]));
        let pair = src.zip(dst)?;
        (!self.seen.get(pair.0)?.get(pair.1)?).then_some(pair)
    }
}

impl Seen {
    /// A missing value lies nowhere.
    fn is_outside(&self, value: f64) -> bool {
        match self {
            Self::Between(low, high) => value < *low || value > *high,
            Self::Categories(seen) => {
                category_index(value).is_some_and(|index| seen.get(index).is_none_or(|seen| !seen))
            }
            Self::Anything => false,
        }
    }
}

fn field_warning(schema: &Schema, field: usize, value: f64) -> Warning {
    let field = &schema.fields[field];
    let (found, seen) = match &field.kind {
        FieldKind::Number { seen, .. } => {
            (number(value), seen.map_or_else(String::new, |[low, high]| format!("{} to {}", Shown(low), Shown(high))))
        }
        FieldKind::Category { categories, seen } => (
            category_index(value).and_then(|index| categories.get(index)).cloned().unwrap_or_default(),
            if seen.is_empty() { "none".to_owned() } else { seen.join(", ") },
        ),
    };
    Warning {
        code: WarningCode::OutOfRange,
        field: field.name.clone(),
        message: format!("found {found}; training saw {seen}: the prediction is an extrapolation"),
    }
}

fn region_warning(end: &str, lat: f64, lon: f64, within_km: f64) -> Warning {
    Warning {
        code: WarningCode::OutOfRange,
        field: end.to_owned(),
        message: format!(
            "found {},{}; training saw no place within about {} km of it: the prediction is an extrapolation",
            Shown(lat),
            Shown(lon),
            whole(within_km)
        ),
    }
}

fn pair_warning(schema: &Schema, fields: [usize; 2], src: usize, dst: usize) -> Warning {
    let word = |field: usize, code: usize| match &schema.fields[field].kind {
        FieldKind::Category { categories, .. } => categories.get(code).map_or("", String::as_str),
        FieldKind::Number { .. } => "",
    };
    let (src, dst) = (word(fields[0], src), word(fields[1], dst));
    let mut words = vec![src, dst];
    words.dedup();
    let seen = |pairs: &SeenPairs| {
        let with = |word: &&str| format!("{word} with {}", list(pairs.partners(word)));
        words.iter().map(with).collect::<Vec<_>>().join(", and ")
    };
    Warning {
        code: WarningCode::OutOfRange,
        field: schema.fields[fields[0]].name.clone(),
        message: format!(
            "found {src} with {dst} at the other end; training saw {}: the prediction is an extrapolation",
            schema.seen_pairs.as_ref().map(seen).unwrap_or_default()
        ),
    }
}

fn distance_warning(distance: f64, low: f64, high: f64) -> Warning {
    Warning {
        code: WarningCode::OutOfRange,
        field: "distance_km".to_owned(),
        message: format!(
            "found {} km; training saw {} to {} km: the prediction is an extrapolation",
            whole(distance),
            whole(low),
            whole(high)
        ),
    }
}

/// Whole kilometres, as an integer, which is written faster than a float.
fn whole(km: f64) -> i64 {
    km.round_ties_even() as i64
}
