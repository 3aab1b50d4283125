//! Checked rows → the f32 matrix that the trees eat. The only implementation: training calls it through the wheel.

use crate::continents::Continent;
use crate::encode::category_index;
use crate::geo::{UnitVector, arc_km};
use crate::hubs::{self, HubIndex};
use crate::schema::{Cables, End, Feature, FieldKind, LastMile, Schema};

/// The meridian from which [`End`] counts eastwards, degrees.
const FIRST_MERIDIAN: f64 = -30.0;

/// A schema's features, with everything looked up that does not depend on a row.
#[derive(Debug)]
pub(crate) struct FeaturePlan {
    width: usize,
    fields: usize,
    /// Columns that hold something of the row itself.
    plain: Vec<(usize, Plain)>,
    /// Columns that hold something measured of the path: a column, and a place among the measures.
    measured: Vec<(usize, usize)>,
    coordinates: Option<[usize; 4]>,
    /// The hubs that a detour leads over, each once.
    detours: Hubs,
    cables: Option<CablePlan>,
    last_mile: Option<LastMilePlan>,
}

#[derive(Debug)]
enum Plain {
    Number(usize),
    Category(usize, f64),
    Count(Vec<(usize, f64)>),
    /// Fields, and per category its index in each of them.
    Same(Vec<usize>, Vec<Vec<f64>>),
    CountMissing(Vec<usize>),
}

/// Places among the measures of a path. Each end has latitude, longitude, x, y and z.
mod at {
    pub const WEST: usize = 0;
    pub const EAST: usize = 5;
    pub const DISTANCE_KM: usize = 10;
    pub const CABLE_MS: usize = 11;
    pub const PATH_MS: usize = 12;
    /// How many ends lie on each continent, in the order of [`Continent::ALL`](crate::Continent::ALL).
    pub const CONTINENTS: usize = 13;
    pub const DETOURS_KM: usize = 20;
}

/// Positions, axis by axis, so that the compiler computes several distances at once.
#[derive(Debug, Default)]
struct Hubs {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
}

#[derive(Debug)]
struct CablePlan {
    hubs: HubIndex,
    count: usize,
    /// RTT of the fastest way between each two hubs, ms, row-major.
    ways_ms: Vec<f64>,
    access_ms_per_km: f64,
    constant_ms: f64,
}

#[derive(Debug)]
struct LastMilePlan {
    /// A field per end, with the ms of each of its categories.
    ends: Vec<(usize, Vec<f64>)>,
    missing_ms: f64,
}

/// A batch's matrix, with the distances that predictions show.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Matrix {
    /// Row-major, one column per feature.
    pub values: Vec<f32>,
    /// Great-circle distance per row, km; empty for models without coordinates.
    pub distances_km: Vec<f64>,
    /// What one row is measured into.
    measures: Vec<f64>,
}

impl FeaturePlan {
    /// `schema` has been checked, so that each name in it is found.
    pub fn new(schema: &Schema) -> Self {
        let hubs: Vec<_> = schema.hubs.iter().map(|hub| UnitVector::from_degrees(hub.lat, hub.lon)).collect();
        let (mut plain, mut measured, mut detours) = (Vec::new(), Vec::new(), Vec::new());
        for (column, feature) in schema.features.iter().enumerate() {
            match place_of_measure(feature, &mut detours) {
                Some(place) => measured.push((column, place)),
                None => plain.extend(Plain::new(schema, feature).map(|feature| (column, feature))),
            }
        }
        let index = |name: &str| schema.field_index(name).unwrap_or_default();
        Self {
            width: schema.features.len(),
            fields: schema.fields.len(),
            plain,
            measured,
            coordinates: schema.coordinates.as_ref().map(|coordinates| coordinates.names().map(index)),
            detours: detours.iter().map(|hub| hubs[*hub]).collect(),
            cables: schema.cables.as_ref().map(|cables| CablePlan {
                ways_ms: fastest_ways_ms(cables, hubs.len()),
                access_ms_per_km: cables.access_ms_per_km,
                constant_ms: cables.constant_ms,
                count: hubs.len(),
                hubs: HubIndex::new(hubs, cables.nearest),
            }),
            last_mile: schema.last_mile.as_ref().map(|last_mile| LastMilePlan::new(schema, last_mile)),
        }
    }

