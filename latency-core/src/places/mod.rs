//! Places by name: coordinates, cloud regions, airports and cities.

#[cfg(feature = "places")]
mod index;
#[cfg(feature = "places")]
mod search;
#[cfg_attr(not(feature = "places"), expect(dead_code, reason = "the search needs the rest"))]
mod text;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::number;
use crate::{Error, ErrorKind, Provider, Result};

/// Whose data the names and positions are; show it where you show places to the public.
///
/// ```
/// assert!(latency_core::ATTRIBUTION.contains("GeoNames"));
/// ```
#[cfg(feature = "places")]
pub const ATTRIBUTION: &str = "Cities: GeoNames (https://www.geonames.org), CC BY 4.0, abridged. \
     Airports: airportsdata (https://github.com/mborsetti/airportsdata), MIT, abridged.";

/// Longer names are refused before anything is done with them.
const MAX_CHARS: usize = 200;

/// How far a position that a caller gives may be from the true one, km.
pub(crate) const COORDINATES_UNCERTAINTY_KM: f64 = 10.0;

/// Cities of one name this close together count as one: the RTT differs by half a millisecond.
const SAME_PLACE_KM: f64 = 50.0;

const ALLOWED: &str = "a city (`London`, `London, CA`, `Portland, OR`), an airport's IATA code in capitals (`LHR`), \
     a cloud region (`aws:eu-west-2`), or `lat,lon` in degrees (`51.51,-0.13`)";

/// What kind of place a name stands for.
///
/// ```
/// use latency_core::{Place, PlaceKind};
///
/// match Place::find("LHR")?.kind {
///     PlaceKind::Airport { iata } => assert_eq!(iata, "LHR"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlaceKind {
    /// A region of a cloud provider, such as `aws:us-east-1`.
    CloudRegion {
        /// Whose region it is.
        provider: Provider,
        /// The provider's name for it, `us-east-1`.
        region: Cow<'static, str>,
    },
    /// An airport.
    Airport {
        /// Its IATA code, three upper-case letters.
        iata: Cow<'static, str>,
    },
    /// A city or town.
    City,
    /// A position given as `lat,lon`.
    Coordinates,
}

/// A place with its position, in hundredths of a degree for cities and airports.
///
/// `Display` writes the full form, `Portland, OR, US`, `LHR` or `aws:eu-west-2`. [`Place::find`] leads back from it to
/// this place, except where two towns of one state share a name. Its JSON has that form beside the fields, as `label`, and
/// is understood as an end of a row, `{"src": {"name": "London", …, "access": "wifi"}}`.
///
/// ```
/// use latency_core::{Place, PlaceKind};
///
/// let place: Place = "Portland, OR".parse()?;
/// assert_eq!((place.to_string().as_str(), &place.kind), ("Portland, OR, US", &PlaceKind::City));
/// assert_eq!(Place::find("aws:eu-west-2")?.name, "London");
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Place {
    /// Name to show, with its accents: of the city for cities and cloud regions, of the airport for airports.
    pub name: Cow<'static, str>,
    /// State or province, where known: its usual code (`OR`) or its name.
    #[serde(default)]
    pub region: Option<Cow<'static, str>>,
    /// ISO 3166-1 alpha-2 country code. `None` for coordinates.
    #[serde(default)]
    pub country: Option<Cow<'static, str>>,
    /// Latitude in degrees, WGS 84, −90 to 90.
    pub lat: f64,
    /// Longitude in degrees, WGS 84, −180 to 180.
    pub lon: f64,
    /// What kind of place it is.
    pub kind: PlaceKind,
}

impl Place {
    /// Finds a place by name: `lat,lon` in degrees, a cloud region (`aws:us-east-1`, or `us-east-1` where only one
    /// provider has it), an airport's IATA code in capitals, or a city, in this order.
    ///
    /// Accents, case, spaces and punctuation of cities do not matter. After a comma may stand the country (ISO 3166
    /// code or name) or the state (code or name), or both: `Portland, OR`, `Paris, Texas, US`. The largest city of
    /// that name is meant if it has at least five times the population of the next. Districts of a larger city never
    /// win against a city, and cities of one name within 50 km of each other count as one.
    ///
    /// ```
    /// use latency_core::Place;
    ///
    /// let place = Place::find("sao paulo")?;
    /// assert_eq!(place.name, "São Paulo");
    /// assert_eq!(place.to_string(), "São Paulo, SP, BR");
    /// assert_eq!((place.lat, place.lon), (-23.55, -46.64));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownPlace`] if there is no such place, [`ErrorKind::AmbiguousPlace`] if several have the name
    /// and none is clearly the largest, [`ErrorKind::InvalidField`] with the field `lat` or `lon` for coordinates out
    /// of range. The message says what to write instead.
    pub fn find(query: &str) -> Result<Self> {
        Self::find_by(query, true)
    }

