//! What the access at both ends adds to the way along the cables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Schema;

/// What the access at each end adds to the RTT along the cables, ms. Training learns the numbers.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let last_mile = predictor.schema().last_mile.as_ref().expect("the bundled model knows access");
/// assert!(last_mile.ms["server"] < last_mile.ms["cellular"]);
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LastMile {
    /// The category fields that decide, one per end.
    pub fields: Vec<String>,
    /// Per category.
    pub ms: BTreeMap<String, f64>,
    /// Where the category is missing.
    pub missing_ms: f64,
}

impl LastMile {
    /// What is wrong with it, if anything is.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), String> {
        if let Some(ms) = self.ms.values().chain([&self.missing_ms]).find(|ms| !(ms.is_finite() && **ms >= 0.0)) {
            return Err(format!("found a last mile of {ms} ms; allowed: numbers of at least 0"));
        }
        if !(1..=2).contains(&self.fields.len()) {
            return Err(format!("found {} fields in the last mile; allowed: one per end", self.fields.len()));
        }
        for name in &self.fields {
            let known =
                schema.categories(name).is_some_and(|words| words.iter().all(|word| self.ms.contains_key(word)));
            if !known {
                return Err(format!(
                    "the last mile needs a category field `{name}`, and the ms of each of its categories"
                ));
            }
        }
        Ok(())
    }
}