    /// Number of columns of the matrix.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The matrix of encoded rows.
    pub fn matrix(&self, rows: &[f64]) -> Matrix {
        let mut matrix = Matrix::default();
        self.fill(rows, &mut matrix);
        matrix
    }

    /// Replaces what is in a matrix by that of encoded rows; its memory is used again.
    pub fn fill(&self, rows: &[f64], matrix: &mut Matrix) {
        let rows = rows.chunks_exact(self.fields);
        matrix.values.clear();
        matrix.values.resize(rows.len() * self.width, 0.0);
        matrix.distances_km.clear();
        let measures = &mut matrix.measures;
        measures.resize(at::DETOURS_KM + self.detours.x.len(), 0.0);
        for (row, cells) in rows.zip(matrix.values.chunks_exact_mut(self.width)) {
            if let Some(coordinates) = self.coordinates {
                self.measure(coordinates.map(|index| row[index]), measures);
                if let Some(last_mile) = &self.last_mile {
                    measures[at::PATH_MS] = measures[at::CABLE_MS] + last_mile.ms(row);
                }
                matrix.distances_km.push(measures[at::DISTANCE_KM]);
                for (column, place) in &self.measured {
                    cells[*column] = measures[*place] as f32;
                }
            }
            for (column, feature) in &self.plain {
                cells[*column] = feature.value(row) as f32;
            }
        }
    }

    fn measure(&self, [src_lat, src_lon, dst_lat, dst_lon]: [f64; 4], measures: &mut [f64]) {
        let (src, dst) = ((src_lat, src_lon), (dst_lat, dst_lon));
        let (west, east) = if from_first_meridian(src) <= from_first_meridian(dst) { (src, dst) } else { (dst, src) };
        let [a, b] = [west, east].map(|(lat, lon)| UnitVector::from_degrees(lat, lon));
        measures[at::CONTINENTS..at::DETOURS_KM].fill(0.0);
        for (place, (lat, lon), UnitVector { x, y, z }) in [(at::WEST, west, a), (at::EAST, east, b)] {
            measures[place..place + 5].copy_from_slice(&[lat, lon, x, y, z]);
            measures[at::CONTINENTS + Continent::at(lat, lon) as usize] += 1.0;
        }
        let distance_km = a.distance_km(b);
        measures[at::DISTANCE_KM] = distance_km;
        measures[at::CABLE_MS] =
            self.cables.as_ref().map_or(f64::NAN, |cables| cables.cable_ms((west, a), (east, b), distance_km));
        self.detours.measure(a, b, distance_km, &mut measures[at::DETOURS_KM..]);
    }
}

/// Where the measure stands that is this feature, if it is one; the hubs of detours are collected.
fn place_of_measure(feature: &Feature, detours: &mut Vec<usize>) -> Option<usize> {
    let end = |end: End| if end == End::West { at::WEST } else { at::EAST };
    Some(match feature {
        Feature::Latitude { end: which } => end(*which),
        Feature::Longitude { end: which } => end(*which) + 1,
        Feature::Cartesian { end: which, axis } => end(*which) + 2 + *axis as usize,
        Feature::DistanceKm => at::DISTANCE_KM,
        Feature::CableMs => at::CABLE_MS,
        Feature::PathMs => at::PATH_MS,
        Feature::ContinentCount { continent } => at::CONTINENTS + *continent as usize,
        Feature::Detour { hub } => {
            let place = detours.iter().position(|other| other == hub).unwrap_or_else(|| {
                detours.push(*hub);
                detours.len() - 1
            });
            at::DETOURS_KM + place
        }
        _ => return None,
    })
}

