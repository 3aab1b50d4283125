//! Checked rows → the f32 matrix that the trees eat. The only implementation: training calls it through the wheel.

use crate::continents::Continent;
use crate::encode::EncodedRows;
use crate::geo::{self, UnitVector};
use crate::schema::{Axis, Cables, End, Feature, Schema};

/// The meridian from which [`End`] counts eastwards, degrees.
const FIRST_MERIDIAN: f64 = -30.0;

/// A schema's features, with everything looked up that does not depend on a row.
#[derive(Debug, Clone)]
pub(crate) struct FeaturePlan {
    columns: Vec<Column>,
    fields: usize,
    coordinates: Option<[usize; 4]>,
    hubs: Vec<UnitVector>,
    cables: Option<CablePlan>,
}

#[derive(Debug, Clone)]
struct CablePlan {
    /// RTT of the fastest way between each two hubs, ms, row-major.
    ways_ms: Vec<f64>,
    nearest: usize,
    access_ms_per_km: f64,
    constant_ms: f64,
}

#[derive(Debug, Clone)]
enum Column {
    Number(usize),
    Category(usize, f64),
    Count(Vec<(usize, f64)>),
    /// Fields, and per category its index in each of them.
    Same(Vec<usize>, Vec<Vec<f64>>),
    CountMissing(Vec<usize>),
    Latitude(End),
    Longitude(End),
    Cartesian(End, Axis),
    DistanceKm,
    ContinentCount(Continent),
    Detour(usize),
    CableMs,
}

/// A batch's matrix, with the distances that predictions show.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrix {
    /// Row-major, one column per feature.
    pub values: Vec<f32>,
    /// Great-circle distance per row, km; empty for models without coordinates.
    pub distances_km: Vec<f64>,
}

impl FeaturePlan {
    /// `schema` has been checked, so that each name in it is found.
    pub fn new(schema: &Schema) -> Self {
        let index = |name: &str| schema.field_index(name).unwrap_or_default();
        let category = |field: usize, word: &str| match &schema.fields[field].kind {
            crate::schema::FieldKind::Category { categories, .. } => {
                categories.iter().position(|candidate| candidate == word).unwrap_or_default() as f64
            }
            crate::schema::FieldKind::Number { .. } => 0.0,
        };
        let columns = schema
            .features
            .iter()
            .map(|feature| match feature {
                Feature::Number { field } => Column::Number(index(field)),
                Feature::Category { field, category: word } => {
                    Column::Category(index(field), category(index(field), word))
                }
                Feature::Count { fields, category: word } => {
                    Column::Count(fields.iter().map(|field| (index(field), category(index(field), word))).collect())
                }
                Feature::Same { fields, categories } => {
                    let fields: Vec<_> = fields.iter().map(|field| index(field)).collect();
                    let codes =
                        categories.iter().map(|word| fields.iter().map(|field| category(*field, word)).collect());
                    Column::Same(fields.clone(), codes.collect())
                }
                Feature::CountMissing { fields } => {
                    Column::CountMissing(fields.iter().map(|field| index(field)).collect())
                }
                Feature::Latitude { end } => Column::Latitude(*end),
                Feature::Longitude { end } => Column::Longitude(*end),
                Feature::Cartesian { end, axis } => Column::Cartesian(*end, *axis),
                Feature::DistanceKm => Column::DistanceKm,
                Feature::ContinentCount { continent } => Column::ContinentCount(*continent),
                Feature::Detour { hub } => Column::Detour(*hub),
                Feature::CableMs => Column::CableMs,
            })
            .collect();
        let hubs: Vec<_> = schema.hubs.iter().map(|hub| UnitVector::from_degrees(hub.lat, hub.lon)).collect();
        Self {
            columns,
            fields: schema.fields.len(),
            coordinates: schema.coordinates.as_ref().map(|coordinates| coordinates.names().map(index)),
            cables: schema.cables.as_ref().map(|cables| CablePlan {
                ways_ms: fastest_ways_ms(cables, hubs.len()),
                nearest: cables.nearest,
                access_ms_per_km: cables.access_ms_per_km,
                constant_ms: cables.constant_ms,
            }),
            hubs,
        }
    }

