//! What training saw beside what is given, value by value.

use serde::{Deserialize, Serialize};

use crate::encode::category_index;
use crate::geo;
use crate::row::Value;
use crate::schema::{FieldKind, Schema};

/// What training saw of a field, beside the value that is given: see [`Predictor::ranges`](crate::Predictor::ranges).
///
/// ```
/// use latency_core::{Predictor, Row};
/// # fn main() -> latency_core::Result<()> {
/// let row = Row::between("London", "Tokyo")?.with("src_access", "wifi");
/// let ranges = Predictor::bundled()?.ranges(&row)?;
/// assert!(ranges.iter().any(|range| range.field == "src_access" && range.within));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FieldRange {
    /// The field by its flat name, or `distance_km`.
    pub field: String,
    /// The value that is given, or what follows from it.
    pub given: Value,
    /// What training saw; none if the model does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<Seen>,
    /// Whether the value is among what training saw; also if the model does not say.
    pub within: bool,
}

/// What training saw of a field.
///
/// ```
/// use latency_core::Seen;
///
/// let seen: Seen = serde_json::from_str("[1, 30]")?;
/// assert_eq!(seen, Seen::Between([1.0, 30.0]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Seen {
    /// The smallest and the largest number.
    Between([f64; 2]),
    /// The words.
    Words(Vec<String>),
}

/// The ranges of one encoded row.
pub(crate) fn ranges(schema: &Schema, row: &[f64]) -> Vec<FieldRange> {
    let given = schema.fields.iter().zip(row).filter(|(_, value)| !value.is_nan());
    let mut ranges: Vec<_> = given
        .map(|(field, value)| match &field.kind {
            FieldKind::Number { seen, .. } => between(field.name.clone(), *value, *seen),
            FieldKind::Category { categories, seen } => {
                let word = category_index(*value).and_then(|code| categories.get(code)).cloned().unwrap_or_default();
                let within = seen.contains(&word);
                let seen = Some(Seen::Words(seen.clone()));
                FieldRange { field: field.name.clone(), given: word.into(), seen, within }
            }
        })
        .collect();
    if let Some(coordinates) = &schema.coordinates {
        let ends = coordinates.names().map(|name| schema.field_index(name).and_then(|index| row.get(index)));
        if let [Some(src_lat), Some(src_lon), Some(dst_lat), Some(dst_lon)] = ends {
            let distance_km = geo::distance_km(*src_lat, *src_lon, *dst_lat, *dst_lon);
            let mut range = between("distance_km".to_owned(), distance_km, coordinates.seen_distance_km);
            // As it stands in the prediction.
            range.given = (distance_km as f32).into();
            ranges.push(range);
        }
    }
    ranges
}

fn between(field: String, value: f64, seen: Option<[f64; 2]>) -> FieldRange {
    let within = seen.is_none_or(|[low, high]| (low..=high).contains(&value));
    FieldRange { field, given: value.into(), seen: seen.map(Seen::Between), within }
}
