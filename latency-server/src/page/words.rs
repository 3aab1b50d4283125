//! Numbers, places and messages as people read them.

use std::borrow::Cow;

use latency_core::Place;
use serde::Serialize;

/// Part of a message; what stood in backquotes is code.
#[derive(Serialize)]
pub struct Piece {
    text: String,
    code: bool,
}

pub fn pieces(message: &str) -> Vec<Piece> {
    let parts = message.split('`').enumerate().filter(|(_, text)| !text.is_empty());
    parts.map(|(index, text)| Piece { text: text.to_owned(), code: index % 2 == 1 }).collect()
}

/// `Chicago, IL, US`; for a cloud region also where it is.
pub fn place(place: &Place) -> String {
    if place.provider().is_some() { format!("{place} ({})", place.name) } else { place.to_string() }
}

/// The words for a field that a warning is about.
pub fn field_label(field: &str) -> Cow<'_, str> {
    if field == "distance_km" {
        return "Distance".into();
    }
    let (end, part) = match field.split_once('_') {
        Some(("src", part)) => ("From", part),
        Some(("dst", part)) => ("To", part),
        _ if field == "src" => return "From".into(),
        _ if field == "dst" => return "To".into(),
        _ => return field.into(),
    };
    let part = match part {
        "lat" => "latitude",
        "lon" => "longitude",
        "access" => "connected by",
        part => part,
    };
    format!("{end}, {part}").into()
}

/// As many digits as are worth reading: `7.3 ms`, `123 ms`.
pub fn milliseconds(ms: f32) -> String {
    if ms < 99.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `9,559 km`. No way on Earth has more than five digits.
pub fn kilometres(km: f32) -> String {
    let km = format!("{km:.0}");
    match km.len().checked_sub(3) {
        Some(at @ 1..) => format!("{},{} km", &km[..at], &km[at..]),
        _ => format!("{km} km"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.04, 7.25, 99.94, 99.96, 1234.5].map(milliseconds);
        assert_eq!(shown, ["0.0 ms", "7.2 ms", "99.9 ms", "100 ms", "1234 ms"]);
        assert_eq!([0.0, 999.4, 999.6, 20_015.0].map(kilometres), ["0 km", "999 km", "1,000 km", "20,015 km"]);
    }

    #[test]
    fn fields_are_named_as_on_the_page() {
        let labels = ["src_lat", "dst_access", "src_tier", "src", "dst", "distance_km", "rows"].map(field_label);
        assert_eq!(labels, ["From, latitude", "To, connected by", "From, tier", "From", "To", "Distance", "rows"]);
    }

    #[test]
    fn backquotes_become_code() {
        let pieces = pieces("found `x`; allowed `y`");
        let shown: Vec<_> = pieces.iter().map(|piece| (piece.text.as_str(), piece.code)).collect();
        assert_eq!(shown, [("found ", false), ("x", true), ("; allowed ", false), ("y", true)]);
    }
}
