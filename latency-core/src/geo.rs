//! Geometry on the sphere: great circles and the speed-of-light floor.
//!
//! Everything is computed in f64 with the pure-Rust `libm`, never with the platform's `sin`, so that every CPU and
//! every language gets the same bits.
//!
//! ```
//! use latency_core::geo;
//!
//! let km = geo::distance_km(51.51, -0.13, 35.68, 139.69);
//! assert!(geo::floor_ms(km) > 95.0);
//! ```

use std::f64::consts::PI;

/// Mean radius of the Earth in km (IUGG: R1 = (2a + b) / 3 of WGS 84).
///
/// ```
/// use latency_core::geo;
///
/// let quarter = std::f64::consts::FRAC_PI_2 * geo::EARTH_RADIUS_KM;
/// assert!((geo::distance_km(0.0, 0.0, 0.0, 90.0) - quarter).abs() < 1e-9);
/// ```
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// Speed of light in vacuum, km per millisecond (SI: exact).
///
/// ```
/// // A round trip over 10,000 km takes light in vacuum 66.7 ms.
/// let round_trip_ms: f64 = 2.0 * 10_000.0 / latency_core::geo::LIGHT_KM_PER_MS;
/// assert_eq!(round_trip_ms.round(), 67.0);
/// ```
pub const LIGHT_KM_PER_MS: f64 = 299.792_458;

/// A position on the sphere as a unit vector: three multiplications replace the trigonometry of each further distance.
///
/// ```
/// use latency_core::geo::UnitVector;
///
/// // The nearest of many places: the trigonometry is done once for each.
/// let here = UnitVector::from_degrees(38.72, -9.14);
/// let places = [(51.51, -0.13), (40.42, -3.70), (48.86, 2.35)].map(|(lat, lon)| UnitVector::from_degrees(lat, lon));
/// let nearest = (0..3).min_by(|a, b| here.distance_km(places[*a]).total_cmp(&here.distance_km(places[*b])));
/// assert_eq!(nearest, Some(1));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UnitVector {
    /// Towards latitude 0, longitude 0.
    pub x: f64,
    /// Towards latitude 0, longitude 90° east.
    pub y: f64,
    /// Towards the north pole.
    pub z: f64,
}

impl UnitVector {
    /// From latitude and longitude in degrees.
    ///
    /// ```
    /// let pole = latency_core::geo::UnitVector::from_degrees(90.0, 0.0);
    /// assert_eq!(pole.z, 1.0);
    /// ```
    #[must_use]
    pub fn from_degrees(lat: f64, lon: f64) -> Self {
        let (sin_lat, cos_lat) = libm::sincos(lat * (PI / 180.0));
        let (sin_lon, cos_lon) = libm::sincos(lon * (PI / 180.0));
        Self { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat }
    }

    /// Great-circle distance in km, from the chord: 2R · asin(|a − b| / 2).
    ///
    /// Exactly symmetric, and accurate to better than a metre at every distance
    /// (Sinnott 1984, "Virtues of the Haversine"; the chord is the square root of four haversines).
    ///
    /// ```
    /// use latency_core::geo::UnitVector;
    ///
    /// let (london, tokyo) = (UnitVector::from_degrees(51.51, -0.13), UnitVector::from_degrees(35.68, 139.69));
    /// assert_eq!(london.distance_km(tokyo).round(), 9559.0);
    /// assert_eq!(london.distance_km(tokyo), tokyo.distance_km(london));
    /// ```
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        arc_km(self.squared_chord(other))
    }

    /// The squared straight line between two positions, in Earth radii: it orders positions as the distance does.
    #[inline]
    pub(crate) fn squared_chord(self, other: Self) -> f64 {
        let (dx, dy, dz) = (self.x - other.x, self.y - other.y, self.z - other.z);
        dx * dx + dy * dy + dz * dz
    }
}

