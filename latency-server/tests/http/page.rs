//! The page: a form, an answer, an error beside the field; and what the browser is told.

use crate::common::{PREDICTOR, json, local};
use latency_core::Row;
use rocket::http::{ContentType, Status};

fn get(path: &str) -> (Status, String) {
    let response = local().get(path.to_owned()).dispatch();
    assert_eq!(response.content_type(), Some(ContentType::HTML));
    (response.status(), response.into_string().unwrap())
}

/// What lies between the two, once.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("{start} is not in {page}"));
    rest.split_once(end).unwrap_or_else(|| panic!("{end} is not in {rest}")).0
}

#[test]
fn the_empty_form() {
    let (status, page) = get("/");
    assert_eq!(status, Status::Ok);
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for needed in [
        r#"<form action="/" method="get">"#,
        r#"<label for="src">"#,
        r#"<label for="dst">"#,
        r#"<label for="src_access">"#,
        r#"<label for="dst_access">"#,
        r#"<option value="aws:eu-west-2">"#,
        r#"<option value="starlink">"#,
    ] {
        assert!(page.contains(needed), "{needed} is not in {page}");
    }
    assert!(!page.contains("class=\"error\"") && !page.contains("<section"), "{page}");
    for part in ["GeoNames", PREDICTOR.model_info().version.as_str()] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn a_result() {
    let (status, page) = get("/?src=New+York&dst=aws%3Aeu-west-2&src_access=wifi&dst_access=");
    assert_eq!(status, Status::Ok);
    let row = Row::between("New York", "aws:eu-west-2").unwrap().with("src_access", "wifi");
    let prediction = PREDICTOR.predict(&row).unwrap();
    let shown = |ms: f32| if ms < 99.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") };
    let main = between(&page, r#"<p class="main">"#, "</p>");
    assert_eq!(
        main,
        format!(
            "<strong>{}</strong> median round trip, with 90 % confidence between {} and {}.",
            shown(prediction.p50_ms),
            shown(prediction.low_ms),
            shown(prediction.high_ms)
        )
    );
    let list = between(&page, "<dl>", "</dl>");
    for number in [prediction.p90_ms, prediction.p99_ms, prediction.floor_ms.unwrap()] {
        assert!(list.contains(&format!("<dd>{}</dd>", shown(number))), "{number} is not in {list}");
    }
    assert!(list.contains("extrapolation"), "{list}");
    assert!(list.contains("<dd>5,5") && list.contains(" km</dd>"), "{list}");
    assert!(between(&page, r#"<h2 id="answer">"#, "</h2>").starts_with("New York City, NY, US"), "{page}");
    // The form keeps what was asked.
    assert!(page.contains(r#"name="src" value="New York""#), "{page}");
    assert!(page.contains(r#"<option value="wifi" selected>"#), "{page}");
    assert!(!page.contains("class=\"error\""), "{page}");
}

#[test]
fn a_measurement_is_judged() {
    for (measured, verdict, words) in [
        ("80", "Suspicious", "80 ms is less than light in fibre needs"),
        ("230", "Plausible", "230 ms is what such paths show"),
        ("2000", "Slow", "more than 99 %"),
        ("10", "Impossible", "light in vacuum"),
    ] {
        let (status, page) = get(&format!("/?src=London&dst=Tokyo&measured_ms={measured}"));
        assert_eq!(status, Status::Ok);
        let said = between(&page, &format!("<p class=\"verdict {}\">", verdict.to_lowercase()), "</p>");
        assert!(said.contains(verdict) && said.contains(words), "{said}");
        assert!(page.contains("<details open"), "{page}");
        assert!(page.contains(r#"<rect class="measured""#), "{page}");
    }
    for wrong in ["x", "-1", "0", "1e999", "NaN"] {
        let (status, page) = get(&format!("/?src=London&dst=Tokyo&measured_ms={wrong}"));
        assert_eq!(status, Status::BadRequest, "{wrong}");
        let error = between(&page, r#"id="measured_ms-error" role="alert">"#, "</p>");
        assert!(error.contains("allowed: a number"), "{error}");
        assert!(page.contains("<details open") && !page.contains("<section"), "{page}");
    }
    assert!(!get("/?src=London&dst=Tokyo&measured_ms=").1.contains("verdict"));
}

#[test]
fn regions_are_ranked() {
    let (status, page) = get("/regions");
    assert_eq!(status, Status::Ok);
    assert!(!page.contains("<section"), "{page}");
    let (status, page) = get("/regions?src=Madrid&src_access=wifi&provider=aws&budget_ms=80");
    assert_eq!(status, Status::Ok);
    let regions: Vec<_> = latency_core::Place::cloud_regions()
        .filter(|region| region.provider() == Some(latency_core::Provider::Aws))
        .collect();
    let row =
        |region: &latency_core::Place| Row::between("Madrid", &region.to_string()).unwrap().with("src_access", "wifi");
    let rows: Vec<_> = regions.iter().map(row).collect();
    let ranked = PREDICTOR.rank_paths(&rows, Some(80.0)).unwrap();
    let mut rest = page.as_str();
    for one in &ranked {
        let name = regions[one.index].to_string().replace(':', ":<wbr>");
        let name = format!("<th scope=\"row\">{name}<span>");
        rest = rest.split_once(name.as_str()).unwrap_or_else(|| panic!("{name} is not in {rest}")).1;
    }
    assert!(!page.contains("europe-southwest1<span>"), "{page}");
    assert!(page.contains(&format!("{} more regions", ranked.len() - 15)), "{page}");
    assert!(page.contains("<th scope=\"col\">Within</th>") && !get("/regions?src=Madrid").1.contains("Within"));

    for (path, id) in [
        ("/regions?src=Springfield", "src-error"),
        ("/regions?src=", "src-error"),
        ("/regions?src=Madrid&src_access=telepathy", "src_access-error"),
        ("/regions?src=Madrid&budget_ms=x", "budget_ms-error"),
        ("/regions?src=Madrid&budget_ms=-1", "budget_ms-error"),
    ] {
        let (status, page) = get(path);
        assert_eq!(status, Status::BadRequest, "{path}");
        assert!(page.contains(&format!("id=\"{id}\" role=\"alert\"")), "{page}");
    }
    assert_eq!(get("/regions?src=Madrid&provider=ibm").0, Status::BadRequest);
}

#[test]
fn the_status_shows_models_and_traffic() {
    assert_eq!(local().post("/predict").body(r#"{"src": "London", "dst": "Tokyo"}"#).dispatch().status(), Status::Ok);
    let (status, page) = get("/status");
    assert_eq!(status, Status::Ok);
    assert!(page.contains(&PREDICTOR.model_info().version), "{page}");
    assert!(page.contains("WonderNetwork 2020") && page.contains("Share within 20 %"), "{page}");
    let row = between(&page, "<code>&#x2F;predict</code></th>", "</tr>");
    assert!(row.starts_with("<td>") && (row.contains("µs</td>") || row.contains("ms</td>")), "{row}");
}

#[test]
fn warnings_are_in_words() {
    let (status, page) = get("/?src=89,0&dst=Tokyo");
    assert_eq!(status, Status::Ok);
    let warnings = between(&page, "<ul class=\"warnings\">", "</ul>");
    assert!(warnings.contains("From, latitude: found 89; training saw"), "{warnings}");
    assert!(!get("/?src=London&dst=Tokyo").1.contains("class=\"warnings\""));
}

#[test]
fn errors_stand_beside_their_fields() {
    let (status, page) = get("/?src=Springfield&dst=Tokyo");
    assert_eq!(status, Status::BadRequest);
    let error = between(&page, r#"id="src-error" role="alert">"#, "</p>");
    assert!(error.contains("<code>Springfield</code>") && error.contains("Springfield, MO, US"), "{error}");
    assert!(!page.contains("dst-error") && !page.contains("<section"), "{page}");
    assert!(page.contains(r#"aria-describedby="src-error forms" aria-invalid="true""#), "{page}");

    let (status, page) = get("/?src=&dst=91,0");
    assert_eq!(status, Status::BadRequest);
    assert!(between(&page, r#"id="src-error" role="alert">"#, "</p>").contains("empty name"), "{page}");
    assert!(
        between(&page, r#"id="dst-error" role="alert">"#, "</p>")
            .contains("found 91; allowed: a number from -90 to 90"),
        "{page}"
    );

    let (status, page) = get("/?src=London&dst=Tokyo&dst_access=telepathy");
    assert_eq!(status, Status::BadRequest);
    let error = between(&page, r#"id="dst_access-error" role="alert">"#, "</p>");
    assert!(error.contains("telepathy") && error.contains("allowed"), "{error}");

    let (status, page) = get("/?src=London");
    assert_eq!(status, Status::BadRequest);
    assert!(page.contains("dst-error") && !page.contains("src-error"), "{page}");
}

#[test]
fn hostile_input_stays_text() {
    let hostile = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%27%26";
    for path in [
        format!("/?src={hostile}&dst=Tokyo"),
        format!("/?src=London&dst={hostile}"),
        format!("/?src=London&dst=Tokyo&src_access={hostile}"),
        format!("/?src=%60{hostile}%60&dst=%00%0a"),
    ] {
        let (status, page) = get(&path);
        assert_eq!(status, Status::BadRequest);
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "{page}");
    }
    // Bytes that are no UTF-8, and far too long a name.
    assert_eq!(get("/?src=%ff%fe&dst=Tokyo").0, Status::BadRequest);
    assert_eq!(get(&format!("/?src={}&dst=Tokyo", "x".repeat(5000))).0, Status::BadRequest);
}

#[test]
fn the_page_keeps_to_its_content_security_policy() {
    for path in [
        "/",
        "/?src=London&dst=Tokyo&measured_ms=80",
        "/?src=x&dst=y",
        "/regions",
        "/regions?src=Madrid&budget_ms=30",
        "/status",
        "/docs",
        "/admin",
    ] {
        let (_, page) = get(path);
        let page = page.replace(r#"<script src="/static/page.js" defer></script>"#, "");
        for inline in ["style=", "<style", "<script", " onclick", " onload", "javascript:", "src=\"http", "href=\"http"]
        {
            assert!(!page.contains(inline), "{inline} in {page}");
        }
    }
}

#[test]
fn the_files_of_the_page() {
    let (_, page) = get("/");
    for (path, kind) in [
        ("/static/page.css", ContentType::CSS),
        ("/static/page.js", ContentType::JavaScript),
        ("/static/icon.svg", ContentType::SVG),
        ("/static/world.svg", ContentType::SVG),
    ] {
        assert!(page.contains(&format!("\"{path}\"")), "{page}");
        let response = local().get(path).dispatch();
        assert_eq!((response.status(), response.content_type()), (Status::Ok, Some(kind)));
        assert!(response.into_string().unwrap().len() > 100);
    }
}

#[test]
fn health_and_model_info() {
    let response = local().get("/health").dispatch();
    assert_eq!(response.status(), Status::Ok);
    assert_eq!(json(response)["status"], "ok");

    let response = local().get("/model_info").dispatch();
    assert_eq!(response.status(), Status::Ok);
    let info = json(response);
    assert_eq!(info["sha256"], PREDICTOR.model_info().sha256);
    let names = |list: &str| -> Vec<_> {
        info[list].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("fields"), PREDICTOR.schema().field_names().collect::<Vec<_>>());
    let prediction = PREDICTOR.predict(&Row::between("London", "Tokyo").unwrap()).unwrap();
    assert_eq!(names("outputs"), prediction.numbers().map(|(name, _)| name).collect::<Vec<_>>());
    let p99 = info["outputs"].as_array().unwrap().iter().find(|output| output["name"] == "p99_ms").unwrap();
    assert!(p99["description"].as_str().unwrap().contains("extrapolation"), "{p99}");
}
