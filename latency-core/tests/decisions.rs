//! Ranking, timeouts and judgements, as a service asks for them.

use std::sync::LazyLock;

use latency_core::{Access, Endpoint, ErrorKind, Path, Place, Predictor, Provider, Ranked, Row, Verdict};

static PREDICTOR: LazyLock<Predictor> = LazyLock::new(|| Predictor::bundled().expect("the bundled model loads"));

fn ends<const N: usize>(names: [&str; N]) -> Vec<Endpoint> {
    names.iter().map(|name| Endpoint::find(name).expect(name)).collect()
}

fn order(ranked: &[Ranked]) -> Vec<usize> {
    ranked.iter().map(|found| found.index).collect()
}

#[test]
fn regions_are_ranked_by_their_median() {
    let src = Endpoint::find("Lisbon").unwrap().with_access(Access::Wifi);
    let candidates = ends(["aws:ap-northeast-1", "aws:eu-west-2", "aws:us-east-1", "aws:eu-central-1"]);
    let ranked = PREDICTOR.rank(&src, &candidates, Some(80.0)).unwrap();
    assert_eq!(order(&ranked)[2..], [2, 0], "{ranked:?}");
    assert!(ranked[0].p_best + ranked[1].p_best > 0.99, "{ranked:?}");
    assert!(ranked[0].p_within_budget.unwrap() > 0.8 && ranked[3].p_within_budget.unwrap() < 0.01, "{ranked:?}");
    let without = PREDICTOR.rank(&src, &candidates, None).unwrap();
    assert!(without.iter().all(|found| found.p_within_budget.is_none()));
    assert_eq!(order(&without), order(&ranked));
}

#[test]
fn every_region_of_a_provider_is_ranked_and_the_nearest_comes_early() {
    for (city, near) in [("Frankfurt", "eu-central-1"), ("Sydney", "ap-southeast-2"), ("São Paulo", "sa-east-1")] {
        let regions: Vec<_> =
            Place::cloud_regions().filter(|region| region.provider() == Some(Provider::Aws)).collect();
        let candidates: Vec<_> = regions.iter().cloned().map(Endpoint::from).collect();
        let ranked = PREDICTOR.rank(&Endpoint::find(city).unwrap(), &candidates, None).unwrap();
        assert_eq!(ranked.len(), 36);
        let first: Vec<_> = ranked[..3].iter().map(|found| regions[found.index].to_string()).collect();
        assert!(first.contains(&format!("aws:{near}")), "{city}: {first:?}");
    }
}

#[test]
fn equal_candidates_share_and_keep_their_order() {
    let ranked = PREDICTOR.rank(&Endpoint::find("Lisbon").unwrap(), &ends(["LHR"; 4]), None).unwrap();
    assert_eq!(order(&ranked), [0, 1, 2, 3]);
    assert!(ranked.iter().all(|found| (found.p_best - 0.25).abs() < 1e-9), "{ranked:?}");
}

#[test]
fn no_candidates_are_no_error() {
    assert!(PREDICTOR.rank(&Endpoint::find("Lisbon").unwrap(), &[], Some(50.0)).unwrap().is_empty());
    assert!(PREDICTOR.rank_paths::<Row>([], None).unwrap().is_empty());
}

#[test]
fn rows_are_ranked_as_paths_are_and_a_bad_one_is_named() {
    let rows = [Row::between("Madrid", "Tokyo").unwrap(), Row::between("Madrid", "Paris").unwrap()];
    let paths = [Path::between("Madrid", "Tokyo").unwrap(), Path::between("Madrid", "Paris").unwrap()];
    let ranked = PREDICTOR.rank_paths(&rows, None).unwrap();
    assert_eq!(ranked, PREDICTOR.rank_paths(&paths, None).unwrap());
    let bad = [rows[0].clone(), rows[1].clone().with("src_access", "dialup")];
    let error = PREDICTOR.rank_paths(&bad, None).unwrap_err();
    assert_eq!((error.kind(), error.row(), error.field()), (ErrorKind::InvalidField, Some(1), Some("src_access")));
}

