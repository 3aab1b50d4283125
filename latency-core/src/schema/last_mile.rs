//! What the access at both ends adds to the way along the cables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FieldKind, Schema};

/// What the access at both ends does to the RTT along the cables: `cable_ms` times the factor of each end, plus the ms
/// of each. Training learns the numbers.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let last_mile = predictor.schema().last_mile.as_ref().expect("the bundled model knows access");
/// assert!(last_mile.kinds["server"].ms < last_mile.kinds["cellular"].ms);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LastMile {
    /// The category fields that decide, one per end.
    pub fields: Vec<String>,
    /// Per category.
    pub kinds: BTreeMap<String, Stretch>,
    /// Where the category is missing.
    pub missing: Stretch,
}

/// What one end's access does to the RTT along the cables.
///
/// ```
/// use latency_core::schema::Stretch;
///
/// let stretch: Stretch = serde_json::from_str(r#"{"factor": 1.1, "ms": 20.0}"#)?;
/// assert_eq!(stretch.ms, 20.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Stretch {
    /// Multiplies the RTT along the cables.
    pub factor: f64,
    /// Added to it, ms.
    pub ms: f64,
}

impl LastMile {
    /// What is wrong with it, if anything is.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), String> {
        let sound = |stretch: &Stretch| {
            stretch.factor.is_finite() && stretch.factor > 0.0 && stretch.ms.is_finite() && stretch.ms >= 0.0
        };
        if let Some(stretch) = self.kinds.values().chain([&self.missing]).find(|stretch| !sound(stretch)) {
            return Err(format!(
                "found a last mile of factor {} and {} ms; allowed: a factor above 0, and an RTT of at least 0",
                stretch.factor, stretch.ms
            ));
        }
        if !(1..=2).contains(&self.fields.len()) {
            return Err(format!("found {} fields in the last mile; allowed: one per end", self.fields.len()));
        }
        for name in &self.fields {
            match schema.field(name).map(|field| &field.kind) {
                Some(FieldKind::Category { categories, .. })
                    if categories.iter().all(|category| self.kinds.contains_key(category)) => {}
                _ => {
                    return Err(format!(
                        "the last mile needs a category field `{name}`, and a stretch for each of its categories"
                    ));
                }
            }
        }
        Ok(())
    }
}
