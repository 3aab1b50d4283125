//! Places by name: coordinates, cloud regions, airports and cities.

mod index;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use self::index::{Airport, CloudRegion, Index, Qualifier};
use self::text::{key, quoted, thousands};
use crate::{Error, ErrorKind, Result, geo};

/// Whose data the names and positions are; show it where you show places to the public.
pub const ATTRIBUTION: &str = "Cities: GeoNames (https://www.geonames.org), CC BY 4.0, abridged. \
     Airports: airportsdata (https://github.com/mborsetti/airportsdata), MIT, abridged.";

/// Longer names are refused before anything is done with them.
const MAX_CHARS: usize = 200;

/// A city is meant by its bare name if it is this many times larger than the next of that name.
const CLEARLY_LARGER: u64 = 5;

/// Cities of one name this close together count as one: the RTT differs by half a millisecond.
const SAME_PLACE_KM: f64 = 50.0;

const ALLOWED: &str = "a city (`London`, `London, CA`, `Portland, OR`), an airport's IATA code in capitals (`LHR`), \
     a cloud region (`aws:eu-west-2`), or `lat,lon` in degrees (`51.51,-0.13`)";

/// A cloud provider, as in `src_provider` and `dst_provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Amazon Web Services, `aws`.
    Aws,
    /// Microsoft Azure, `azure`.
    Azure,
    /// Google Cloud, `gcp`.
    Gcp,
    /// Any other provider, `other`.
    Other,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 4] = [Self::Aws, Self::Azure, Self::Gcp, Self::Other];

    /// `aws`, `azure`, `gcp` or `other`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = Error;

    /// From `aws`, `azure`, `gcp` or `other`, in any case.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let found = if name.len() <= MAX_CHARS { quoted(name) } else { format!("{} bytes", name.len()) };
            Error::new(ErrorKind::InvalidField, format!("found {found}; allowed aws, azure, gcp, other"))
        })
    }
}

/// What kind of place a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlaceKind {
    /// A region of a cloud provider, such as `aws:us-east-1`.
    CloudRegion {
        /// Whose region it is.
        provider: Provider,
        /// The provider's name for it, `us-east-1`.
        region: &'static str,
    },
    /// An airport.
    Airport {
        /// Its IATA code, three upper-case letters.
        iata: &'static str,
    },
    /// A city or town.
    City,
    /// A position given as `lat,lon`.
    Coordinates,
}