    /// Number of columns of the matrix.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// All rows in one pass.
    pub fn matrix(&self, rows: &EncodedRows) -> Matrix {
        let mut values = Vec::with_capacity(rows.rows * self.width());
        let mut distances_km = Vec::with_capacity(if self.coordinates.is_some() { rows.rows } else { 0 });
        let mut scratch = Scratch::default();
        for row in rows.values.chunks_exact(self.fields.max(1)) {
            let path = self.coordinates.map(|at| self.geometry(at.map(|index| row[index]), &mut scratch));
            distances_km.extend(path.map(|path| path.distance_km));
            let path = path.unwrap_or_default();
            values.extend(self.columns.iter().map(|column| self.cell(column, row, &path, &scratch) as f32));
        }
        Matrix { values, distances_km }
    }

    fn geometry(&self, [src_lat, src_lon, dst_lat, dst_lon]: [f64; 4], scratch: &mut Scratch) -> PathGeometry {
        let (src, dst) = ((src_lat, src_lon), (dst_lat, dst_lon));
        let (west, east) = if from_first_meridian(src) <= from_first_meridian(dst) { (src, dst) } else { (dst, src) };
        let (a, b) = (UnitVector::from_degrees(west.0, west.1), UnitVector::from_degrees(east.0, east.1));
        scratch.west.clear();
        scratch.east.clear();
        scratch.west.extend(self.hubs.iter().map(|hub| a.distance_km(*hub)));
        scratch.east.extend(self.hubs.iter().map(|hub| b.distance_km(*hub)));
        if let Some(cables) = &self.cables {
            nearest(&scratch.west, cables.nearest, &mut scratch.nearest_west);
            nearest(&scratch.east, cables.nearest, &mut scratch.nearest_east);
        }
        PathGeometry { west, east, west_vector: a, east_vector: b, distance_km: a.distance_km(b) }
    }

    fn cell(&self, column: &Column, row: &[f64], path: &PathGeometry, scratch: &Scratch) -> f64 {
        let end = |end: End| if end == End::West { path.west } else { path.east };
        match column {
            Column::Number(field) => row[*field],
            Column::Category(field, code) => {
                let value = row[*field];
                if value.is_nan() { value } else { f64::from(value == *code) }
            }
            Column::Count(fields) => fields.iter().filter(|(field, code)| row[*field] == *code).count() as f64,
            Column::Same(fields, categories) => {
                let all = |codes: &Vec<f64>| fields.iter().zip(codes).all(|(field, code)| row[*field] == *code);
                f64::from(categories.iter().any(all))
            }
            Column::CountMissing(fields) => fields.iter().filter(|field| row[**field].is_nan()).count() as f64,
            Column::Latitude(which) => end(*which).0,
            Column::Longitude(which) => end(*which).1,
            Column::Cartesian(which, axis) => {
                let vector = if *which == End::West { path.west_vector } else { path.east_vector };
                match axis {
                    Axis::X => vector.x,
                    Axis::Y => vector.y,
                    Axis::Z => vector.z,
                }
            }
            Column::DistanceKm => path.distance_km,
            Column::ContinentCount(continent) => {
                [path.west, path.east].iter().filter(|(lat, lon)| Continent::at(*lat, *lon) == *continent).count()
                    as f64
            }
            // The straight way is the shortest; rounding must not say otherwise.
            Column::Detour(hub) => (scratch.west[*hub] + scratch.east[*hub] - path.distance_km).max(0.0),
            Column::CableMs => self.cables.as_ref().map_or(f64::NAN, |cables| cables.cable_ms(scratch)),
        }
    }
}

impl CablePlan {
    fn cable_ms(&self, scratch: &Scratch) -> f64 {
        let hubs = scratch.west.len();
        let mut fastest = f64::INFINITY;
        for from in &scratch.nearest_west {
            for to in &scratch.nearest_east {
                let access_km = scratch.west[*from] + scratch.east[*to];
                fastest = fastest.min(access_km * self.access_ms_per_km + self.ways_ms[from * hubs + to]);
            }
        }
        fastest + self.constant_ms
    }
}