#[test]
fn a_place_compared_with_itself_is_answered() {
    let here = Endpoint::at(51.5, -0.1).unwrap();
    let path = Path::new(here.clone(), here.clone());
    assert_eq!(PREDICTOR.predict(&path).unwrap().distance_km, Some(0.0));
    assert_eq!(PREDICTOR.judge(&path, 0.05).unwrap().verdict, Verdict::Plausible);
    assert!(PREDICTOR.timeout(&path, 0.999).unwrap().timeout_ms.is_finite());
    let ranked = PREDICTOR.rank(&here, &[here.clone(), Endpoint::find("Tokyo").unwrap()], Some(1000.0)).unwrap();
    assert!(ranked[0].index == 0 && ranked[0].p_best > 0.999);
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let path = Path::between("London", "Tokyo").unwrap();
    for quantile in [0.0, 0.49, 0.9991, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = PREDICTOR.timeout(&path, quantile).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some("quantile")), "{quantile}");
    }
    for ms in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        let error = PREDICTOR.judge(&path, ms).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some("measured_ms")), "{ms}");
        let error = PREDICTOR.rank(&path.src, std::slice::from_ref(&path.dst), Some(ms)).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some("budget_ms")), "{ms}");
    }
}

#[test]
fn a_wrong_position_is_allowed_for() {
    let far = |km| Endpoint::find("London").unwrap().with_uncertainty_km(km).unwrap();
    let tokyo = || Endpoint::find("Tokyo").unwrap();
    // Light in vacuum takes 63.8 ms there and back over 9,560 km.
    let verdict = |km| PREDICTOR.judge(&Path::new(far(km), tokyo()), 60.0).unwrap().verdict;
    assert_eq!(verdict(0.0), Verdict::Impossible);
    assert_eq!(verdict(1000.0), Verdict::Suspicious);
    for km in [-1.0, f64::NAN, 20_101.0] {
        assert!(Endpoint::find("London").unwrap().with_uncertainty_km(km).is_err());
    }
    let kinds = ["aws:eu-west-2", "London", "LHR", "51.5,-0.1"].map(|name| Place::find(name).unwrap().uncertainty_km());
    assert_eq!(kinds, [100.0, 50.0, 10.0, 10.0]);
    // What an end says of itself in JSON, in every form of the question.
    let json = serde_json::json!({"src": {"place": "London", "uncertainty_km": 1000}, "dst": "Tokyo"});
    assert_eq!(PREDICTOR.judge(&Row::from_json(&json).unwrap(), 60.0).unwrap().verdict, Verdict::Suspicious);
    let path: Path = serde_json::from_value(json).unwrap();
    assert_eq!(path.src.uncertainty_km(), 1000.0);
    assert_eq!(
        serde_json::from_value::<Path>(serde_json::to_value(&path).unwrap()).unwrap().src.uncertainty_km(),
        1000.0
    );
    let unknown = serde_json::json!({"src": {"place": "London", "uncertainty_km": null}, "dst": "Tokyo"});
    assert_eq!(
        PREDICTOR.judge(&Row::from_json(&unknown).unwrap(), 60.0).unwrap(),
        PREDICTOR.judge(&Row::between("London", "Tokyo").unwrap(), 60.0).unwrap()
    );
    for wrong in [serde_json::json!(-1), serde_json::json!("far")] {
        let error =
            Row::from_json(&serde_json::json!({"src": {"place": "London", "uncertainty_km": wrong}})).unwrap_err();
        assert_eq!(error.field(), Some("src.uncertainty_km"));
        assert!(error.message().ends_with("allowed: a number from 0 to 20100 (km)"), "{error}");
    }
    // A row knows the kinds of its places too.
    let row = Row::between("aws:eu-west-2", "Tokyo").unwrap();
    let message = PREDICTOR.judge(&row, 20.0).unwrap().message;
    assert!(message.contains("less the 150 km by which"), "{message}");
}

#[test]
fn a_row_made_of_a_path_is_judged_as_the_path() {
    let located = Endpoint::at(35.68, 139.69).unwrap().with_uncertainty_km(500.0).unwrap().with_access(Access::Wifi);
    let path = Path::new(Endpoint::find("aws:eu-west-2").unwrap(), located);
    let row = Row::from(&path);
    for measured_ms in [20.0, 61.0, 80.0, 240.0] {
        assert_eq!(PREDICTOR.judge(&row, measured_ms).unwrap(), PREDICTOR.judge(&path, measured_ms).unwrap());
    }
    // What a name implies is as if the row had the name.
    let named = Path::between("aws:eu-west-2", "Tokyo").unwrap();
    let row = Row::from(&named).with("src_provider", Provider::Gcp);
    assert_eq!(row.get("src_provider"), Some(&Provider::Gcp.into()));
    let by_name = Row::between("aws:eu-west-2", "Tokyo").unwrap();
    assert_eq!(PREDICTOR.judge(&Row::from(&named), 20.0).unwrap(), PREDICTOR.judge(&by_name, 20.0).unwrap());
}

