//! The embedded tables, read once at first use, and the sorted index of names.
//!
//! `data/places/README.md` describes the formats. A line that does not fit them would be skipped; a test checks that
//! none is.

use std::cmp::Ordering;
use std::sync::OnceLock;

use super::text::{key, push_key};
use crate::Provider;

static CITIES: &str = include_str!("../../assets/cities.txt");
static STATES: &str = include_str!("../../assets/states.txt");
static AIRPORTS: &str = include_str!("../../assets/airports.txt");
static COUNTRIES: &str = include_str!("../../assets/countries.txt");
static CLOUD_REGIONS: &str = include_str!("../../assets/cloud_regions.txt");

/// A position in hundredths of a degree (about 1 km, or 0.01 ms of RTT).
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    lat: i16,
    lon: i16,
}

impl Position {
    pub(super) fn lat(self) -> f64 {
        f64::from(self.lat) / 100.0
    }

    pub(super) fn lon(self) -> f64 {
        f64::from(self.lon) / 100.0
    }

    /// From five base-64 digits.
    fn parse(digits: &str) -> Option<Self> {
        let number = number(digits)?;
        let lat = i16::try_from(i64::from(number / 36001) - 9000).ok()?;
        let lon = i16::try_from(i64::from(number % 36001) - 18000).ok()?;
        (lat <= 9_000).then_some(Self { lat, lon })
    }
}

/// A city. Its number in [`Index::cities`] is its rank by population, from 0.
#[derive(Debug)]
pub(super) struct City {
    pub name: &'static str,
    pub population: u32,
    pub position: Position,
    /// Taken for a district of a larger city.
    pub district: bool,
    state: u16,
}

/// A state or province, or a country where it is not known.
#[derive(Debug)]
pub(super) struct State {
    pub country: &'static str,
    /// Its usual code, else its name, else empty.
    pub label: &'static str,
    code_key: String,
    name_key: String,
}

impl State {
    /// Whether a word after the comma means this state or its country.
    pub(super) fn is_meant(&self, qualifier: &Qualifier) -> bool {
        let word = qualifier.key.as_str();
        qualifier.country == Some(self.country)
            || self.country.eq_ignore_ascii_case(word)
            || (!word.is_empty() && (self.code_key == word || self.name_key == word))
    }

    /// The same for the beginning of a word.
    pub(super) fn may_be_meant(&self, qualifier: &Qualifier) -> bool {
        let word = qualifier.key.as_str();
        self.is_meant(qualifier)
            || self.code_key.starts_with(word)
            || self.name_key.starts_with(word)
            || self.country.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    }
}

/// What stands after a comma.
#[derive(Debug)]
pub(super) struct Qualifier {
    key: String,
    country: Option<&'static str>,
}

/// An airport.
#[derive(Debug)]
pub(super) struct Airport {
    pub iata: &'static str,
    pub country: &'static str,
    pub position: Position,
    name: &'static str,
}

impl Airport {
    /// The name with its shortened end written out.
    pub(super) fn name(&self) -> String {
        if let Some(name) = self.name.strip_suffix('~') {
            format!("{name} International Airport")
        } else if let Some(name) = self.name.strip_suffix('.') {
            name.to_owned()
        } else {
            format!("{} Airport", self.name)
        }
    }
}

/// A region of a cloud provider.
#[derive(Debug)]
pub(super) struct CloudRegion {
    pub provider: Provider,
    /// The provider's name in the table, which for `Provider::Other` says more.
    pub vendor: &'static str,
    pub name: &'static str,
    pub country: &'static str,
    pub state: &'static str,
    pub lat: f64,
    pub lon: f64,
    pub city: &'static str,
}

/// A name of a city.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The first eight bytes of the key, so that most comparisons stay within the entry.
    head: u64,
    start: u32,
    city: u32,
    /// One bit per letter that occurs: most names are told apart by it without looking at them.
    letters: u32,
    len: u16,
}

#[derive(Debug)]
pub(super) struct Index {
    pub cities: Vec<City>,
    pub cloud_regions: Vec<CloudRegion>,
    states: Vec<State>,
    airports: Vec<Airport>,
    countries: Vec<(&'static str, &'static str)>,
    entries: Vec<Entry>,
    keys: String,
}

