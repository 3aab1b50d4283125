//! What a model takes and gives: the JSON under the key `latency.schema` of an ONNX file's metadata.
//!
//! The schema is read once when a model is loaded, and checked completely there: whatever a [`Schema`] says can be
//! relied on by the rest of the crate. `docs/model-schema.json` is its form as a JSON Schema.
//!
//! ```
//! use latency_core::Predictor;
//! use latency_core::schema::FieldKind;
//! # fn main() -> latency_core::Result<()> {
//! for field in &Predictor::bundled()?.schema().fields {
//!     match &field.kind {
//!         FieldKind::Number { unit, .. } => println!("{}: a number ({unit})", field.name),
//!         FieldKind::Category { categories, .. } => println!("{}: {}", field.name, categories.join(", ")),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod check;
mod last_mile;
mod seen;
mod spread;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::last_mile::LastMile;
pub use self::seen::{SeenPairs, SeenRegions};
pub use self::spread::{Spread, SpreadEnd, SpreadExcess, SpreadKind, SpreadQuantiles};
use crate::continents::Continent;
use crate::error::{Error, ErrorKind, Result, list};
use crate::monitoring::Histogram;

/// The metadata key that holds the schema.
///
/// ```
/// assert_eq!(latency_core::schema::METADATA_KEY, "latency.schema");
/// ```
pub const METADATA_KEY: &str = "latency.schema";

/// The version of the schema's form that this crate reads and writes.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// assert_eq!(predictor.schema().format, latency_core::schema::FORMAT);
/// # Ok::<(), latency_core::Error>(())
/// ```
pub const FORMAT: u32 = 1;

/// Everything about a model that is not trees.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// for field in &predictor.schema().fields {
///     println!("{}{}: {}", field.name, if field.required { " (required)" } else { "" }, field.description);
/// }
/// # assert_eq!(predictor.schema().fields.len(), 10);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Schema {
    /// Version of this form, [`FORMAT`].
    pub format: u32,
    /// Name of the model, such as `latency`.
    pub name: String,
    /// The input fields, in order.
    pub fields: Vec<Field>,
    /// Which fields hold the coordinates of the two ends, for models that know about places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
    /// Positions that features refer to by their index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hubs: Vec<Hub>,
    /// How long signals take between hubs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cables: Option<Cables>,
    /// What the access at each end adds to the RTT along the cables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_mile: Option<LastMile>,
    /// The columns of the matrix that the trees eat, in order.
    pub features: Vec<Feature>,
    /// What is predicted.
    pub target: Target,
    /// One per output of the ONNX graph, in order.
    pub outputs: Vec<Output>,
    /// How single measurements scatter around the path's median; without it the model has outputs for `p90_ms` and `p99_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Which categories of the two ends training saw together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_pairs: Option<SeenPairs>,
    /// How the values of fields were spread in training, by field: what [`Histogram::psi`] compares with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub histograms: BTreeMap<String, Histogram>,
    /// Where the model comes from: data sets, rows, dates, metrics. Free form, shown as it is.
    #[serde(default)]
    pub provenance: serde_json::Map<String, serde_json::Value>,
    /// Rows with the answers that the model must give when it is loaded.
    pub golden: Vec<GoldenRow>,
}

/// One input field.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let required: Vec<_> = predictor.schema().fields.iter().filter(|field| field.required).map(|field| &field.name).collect();
/// assert_eq!(required, ["src_lat", "src_lon", "dst_lat", "dst_lon"]);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Field {
    /// The flat name: a column, a keyword.
    pub name: String,
    /// Number or category, with what is allowed.
    #[serde(flatten)]
    pub kind: FieldKind,
    /// Whether a row without it is an error. Missing optional values are unknown to the model, which is allowed.
    #[serde(default)]
    pub required: bool,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// What a field holds. `seen` is what training saw: values outside it are answered with a warning.
///
/// ```
/// use latency_core::Predictor;
/// use latency_core::schema::FieldKind;
///
/// let predictor = Predictor::bundled()?;
/// match &predictor.schema().field("src_access").unwrap().kind {
///     FieldKind::Category { categories, .. } => assert!(categories.contains(&"wifi".to_owned())),
///     FieldKind::Number { .. } => panic!("it is a category"),
/// }
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FieldKind {
    /// A finite number.
    Number {
        /// Its unit, such as `degree`; empty if it has none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        unit: String,
        /// The smallest value that makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The largest value that makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        /// The smallest and largest value in training.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<[f64; 2]>,
    },
    /// One of a fixed list of words.
    Category {
        /// The words that are allowed.
        categories: Vec<String>,
        /// The words that training saw.
        #[serde(default)]
        seen: Vec<String>,
    },
}