impl Plain {
    /// None for features that are measured.
    fn new(schema: &Schema, feature: &Feature) -> Option<Self> {
        let index = |name: &String| schema.field_index(name).unwrap_or_default();
        let category = |field: usize, word: &String| match &schema.fields[field].kind {
            FieldKind::Category { categories, .. } => {
                categories.iter().position(|candidate| candidate == word).unwrap_or_default() as f64
            }
            FieldKind::Number { .. } => 0.0,
        };
        Some(match feature {
            Feature::Number { field } => Self::Number(index(field)),
            Feature::Category { field, category: word } => Self::Category(index(field), category(index(field), word)),
            Feature::Count { fields, category: word } => {
                Self::Count(fields.iter().map(|field| (index(field), category(index(field), word))).collect())
            }
            Feature::Same { fields, categories } => {
                let fields: Vec<_> = fields.iter().map(index).collect();
                let codes = categories.iter().map(|word| fields.iter().map(|field| category(*field, word)).collect());
                Self::Same(fields.clone(), codes.collect())
            }
            Feature::CountMissing { fields } => Self::CountMissing(fields.iter().map(index).collect()),
            _ => return None,
        })
    }

    fn value(&self, row: &[f64]) -> f64 {
        match self {
            Self::Number(field) => row[*field],
            Self::Category(field, code) => {
                let value = row[*field];
                if value.is_nan() { value } else { f64::from(value == *code) }
            }
            Self::Count(fields) => fields.iter().map(|(field, code)| f64::from(row[*field] == *code)).sum(),
            Self::Same(fields, categories) => {
                let all = |codes: &Vec<f64>| fields.iter().zip(codes).all(|(field, code)| row[*field] == *code);
                f64::from(categories.iter().any(all))
            }
            Self::CountMissing(fields) => fields.iter().map(|field| f64::from(row[*field].is_nan())).sum(),
        }
    }
}

impl FromIterator<UnitVector> for Hubs {
    fn from_iter<I: IntoIterator<Item = UnitVector>>(hubs: I) -> Self {
        let mut found = Self::default();
        for UnitVector { x, y, z } in hubs {
            found.x.push(x);
            found.y.push(y);
            found.z.push(z);
        }
        found
    }
}

impl Hubs {
    /// What the way from `a` over each hub to `b` is longer than the great circle, km.
    fn measure(&self, a: UnitVector, b: UnitVector, distance_km: f64, detours_km: &mut [f64]) {
        for (((detour, x), y), z) in detours_km.iter_mut().zip(&self.x).zip(&self.y).zip(&self.z) {
            let hub = UnitVector { x: *x, y: *y, z: *z };
            let way_km = arc_km(a.squared_chord(hub)) + arc_km(b.squared_chord(hub));
            // The straight way is the shortest; rounding must not say otherwise.
            *detour = (way_km - distance_km).max(0.0);
        }
    }
}

impl LastMilePlan {
    /// `schema` has been checked, so that each name in it is found.
    fn new(schema: &Schema, last_mile: &LastMile) -> Self {
        let end = |name: &String| {
            let ms = |word: &String| last_mile.ms.get(word).copied().unwrap_or(last_mile.missing_ms);
            Some((schema.field_index(name)?, schema.categories(name)?.iter().map(ms).collect()))
        };
        Self { ends: last_mile.fields.iter().filter_map(end).collect(), missing_ms: last_mile.missing_ms }
    }

    /// What the access at both ends of a row adds, ms.
    fn ms(&self, row: &[f64]) -> f64 {
        let end = |(field, ms): &(usize, Vec<f64>)| {
            category_index(row[*field]).and_then(|index| ms.get(index)).copied().unwrap_or(self.missing_ms)
        };
        self.ends.iter().map(end).sum()
    }
}

