//! Where a path lies on the map of the page.

use std::fmt::Write;

use latency_core::Place;
use serde::Serialize;

/// Units of the drawing per degree, and its northern edge: as in browser/world.mjs, which draws the continents.
const UNITS: f64 = 10.0;
const NORTH: f64 = 85.0;
const SOUTH: f64 = -65.0;

/// Pieces that a great circle is drawn with.
const PIECES: u32 = 96;

/// A great circle between two places.
#[derive(Serialize)]
pub struct GreatCircle {
    src: Point,
    dst: Point,
    /// What SVG calls the `d` of a path; in two parts where it leaves the map on one side and comes back on the other.
    line: String,
}

#[derive(Serialize, Clone, Copy)]
struct Point {
    x: i32,
    y: i32,
}

impl Point {
    fn new(lat: f64, lon: f64) -> Self {
        let y = (NORTH - lat.clamp(SOUTH, NORTH)) * UNITS;
        Self { x: ((lon + 180.0) * UNITS).round() as i32, y: y.round() as i32 }
    }
}

impl GreatCircle {
    pub fn new(src: &Place, dst: &Place) -> Self {
        let (a, b) = (vector(src), vector(dst));
        let angle = a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0).acos();
        let mut line = String::new();
        let mut before: Option<f64> = None;
        for step in 0..=PIECES {
            let share = f64::from(step) / f64::from(PIECES);
            let (lat, lon) = between(a, b, angle, share);
            let Point { x, y } = Point::new(lat, lon);
            let begins = before.is_none_or(|before| (lon - before).abs() > 180.0);
            // Writing to a string cannot fail.
            let _ = write!(line, "{}{x},{y}", if begins { 'M' } else { 'L' });
            before = Some(lon);
        }
        Self { src: Point::new(src.lat, src.lon), dst: Point::new(dst.lat, dst.lon), line }
    }
}

/// The place on a sphere of radius 1.
fn vector(place: &Place) -> [f64; 3] {
    let (lat, lon) = (place.lat.to_radians(), place.lon.to_radians());
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

/// The point at this share of the way, in degrees: spherical linear interpolation (Shoemake 1985). Between antipodes
/// every way is the shortest, and one of them is taken.
fn between(src: [f64; 3], dst: [f64; 3], angle: f64, share: f64) -> (f64, f64) {
    let sine = angle.sin();
    let (from, to) = if sine < 1e-9 {
        (1.0 - share, share)
    } else {
        (((1.0 - share) * angle).sin() / sine, (share * angle).sin() / sine)
    };
    let [x, y, z]: [f64; 3] = std::array::from_fn(|axis| from * src[axis] + to * dst[axis]);
    (z.atan2(x.hypot(y)).to_degrees(), y.atan2(x).to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(src: (f64, f64), dst: (f64, f64)) -> GreatCircle {
        GreatCircle::new(&Place::at(src.0, src.1).unwrap(), &Place::at(dst.0, dst.1).unwrap())
    }

    #[test]
    fn the_equator_and_meridians_are_straight() {
        let circle = circle((0.0, -90.0), (0.0, 90.0));
        assert!(circle.line.starts_with("M900,850L") && circle.line.ends_with("L2700,850"), "{}", circle.line);
        assert!(circle.line.split(['M', 'L']).skip(1).all(|point| point.ends_with(",850")), "{}", circle.line);
        let circle = self::circle((10.0, 20.0), (70.0, 20.0));
        assert!(circle.line.split(['M', 'L']).skip(1).all(|point| point.starts_with("2000,")), "{}", circle.line);
    }

    #[test]
    fn the_way_from_london_to_tokyo_goes_north() {
        let circle = circle((51.5, -0.1), (35.7, 139.7));
        let highest = circle.line.split(['M', 'L']).skip(1).map(|point| point.split_once(',').unwrap().1);
        let highest: i32 = highest.map(|y| y.parse().unwrap()).min().unwrap();
        // The vertex of this great circle is at 70.5° N.
        assert!((140..150).contains(&highest), "{highest}");
    }

    #[test]
    fn what_leaves_on_one_side_comes_back_on_the_other() {
        let circle = circle((35.0, 140.0), (37.0, -122.0));
        assert_eq!(circle.line.matches('M').count(), 2, "{}", circle.line);
        assert_eq!((circle.src.x, circle.dst.x), (3200, 580));
    }

    #[test]
    fn places_that_are_one_or_opposite_have_a_line() {
        for dst in [(10.0, 20.0), (-10.0, -160.0), (90.0, 0.0), (-90.0, 0.0)] {
            let line = circle((10.0, 20.0), dst).line;
            assert!(!line.contains("NaN") && line.starts_with("M2000,750"), "{line}");
        }
    }
}
