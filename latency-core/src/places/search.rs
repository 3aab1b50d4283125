//! Names → places: cloud regions, airports, cities, by the tables of [`index`](super::index).

use std::borrow::Cow;

use super::index::{Airport, CloudRegion, Index, Qualifier};
use super::text::{key, thousands};
use super::{ALLOWED, MAX_CHARS, Place, PlaceKind, SAME_PLACE_KM, unknown};
use crate::error::list;
use crate::{Error, ErrorKind, Provider, Result, geo};

/// A city is meant by its bare name if it is this many times larger than the next of that name.
const CLEARLY_LARGER: u64 = 5;

/// The place of a name that is neither empty nor endless nor coordinates. `near` says whether to look for near names if there
/// is none.
pub(super) fn find(query: &str, near: bool) -> Result<Place> {
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
        Outcome::One(city) => Ok(city_place(index, city)),
        Outcome::Many(cities) => Err(ambiguous(index, query, &cities)),
        Outcome::Elsewhere(cities) => Err(elsewhere(index, query, &cities)),
        Outcome::None if near => Err(not_found(query, &near_names(index, query))),
        Outcome::None => Err(not_found(query, "")),
    }
}

/// What [`Place::suggest`] does.
pub(super) fn suggest(prefix: &str, limit: usize) -> Vec<Place> {
    if prefix.is_empty() || limit == 0 || prefix.len() > MAX_CHARS {
        return Vec::new();
    }
    let index = Index::get();
    let mut places: Vec<Place> = Vec::new();
    if prefix.bytes().all(|byte| byte.is_ascii_uppercase()) {
        places.extend(index.airport(prefix).map(Place::from));
    }
    let is_region = prefix.contains([':', '-']);
    if is_region {
        places.extend(suggested_regions(index, prefix).take(limit - places.len().min(limit)));
    }
    let cities = if prefix.contains(':') { Vec::new() } else { suggested_cities(index, prefix, limit) };
    places.extend(cities.into_iter().map(|city| city_place(index, city)));
    if !is_region && prefix.len() > 1 {
        places.extend(suggested_regions(index, prefix).take(limit));
    }
    places.truncate(limit);
    places
}

/// What [`Place::cloud_regions`] does.
pub(super) fn cloud_regions() -> impl Iterator<Item = Place> {
    Index::get().cloud_regions.iter().map(Place::from)
}

fn city_place(index: &Index, number: usize) -> Place {
    let city = &index.cities[number];
    let state = index.state_of(city);
    Place {
        name: Cow::Borrowed(city.name),
        region: Some(state.label).filter(|label| !label.is_empty()).map(Cow::Borrowed),
        country: Some(Cow::Borrowed(state.country)),
        lat: city.position.lat(),
        lon: city.position.lon(),
        kind: PlaceKind::City,
    }
}

impl From<&CloudRegion> for Place {
    fn from(region: &CloudRegion) -> Self {
        Self {
            name: Cow::Borrowed(region.city),
            region: Some(region.state).filter(|state| !state.is_empty()).map(Cow::Borrowed),
            country: Some(Cow::Borrowed(region.country)),
            lat: region.lat,
            lon: region.lon,
            kind: PlaceKind::CloudRegion { provider: region.provider, region: Cow::Borrowed(region.name) },
        }
    }
}

impl From<&Airport> for Place {
    fn from(airport: &Airport) -> Self {
        Self {
            name: Cow::Owned(airport.name()),
            region: None,
            country: Some(Cow::Borrowed(airport.country)),
            lat: airport.position.lat(),
            lon: airport.position.lon(),
            kind: PlaceKind::Airport { iata: Cow::Borrowed(airport.iata) },
        }
    }
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
        let mut vendors: Vec<_> = index.cloud_regions.iter().map(|region| region.vendor).collect();
        vendors.sort_unstable();
        vendors.dedup();
        return Err(unknown(format!(
            "found the cloud provider `{vendor}` in `{query}`; allowed before the colon: {}; write one of these, or give \
             the region's city or `lat,lon`",
            list(vendors)
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
        "found `{query}`, which is no cloud region that is known; near names: {}; write one of these, or give the region's \
         city or `lat,lon`",
        list(near)
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

/// Whether this text leads to this city.
fn leads_to(index: &Index, text: &str, number: usize) -> bool {
    matches!(Search::new(index, text).outcome(), Outcome::One(found) if found == number)
}

/// The largest five as texts that can be typed back.
fn candidates(index: &Index, cities: &[usize]) -> String {
    const SHOWN: usize = 5;
    let texts = cities.iter().take(SHOWN).map(|&number| {
        let place = city_place(index, number);
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
        "found `{query}`, the name of {} places, none clearly the largest; allowed (with population): {}; write one of \
         these, or `lat,lon`",
        cities.len(),
        candidates(index, cities)
    );
    Error::new(ErrorKind::AmbiguousPlace, message)
}

fn elsewhere(index: &Index, query: &str, cities: &[usize]) -> Error {
    unknown(format!(
        "found `{query}`, the name of no place in that state or country; allowed (with population): {}; write one of \
         these, or `lat,lon`",
        candidates(index, cities)
    ))
}

/// `near names: `London`; `, or nothing.
fn near_names(index: &Index, query: &str) -> String {
    let mut near: Vec<String> = Vec::new();
    // A lower-case airport code is the likeliest slip.
    let upper = query.to_ascii_uppercase();
    near.extend(index.airport(&upper).map(|airport| format!("`{}`", airport.iata)));
    let name = Search::new(index, query).name;
    for number in index.near(&name) {
        let place = city_place(index, number);
        let short = place.name.clone().into_owned();
        let text = if leads_to(index, &short, number) { short } else { place.to_string() };
        near.push(format!("`{text}`"));
    }
    near.truncate(3);
    if near.is_empty() { String::new() } else { format!("near names: {}; ", list(near)) }
}

fn not_found(query: &str, near: &str) -> Error {
    unknown(format!(
        "found `{query}`, the name of no city of 15,000 people or more, no airport and no cloud region; {near}allowed: \
         {ALLOWED}"
    ))
}