impl CablePlan {
    /// RTT of the fastest way along the cables, ms, between two positions in degrees and as vectors.
    fn cable_ms(&self, west: ((f64, f64), UnitVector), east: ((f64, f64), UnitVector), distance_km: f64) -> f64 {
        let joined = |((lat, lon), vector): ((f64, f64), UnitVector), found: &mut hubs::Nearest| {
            let count = self.hubs.nearest(lat, lon, vector, found);
            for (_, way) in &mut found[..count] {
                *way = arc_km(*way);
            }
            count
        };
        let (mut from, mut to) = ([(0, 0.0); hubs::MOST], [(0, 0.0); hubs::MOST]);
        let (from_count, to_count) = (joined(west, &mut from), joined(east, &mut to));
        // Neighbours need no hub: a city far from all of them does not reach itself over one.
        let neighbours = from[0].0 == to[0].0;
        let mut fastest = if neighbours { distance_km * self.access_ms_per_km } else { f64::INFINITY };
        for (from, from_km) in &from[..from_count] {
            for (to, to_km) in &to[..to_count] {
                let way_ms = self.ways_ms[usize::from(*from) * self.count + usize::from(*to)];
                fastest = fastest.min((from_km + to_km) * self.access_ms_per_km + way_ms);
            }
        }
        fastest + self.constant_ms
    }
}

/// Degrees eastwards from [`FIRST_MERIDIAN`], then latitude: the order of the ends.
fn from_first_meridian((lat, lon): (f64, f64)) -> (f64, f64) {
    let east = lon - FIRST_MERIDIAN;
    (if east < 0.0 { east + 360.0 } else { east }, lat)
}