    /// [`find`](Self::find) that does not look for near names if there is no place of this name: that takes a tenth of a
    /// millisecond, a hundred times as long as the rest.
    pub(crate) fn find_briefly(query: &str) -> Result<Self> {
        Self::find_by(query, false)
    }

    #[cfg_attr(not(feature = "places"), expect(unused_variables, reason = "there are no names to look for"))]
    fn find_by(query: &str, near: bool) -> Result<Self> {
        let query = query.trim();
        if query.is_empty() {
            return Err(unknown(format!("found an empty name; allowed: {ALLOWED}")));
        }
        let found = if query.len() > MAX_CHARS { query.chars().count() } else { 0 };
        if found > MAX_CHARS {
            return Err(unknown(format!(
                "found a name of {found} characters; allowed, in up to {MAX_CHARS} characters: {ALLOWED}"
            )));
        }
        if let Some((lat, lon)) = parse_coordinates(query) {
            return Self::at(lat, lon);
        }
        #[cfg(feature = "places")]
        return search::find(query, near);
        #[cfg(not(feature = "places"))]
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "found the name `{query}`, but this build knows no names of places; give `lat,lon` in degrees, or build \
                 latency-core with its feature `places`"
            ),
        ))
    }

    /// A place at these coordinates in degrees.
    ///
    /// ```
    /// use latency_core::Place;
    ///
    /// assert_eq!(Place::at(51.51, -0.13)?, Place::find("51.51,-0.13")?);
    /// assert_eq!(Place::at(0.0, 181.0).unwrap_err().field(), Some("lon"));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] with the field `lat` (−90 to 90) or `lon` (−180 to 180).
    pub fn at(lat: f64, lon: f64) -> Result<Self> {
        for (field, value, limit) in [("lat", lat, 90.0), ("lon", lon, 180.0)] {
            if !(-limit..=limit).contains(&value) {
                let message = format!(
                    "found {}; allowed: a number from -{limit} to {limit} (degree); latitude comes first, as in \
                     `51.51,-0.13`",
                    number(value)
                );
                return Err(Error::new(ErrorKind::InvalidField, message).with_field(field));
            }
        }
        // No negative zero, which would print as `-0`.
        let (lat, lon) = (lat + 0.0, lon + 0.0);
        let name = Cow::Owned(format!("{lat},{lon}"));
        Ok(Self { name, region: None, country: None, lat, lon, kind: PlaceKind::Coordinates })
    }

    /// Up to `limit` places whose name starts with `prefix`, the largest first: for completion while typing.
    ///
    /// An airport comes first if the prefix is its code in capitals. With a `:` in it, the prefix means cloud regions only;
    /// with a `-`, they come first. After a comma, beginnings of states and countries narrow the list: `Springfield, M`.
    ///
    /// ```
    /// use latency_core::Place;
    ///
    /// let names: Vec<_> = Place::suggest("san f", 2).iter().map(|place| place.to_string()).collect();
    /// assert_eq!(names, ["San Francisco, CA, US", "San Fernando, Central Luzon, PH"]);
    /// ```
    #[cfg(feature = "places")]
    #[must_use]
    pub fn suggest(prefix: &str, limit: usize) -> Vec<Self> {
        search::suggest(prefix.trim(), limit)
    }

    /// Every cloud region that is known by name, provider by provider: candidates to rank.
    ///
    /// ```
    /// use latency_core::{Place, Provider};
    ///
    /// let aws: Vec<_> = Place::cloud_regions().filter(|region| region.provider() == Some(Provider::Aws)).collect();
    /// assert!(aws.len() > 30 && aws.iter().any(|region| region.to_string() == "aws:eu-west-2"));
    /// ```
    #[cfg(feature = "places")]
    pub fn cloud_regions() -> impl Iterator<Item = Self> {
        search::cloud_regions()
    }

    /// Reads a place from its JSON, as it was written by `Serialize`; `label` does not matter.
    ///
    /// ```
    /// use latency_core::Place;
    ///
    /// let place = Place::find("aws:eu-west-2")?;
    /// assert_eq!(Place::from_json(serde_json::to_value(&place).unwrap())?, place);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] if it is no place, and as [`at`](Self::at).
    pub fn from_json(json: serde_json::Value) -> Result<Self> {
        let place: Self = serde_json::from_value(json).map_err(|error| {
            Error::new(
                ErrorKind::InvalidField,
                "found an object with `kind` that is no place; allowed: a place as it was found, the name of a place, or an \
                 object with `lat` and `lon`, or with `place`",
            )
            .with_source(error)
        })?;
        Self::at(place.lat, place.lon)?;
        Ok(place)
    }

    /// Whether a place's JSON has this key. What else stands beside it tells of the end, such as `access`.
    #[doc(hidden)]
    #[must_use]
    pub fn has_key(key: &str) -> bool {
        ["label", "name", "region", "country", "lat", "lon"].contains(&key) || Self::is_kind(key)
    }

    /// Whether this is the key that tells a place from an end, if an object stands under it: no field of an end is one.
    #[doc(hidden)]
    #[must_use]
    pub fn is_kind(key: &str) -> bool {
        key == "kind"
    }

    /// The provider, if this is a cloud region.
    ///
    /// ```
    /// use latency_core::{Place, Provider};
    ///
    /// assert_eq!(Place::find("gcp:us-east1")?.provider(), Some(Provider::Gcp));
    /// assert_eq!(Place::find("London")?.provider(), None);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn provider(&self) -> Option<Provider> {
        match self.kind {
            PlaceKind::CloudRegion { provider, .. } => Some(provider),
            _ => None,
        }
    }

    /// How far from this position something at this place may be, km: 100 for a cloud region, whose data centres lie around
    /// the city that the provider names; 50 for a city; 10 for an airport and for coordinates.
    ///
    /// ```
    /// assert_eq!(latency_core::Place::find("aws:us-east-1")?.uncertainty_km(), 100.0);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn uncertainty_km(&self) -> f64 {
        match self.kind {
            PlaceKind::CloudRegion { .. } => 100.0,
            PlaceKind::City => SAME_PLACE_KM,
            PlaceKind::Airport { .. } | PlaceKind::Coordinates => COORDINATES_UNCERTAINTY_KM,
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self { name, region, country, lat, lon, kind } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("label", &self.to_string())?;
        map.serialize_entry("name", name)?;
        for (key, part) in [("region", region), ("country", country)] {
            if let Some(part) = part {
                map.serialize_entry(key, part)?;
            }
        }
        map.serialize_entry("lat", lat)?;
        map.serialize_entry("lon", lon)?;
        map.serialize_entry("kind", kind)?;
        map.end()
    }
}