/// The fields that hold the coordinates, in degrees.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let coordinates = predictor.schema().coordinates.as_ref().expect("the bundled model knows places");
/// assert_eq!(coordinates.src_lat, "src_lat");
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Coordinates {
    /// Latitude of the source.
    pub src_lat: String,
    /// Longitude of the source.
    pub src_lon: String,
    /// Latitude of the destination.
    pub dst_lat: String,
    /// Longitude of the destination.
    pub dst_lon: String,
    /// Smallest and largest great-circle distance in training, km.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_distance_km: Option<[f64; 2]>,
    /// The parts of the Earth that have places of training near by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_regions: Option<SeenRegions>,
}

/// A city where many cables meet.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// assert!(predictor.schema().hubs.iter().any(|hub| hub.name == "Singapore"));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Hub {
    /// Name, for people.
    pub name: String,
    /// Latitude, degrees.
    pub lat: f64,
    /// Longitude, degrees.
    pub lon: f64,
}

/// A map of cables and land lines: links between hubs with the RTT that each adds. Training learns the RTTs.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let schema = predictor.schema();
/// let (from, to, ms) = schema.cables.as_ref().expect("the bundled model has cables").links[0];
/// println!("{} to {}: {ms} ms", schema.hubs[from].name, schema.hubs[to].name);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cables {
    /// The links, each in both directions: indices of two hubs, and RTT in ms.
    pub links: Vec<(usize, usize, f64)>,
    /// How many of its nearest hubs an end can join.
    pub nearest: usize,
    /// RTT per km of great circle between an end and its hub.
    pub access_ms_per_km: f64,
    /// RTT that every path has, ms.
    pub constant_ms: f64,
}

/// One end of a path, as features name it.
///
/// A path's RTT is the same in both directions up to noise, so features look at the western and the eastern end
/// instead of source and destination: swapping the ends gives the same prediction. West and east are counted from
/// 30° W, where the Atlantic parts the continents, so that neighbours stay on the same side.
///
/// ```
/// use latency_core::schema::End;
///
/// assert_eq!(serde_json::to_string(&End::West)?, "\"west\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The end that comes first when going east from 30° W (the southern one on the same meridian).
    West,
    /// The other end.
    East,
}

/// An axis of [`UnitVector`](crate::geo::UnitVector).
///
/// ```
/// use latency_core::schema::Axis;
///
/// assert_eq!(serde_json::to_string(&Axis::Z)?, "\"z\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Towards latitude 0, longitude 0.
    X,
    /// Towards latitude 0, longitude 90° east.
    Y,
    /// Towards the north pole.
    Z,
}

/// One column of the model's matrix.
///
/// ```
/// use latency_core::schema::Feature;
///
/// let feature: Feature = serde_json::from_str(r#"{"kind": "category", "field": "link", "category": "radio"}"#)?;
/// assert_eq!(feature, Feature::Category { field: "link".into(), category: "radio".into() });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Feature {
    /// The number in a field.
    Number {
        /// The field.
        field: String,
    },
    /// 1 if the field holds this category, 0 if it holds another, missing if it is missing.
    Category {
        /// The field.
        field: String,
        /// The category.
        category: String,
    },
    /// How many of these fields hold the category (a missing one does not).
    Count {
        /// The fields, one per end.
        fields: Vec<String>,
        /// The category.
        category: String,
    },
    /// 1 if all these fields hold the same one of these categories, else 0.
    Same {
        /// The fields, one per end.
        fields: Vec<String>,
        /// The categories that count.
        categories: Vec<String>,
    },
    /// How many of these fields are missing.
    CountMissing {
        /// The fields, one per end.
        fields: Vec<String>,
    },
    /// Latitude of an end, degrees.
    Latitude {
        /// Which end.
        end: End,
    },
    /// Longitude of an end, degrees.
    Longitude {
        /// Which end.
        end: End,
    },
    /// One coordinate of an end as a unit vector, which has no seam at the antimeridian and no poles.
    Cartesian {
        /// Which end.
        end: End,
        /// Which axis.
        axis: Axis,
    },
    /// Great-circle distance between the ends, km.
    DistanceKm,
    /// How many of the two ends lie on a continent.
    ContinentCount {
        /// The continent.
        continent: Continent,
    },
    /// What the way over a hub is longer than the great circle, km.
    Detour {
        /// Index into the schema's hubs.
        hub: usize,
    },
    /// RTT of the fastest way along the cables, ms: from one end to one of its nearest hubs, along links, and from one
    /// of the other end's nearest hubs to that end. Ends with the same nearest hub may also go straight.
    CableMs,
    /// `cable_ms` and the last mile at both ends, ms.
    PathMs,
}

