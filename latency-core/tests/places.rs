//! Names to places, as a user of the crate meets them.

use latency_core::{ATTRIBUTION, Continent, ErrorKind, Place, PlaceKind, Provider};
use proptest::prelude::*;

fn found(query: &str) -> String {
    match Place::find(query) {
        Ok(place) => place.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

fn refused(query: &str, kind: ErrorKind) -> String {
    let error = Place::find(query).expect_err(query);
    assert_eq!(error.kind(), kind, "{query}: {error}");
    error.to_string()
}

#[test]
fn cities() {
    for (query, expected) in [
        ("London", "London, England, GB"),
        ("London, GB", "London, England, GB"),
        ("London, UK", "London, England, GB"),
        ("London, England", "London, England, GB"),
        ("London, CA", "London, ON, CA"),
        ("London, Canada", "London, ON, CA"),
        ("London, Ontario", "London, ON, CA"),
        ("London, ON, CA", "London, ON, CA"),
        ("Portland, OR", "Portland, OR, US"),
        ("Portland, Oregon", "Portland, OR, US"),
        ("portland,oregon,usa", "Portland, OR, US"),
        ("Portland OR", "Portland, OR, US"),
        ("Paris", "Paris, Ile-de-France, FR"),
        ("Paris, Texas, US", "Paris, TX, US"),
        ("Paris, TX", "Paris, TX, US"),
        ("Paris Texas", "Paris, TX, US"),
        ("São Paulo", "São Paulo, SP, BR"),
        ("SAO PAULO", "São Paulo, SP, BR"),
        ("  sao   paulo ", "São Paulo, SP, BR"),
        ("Ontario, CA", "Ontario, CA, US"),
        ("St. Louis, MO", "St. Louis, MO, US"),
        ("saint louis, missouri", "St. Louis, MO, US"),
        ("Stratford-upon-Avon", "Stratford-upon-Avon, England, GB"),
        ("stratford upon avon", "Stratford-upon-Avon, England, GB"),
        ("Washington", "Washington, DC, US"),
        ("Washington DC", "Washington, DC, US"),
        ("Washington, D.C.", "Washington, DC, US"),
        ("Ashburn", "Ashburn, VA, US"),
        ("Columbus, Georgia", "Columbus, GA, US"),
        ("Tbilisi, Georgia", "Tbilisi, GE"),
        ("Perth, WA", "Perth, WA, AU"),
        ("Singapore", "Singapore, SG"),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
}

#[test]
fn other_names_of_cities() {
    for (query, name) in [
        ("New York", "New York City"),
        ("New York, NY", "New York City"),
        ("nyc", "New York City"),
        ("Bombay", "Mumbai"),
        ("Calcutta", "Kolkata"),
        ("Bangalore", "Bengaluru"),
        ("Saigon", "Ho Chi Minh City"),
        ("Kiev", "Kyiv"),
        ("Odessa", "Odesa"),
        ("Peking", "Beijing"),
        ("Munich", "Munich"),
        ("München", "Munich"),
        ("Muenchen", "Munich"),
        ("Cologne", "Köln"),
        ("Köln", "Köln"),
        ("Koln", "Köln"),
        ("Geneva", "Geneva"),
        ("Genève", "Geneva"),
        ("Frankfurt", "Frankfurt am Main"),
        ("Firenze", "Florence"),
        ("Wien", "Vienna"),
        ("Den Haag", "The Hague"),
        ("Tel Aviv", "Tel Aviv"),
        ("Quebec City", "Québec"),
        ("LON", "London"),
    ] {
        assert_eq!(Place::find(query).map(|place| place.name.into_owned()).as_deref().ok(), Some(name), "{query}");
    }
}

#[test]
fn an_obscure_other_name_never_beats_a_city_that_has_the_name() {
    // Both are in the source: San Diego as San Miguel, Hong Kong as Victoria.
    for query in ["San Miguel", "Victoria"] {
        let message = refused(query, ErrorKind::AmbiguousPlace);
        assert!(!message.contains("San Diego") && !message.contains("Hong Kong"), "{message}");
    }
}

#[test]
fn coordinates() {
    for query in ["35.68,139.69", " 35.68 , 139.69 ", "35.68°, 139.69°", "35.68 °,139.69", "+35.68,1.3969e2"] {
        let place = Place::find(query).unwrap();
        assert_eq!((place.lat, place.lon, place.kind.clone()), (35.68, 139.69, PlaceKind::Coordinates), "{query}");
        assert_eq!((place.to_string().as_str(), place.country, place.region), ("35.68,139.69", None, None));
    }
    assert_eq!(found("-0,\u{2212}0.0"), "0,0");
    assert_eq!(found("−33.9,18.4"), "-33.9,18.4");
    assert_eq!(found("90,-180"), "90,-180");
    for (query, field) in [
        ("91,0", "lat"),
        ("-90.001,0", "lat"),
        ("0,180.5", "lon"),
        ("NaN,0", "lat"),
        ("0,inf", "lon"),
        ("1e400,0", "lat"),
    ] {
        let error = Place::find(query).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some(field)), "{query}");
    }
    assert_eq!(
        refused("139.69,35.68", ErrorKind::InvalidField),
        "lat: found 139.69; allowed: a number from -90 to 90 (degree); latitude comes first, as in `51.51,-0.13`"
    );
    for query in ["35.68", "35.68,", ",139.69", "35.68;139.69", "35.68 139.69", "1,2,3", "−−1,0", "−+1,0"] {
        refused(query, ErrorKind::UnknownPlace);
    }
}

#[test]
fn cloud_regions() {
    let place = Place::find("aws:us-east-1").unwrap();
    assert_eq!(
        (place.name.as_ref(), place.region.as_deref(), place.country.as_deref()),
        ("Ashburn", Some("VA"), Some("US"))
    );
    assert_eq!((place.lat, place.lon, place.provider()), (39.04, -77.49, Some(Provider::Aws)));
    for (query, expected) in [
        ("azure:westeurope", "azure:westeurope"),
        ("Azure:WestEurope", "azure:westeurope"),
        ("gcp:europe-west1", "gcp:europe-west1"),
        ("GCP : EUROPE-WEST1", "gcp:europe-west1"),
        ("us-east-1", "aws:us-east-1"),
        ("us-east1", "gcp:us-east1"),
        ("EastUS", "azure:eastus"),
        ("ibm:dallas", "other:Dallas"),
        ("other:Washington DC", "other:Washington DC"),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    // A bare name of another provider's region is a city.
    assert_eq!(found("Dallas"), "Dallas, TX, US");
    assert_eq!(Place::find("aws:sa-east-1").unwrap().name, "São Paulo");
    assert_eq!(
        refused("aws:us-east-9", ErrorKind::UnknownPlace),
        "found `aws:us-east-9`, which is no cloud region that is known; near names: `aws:us-east-1`, \
         `aws:us-east-2`, `aws:ap-east-1`; write one of these, or give the region's city or `lat,lon`"
    );
    assert_eq!(
        refused("oracle:london", ErrorKind::UnknownPlace),
        "found the cloud provider `oracle` in `oracle:london`; allowed before the colon: aws, azure, gcp, ibm; write one of \
         these, or give the region's city or `lat,lon`"
    );
}

#[test]
fn every_cloud_region_leads_back_to_itself() {
    let mut seen = 0;
    for row in include_str!("../assets/cloud_regions.txt").lines() {
        let fields: Vec<_> = row.split('\t').collect();
        let place = Place::find(&format!("{}:{}", fields[0], fields[1])).unwrap();
        assert_eq!(place, Place::find(&place.to_string()).unwrap());
        assert_eq!((place.lat, place.lon), (fields[4].parse().unwrap(), fields[5].parse().unwrap()));
        seen += 1;
    }
    assert_eq!(seen, 150);
}

#[test]
fn airports() {
    let place = Place::find("LHR").unwrap();
    assert_eq!((place.name.as_ref(), place.country.as_deref()), ("London Heathrow Airport", Some("GB")));
    assert_eq!((place.lat, place.lon), (51.47, -0.46));
    assert_eq!(place.kind, PlaceKind::Airport { iata: "LHR".into() });
    let mut seen = 0;
    for row in include_str!("../assets/airports.txt").lines().filter(|row| !row.starts_with('=')).step_by(7) {
        let place = Place::find(&row[..3]).unwrap();
        assert_eq!(place.to_string(), &row[..3]);
        seen += 1;
    }
    assert!(seen > 1000);
}

#[test]
fn order_of_meanings() {
    // Airport before city only in capitals: Nan is a town in Thailand and NAN an airport in Fiji.
    assert_eq!(found("NAN"), "NAN");
    assert!(matches!(Place::find("Nan, TH").unwrap().kind, PlaceKind::City));
    // In lower case a code is not a city, but the message knows what was meant.
    assert!(refused("lhr", ErrorKind::UnknownPlace).contains("near names: `LHR`"));
}

#[test]
fn several_places_of_one_name() {
    assert_eq!(
        refused("Springfield", ErrorKind::AmbiguousPlace),
        "found `Springfield`, the name of 8 places, none clearly the largest; allowed (with population): \
         Springfield, MO, US (170,000); Springfield, MA, US (154,000); Springfield, IL, US (114,000); \
         Springfield, OR, US (60,900); Springfield, OH, US (59,700); and 3 more; write one of these, or `lat,lon`"
    );
    // Both qualifiers are possible and neither place is five times the other.
    let message = refused("Richmond, CA", ErrorKind::AmbiguousPlace);
    assert!(message.contains("Richmond, BC, CA (") && message.contains("Richmond, CA, US ("), "{message}");
    // A district that is larger than the city of its name does not win.
    assert!(refused("Hollywood", ErrorKind::AmbiguousPlace).contains("Hollywood, FL, US"));
    assert_eq!(found("Hollywood, FL"), "Hollywood, FL, US");
}

#[test]
fn candidates_can_be_typed_back() {
    for query in
        ["Springfield", "San Jose", "Victoria", "Richmond", "Suzhou", "Hyderabad", "Georgetown", "San Fernando"]
    {
        let message = refused(query, ErrorKind::AmbiguousPlace);
        let list = message.split_once("(with population): ").unwrap().1.split_once("; write").unwrap().0;
        for candidate in list.split("; ").filter(|candidate| !candidate.starts_with("and ")) {
            let text = candidate.rsplit_once(" (").unwrap().0;
            Place::find(text).unwrap_or_else(|error| panic!("{candidate}: {error}"));
        }
    }
}

#[test]
fn unknown_names() {
    let allowed = "allowed: a city (`London`, `London, CA`, `Portland, OR`), an airport's IATA code in capitals \
                   (`LHR`), a cloud region (`aws:eu-west-2`), or `lat,lon` in degrees (`51.51,-0.13`)";
    assert_eq!(refused("", ErrorKind::UnknownPlace), format!("found an empty name; {allowed}"));
    assert_eq!(refused(" \t ", ErrorKind::UnknownPlace), format!("found an empty name; {allowed}"));
    assert_eq!(
        refused("Qqxzzy", ErrorKind::UnknownPlace),
        format!(
            "found `Qqxzzy`, the name of no city of 15,000 people or more, no airport and no cloud region; {allowed}"
        )
    );
    for (query, near) in [
        ("Lodnon", "`London`"),
        ("Stockhlom", "`Stockholm`"),
        ("Singapoor", "`Singapore`"),
        ("San Fransisco", "`San Francisco`"),
        ("Frankfrut", "`Frankfurt am Main`"),
    ] {
        let message = refused(query, ErrorKind::UnknownPlace);
        assert!(message.contains("near names: ") && message.contains(near), "{message}");
    }
    assert_eq!(
        refused("London, FR", ErrorKind::UnknownPlace),
        "found `London, FR`, the name of no place in that state or country; allowed (with population): London, England, GB \
         (8,960,000); London, ON, CA (422,000); write one of these, or `lat,lon`"
    );
    assert!(refused(&"x".repeat(201), ErrorKind::UnknownPlace).contains("up to 200 characters"));
    refused(&"é".repeat(200), ErrorKind::UnknownPlace);
    assert!(!refused("a\nb\u{0}\u{1b}[31m", ErrorKind::UnknownPlace).contains(char::is_control));
}

#[test]
fn suggestions() {
    let names = |prefix: &str, limit| {
        Place::suggest(prefix, limit).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(names("Lond", 3), "London, England, GB; Londrina, PR, BR; London, ON, CA");
    assert_eq!(names("Springfield, m", 5), "Springfield, MO, US; Springfield, MA, US");
    assert_eq!(names("LHR", 2), "LHR");
    assert_eq!(names("aws:us-e", 5), "aws:us-east-1; aws:us-east-2");
    assert_eq!(names("europe-west", 2), "gcp:europe-west1; gcp:europe-west2");
    assert!(names("sao pau", 1).starts_with("São Paulo"));
    assert_eq!((names("", 5), names("London", 0), names(&"x".repeat(300), 5)), Default::default());
    assert_eq!(Place::suggest("s", usize::MAX).len(), Place::suggest("S", 1_000_000).len());
}

#[test]
fn json_form() {
    assert_eq!(
        serde_json::to_string(&Place::find("aws:us-east-1").unwrap()).unwrap(),
        r#"{"label":"aws:us-east-1","name":"Ashburn","region":"VA","country":"US","lat":39.04,"lon":-77.49,"kind":{"type":"cloud_region","provider":"aws","region":"us-east-1"}}"#
    );
    assert_eq!(
        serde_json::to_string(&Place::find("1,2").unwrap()).unwrap(),
        r#"{"label":"1,2","name":"1,2","lat":1.0,"lon":2.0,"kind":{"type":"coordinates"}}"#
    );
}

#[test]
fn providers() {
    for &provider in Provider::ALL {
        assert_eq!(provider.as_str().to_uppercase().parse::<Provider>().unwrap(), provider);
    }
    let error = "ibm".parse::<Provider>().unwrap_err();
    assert_eq!(error.to_string(), "found \"ibm\"; allowed: aws, azure, gcp, other");
}

#[test]
fn attribution_names_the_sources() {
    assert!(ATTRIBUTION.contains("GeoNames") && ATTRIBUTION.contains("CC BY 4.0") && ATTRIBUTION.contains("MIT"));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), limit in 0_usize..9) {
        if let Ok(place) = Place::find(&text) {
            prop_assert!((-90.0..=90.0).contains(&place.lat) && (-180.0..=180.0).contains(&place.lon));
        }
        prop_assert!(Place::suggest(&text, limit).len() <= limit);
    }

    #[test]
    fn no_likely_text_panics(text in "[a-zA-ZßéÉİ㍿ '.,:°−0-9-]{0,24}", limit in 0_usize..9) {
        let _ = Place::find(&text);
        prop_assert!(Place::suggest(&text, limit).len() <= limit);
    }

    #[test]
    fn coordinates_lead_back(lat in -90.0..=90.0_f64, lon in -180.0..=180.0_f64) {
        let place = Place::at(lat, lon).unwrap();
        prop_assert_eq!((place.lat, place.lon), (lat, lon));
        prop_assert_eq!(Place::find(&place.to_string()).unwrap(), place);
    }

    #[test]
    fn continents_never_panic(lat in any::<f64>(), lon in any::<f64>()) {
        prop_assert!(Continent::ALL.contains(&Continent::at(lat, lon)));
    }
}