impl FromStr for Place {
    type Err = Error;

    /// [`Place::find`].
    fn from_str(query: &str) -> Result<Self> {
        Self::find(query)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PlaceKind::CloudRegion { provider, region } => write!(f, "{provider}:{region}"),
            PlaceKind::Airport { iata } => f.write_str(iata),
            PlaceKind::City | PlaceKind::Coordinates => {
                f.write_str(&self.name)?;
                for part in [&self.region, &self.country].into_iter().flatten() {
                    write!(f, ", {part}")?;
                }
                Ok(())
            }
        }
    }
}

/// `lat,lon`, each perhaps with a degree sign. Words and half coordinates are none.
fn parse_coordinates(query: &str) -> Option<(f64, f64)> {
    let degrees = |text: &str| -> Option<f64> {
        let text = text.trim();
        let text = text.strip_suffix('°').unwrap_or(text).trim_end();
        match text.strip_prefix('−') {
            // The sign must not be doubled.
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                rest.parse::<f64>().ok().map(|x| -x)
            }
            Some(_) => None,
            None => text.parse().ok(),
        }
    };
    let (lat, lon) = query.split_once(',')?;
    Some((degrees(lat)?, degrees(lon)?))
}

fn unknown(message: String) -> Error {
    Error::new(ErrorKind::UnknownPlace, message)
}