impl Feature {
    /// Whether this feature needs coordinates.
    ///
    /// ```
    /// use latency_core::schema::Feature;
    ///
    /// assert!(Feature::DistanceKm.is_geographic());
    /// assert!(!Feature::Number { field: "hops".into() }.is_geographic());
    /// ```
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        !matches!(
            self,
            Self::Number { .. }
                | Self::Category { .. }
                | Self::Count { .. }
                | Self::Same { .. }
                | Self::CountMissing { .. }
        )
    }
}

/// What is predicted, and the space in which the trees work.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let target = &predictor.schema().target;
/// assert_eq!((target.name.as_str(), target.unit.as_str()), ("rtt_ms", "ms"));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Target {
    /// Name of the target column, such as `rtt_ms`.
    pub name: String,
    /// Its unit.
    #[serde(default)]
    pub unit: String,
    /// What was done to it before training.
    pub transform: Transform,
    /// What the trees' margin is relative to, in target space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
}

/// A first guess that the trees correct: with the log transform, `ln(feature + add)` is added to each margin.
///
/// ```
/// use latency_core::schema::Feature;
///
/// let predictor = latency_core::Predictor::bundled()?;
/// let schema = predictor.schema();
/// let base = schema.target.base.expect("the bundled model corrects a first guess");
/// assert_eq!(schema.features[base.feature], Feature::PathMs);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Base {
    /// Index of the feature that is the guess.
    pub feature: usize,
    /// Added to it, in units of the target.
    pub add: f64,
}

/// The target space.
///
/// ```
/// use latency_core::schema::Transform;
///
/// assert_eq!(latency_core::Predictor::bundled()?.schema().target.transform, Transform::Log);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The trees predict the target itself.
    Identity,
    /// The trees predict the natural logarithm of the target.
    Log,
}

/// One output of the ONNX graph.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// for output in &predictor.schema().outputs {
///     println!("{:?}: quantile {}, corrected by {}", output.name, output.quantile, output.offset);
/// }
/// # assert_eq!(predictor.schema().outputs.len(), 3);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Output {
    /// What it becomes.
    pub name: OutputName,
    /// The quantile that it stands for, between 0 and 1.
    pub quantile: f64,
    /// Added in target space: the conformal correction found on held-out places.
    #[serde(default)]
    pub offset: f64,
    /// Added to that for paths with coordinates: knots of great-circle distance in km, ascending, and offset; linear in
    /// the logarithm of the distance between them, constant beyond.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offset_by_distance: Vec<(f64, f64)>,
}

/// The names that outputs can have.
///
/// ```
/// use latency_core::schema::OutputName;
///
/// let predictor = latency_core::Predictor::bundled()?;
/// let names: Vec<_> = predictor.schema().outputs.iter().map(|output| output.name).collect();
/// assert_eq!(names, [OutputName::LowMs, OutputName::P50Ms, OutputName::HighMs]);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputName {
    /// Lower end of the 90 % interval for the path's median.
    LowMs,
    /// The path's median.
    P50Ms,
    /// Upper end of that interval.
    HighMs,
    /// 90 % quantile of one measurement.
    P90Ms,
    /// 99 % quantile of one measurement.
    P99Ms,
}

/// A row and the prediction that the model must reproduce.
///
/// ```
/// use latency_core::{Predictor, Row};
///
/// let predictor = Predictor::bundled()?;
/// let golden = &predictor.schema().golden[0];
/// let (found, expected) = (predictor.predict(&Row::from(golden))?.p50_ms, golden.prediction["p50_ms"]);
/// assert!((found - expected).abs() <= 1e-5 * expected);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GoldenRow {
    /// Values by field; absent means missing.
    pub row: BTreeMap<String, crate::Value>,
    /// Expected numbers by name (`p50_ms`, …).
    pub prediction: BTreeMap<String, f32>,
}

impl From<&GoldenRow> for crate::Row {
    fn from(golden: &GoldenRow) -> Self {
        golden.row.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
    }
}