#[test]
fn ends_are_read_from_json_in_every_form() {
    let read = |json: &str| serde_json::from_str::<Endpoint>(json);
    let region = read(r#"{"place": "gcp:europe-west2", "access": "server", "tier": "premium"}"#).unwrap();
    assert_eq!((region.provider(), region.access()), (Some(Provider::Gcp), Some(Access::Server)));
    assert_eq!(read(r#"{"lat": 1, "lon": 2.5}"#).unwrap(), Endpoint::at(1.0, 2.5).unwrap());
    assert_eq!(read(r#""1,2.5""#).unwrap(), Endpoint::at(1.0, 2.5).unwrap());
    let place = latency_core::Place::find("aws:eu-west-2").unwrap();
    let mut json = serde_json::to_value(&place).unwrap();
    assert_eq!(read(&json.to_string()).unwrap(), Endpoint::from(place));
    json["access"] = "server".into();
    assert_eq!(read(&json.to_string()).unwrap().access(), Some(Access::Server));
    for (json, message) in [
        (r#"{"lat": 1, "lon": 2, "name": "x"}"#, "a place without `name` or `kind`"),
        (r#"{"lat": 91, "lon": 2, "name": "x", "kind": {"type": "city"}}"#, "lat: found 91"),
        (r#"{"place": "London", "lat": 1, "lon": 2, "name": "x", "kind": {"type": "city"}}"#, "give either `place`"),
        (r#"{"lat": 91, "lon": 0}"#, "lat: found 91; allowed: a number from -90 to 90"),
        (r#"{"lat": 1}"#, "give either `place`, or `lat` and `lon`"),
        (r#"{"place": "London", "lat": 1, "lon": 2}"#, "give either `place`, or `lat` and `lon`"),
        (r#"{"lat": 1, "lon": 2, "acess": "wifi"}"#, "unknown field `acess`"),
        (r#"{"lat": 1, "lat": 2, "lon": 2}"#, "duplicate field `lat`"),
        (r#"{"lat": 1, "lon": 2, "access": "dialup"}"#, "unknown variant `dialup`"),
        (r#""Nowhereville""#, "the name of no city of 15,000 people"),
        ("5", "expected a place such as \"London\", or an object"),
    ] {
        let error = read(json).unwrap_err().to_string();
        assert!(error.contains(message), "{json}: {error}");
    }
    let path: Path = serde_json::from_str(r#"{"src": "LHR", "dst": {"place": "aws:us-east-1"}}"#).unwrap();
    assert_eq!(path, Path::between("LHR", "aws:us-east-1").unwrap());
}

#[test]
fn answers_survive_json() {
    let path = Path::between("London", "aws:us-east-1").unwrap();
    let judged = PREDICTOR.judge(&path, 5000.0).unwrap();
    let timeout = PREDICTOR.timeout(&path, 0.95).unwrap();
    let ranked = PREDICTOR.rank_paths([&path, &path], None).unwrap();
    let info = PREDICTOR.model_info().clone();
    assert_eq!(
        serde_json::from_str::<latency_core::Judgement>(&serde_json::to_string(&judged).unwrap()).unwrap(),
        judged
    );
    assert_eq!(
        serde_json::from_str::<latency_core::Timeout>(&serde_json::to_string(&timeout).unwrap()).unwrap(),
        timeout
    );
    assert_eq!(serde_json::from_str::<Vec<Ranked>>(&serde_json::to_string(&ranked).unwrap()).unwrap(), ranked);
    assert_eq!(serde_json::from_str::<latency_core::ModelInfo>(&serde_json::to_string(&info).unwrap()).unwrap(), info);
    let row = Row::between("London", "aws:us-east-1").unwrap().with("src_access", "wifi");
    let again: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
    assert_eq!(PREDICTOR.predict(&again).unwrap(), PREDICTOR.predict(&row).unwrap());
    let nested: Row = serde_json::from_str(r#"{"src": "London", "dst": {"place": "aws:us-east-1"}}"#).unwrap();
    assert_eq!(nested, Row::between("London", "aws:us-east-1").unwrap());
    let error = serde_json::from_str::<Row>(r#"{"src": "London", "src": "Paris"}"#).unwrap_err();
    assert!(error.to_string().starts_with("src: found twice"), "{error}");
    let place = Place::find("Portland, OR").unwrap();
    assert_eq!(serde_json::from_str::<Place>(&serde_json::to_string(&place).unwrap()).unwrap(), place);
    let json = serde_json::to_value(&judged).unwrap();
    assert_eq!((json["verdict"].as_str(), json["p50_ms"].is_number()), (Some("slow"), true));
}