impl Index {
    /// The one index, made at the first call.
    pub(super) fn get() -> &'static Self {
        static INDEX: OnceLock<Index> = OnceLock::new();
        INDEX.get_or_init(Self::read)
    }

    pub(super) fn read() -> Self {
        let mut index = Self {
            cities: Vec::with_capacity(35_000),
            cloud_regions: CLOUD_REGIONS.lines().filter_map(cloud_region).collect(),
            states: STATES.lines().filter_map(state).collect(),
            airports: airports(),
            countries: countries(),
            entries: Vec::with_capacity(50_000),
            keys: String::with_capacity(500_000),
        };
        let mut population = 0;
        for line in CITIES.lines() {
            if let Some(count) = line.strip_prefix('=') {
                population = count.parse().unwrap_or(0);
            } else {
                index.add_city(line, population);
            }
        }
        let keys = &index.keys;
        index.entries.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| a.key(keys).cmp(b.key(keys))).then(a.city.cmp(&b.city))
        });
        index
    }

    fn add_city(&mut self, line: &'static str, population: u32) -> Option<()> {
        let (digits, names) = line.split_at_checked(7)?;
        let position = Position::parse(digits.get(..5)?)?;
        let state = u16::try_from(number(digits.get(5..)?)?).ok().filter(|&s| usize::from(s) < self.states.len())?;
        let (name, aliases) = names.split_once(';').unwrap_or((names, ""));
        let (district, name) = name.strip_prefix('!').map_or((false, name), |name| (true, name));
        let start = self.keys.len();
        push_key(&mut self.keys, name);
        self.add_entry(start);
        for alias in aliases.split(';').filter(|alias| !alias.is_empty()) {
            let start = self.keys.len();
            self.keys.push_str(alias);
            self.add_entry(start);
        }
        self.cities.push(City { name, population, position, district, state });
        Some(())
    }

    /// Enters the key from `start` to the end for the city that comes next.
    fn add_entry(&mut self, start: usize) {
        let key = &self.keys.as_bytes()[start..];
        self.entries.push(Entry {
            head: head(key),
            start: start as u32,
            city: self.cities.len() as u32,
            letters: letters(key),
            len: key.len() as u16,
        });
    }

    /// The cities that have this key as a name, the largest first.
    pub(super) fn named<'a>(&'a self, key: &'a str) -> impl Iterator<Item = usize> + Clone + 'a {
        let order = self.order(key);
        let start = self.entries.partition_point(|entry| order(entry) == Ordering::Less);
        self.entries[start..].iter().take_while(move |entry| order(entry) == Ordering::Equal).map(|e| e.city as usize)
    }

    /// The cities with a name that begins with this key, in no order, some more than once.
    pub(super) fn beginning<'a>(&'a self, key: &'a str) -> impl Iterator<Item = usize> + 'a {
        let order = self.order(key);
        let start = self.entries.partition_point(|entry| order(entry) == Ordering::Less);
        self.entries[start..]
            .iter()
            .take_while(move |entry| entry.key(&self.keys).starts_with(key.as_bytes()))
            .map(|entry| entry.city as usize)
    }

    fn order<'a>(&'a self, key: &'a str) -> impl Fn(&Entry) -> Ordering + Clone + 'a {
        let key = key.as_bytes();
        let head = head(key);
        move |entry| entry.head.cmp(&head).then_with(|| entry.key(&self.keys).cmp(key))
    }

    /// Up to three cities with a name of few other letters, the nearest first.
    pub(super) fn near(&self, key: &str) -> Vec<usize> {
        let most = match key.len() {
            0..3 | 40.. => return Vec::new(),
            3..6 => 1,
            _ => 2,
        };
        let wanted = letters(key.as_bytes());
        let first = head(key.as_bytes()) >> 56;
        let mut best: Vec<(usize, u32)> = Vec::new();
        for entry in &self.entries {
            // People rarely get the first letter wrong, and most names are skipped by this.
            let most = if entry.head >> 56 == first { most } else { 1 };
            // A changed letter differs in two bits, an added or lost one in one.
            if (entry.letters ^ wanted).count_ones() as usize > 2 * most
                || usize::from(entry.len).abs_diff(key.len()) > most
            {
                continue;
            }
            let distance = strsim::osa_distance(key, std::str::from_utf8(entry.key(&self.keys)).unwrap_or(""));
            let found = (distance, entry.city);
            if distance <= most && (best.len() < 3 || best.last().is_some_and(|last| found < *last)) {
                best.retain(|&(d, city)| city != entry.city || d < distance);
                if !best.iter().any(|&(_, city)| city == entry.city) {
                    best.push(found);
                    best.sort_unstable();
                    best.truncate(3);
                }
            }
        }
        best.into_iter().map(|(_, city)| city as usize).collect()
    }

    pub(super) fn state_of(&self, city: &City) -> &State {
        &self.states[usize::from(city.state)]
    }

    pub(super) fn qualifier(&self, words: &str) -> Qualifier {
        let key = key(words);
        let country = self.countries.binary_search_by(|(name, _)| (*name).cmp(key.as_str()));
        let country = country.ok().map(|i| self.countries[i].1);
        Qualifier { key, country }
    }

    /// The airport with this code in capitals.
    pub(super) fn airport(&self, iata: &str) -> Option<&Airport> {
        self.airports.binary_search_by(|airport| airport.iata.cmp(iata)).ok().map(|i| &self.airports[i])
    }
}

