//! What training saw, beyond single fields: parts of the Earth, and categories of the two ends together.

use serde::{Deserialize, Serialize};

use super::Schema;

/// More pairs would make loading slow: each is looked for among all categories.
const MAX_PAIRS: usize = 1000;

/// Side of a cell, degrees.
const CELL_DEGREES: f64 = 5.0;
const COLUMNS: usize = 72;
const ROWS: usize = 36;
const DIGITS: usize = COLUMNS * ROWS / 4;

/// The parts of the Earth that have a place of training near by, as a coarse grid, so that the places themselves stay
/// private.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let coordinates = predictor.schema().coordinates.as_ref().expect("the bundled model knows places");
/// let regions = coordinates.seen_regions.as_ref().expect("and where its data are from");
/// assert!(regions.contains(48.86, 2.35) && !regions.contains(72.5, -40.0));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SeenRegions {
    /// A cell counts as seen if training saw a place within this distance of its middle, km.
    pub within_km: f64,
    /// One bit per cell of 5° by 5°, in hexadecimal digits, the highest bit of a digit first: rows from south to north,
    /// each from 180° W to the east.
    pub cells: String,
}

impl SeenRegions {
    /// Whether the cell of this position, in degrees, was seen.
    ///
    /// ```
    /// use latency_core::schema::SeenRegions;
    ///
    /// // One cell, which ends at the south pole and at 180° W.
    /// let cells = format!("8{}", "0".repeat(647));
    /// let regions: SeenRegions = serde_json::from_str(&format!(r#"{{"within_km": 1000, "cells": "{cells}"}}"#))?;
    /// assert!(regions.contains(-89.9, -179.9) && !regions.contains(-84.9, -179.9));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn contains(&self, lat: f64, lon: f64) -> bool {
        let cell = cell(lat, lon);
        self.cells
            .as_bytes()
            .get(cell / 4)
            .and_then(|digit| char::from(*digit).to_digit(16))
            .is_some_and(|bits| bits >> (3 - cell % 4) & 1 == 1)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let digits = self.cells.len() == DIGITS && self.cells.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits && self.within_km.is_finite() && self.within_km > 0.0 {
            return Ok(());
        }
        Err(format!(
            "found {} cells of seen regions, within {} km; allowed: {DIGITS} hexadecimal digits, and a number above 0",
            self.cells.len(),
            self.within_km
        ))
    }
}

/// The index of the cell that a position lies in. The poles belong to the rows that end there, 180° E to 180° W.
#[expect(clippy::cast_sign_loss, reason = "casts saturate at 0")]
fn cell(lat: f64, lon: f64) -> usize {
    let row = ((lat + 90.0) / CELL_DEGREES) as usize;
    let column = ((lon + 180.0) / CELL_DEGREES) as usize;
    row.min(ROWS - 1) * COLUMNS + column % COLUMNS
}

/// Which categories of the two ends training saw together, whichever end had which.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let seen = predictor.schema().seen_pairs.as_ref().expect("the bundled model says what it saw together");
/// assert_eq!(seen.fields, ["src_access", "dst_access"]);
/// assert!(seen.contain("wifi", "server") && seen.contain("server", "wifi") && !seen.contain("wifi", "wifi"));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SeenPairs {
    /// The category fields, one per end.
    pub fields: [String; 2],
    /// The pairs, each in any order.
    pub pairs: Vec<[String; 2]>,
}

impl SeenPairs {
    /// Whether training saw these two categories together.
    ///
    /// ```
    /// use latency_core::schema::SeenPairs;
    ///
    /// let seen: SeenPairs = serde_json::from_str(r#"{"fields": ["from", "to"], "pairs": [["fibre", "radio"]]}"#)?;
    /// assert!(seen.contain("radio", "fibre") && !seen.contain("radio", "radio"));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn contain(&self, src: &str, dst: &str) -> bool {
        self.partners(src).any(|partner| partner == dst)
    }

    /// What training saw at the other end of this category.
    pub(crate) fn partners(&self, word: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter_map(move |[a, b]| match word {
            _ if word == a => Some(b.as_str()),
            _ if word == b => Some(a.as_str()),
            _ => None,
        })
    }

    pub(super) fn check(&self, schema: &Schema) -> Result<(), String> {
        if self.pairs.len() > MAX_PAIRS {
            return Err(format!("found {} seen pairs; allowed: up to {MAX_PAIRS}", self.pairs.len()));
        }
        for name in &self.fields {
            let categories = schema.categories(name).unwrap_or_default();
            let unknown = self.pairs.iter().flatten().find(|word| !categories.contains(word));
            if categories.is_empty() || unknown.is_some() {
                return Err(format!("the seen pairs need a category field `{name}`, with the categories of the pairs"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_has_a_cell_and_the_antimeridian_one() {
        for (lat, lon, expected) in [
            (-90.0, -180.0, 0),
            (-90.0, 180.0, 0),
            (-90.0, 179.99, 71),
            (-85.0, -180.0, 72),
            (0.0, 0.0, 18 * 72 + 36),
            (-0.0, -1e-300, 18 * 72 + 36),
            (90.0, 180.0, 35 * 72),
            (89.999_999, -0.1, 35 * 72 + 35),
        ] {
            assert_eq!(cell(lat, lon), expected, "{lat}, {lon}");
        }
    }
}