/// The length in km of the great circle over a squared chord: 2R · asin(chord / 2).
///
/// The arc sine is the rational approximation of FDLIBM (`e_asin.c`, Sun Microsystems 1993) without its branches, so
/// that the compiler computes several at once. Only additions, multiplications, divisions and square roots: the same
/// bits on every CPU, within three units in the last place of the exact value.
#[inline]
pub(crate) fn arc_km(squared_chord: f64) -> f64 {
    const P: [f64; 6] = [
        1.666_666_666_666_666_6e-1,
        -3.255_658_186_224_009e-1,
        2.012_125_321_348_629_3e-1,
        -4.005_553_450_067_941e-2,
        7.915_349_942_898_145e-4,
        3.479_331_075_960_212e-5,
    ];
    const Q: [f64; 4] =
        [-2.403_394_911_734_414, 2.020_945_760_233_505_7, -6.882_839_716_054_533e-1, 7.703_815_055_590_194e-2];
    // Rounding must not lead beyond the antipode.
    let half_chord = 0.5 * squared_chord.min(4.0).sqrt();
    let far = half_chord > 0.5;
    // asin(x) = π/2 − 2 · asin(√((1 − x) / 2)) keeps the argument small.
    let z = if far { 0.5 * (1.0 - half_chord) } else { half_chord * half_chord };
    let x = if far { z.sqrt() } else { half_chord };
    let p = z * (P[0] + z * (P[1] + z * (P[2] + z * (P[3] + z * (P[4] + z * P[5])))));
    let q = 1.0 + z * (Q[0] + z * (Q[1] + z * (Q[2] + z * Q[3])));
    let near = x + x * (p / q);
    2.0 * EARTH_RADIUS_KM * if far { PI / 2.0 - 2.0 * near } else { near }
}

/// Great-circle distance in km between two positions in degrees.
///
/// ```
/// assert_eq!(latency_core::geo::distance_km(51.51, -0.13, 35.68, 139.69).round(), 9559.0);
/// ```
#[must_use]
pub fn distance_km(a_lat: f64, a_lon: f64, b_lat: f64, b_lon: f64) -> f64 {
    UnitVector::from_degrees(a_lat, a_lon).distance_km(UnitVector::from_degrees(b_lat, b_lon))
}

/// The floor in ms: light in fibre along the great circle, there and back, 2 · distance / (2/3 · c).
///
/// Two thirds of c is the speed of light in glass of refractive index 1.5.
///
/// ```
/// assert_eq!(latency_core::geo::floor_ms(9_559.0).round(), 96.0);
/// ```
#[must_use]
pub fn floor_ms(distance_km: f64) -> f64 {
    3.0 * distance_km / LIGHT_KM_PER_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected} ± {tolerance}");
    }

    #[test]
    fn known_distances() {
        let quarter = EARTH_RADIUS_KM * PI / 2.0;
        close(distance_km(0.0, 0.0, 0.0, 90.0), quarter, 1e-9);
        close(distance_km(90.0, 0.0, -90.0, 0.0), 2.0 * quarter, 1e-3);
        close(distance_km(10.0, 179.5, 10.0, -179.5), distance_km(10.0, 0.0, 10.0, 1.0), 1e-9);
        // London to Tokyo, by the haversine formula at 50 digits.
        close(distance_km(51.51, -0.13, 35.68, 139.69), 9559.716, 0.5);
        assert_eq!(distance_km(51.51, -0.13, 51.51, -0.13), 0.0);
    }

    #[test]
    fn arcs_agree_with_the_arc_sine_of_libm() {
        for i in 0..=4_000_000 {
            let squared_chord = f64::from(i) * 1e-6;
            let expected = 2.0 * EARTH_RADIUS_KM * libm::asin(0.5 * libm::sqrt(squared_chord));
            close(arc_km(squared_chord), expected, expected * 4.0 * f64::EPSILON);
        }
        assert_eq!(arc_km(4.000_001), arc_km(4.0));
    }

    #[test]
    fn distance_is_symmetric_to_the_bit() {
        for i in 0..200 {
            let (a, b) = (f64::from(i) * 0.83 - 80.0, f64::from(i) * 1.7 - 170.0);
            let (c, d) = (70.0 - f64::from(i) * 0.7, f64::from(i) * 1.1 - 100.0);
            assert_eq!(distance_km(a, b, c, d).to_bits(), distance_km(c, d, a, b).to_bits());
        }
    }

    #[test]
    fn floor_of_a_thousand_kilometres_is_ten_milliseconds() {
        close(floor_ms(1000.0), 10.007, 1e-3);
    }
}