impl Entry {
    fn key<'a>(&self, keys: &'a str) -> &'a [u8] {
        let start = self.start as usize;
        &keys.as_bytes()[start..start + usize::from(self.len)]
    }
}

fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

fn letters(key: &[u8]) -> u32 {
    key.iter().fold(0, |bits, byte| bits | 1 << if byte.is_ascii_lowercase() { byte - b'a' } else { 26 + byte % 6 })
}

/// A number in base 64.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().try_fold(0_u32, |number, byte| {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        number.checked_mul(64)?.checked_add(u32::from(digit))
    })
}

fn state(line: &'static str) -> Option<State> {
    let mut fields = line.split('\t');
    let (country, code, name) = (fields.next()?, fields.next()?, fields.next()?);
    let label = if code.is_empty() { name } else { code };
    Some(State { country, label, code_key: key(code), name_key: key(name) })
}

fn airports() -> Vec<Airport> {
    let mut country = "";
    let mut airports = Vec::with_capacity(8_000);
    for line in AIRPORTS.lines() {
        if let Some(code) = line.strip_prefix('=') {
            country = code;
        } else if let Some((code, name)) = line.split_at_checked(8)
            && let Some((iata, digits)) = code.split_at_checked(3)
            && let Some(position) = Position::parse(digits)
        {
            airports.push(Airport { iata, country, position, name });
        }
    }
    airports.sort_unstable_by_key(|airport| airport.iata);
    airports
}

fn countries() -> Vec<(&'static str, &'static str)> {
    let mut countries = Vec::with_capacity(800);
    for (code, names) in COUNTRIES.lines().filter_map(|line| line.split_once(' ')) {
        countries.extend(names.split(';').map(|name| (name, code)));
    }
    countries.sort_unstable();
    countries
}

fn cloud_region(line: &'static str) -> Option<CloudRegion> {
    let mut fields = line.split('\t');
    let vendor = fields.next()?;
    let provider = match vendor {
        "aws" => Provider::Aws,
        "azure" => Provider::Azure,
        "gcp" => Provider::Gcp,
        _ => Provider::Other,
    };
    let (name, country, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (lat, lon) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(CloudRegion { provider, vendor, name, country, state, lat, lon, city: fields.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &str) -> usize {
        table.lines().filter(|line| !line.starts_with('=')).count()
    }

    #[test]
    fn no_line_is_skipped() {
        let index = Index::get();
        assert_eq!(index.cities.len(), rows(CITIES));
        assert_eq!(index.airports.len(), rows(AIRPORTS));
        assert_eq!(index.states.len(), rows(STATES));
        assert_eq!(index.cloud_regions.len(), rows(CLOUD_REGIONS));
        assert!(index.cities.len() > 30_000 && index.airports.len() > 7_000 && index.cloud_regions.len() == 150);
    }

    #[test]
    fn everything_embedded_is_below_a_megabyte() {
        let places = [CITIES, STATES, AIRPORTS, COUNTRIES, CLOUD_REGIONS].map(str::len).iter().sum::<usize>();
        assert!(places + include_str!("../../assets/latin.txt").len() + 180 * 361 < 1_000_000, "{places}");
    }

    #[test]
    fn cities_fall_in_population_and_lie_on_the_globe() {
        let index = Index::get();
        assert!(index.cities.is_sorted_by(|a, b| a.population >= b.population));
        for city in &index.cities {
            assert!((-90.0..=90.0).contains(&city.position.lat()) && (-180.0..=180.0).contains(&city.position.lon()));
            assert!(!city.name.is_empty());
        }
    }

    #[test]
    fn the_generator_and_this_crate_agree_on_keys() {
        for names in CITIES.lines().filter_map(|line| line.split_once(';')).map(|(_, names)| names) {
            for name in names.split(';') {
                assert_eq!(key(name), name);
            }
        }
        for (_, names) in COUNTRIES.lines().filter_map(|line| line.split_once(' ')) {
            for name in names.split(';') {
                assert_eq!(key(name), name);
            }
        }
    }

    #[test]
    fn every_name_leads_to_its_city() {
        let index = Index::get();
        for (i, city) in index.cities.iter().enumerate() {
            assert!(index.named(&key(city.name)).any(|found| found == i), "{}", city.name);
        }
    }

    #[test]
    fn bad_lines_are_refused() {
        assert_eq!(number("A="), None);
        assert_eq!(number("_______"), None);
        assert!(Position::parse("_____").is_none());
        assert!(state("US").is_none());
        assert!(cloud_region("aws\tx\tUS\t\tnorth\t1\tX").is_none());
    }
}
