//! Any text as the name of a place.

#![no_main]

use latency_core::{ErrorGroup, Place, PlaceKind, Provider, Row};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    match Place::find(text) {
        Ok(place) => {
            check(&place);
            assert_eq!(text.parse::<Place>().expect("what `find` finds"), place);
            let row = Row::between(text, "London").expect("a place that was found");
            assert_eq!(row.get("src_lat"), Some(&place.lat.into()));
            assert_eq!(row.get("src_provider").is_some(), place.provider().is_some());
        }
        Err(error) => {
            assert_eq!(error.kind().group(), ErrorGroup::Input);
            // At most 200 characters of the name are shown, and a handful of near names.
            assert!(error.to_string().len() < 4000, "{error}");
            assert!(Row::between("London", text).is_err_and(|error| error.field().is_some()));
        }
    }
    let suggested = Place::suggest(text, 8);
    assert!(suggested.len() <= 8);
    suggested.iter().for_each(check);
    assert!(Place::suggest(text, 0).is_empty());
    let _ = text.parse::<Provider>();
    Corpus::Keep
});

fn check(place: &Place) {
    assert!((-90.0..=90.0).contains(&place.lat) && (-180.0..=180.0).contains(&place.lon), "{place:?}");
    assert!(!place.name.is_empty());
    // Towns of one state can share a name; nothing else can.
    if place.kind != PlaceKind::City {
        assert_eq!(&Place::find(&place.to_string()).expect("its full form leads back"), place);
    }
}