impl Schema {
    /// Reads and checks a schema.
    ///
    /// ```
    /// use latency_core::{Predictor, Schema};
    ///
    /// let predictor = Predictor::bundled()?;
    /// assert_eq!(&Schema::from_json(&predictor.schema().to_json())?, predictor.schema());
    /// assert_eq!(Schema::from_json("{}").unwrap_err().code(), "INVALID_SCHEMA");
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSchema`] if the text is not a schema of this format or contradicts itself.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
            #[serde(default)]
            fields: Vec<serde_json::Map<String, serde_json::Value>>,
        }
        let invalid = |message: String| Error::new(ErrorKind::InvalidSchema, message);
        let unsound = |what: &dyn fmt::Display| {
            invalid(format!(
                "the metadata `{METADATA_KEY}` is not a sound schema: {what}; write it with `latency train`"
            ))
        };
        let probe: Probe = serde_json::from_str(text).map_err(|error| unsound(&error))?;
        if probe.format != FORMAT {
            return Err(invalid(format!(
                "found schema format {}; this version reads format {FORMAT}; use the version of latency-predictor that \
                 fits, or train the model again",
                probe.format
            )));
        }
        let schema: Self = serde_json::from_str(text).map_err(|error| unsound(&error))?;
        // Serde ignores unknown keys of a flattened enum: a misspelt `required` would be lost.
        for (field, keys) in schema.fields.iter().zip(&probe.fields) {
            let allowed = match field.kind {
                FieldKind::Number { .. } => {
                    ["name", "type", "required", "description", "seen", "unit", "min", "max"].as_slice()
                }
                FieldKind::Category { .. } => &["name", "type", "required", "description", "seen", "categories"],
            };
            if let Some(key) = keys.keys().find(|key| !allowed.contains(&key.as_str())) {
                let fault = format!("found the key `{key}` in the field `{}`; allowed: {}", field.name, list(allowed));
                return Err(unsound(&fault));
            }
        }
        schema.check().map_err(|fault| unsound(&fault))?;
        Ok(schema)
    }

    /// The schema as JSON, as it stands in the model file.
    ///
    /// ```
    /// let json = latency_core::Predictor::bundled()?.schema().to_json();
    /// assert!(json.starts_with(r#"{"format":1,"name":"latency""#));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// Never: every part of a schema has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a schema always has a JSON form")
    }

    /// The index of a field.
    ///
    /// ```
    /// assert_eq!(latency_core::Predictor::bundled()?.schema().field_index("src_lon"), Some(1));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Whether a batch's column of this name is read: that of a field, or `src` or `dst` if the model knows places.
    ///
    /// ```
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert!(predictor.schema().takes("src") && !predictor.schema().takes("weather"));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.field_index(name).is_some() || (self.coordinates.is_some() && matches!(name, "src" | "dst"))
    }

    /// The field of this name.
    ///
    /// ```
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert!(!predictor.schema().field("src_access").unwrap().required);
    /// assert_eq!(predictor.schema().field("weather"), None);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The names of all fields, in order.
    ///
    /// ```
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert_eq!(predictor.schema().field_names().next(), Some("src_lat"));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    pub(crate) fn unknown_field(&self, name: &str) -> Error {
        unknown_among(&self.field_names().collect::<Vec<_>>(), name).with_field(name)
    }

    /// The error for a value inside `src` or `dst` that no field takes: what stands there has short names.
    pub(crate) fn unknown_part(&self, end: &str, part: &str) -> Error {
        let fields = self.field_names().filter_map(|name| name.strip_prefix(end)?.strip_prefix('_'));
        let parts = ["place", "lat", "lon"].into_iter().chain(fields.filter(|part| !["lat", "lon"].contains(part)));
        // A flat name, such as `src_access`, may have been written there as it is.
        let short = part.strip_prefix(end).and_then(|part| part.strip_prefix('_')).unwrap_or(part);
        unknown_among(&parts.collect::<Vec<_>>(), short)
    }

    /// The words of a category field.
    pub(crate) fn categories(&self, name: &str) -> Option<&[String]> {
        match &self.field(name)?.kind {
            FieldKind::Category { categories, .. } => Some(categories),
            FieldKind::Number { .. } => None,
        }
    }
}

fn unknown_among(names: &[&str], name: &str) -> Error {
    let near = names
        .iter()
        // The distance takes memory for each pair of letters, and a name can be megabytes long.
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 3 * 4)
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate))
        .min()
        // Short names are near to everything.
        .filter(|(distance, candidate)| *distance <= 3.min(candidate.len() / 2))
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default();
    Error::new(ErrorKind::UnknownField, format!("no such field; allowed: {}{near}", list(names)))
}

impl Coordinates {
    /// The four names: source latitude and longitude, destination latitude and longitude.
    ///
    /// ```
    /// let predictor = latency_core::Predictor::bundled()?;
    /// let names = predictor.schema().coordinates.as_ref().unwrap().names();
    /// assert_eq!(names, ["src_lat", "src_lon", "dst_lat", "dst_lon"]);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn names(&self) -> [&str; 4] {
        [&self.src_lat, &self.src_lon, &self.dst_lat, &self.dst_lon]
    }
}
