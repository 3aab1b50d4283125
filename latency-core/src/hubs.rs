//! The hubs nearest to a position, without looking at all of them.

use std::sync::OnceLock;

use crate::geo::UnitVector;

/// Degrees per cell of the grid.
const CELL: usize = 5;
const ROWS: usize = 180 / CELL;
const COLUMNS: usize = 360 / CELL;

/// Added where a hub is left out of a cell, km: far more than rounding.
const MARGIN_KM: f64 = 1.0;

/// The nearest hubs of a position, as indices; [`MOST`] at most.
pub(crate) type Nearest = [(u16, f64); MOST];

/// More hubs than this are never joined by one end.
pub(crate) const MOST: usize = 8;

/// Hubs by position. Each cell of a grid knows the hubs that can be among the nearest of a position inside it; it finds
/// them out when it is first asked.
#[derive(Debug)]
pub(crate) struct HubIndex {
    hubs: Vec<UnitVector>,
    nearest: usize,
    cells: Box<[OnceLock<Box<[u16]>>]>,
}

impl HubIndex {
    /// For the `nearest` hubs of each position, 1 to [`MOST`] and at most all.
    pub fn new(hubs: Vec<UnitVector>, nearest: usize) -> Self {
        Self { hubs, nearest, cells: std::iter::repeat_with(OnceLock::new).take(ROWS * COLUMNS).collect() }
    }

    /// Fills the first places with the nearest hubs and their squared chords, nearest first, the lower index first
    /// among equals; returns how many.
    #[expect(clippy::cast_sign_loss, reason = "latitude and longitude have been checked, and are clamped")]
    pub fn nearest(&self, lat: f64, lon: f64, position: UnitVector, found: &mut Nearest) -> usize {
        let row = (((lat + 90.0) / CELL as f64) as usize).min(ROWS - 1);
        let column = (((lon + 180.0) / CELL as f64) as usize).min(COLUMNS - 1);
        let candidates = self.cells[row * COLUMNS + column].get_or_init(|| self.candidates(row, column));
        let mut count = 0;
        for &hub in candidates {
            let chord = position.squared_chord(self.hubs[usize::from(hub)]);
            if count == self.nearest && chord >= found[count - 1].1 {
                continue;
            }
            count = (count + 1).min(self.nearest);
            let mut place = count - 1;
            while place > 0 && found[place - 1].1 > chord {
                found[place] = found[place - 1];
                place -= 1;
            }
            found[place] = (hub, chord);
        }
        count
    }

    /// The hubs that can be among the nearest of a position in this cell: those no further from its centre than the
    /// last of the centre's own nearest hubs, plus the way from the centre to the position and back.
    fn candidates(&self, row: usize, column: usize) -> Box<[u16]> {
        let (south, west) = ((row * CELL) as f64 - 90.0, (column * CELL) as f64 - 180.0);
        let (north, east) = (south + CELL as f64, west + CELL as f64);
        let centre = UnitVector::from_degrees(0.5 * (south + north), 0.5 * (west + east));
        let radius_km = [(south, west), (south, east), (north, west), (north, east)]
            .map(|(lat, lon)| centre.distance_km(UnitVector::from_degrees(lat, lon)))
            .into_iter()
            .fold(0.0, f64::max);
        let distances: Vec<f64> = self.hubs.iter().map(|hub| centre.distance_km(*hub)).collect();
        let mut sorted = distances.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let reach = sorted[self.nearest - 1] + 2.0 * radius_km + MARGIN_KM;
        (0_u16..).zip(distances).filter(|(_, distance)| *distance <= reach).map(|(hub, _)| hub).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hubs all over the globe, in no order.
    fn hubs(count: usize) -> Vec<UnitVector> {
        (0..count)
            .map(|i| UnitVector::from_degrees((i * 73 % 179) as f64 - 89.0, (i * 151 % 359) as f64 - 179.0))
            .collect()
    }

    #[test]
    fn the_grid_finds_what_a_full_search_finds() {
        for (count, nearest) in [(142, 3), (142, 8), (5, 5), (1, 1), (30, 1)] {
            let hubs = hubs(count);
            let index = HubIndex::new(hubs.clone(), nearest);
            for i in 0..20_000_u32 {
                // Positions everywhere, with the poles, the antimeridian and the edges of cells among them.
                let lat = f64::from(i.wrapping_mul(2_654_435_761) % 36_001) / 200.0 - 90.0;
                let lon = f64::from(i.wrapping_mul(40_503) % 7_201) / 20.0 - 180.0;
                let position = UnitVector::from_degrees(lat, lon);
                let mut expected: Vec<_> = (0_u16..).zip(hubs.iter().map(|hub| position.squared_chord(*hub))).collect();
                expected.sort_by(|a, b| a.1.total_cmp(&b.1));
                let mut found = [(0, 0.0); MOST];
                let number = index.nearest(lat, lon, position, &mut found);
                assert_eq!(found[..number], expected[..nearest], "{lat},{lon}");
            }
        }
    }
}