/// A place with its position, in hundredths of a degree for cities and airports.
///
/// `Display` writes the full form, `Portland, OR, US`, `LHR` or `aws:eu-west-2`. [`Place::find`] leads back from it to
/// this place, except where two towns of one state share a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// Name to show, with its accents: of the city for cities and cloud regions, of the airport for airports.
    pub name: Cow<'static, str>,
    /// State or province, where known: its usual code (`OR`) or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'static str>,
    /// ISO 3166-1 alpha-2 country code. `None` for coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<&'static str>,
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
        let query = query.trim();
        if query.is_empty() {
            return Err(unknown(format!("found an empty name; allowed: {ALLOWED}")));
        }
        if query.len() > MAX_CHARS && query.chars().count() > MAX_CHARS {
            return Err(unknown(format!(
                "found a name of {} bytes; allowed: up to {MAX_CHARS} characters, {ALLOWED}",
                query.len()
            )));
        }
        if let Some((lat, lon)) = parse_coordinates(query) {
            return Self::at(lat, lon);
        }
        let index = Index::get();
        if let Some(region) = find_cloud_region(index, query)? {
            return Ok(region.into());
        }
        if let [a, b, c] = *query.as_bytes()
            && [a, b, c].iter().all(u8::is_ascii_uppercase)
            && let Some(airport) = index.airport(query)
        {
            return Ok(airport.into());
        }
        match Search::new(index, query).outcome() {
            Outcome::One(city) => Ok(Self::city(index, city)),
            Outcome::Many(cities) => Err(ambiguous(index, query, &cities)),
            Outcome::Elsewhere(cities) => Err(elsewhere(index, query, &cities)),
            Outcome::None => Err(not_found(index, query)),
        }
    }

    /// A place at these coordinates in degrees.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] with the field `lat` (−90 to 90) or `lon` (−180 to 180).
    pub fn at(lat: f64, lon: f64) -> Result<Self> {
        for (field, value, limit) in [("lat", lat, 90.0), ("lon", lon, 180.0)] {
            if !(-limit..=limit).contains(&value) {
                let message = format!(
                    "found {value}; allowed -{limit} to {limit} (degrees; latitude comes first, as in `51.51,-0.13`)"
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
    /// An airport comes first if the prefix is its code in capitals, cloud regions if it holds a `:` or `-`. After a
    /// comma, beginnings of states and countries narrow the list: `Springfield, M`.
    #[must_use]
    pub fn suggest(prefix: &str, limit: usize) -> Vec<Self> {
        let prefix = prefix.trim();
        if prefix.is_empty() || limit == 0 || prefix.len() > MAX_CHARS {
            return Vec::new();
        }
        let index = Index::get();
        let mut places: Vec<Self> = Vec::new();
        if prefix.bytes().all(|byte| byte.is_ascii_uppercase()) {
            places.extend(index.airport(prefix).map(Self::from));
        }
        let is_region = prefix.contains([':', '-']);
        if is_region {
            places.extend(suggested_regions(index, prefix).take(limit - places.len().min(limit)));
        }
        places.extend(suggested_cities(index, prefix, limit).into_iter().map(|city| Self::city(index, city)));
        if !is_region && prefix.len() > 1 {
            places.extend(suggested_regions(index, prefix).take(limit));
        }
        places.truncate(limit);
        places
    }

    /// The provider, if this is a cloud region.
    #[must_use]
    pub fn provider(&self) -> Option<Provider> {
        match self.kind {
            PlaceKind::CloudRegion { provider, .. } => Some(provider),
            _ => None,
        }
    }

    fn city(index: &Index, number: usize) -> Self {
        let city = &index.cities[number];
        let state = index.state_of(city);
        Self {
            name: Cow::Borrowed(city.name),
            region: Some(state.label).filter(|label| !label.is_empty()),
            country: Some(state.country),
            lat: city.position.lat(),
            lon: city.position.lon(),
            kind: PlaceKind::City,
        }
    }
}

impl From<&CloudRegion> for Place {
    fn from(region: &CloudRegion) -> Self {
        Self {
            name: Cow::Borrowed(region.city),
            region: Some(region.state).filter(|state| !state.is_empty()),
            country: Some(region.country),
            lat: region.lat,
            lon: region.lon,
            kind: PlaceKind::CloudRegion { provider: region.provider, region: region.name },
        }
    }
}

impl From<&Airport> for Place {
    fn from(airport: &Airport) -> Self {
        Self {
            name: Cow::Owned(airport.name()),
            region: None,
            country: Some(airport.country),
            lat: airport.position.lat(),
            lon: airport.position.lon(),
            kind: PlaceKind::Airport { iata: airport.iata },
        }
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
        match self.kind {
            PlaceKind::CloudRegion { provider, region } => write!(f, "{provider}:{region}"),
            PlaceKind::Airport { iata } => f.write_str(iata),
            PlaceKind::City | PlaceKind::Coordinates => {
                f.write_str(&self.name)?;
                for part in [self.region, self.country].into_iter().flatten() {
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

/// The cloud region of this name, none if the text does not look like one.
fn find_cloud_region(index: &'static Index, query: &str) -> Result<Option<&'static CloudRegion>> {
    let Some((vendor, name)) = query.split_once(':') else {
        // Regions of other providers are named like cities: theirs need the provider.
        let mut named = index
            .cloud_regions
            .iter()
            .filter(|region| region.provider != Provider::Other && region.name.eq_ignore_ascii_case(query));
        let first = named.next();
        return Ok(if named.next().is_none() { first } else { None });
    };
    let (vendor, name) = (vendor.trim(), name.trim());
    let is_vendor = |region: &&CloudRegion| {
        region.vendor.eq_ignore_ascii_case(vendor) || region.provider.as_str().eq_ignore_ascii_case(vendor)
    };
    let mut known = index.cloud_regions.iter().filter(is_vendor).peekable();
    if known.peek().is_none() {
        return Err(unknown(format!(
            "found the provider {} in {}; allowed before a colon: aws, azure, gcp, other",
            quoted(vendor),
            quoted(query)
        )));
    }
    if let Some(region) = known.clone().find(|region| region.name.eq_ignore_ascii_case(name)) {
        return Ok(Some(region));
    }
    let lower = name.to_ascii_lowercase();
    let mut near: Vec<_> =
        known.map(|region| (strsim::osa_distance(&lower, &region.name.to_ascii_lowercase()), region)).collect();
    near.sort_by_key(|&(distance, region)| (distance, region.name));
    let near = near.iter().take(3).map(|(_, region)| format!("`{}:{}`", region.vendor, region.name));
    Err(unknown(format!(
        "found {}, which is not in the table of cloud regions; near names: {}; or give its city or `lat,lon`",
        quoted(query),
        crate::error::list(near)
    )))
}

/// A city's name taken apart.
struct Search<'a> {
    index: &'a Index,
    name: String,
    qualifiers: Vec<Qualifier>,
}

/// What a search leads to: numbers of cities, the largest first.
enum Outcome {
    One(usize),
    Many(Vec<usize>),
    /// The name is known, but not in that state or country.
    Elsewhere(Vec<usize>),
    None,
}

impl<'a> Search<'a> {
    fn new(index: &'a Index, query: &str) -> Self {
        let mut parts = query.split(',');
        let name = key(parts.next().unwrap_or_default());
        let qualifiers = parts.filter(|part| !part.trim().is_empty()).map(|part| index.qualifier(part)).collect();
        Self { index, name, qualifiers }
    }

    /// The cities that fit, the largest first.
    fn cities(&self) -> impl Iterator<Item = usize> + Clone {
        self.index.named(&self.name).filter(|&number| {
            let state = self.index.state_of(&self.index.cities[number]);
            self.qualifiers.iter().all(|qualifier| state.is_meant(qualifier))
        })
    }

    fn outcome(mut self) -> Outcome {
        if let Some(outcome) = self.choose() {
            return outcome;
        }
        let elsewhere: Vec<_> = self.index.named(&self.name).collect();
        // `Portland OR`, `London UK`, `Raleigh North Carolina`: the last words may be the state or the country.
        let words = self.name.clone();
        for (at, _) in words.rmatch_indices(' ').take(3) {
            self.qualifiers.push(self.index.qualifier(&words[at + 1..]));
            words[..at].clone_into(&mut self.name);
            if let Some(outcome) = self.choose() {
                return outcome;
            }
            self.qualifiers.pop();
        }
        if elsewhere.is_empty() { Outcome::None } else { Outcome::Elsewhere(elsewhere) }
    }

    /// The rule for several cities of one name.
    fn choose(&self) -> Option<Outcome> {
        let cities = self.cities();
        let first = cities.clone().next()?;
        let best = &self.index.cities[first];
        let is_rival = |number: &usize| {
            let other = &self.index.cities[*number];
            let by_size = u64::from(best.population) < CLEARLY_LARGER * u64::from(other.population);
            let (a, b) = (best.position, other.position);
            *number != first
                && (if best.district { by_size || !other.district } else { by_size && !other.district })
                && geo::distance_km(a.lat(), a.lon(), b.lat(), b.lon()) > SAME_PLACE_KM
        };
        Some(if cities.clone().any(|number| is_rival(&number)) {
            Outcome::Many(cities.collect())
        } else {
            Outcome::One(first)
        })
    }
}

fn suggested_cities(index: &Index, prefix: &str, limit: usize) -> Vec<usize> {
    let (name, rest) = prefix.split_once(',').map_or((prefix, None), |(name, rest)| (name, Some(rest)));
    let name = key(name);
    if name.is_empty() {
        return Vec::new();
    }
    let mut cities: Vec<_> = match rest {
        None => index.beginning(&name).collect(),
        Some(rest) => {
            let qualifiers: Vec<_> = rest.split(',').map(|part| index.qualifier(part)).collect();
            let fits = |&number: &usize| {
                let state = index.state_of(&index.cities[number]);
                qualifiers.iter().all(|qualifier| state.may_be_meant(qualifier))
            };
            index.named(&name).filter(fits).collect()
        }
    };
    cities.sort_unstable();
    cities.dedup();
    cities.truncate(limit);
    cities
}

fn suggested_regions<'a>(index: &'a Index, prefix: &'a str) -> impl Iterator<Item = Place> + 'a {
    let starts =
        |text: &str, prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    index
        .cloud_regions
        .iter()
        .filter(move |region| match prefix.split_once(':') {
            Some((vendor, name)) => {
                [region.vendor, region.provider.as_str()].iter().any(|v| v.eq_ignore_ascii_case(vendor.trim()))
                    && starts(region.name, name.trim())
            }
            None => {
                region.provider != Provider::Other && (starts(region.vendor, prefix) || starts(region.name, prefix))
            }
        })
        .map(Place::from)
}

fn unknown(message: String) -> Error {
    Error::new(ErrorKind::UnknownPlace, message)
}

/// Whether this text leads to this city.
fn leads_to(index: &Index, text: &str, number: usize) -> bool {
    matches!(Search::new(index, text).outcome(), Outcome::One(found) if found == number)
}

/// The largest five as texts that can be typed back.
fn candidates(index: &Index, cities: &[usize]) -> String {
    const SHOWN: usize = 5;
    let texts = cities.iter().take(SHOWN).map(|&number| {
        let place = Place::city(index, number);
        let population = thousands(index.cities[number].population);
        let full = place.to_string();
        if leads_to(index, &full, number) {
            format!("{full} ({population})")
        } else {
            format!("{},{} ({full}, {population})", place.lat, place.lon)
        }
    });
    let list = texts.collect::<Vec<_>>().join("; ");
    match cities.len().saturating_sub(SHOWN) {
        0 => list,
        more => format!("{list}; and {more} more"),
    }
}

fn ambiguous(index: &Index, query: &str, cities: &[usize]) -> Error {
    let message = format!(
        "found {}, the name of {} places, none clearly the largest (by population): {}; write one of these, or `lat,lon`",
        quoted(query),
        cities.len(),
        candidates(index, cities)
    );
    Error::new(ErrorKind::AmbiguousPlace, message)
}

fn elsewhere(index: &Index, query: &str, cities: &[usize]) -> Error {
    unknown(format!(
        "found {}; no place of this name is there, but (by population): {}; write one of these, or `lat,lon`",
        quoted(query),
        candidates(index, cities)
    ))
}

fn not_found(index: &Index, query: &str) -> Error {
    let mut near: Vec<String> = Vec::new();
    // A lower-case airport code is the likeliest slip.
    let upper = query.to_ascii_uppercase();
    near.extend(index.airport(&upper).map(|airport| format!("`{}`", airport.iata)));
    let name = Search::new(index, query).name;
    for number in index.near(&name) {
        let place = Place::city(index, number);
        let short = place.name.clone().into_owned();
        let text = if leads_to(index, &short, number) { short } else { place.to_string() };
        near.push(format!("`{text}`"));
    }
    near.truncate(3);
    let near = if near.is_empty() { String::new() } else { format!("near names: {}; ", crate::error::list(near)) };
    unknown(format!(
        "found {}, which no city of 15,000 people or more, airport or cloud region is called; {near}allowed: {ALLOWED}",
        quoted(query)
    ))
}