/// Floyd–Warshall over the links, which go both ways.
fn fastest_ways_ms(cables: &Cables, hubs: usize) -> Vec<f64> {
    let mut ways = vec![f64::INFINITY; hubs * hubs];
    for hub in 0..hubs {
        ways[hub * hubs + hub] = 0.0;
    }
    for &(from, to, ms) in &cables.links {
        ways[from * hubs + to] = ms;
        ways[to * hubs + from] = ms;
    }
    let mut onward = Vec::with_capacity(hubs);
    for over in 0..hubs {
        onward.clear();
        onward.extend_from_slice(&ways[over * hubs..(over + 1) * hubs]);
        for ways in ways.chunks_exact_mut(hubs) {
            let there = ways[over];
            // Nothing leads there yet, and nothing gets shorter over it.
            if there == f64::INFINITY {
                continue;
            }
            for (way, onward) in ways.iter_mut().zip(&onward) {
                *way = if there + onward < *way { there + onward } else { *way };
            }
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Batch, Column as BatchColumn, geo};

    /// A schema of coordinates and two categories with these features.
    fn schema(features: &serde_json::Value) -> Schema {
        let coordinate = |name: &str, limit: f64| json!({"name": name, "type": "number", "unit": "degree", "min": -limit, "max": limit, "required": true});
        let category = |name: &str| json!({"name": name, "type": "category", "categories": ["server", "wifi"]});
        let names = ["src_lat", "src_lon", "dst_lat", "dst_lon"];
        let outputs: Vec<_> = ["low_ms", "p50_ms", "high_ms", "p90_ms", "p99_ms"]
            .iter()
            .map(|name| json!({"name": name, "quantile": 0.5}))
            .collect();
        let text = json!({
            "format": 1,
            "name": "test",
            "fields": [
                coordinate("src_lat", 90.0), coordinate("src_lon", 180.0), coordinate("dst_lat", 90.0),
                coordinate("dst_lon", 180.0), category("src_access"), category("dst_access")
            ],
            "coordinates": names.iter().map(|name| (*name, *name)).collect::<std::collections::BTreeMap<_, _>>(),
            // Four hubs on the equator, joined in a line; the direct link from first to last is slower.
            "hubs": [
                {"name": "a", "lat": 0, "lon": 0}, {"name": "b", "lat": 0, "lon": 10},
                {"name": "c", "lat": 0, "lon": 20}, {"name": "d", "lat": 0, "lon": 30}
            ],
            "cables": {
                "links": [[0, 1, 10.0], [1, 2, 10.0], [3, 2, 10.0], [0, 3, 100.0]],
                "nearest": 1, "access_ms_per_km": 0.02, "constant_ms": 1.0
            },
            "last_mile": {
                "fields": ["src_access", "dst_access"],
                "ms": {"server": 0.5, "wifi": 20.0}, "missing_ms": 4.0
            },
            "features": features,
            "target": {"name": "rtt_ms", "unit": "ms", "transform": "log"},
            "outputs": outputs,
            "golden": []
        });
        Schema::from_json(&text.to_string()).unwrap()
    }

    fn row(features: &serde_json::Value, path: [f64; 4], access: [Option<&str>; 2]) -> Vec<f32> {
        let schema = schema(features);
        let mut batch = Batch::new();
        for (name, value) in ["src_lat", "src_lon", "dst_lat", "dst_lon"].into_iter().zip(path) {
            batch.push(name, vec![value]);
        }
        for (name, value) in ["src_access", "dst_access"].into_iter().zip(access) {
            batch.push(name, [value].into_iter().collect::<BatchColumn>());
        }
        FeaturePlan::new(&schema).matrix(&schema.encode_batch(&batch).unwrap().values).values
    }

    const NO_ACCESS: [Option<&str>; 2] = [None, None];

    #[test]
    fn the_western_end_comes_first_counted_from_thirty_degrees_west() {
        let ends = json!([
            {"kind": "latitude", "end": "west"}, {"kind": "longitude", "end": "west"},
            {"kind": "latitude", "end": "east"}, {"kind": "longitude", "end": "east"}
        ]);
        // New York is further east from the meridian than London, going all the way round.
        assert_eq!(row(&ends, [40.0, -74.0, 51.0, 0.0], NO_ACCESS), [51.0, 0.0, 40.0, -74.0]);
        assert_eq!(row(&ends, [51.0, 0.0, 40.0, -74.0], NO_ACCESS), [51.0, 0.0, 40.0, -74.0]);
        // On the same meridian the southern end comes first.
        assert_eq!(row(&ends, [20.0, 5.0, 10.0, 5.0], NO_ACCESS), [10.0, 5.0, 20.0, 5.0]);
    }

    #[test]
    fn distances_detours_and_cartesian_coordinates() {
        let features = json!([
            {"kind": "distance_km"}, {"kind": "detour", "hub": 1}, {"kind": "detour", "hub": 3},
            {"kind": "cartesian", "end": "west", "axis": "x"}, {"kind": "cartesian", "end": "east", "axis": "y"},
            {"kind": "cartesian", "end": "east", "axis": "z"}
        ]);
        let found = row(&features, [0.0, 0.0, 0.0, 20.0], NO_ACCESS);
        let degree = geo::distance_km(0.0, 0.0, 0.0, 1.0);
        let sin20 = 20.0_f64.to_radians().sin() as f32;
        assert!((f64::from(found[0]) - 20.0 * degree).abs() < 1e-3);
        assert!(found[1].abs() < 1e-3, "a hub on the way is no detour: {}", found[1]);
        assert!((f64::from(found[2]) - 20.0 * degree).abs() < 1e-3, "there and back over a hub 10° beyond");
        assert!((found[3] - 1.0).abs() < 1e-6 && (found[4] - sin20).abs() < 1e-6 && found[5].abs() < 1e-6);
    }

    #[test]
    fn access_at_both_ends_adds_to_the_way_along_the_cables() {
        let features = json!([{"kind": "cable_ms"}, {"kind": "path_ms"}]);
        let path = [0.0, 0.0, 0.0, 10.0];
        for (access, ms) in [
            ([Some("server"), Some("server")], 1.0),
            ([Some("wifi"), Some("server")], 20.5),
            ([Some("wifi"), None], 24.0),
        ] {
            let found = row(&features, path, access);
            assert!((found[1] - (found[0] + ms)).abs() < 1e-5, "{access:?}: {found:?}");
            let [src, dst] = access;
            assert_eq!(row(&features, [0.0, 10.0, 0.0, 0.0], [dst, src]), found, "{access:?} the other way round");
        }
    }

    #[test]
    fn the_fastest_way_along_the_cables_counts() {
        let features = json!([{"kind": "cable_ms"}]);
        // Two ends with the same nearest hub need none: 4 degrees of the equator, and the constant.
        let near = row(&features, [5.0, 8.0, 5.0, 8.0], NO_ACCESS)[0];
        assert!((near - 1.0).abs() < 1e-5, "{near}");
        let beside = f64::from(row(&features, [0.0, 8.0, 0.0, 12.0], NO_ACCESS)[0]);
        assert!((beside - (1.0 + 0.02 * 4.0 * 111.195_08)).abs() < 1e-3, "{beside}");
        // Exactly at the hubs: a–b–c–d takes 30 ms, the direct link 100.
        assert_eq!(row(&features, [0.0, 0.0, 0.0, 30.0], NO_ACCESS), [31.0]);
        assert_eq!(row(&features, [0.0, 30.0, 0.0, 0.0], NO_ACCESS), [31.0]);
        // One degree north of a: the way to the hub counts, at 0.02 ms per km.
        let access = geo::distance_km(0.0, 0.0, 1.0, 0.0) * 0.02;
        let found = row(&features, [1.0, 0.0, 0.0, 10.0], NO_ACCESS)[0];
        assert!((f64::from(found) - (11.0 + access)).abs() < 1e-4, "{found}");
    }

    #[test]
    fn categories_count_match_and_miss() {
        let both = ["src_access", "dst_access"];
        let features = json!([
            {"kind": "category", "field": "src_access", "category": "wifi"},
            {"kind": "count", "fields": both, "category": "wifi"}, {"kind": "count_missing", "fields": both},
            {"kind": "same", "fields": both, "categories": ["wifi"]}
        ]);
        let path = [0.0, 0.0, 0.0, 30.0];
        assert_eq!(row(&features, path, [Some("wifi"), Some("wifi")]), [1.0, 2.0, 0.0, 1.0]);
        assert_eq!(row(&features, path, [Some("server"), Some("server")]), [0.0, 0.0, 0.0, 0.0]);
        let missing = row(&features, path, [None, Some("wifi")]);
        assert!(missing[0].is_nan());
        assert_eq!(missing[1..], [1.0, 1.0, 0.0]);
    }

    #[test]
    fn continents_of_both_ends_are_counted() {
        let features =
            json!([{"kind": "continent_count", "continent": "EU"}, {"kind": "continent_count", "continent": "AS"}]);
        assert_eq!(row(&features, [51.5, -0.1, 48.9, 2.4], NO_ACCESS), [2.0, 0.0]);
        assert_eq!(row(&features, [51.5, -0.1, 35.7, 139.7], NO_ACCESS), [1.0, 1.0]);
    }

    #[test]
    fn flawed_schemas_are_refused() {
        let text = schema(&json!([{"kind": "distance_km"}])).to_json();
        for (from, to, what) in [
            (r#""links":[[0,1,10.0]"#, r#""links":[[0,9,10.0]"#, "found a cable from hub 0 to hub 9"),
            ("[1,2,10.0],[3,2,10.0],[0,3,100.0]", "[1,2,10.0]", "found no cable to hub 3"),
            (r#""missing_ms":4.0"#, r#""missing_ms":-4.0"#, "found a last mile of -4 ms"),
            (r#""ms":{"server""#, r#""ms":{"sever""#, "the last mile needs a category field `src_access`"),
            (r#""nearest":1"#, r#""nearest":0"#, "a `nearest` from 1 to 4"),
            (r#""lat":0.0,"lon":30.0"#, r#""lat":95.0,"lon":30.0"#, "off the Earth"),
            (r#"{"kind":"distance_km"}"#, r#"{"kind":"detour","hub":4}"#, "needs hub 4"),
            (r#""name":"dst_access""#, r#""name":"src_access""#, "found the field `src_access` twice"),
            (r#""src_lat":"src_lat""#, r#""src_lat":"src_access""#, "needs a required number field"),
            (r#""target":{"#, r#""mystery":1,"target":{"#, "unknown field `mystery`"),
            (r#""name":"p99_ms""#, r#""name":"p90_ms""#, "found an output twice"),
        ] {
            assert!(text.contains(from), "{from} is not in {text}");
            let error = Schema::from_json(&text.replacen(from, to, 1)).expect_err(to);
            assert!(error.message().contains(what), "{to}: {error}");
            assert_eq!(error.kind(), crate::ErrorKind::InvalidSchema);
        }
    }
}
