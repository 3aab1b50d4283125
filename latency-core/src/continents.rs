//! Continents by position, from a 1° grid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 180 rows of 360 letters, north first, from 180° west; made by `data/places/build_continents.py`.
static GRID: &[u8] = include_bytes!("../assets/continents.txt");

/// Letters of a row and its line feed.
const STRIDE: usize = 361;

/// The seven continents as `GeoNames` assigns them to countries.
///
/// Central America and the Caribbean belong to North America, Turkey to Asia, Cyprus to Europe; Russia is Europe up to
/// 60° east and Asia beyond.
///
/// ```
/// use latency_core::Continent;
///
/// assert_eq!(Continent::at(-1.29, 36.82), Continent::Africa);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Continent {
    /// `AF`
    #[serde(rename = "AF")]
    Africa,
    /// `AN`
    #[serde(rename = "AN")]
    Antarctica,
    /// `AS`
    #[serde(rename = "AS")]
    Asia,
    /// `EU`
    #[serde(rename = "EU")]
    Europe,
    /// `NA`
    #[serde(rename = "NA")]
    NorthAmerica,
    /// `OC`
    #[serde(rename = "OC")]
    Oceania,
    /// `SA`
    #[serde(rename = "SA")]
    SouthAmerica,
}

impl Continent {
    /// Every continent, in the order of their codes.
    ///
    /// ```
    /// assert_eq!(latency_core::Continent::ALL.map(|continent| continent.code()).join(" "), "AF AN AS EU NA OC SA");
    /// ```
    pub const ALL: [Self; 7] = [
        Self::Africa,
        Self::Antarctica,
        Self::Asia,
        Self::Europe,
        Self::NorthAmerica,
        Self::Oceania,
        Self::SouthAmerica,
    ];

    /// The two-letter code: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    ///
    /// ```
    /// assert_eq!(latency_core::Continent::NorthAmerica.code(), "NA");
    /// ```
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Africa => "AF",
            Self::Antarctica => "AN",
            Self::Asia => "AS",
            Self::Europe => "EU",
            Self::NorthAmerica => "NA",
            Self::Oceania => "OC",
            Self::SouthAmerica => "SA",
        }
    }

    /// The continent at a position in degrees; at sea, the continent of the nearest city.
    ///
    /// The grid is 1° wide, so a strait or a border is only as sharp as that. Latitudes beyond the poles count as the
    /// poles and longitudes wrap; a value that is not finite counts as 0 (callers validate before).
    ///
    /// ```
    /// use latency_core::Continent;
    ///
    /// assert_eq!(Continent::at(55.76, 37.62), Continent::Europe);
    /// assert_eq!(Continent::at(55.03, 82.92), Continent::Asia);
    /// ```
    #[must_use]
    #[expect(clippy::cast_sign_loss, reason = "both are clamped to 0 or more first")]
    pub fn at(lat: f64, lon: f64) -> Self {
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        let row = (90.0 - finite(lat)).clamp(0.0, 179.0) as usize;
        let column = libm::floor(finite(lon) + 180.0).rem_euclid(360.0).clamp(0.0, 359.0) as usize;
        match GRID.get(row * STRIDE + column) {
            Some(b'F') => Self::Africa,
            Some(b'A') => Self::Asia,
            Some(b'E') => Self::Europe,
            Some(b'N') => Self::NorthAmerica,
            Some(b'O') => Self::Oceania,
            Some(b'S') => Self::SouthAmerica,
            _ => Self::Antarctica,
        }
    }
}

impl fmt::Display for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_whole() {
        assert_eq!(GRID.len(), 180 * STRIDE);
        for row in GRID.chunks(STRIDE) {
            assert_eq!(row[360], b'\n');
            assert!(row[..360].iter().all(|letter| b"FQAENOS".contains(letter)));
        }
    }

    #[test]
    fn known_places() {
        for (lat, lon, expected) in [
            (51.51, -0.13, Continent::Europe),
            (35.68, 139.69, Continent::Asia),
            (40.71, -74.01, Continent::NorthAmerica),
            (19.43, -99.13, Continent::NorthAmerica),
            (-23.55, -46.63, Continent::SouthAmerica),
            (-33.87, 151.21, Continent::Oceania),
            (-36.85, 174.76, Continent::Oceania),
            (-1.29, 36.82, Continent::Africa),
            (30.04, 31.24, Continent::Africa),
            (55.76, 37.62, Continent::Europe),
            (55.03, 82.92, Continent::Asia),
            (66.3, -172.0, Continent::Asia),
            (64.15, -21.94, Continent::Europe),
            (64.18, -51.72, Continent::NorthAmerica),
            (-77.85, 166.67, Continent::Antarctica),
            (-54.8, -68.3, Continent::SouthAmerica),
        ] {
            assert_eq!(Continent::at(lat, lon), expected, "{lat},{lon}");
        }
    }

    #[test]
    fn edges_and_nonsense_do_not_panic() {
        assert_eq!(Continent::at(-90.0, 0.0), Continent::Antarctica);
        assert_eq!(Continent::at(0.0, 180.0), Continent::at(0.0, -180.0));
        assert_eq!(Continent::at(90.0, 180.0), Continent::at(90.0, -180.0));
        for lat in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 90.0, -90.0] {
            for lon in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 180.0, -180.0, -1e-300] {
                let _ = Continent::at(lat, lon);
            }
        }
    }

    #[test]
    fn codes() {
        assert_eq!(Continent::ALL.map(Continent::code), ["AF", "AN", "AS", "EU", "NA", "OC", "SA"]);
        assert_eq!(serde_json::to_string(&Continent::NorthAmerica).unwrap(), "\"NA\"");
    }
}