/// Reused between rows.
#[derive(Default)]
struct Scratch {
    west: Vec<f64>,
    east: Vec<f64>,
    nearest_west: Vec<usize>,
    nearest_east: Vec<usize>,
}

#[derive(Clone, Copy, Default)]
struct PathGeometry {
    west: (f64, f64),
    east: (f64, f64),
    west_vector: UnitVector,
    east_vector: UnitVector,
    distance_km: f64,
}

/// Degrees eastwards from [`FIRST_MERIDIAN`], then latitude: the order of the ends.
fn from_first_meridian((lat, lon): (f64, f64)) -> (f64, f64) {
    let east = lon - FIRST_MERIDIAN;
    (if east < 0.0 { east + 360.0 } else { east }, lat)
}

/// The indices of the `count` smallest distances, nearest first, the lower index first among equals.
fn nearest(distances: &[f64], count: usize, indices: &mut Vec<usize>) {
    indices.clear();
    for (index, distance) in distances.iter().enumerate() {
        let place = indices.iter().rposition(|other| distances[*other] <= *distance).map_or(0, |before| before + 1);
        if place < count {
            indices.truncate(count - 1);
            indices.insert(place, index);
        }
    }
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
    for over in 0..hubs {
        for from in 0..hubs {
            for to in 0..hubs {
                let way = ways[from * hubs + over] + ways[over * hubs + to];
                if way < ways[from * hubs + to] {
                    ways[from * hubs + to] = way;
                }
            }
        }
    }
    ways
}

/// The floor per row, ms.
pub(crate) fn floors_ms(distances_km: &[f64]) -> impl Iterator<Item = f64> {
    distances_km.iter().map(|distance| geo::floor_ms(*distance))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Batch, Column as BatchColumn};

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
        FeaturePlan::new(&schema).matrix(&schema.encode_batch(&batch).unwrap()).values
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
    fn the_fastest_way_along_the_cables_counts() {
        let features = json!([{"kind": "cable_ms"}]);
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
    fn nearest_gives_the_smallest_in_order() {
        let mut indices = Vec::new();
        nearest(&[5.0, 1.0, 3.0, 1.0, 4.0], 3, &mut indices);
        assert_eq!(indices, [1, 3, 2]);
        nearest(&[2.0], 1, &mut indices);
        assert_eq!(indices, [0]);
    }

    #[test]
    fn flawed_schemas_are_refused() {
        let text = schema(&json!([{"kind": "distance_km"}])).to_json();
        for (from, to, what) in [
            (r#""links":[[0,1,10.0]"#, r#""links":[[0,9,10.0]"#, "joins a hub that is not there"),
            ("[1,2,10.0],[3,2,10.0],[0,3,100.0]", "[1,2,10.0]", "no cable leads to hub 3"),
            (r#""nearest":1"#, r#""nearest":0"#, "1 to all hubs"),
            (r#""lat":0.0,"lon":30.0"#, r#""lat":95.0,"lon":30.0"#, "off the Earth"),
            (r#"{"kind":"distance_km"}"#, r#"{"kind":"detour","hub":4}"#, "needs hub 4"),
            (r#""name":"dst_access""#, r#""name":"src_access""#, "stands there twice"),
            (r#""src_lat":"src_lat""#, r#""src_lat":"src_access""#, "must be a required number field"),
            (r#""target":{"#, r#""mystery":1,"target":{"#, "unknown field `mystery`"),
            (r#""name":"p99_ms""#, r#""name":"p90_ms""#, "an output stands there twice"),
        ] {
            assert!(text.contains(from), "{from} is not in {text}");
            let error = Schema::from_json(&text.replacen(from, to, 1)).expect_err(to);
            assert!(error.message().contains(what), "{to}: {error}");
            assert_eq!(error.kind(), crate::ErrorKind::InvalidSchema);
        }
    }
}
