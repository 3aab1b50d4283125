//! The Open Inference Protocol: its forms, its binary tensors, its compression, its repository, its errors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{PREDICTOR, TokenFile, client, config, json, local, models, observations};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use latency_server::Config;
use latency_server::gate::RequireToken;
use latency_server::limits::Settings;
use latency_server::models::{Models, Options, Slot, Source};
use rocket::http::{ContentType, Header, Status};
use rocket::local::blocking::{Client, LocalResponse};
use serde_json::{Value, json};

const INFER: &str = "/v2/models/latency/infer";

fn places() -> Value {
    json!({"inputs": [
        {"name": "src", "shape": [2], "datatype": "BYTES", "data": ["London", "Paris"]},
        {"name": "dst", "shape": [2, 1], "datatype": "BYTES", "data": [["Tokyo"], ["aws:us-east-1"]]},
    ]})
}

fn infer(body: impl AsRef<[u8]>) -> (u16, Value) {
    let response = local().post(INFER).body(body).dispatch();
    (response.status().code, json(response))
}

#[track_caller]
fn assert_error(response: LocalResponse<'_>, status: u16, words: &str) {
    assert_eq!((response.status().code, response.content_type()), (status, Some(ContentType::JSON)));
    let body = json(response);
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error"]);
    let text = body["error"].as_str().expect("a string");
    assert!(text.contains(words), "{text}");
}

fn own_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-node/test/fixtures/own_model.onnx")
}

fn version() -> &'static str {
    &PREDICTOR.model_info().version
}

#[test]
fn the_server_and_its_model_describe_themselves() {
    let get = |path: &str| {
        let response = local().get(path.to_owned()).dispatch();
        assert_eq!(response.status(), Status::Ok, "{path}");
        json(response)
    };
    assert_eq!(get("/v2")["extensions"], json!(["binary_tensor_data", "model_repository"]));
    assert_eq!(get("/v2/health/live"), json!({"live": true}));
    assert_eq!(get("/v2/health/ready"), json!({"ready": true}));
    let metadata = get("/v2/models/latency");
    assert_eq!(metadata["versions"], json!([version()]));
    let named = |name: &str| {
        let found = metadata["inputs"].as_array().unwrap().iter().find(|input| input["name"] == name);
        found.unwrap_or_else(|| panic!("{name}"))["datatype"].clone()
    };
    for field in PREDICTOR.schema().field_names().chain(["src", "dst"]) {
        let number = field.ends_with("_lat") || field.ends_with("_lon");
        assert_eq!(named(field), if number { "FP64" } else { "BYTES" });
    }
    assert_eq!(metadata["outputs"][0], json!({"name": "p50_ms", "datatype": "FP32", "shape": [-1]}));
    assert_eq!(metadata["outputs"].as_array().unwrap().len(), 7);
    let versioned = format!("/v2/models/latency/versions/{}", version());
    assert_eq!(get(&versioned), metadata);
    let ready = json!({"name": "latency", "ready": true});
    assert_eq!(get("/v2/models/latency/ready"), ready);
    assert_eq!(get(&format!("{versioned}/ready")), ready);
}

#[test]
fn answers_hold_what_was_asked_for() {
    let body = places();
    let (status, answer) = infer(body.to_string());
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["model_name"], &answer["model_version"]), (&json!("latency"), &json!(version())));
    assert!(answer.get("id").is_none());
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 7);
    let p50 = answer["outputs"][0].clone();
    assert_eq!((&p50["name"], &p50["datatype"], &p50["shape"]), (&json!("p50_ms"), &json!("FP32"), &json!([2])));

    let mut some = body;
    some["id"] = "a \"1\"".into();
    some["outputs"] = json!([{"name": "high_ms"}, {"name": "p50_ms", "parameters": {"binary_data": false}}]);
    some["parameters"] = json!({"sequence_id": 0, "priority": 1});
    let versioned = format!("/v2/models/latency/versions/{}/infer", version());
    let answer = json(local().post(versioned).body(some.to_string()).dispatch());
    assert_eq!(answer["id"], "a \"1\"");
    let names: Vec<_> = answer["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["high_ms", "p50_ms"]);
    assert_eq!(answer["outputs"][1], p50);

    // Rows may say where they are in either way, and no rows are no rows.
    let nan = r#"{"inputs": [
        {"name": "src", "shape": [2], "datatype": "BYTES", "data": ["London", ""]},
        {"name": "src_lat", "shape": [2], "datatype": "FP64", "data": [NaN, 51.51]},
        {"name": "src_lon", "shape": [2], "datatype": "FP64", "data": [null, -0.13]},
        {"name": "dst", "shape": [2], "datatype": "BYTES", "data": ["Tokyo", "Tokyo"]},
        {"name": "dst_access", "shape": [2], "datatype": "BYTES", "data": [null, ""]}
    ], "outputs": [{"name": "distance_km"}]}"#;
    let (status, answer) = infer(nan);
    assert_eq!(status, 200, "{answer}");
    let distances = &answer["outputs"][0]["data"];
    assert!((distances[0].as_f64().unwrap() - distances[1].as_f64().unwrap()).abs() < 10.0, "{answer}");
    let (status, answer) =
        infer(r#"{"inputs": [{"name": "src", "shape": [0], "datatype": "BYTES", "data": []}], "outputs": []}"#);
    assert_eq!((status, &answer["outputs"][6]["data"]), (200, &json!([])), "{answer}");
}

/// A request whose tensors lie behind its JSON.
fn binary(inputs: &[(&str, &str, usize, Vec<u8>)], more: &Value) -> (Vec<u8>, Header<'static>) {
    let mut head = json!({"inputs": inputs.iter().map(|(name, datatype, rows, bytes)| json!({
        "name": name, "datatype": datatype, "shape": [rows], "parameters": {"binary_data_size": bytes.len()},
    })).collect::<Value>()});
    head.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let head = head.to_string();
    let length = Header::new("Inference-Header-Content-Length", head.len().to_string());
    let body = inputs.iter().fold(head.into_bytes(), |body, (.., bytes)| [body, bytes.clone()].concat());
    (body, length)
}

fn text(words: &[&str]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| [&u32::try_from(word.len()).unwrap().to_le_bytes(), word.as_bytes()].concat())
        .collect()
}

#[test]
fn tensors_as_bytes() {
    let inputs =
        [("src", "BYTES", 2, text(&["London", "Paris"])), ("dst", "BYTES", 2, text(&["Tokyo", "aws:us-east-1"]))];
    let expected = infer(places().to_string()).1;
    let numbers = |name: &str| -> Vec<u8> {
        let output = expected["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap();
        let numbers = output["data"].as_array().unwrap().iter();
        numbers.flat_map(|number| (number.as_f64().unwrap() as f32).to_le_bytes()).collect()
    };
    // All as bytes, or one, beside one as JSON.
    let (body, length) = binary(&inputs, &json!({"parameters": {"binary_data_output": true}}));
    let response = local().post(INFER).header(length).body(body).dispatch();
    assert_eq!((response.status(), response.content_type()), (Status::Ok, Some(ContentType::Binary)));
    let split: usize = response.headers().get_one("Inference-Header-Content-Length").unwrap().parse().unwrap();
    let bytes = response.into_bytes().unwrap();
    let head: Value = serde_json::from_slice(&bytes[..split]).unwrap();
    assert_eq!(head["outputs"][1]["parameters"]["binary_data_size"], 8);
    assert!(head["outputs"][1].get("data").is_none());
    let names = ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"];
    assert_eq!(bytes[split..], names.map(numbers).concat());

    let outputs = json!({"outputs": [{"name": "p90_ms"}, {"name": "p50_ms", "parameters": {"binary_data": true}}]});
    let (body, length) = binary(&inputs, &outputs);
    let response = local().post(INFER).header(length).body(body).dispatch();
    let split: usize = response.headers().get_one("Inference-Header-Content-Length").unwrap().parse().unwrap();
    let bytes = response.into_bytes().unwrap();
    let head: Value = serde_json::from_slice(&bytes[..split]).unwrap();
    assert_eq!(head["outputs"][0]["data"], expected["outputs"][3]["data"]);
    assert_eq!(bytes[split..], numbers("p50_ms"));

    let (mut body, length) = binary(&inputs, &json!({}));
    let with = |length: String, body: &[u8]| {
        local().post(INFER).header(Header::new("Inference-Header-Content-Length", length)).body(body).dispatch()
    };
    assert_error(with("x".to_owned(), &body), 400, "Inference-Header-Content-Length: found something else");
    assert_error(with("99999".to_owned(), &body), 400, "Inference-Header-Content-Length: found a body of");
    assert_error(with("0".to_owned(), &body), 400, "found a body that cannot be read");
    body.push(b'x');
    assert_error(
        local().post(INFER).header(length.clone()).body(&body).dispatch(),
        400,
        "1 bytes behind the last input",
    );
    body.truncate(body.len() - 2);
    assert_error(local().post(INFER).header(length).body(&body).dispatch(), 400, "dst: found 25 bytes behind the JSON");
}

#[test]
fn a_matrix_is_its_columns() {
    let rows: [[f64; 4]; 3] =
        [[51.51, -0.13, 35.69, 139.69], [48.85, 2.35, -33.87, 151.21], [91.0 / 3.0, 0.1, 37.77, -122.42]];
    let post = |path: &str, inputs: &Value| {
        let response = local().post(path.to_owned()).body(json!({"inputs": inputs}).to_string()).dispatch();
        (response.status().code, json(response))
    };
    let fields = ["src_lat", "src_lon", "dst_lat", "dst_lon"];
    for datatype in ["FP64", "FP32"] {
        let named: Value = (0..4)
            .map(|at| {
                let column: Vec<_> = rows.iter().map(|row| row[at]).collect();
                json!({"name": fields[at], "shape": [3], "datatype": datatype, "data": column})
            })
            .collect();
        let (status, expected) = post(INFER, &named);
        assert_eq!(status, 200, "{expected}");
        for (name, data) in [("input", json!(rows)), ("x", json!(rows.as_flattened()))] {
            let matrix = json!([{"name": name, "shape": [3, 4], "datatype": datatype, "data": data}]);
            assert_eq!(post(INFER, &matrix), (200, expected.clone()), "{datatype} {name}");
        }
        let bytes: Vec<u8> = rows
            .as_flattened()
            .iter()
            .flat_map(|number| match datatype {
                "FP64" => number.to_le_bytes().to_vec(),
                _ => (*number as f32).to_le_bytes().to_vec(),
            })
            .collect();
        let head = json!({"inputs": [{
            "name": "input__0", "shape": [3, 4], "datatype": datatype, "parameters": {"binary_data_size": bytes.len()},
        }]});
        let head = head.to_string();
        let length = Header::new("Inference-Header-Content-Length", head.len().to_string());
        let response = local().post(INFER).header(length).body([head.into_bytes(), bytes].concat()).dispatch();
        assert_eq!(json(response), expected, "{datatype}");
    }

    let matrix = |shape: Value, data: Value| json!({"name": "x", "shape": shape, "datatype": "FP64", "data": data});
    let row = json!([rows[0]]);
    let source = json!({"name": "src_access", "shape": [1], "datatype": "BYTES", "data": ["wifi"]});
    for (inputs, words) in [
        (
            json!([matrix(json!([1, 3]), json!([[1, 2, 3]]))]),
            "x: found the shape [1,3]; allowed: [rows, 4] for a matrix",
        ),
        (json!([matrix(json!([1, 1, 4]), row.clone())]), "x: the model has no such input; allowed: src_lat, "),
        (json!([matrix(json!([1, 4]), row.clone()), source]), "dst; a matrix of numbers stands alone"),
        (json!([matrix(json!([1, 4]), json!([[1, 2, 3, null]]))]), "row 0: dst_lon: required, but not given"),
        (
            json!([matrix(json!([1, 4]), json!([[91, 2, 3, 4]]))]),
            "row 0: src_lat: found 91; allowed: a number from -90",
        ),
        (json!([matrix(json!([1, 4]), json!([[1, 2, 3, "a"]]))]), "x: found a body that cannot be read"),
    ] {
        let (status, answer) = post(INFER, &inputs);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{answer}");
    }
    // What a model takes is told by its tensors.
    let metadata = json(local().get("/v2/models/latency").dispatch());
    assert!(metadata["inputs"].as_array().unwrap().iter().all(|input| input["shape"] == json!([-1])));
}

#[test]
fn a_matrix_holds_the_numbers_of_a_model_that_needs_no_words() {
    let folder = tempfile::tempdir().unwrap();
    // `hops`, `link` (a word) and `load`, none of them required.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../latency-core/tests/models/own.onnx");
    // `hops` and `link`, and the word is required here.
    let mut needy = std::fs::read(own_model()).unwrap();
    let (seen, required) = (br#""seen":["copper","fibre"]"#, br#""required":true          "#);
    let at = needy.windows(seen.len()).position(|found| found == seen).unwrap();
    needy[at..at + seen.len()].copy_from_slice(required);
    let needy_path = folder.path().join("needy.onnx");
    std::fs::write(&needy_path, needy).unwrap();
    let [own, needy] = [own, needy_path].map(Source::File);
    let config = Config { models: vec![("own".to_owned(), own), ("needy".to_owned(), needy)], ..config() };
    let client = Client::untracked(latency_server::rocket(&config, config.load_models().unwrap())).unwrap();
    let post = |name: &str, inputs: Value| {
        let body = json!({"inputs": inputs}).to_string();
        client.post(format!("/v2/models/{name}/infer")).body(body).dispatch()
    };
    let matrix = json!([{"name": "X", "shape": [2, 2], "datatype": "FP32", "data": [[3, 0.5], [7, null]]}]);
    let named = json!([
        {"name": "hops", "shape": [2], "datatype": "INT8", "data": [3, 7]},
        {"name": "load", "shape": [2], "datatype": "FP64", "data": [0.5, null]},
    ]);
    let answer = json(post("own", matrix.clone()));
    assert_eq!(answer["outputs"][0]["shape"], json!([2]), "{answer}");
    assert_eq!(answer, json(post("own", named)));
    let words = "X: found a matrix of numbers, and `link` is a word; give a tensor for each field: hops, link";
    assert_error(post("needy", matrix), 400, words);
}

#[test]
fn compressed_bodies() {
    let text = places().to_string();
    let expected = infer(&text).1;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(text.as_bytes()).unwrap();
    let send = |client: &Client, encoding: &'static str, body: &[u8]| {
        let response = client.post(INFER).header(Header::new("Content-Encoding", encoding)).body(body).dispatch();
        (response.status().code, json(response))
    };
    assert_eq!(send(local(), "gzip", &gzip(text.as_bytes())), (200, expected.clone()));
    assert_eq!(send(local(), "deflate", &zlib.finish().unwrap()), (200, expected.clone()));
    assert_eq!(send(local(), "identity", text.as_bytes()), (200, expected));
    let (status, answer) = send(local(), "gzip", text.as_bytes());
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("found a body that is no gzip"), "{answer}");
    let cut = &gzip(text.as_bytes())[..40];
    assert_eq!(send(local(), "gzip", cut).0, 400);
    let (status, answer) = send(local(), "br", text.as_bytes());
    assert_eq!(status, 415);
    assert_eq!(answer["error"], r#"found the Content-Encoding "br"; allowed: gzip, deflate, or none"#);

    // A bomb: 2 MiB of blanks in 2 KiB, where 64 KiB are allowed.
    let small = client(&Config { max_body_bytes: 64 * 1024, ..config() });
    let bomb = gzip(&vec![b' '; 2 << 20]);
    assert!(bomb.len() < 4096);
    let (status, answer) = send(&small, "gzip", &bomb);
    assert_eq!(status, 413);
    assert!(answer["error"].as_str().unwrap().contains("more than 65536 inflated"), "{answer}");
}

#[test]
fn errors_name_the_row_and_the_field() {
    let one = |input: &str| format!(r#"{{"inputs": [{input}]}}"#);
    let input =
        |name: &str, data: &str| format!(r#"{{"name": "{name}", "shape": [2], "datatype": "FP64", "data": {data}}}"#);
    let post = |body: &str| local().post(INFER).body(body).dispatch();
    let path = ["src_lat", "src_lon", "dst_lat", "dst_lon"].map(|name| input(name, "[1, 2]")).join(",");
    for (body, words) in [
        (String::new(), "found a body that cannot be read (EOF"),
        ("[]".to_owned(), "found a body that cannot be read"),
        ("{}".to_owned(), "missing field `inputs`"),
        (one(""), "inputs: found none"),
        (one("5"), "inputs[0]: found a body that cannot be read (invalid type: integer `5`"),
        (one(r#"{"name": "src"}"#), "inputs[0]: found a body that cannot be read (missing field `shape`"),
        (one(&input("hops", "[1, 2]")), "hops: the model has no such input; allowed: src_lat, "),
        (one(&format!("{path},{}", input("src_lat", "[1, 2]"))), "src_lat: found twice"),
        (one(&input("src_lat", "[1, 2]")), "row 0: src_lon: required, but not given"),
        (one(&path.replacen("[1, 2]", "[1, 91]", 1)), "row 1: src_lat: found 91; allowed: a number from -90 to 90"),
        (one(&path.replacen("[1, 2]", "[1, null]", 1)), "row 1: src_lat: required, but not given"),
        (one(&path.replacen("[1, 2]", "[1]", 1)), "src_lat: found 1 values for a shape of 2"),
        (one(&path.replacen("\"shape\": [2]", "\"shape\": [1]", 1)), "src_lat: "),
        (one(&path.replace("FP64", "BYTES").replace("[1, 2]", r#"["a", "b"]"#)), "row 0: src_lat: found the text"),
        (places().to_string().replace("Paris", "Pariss"), "row 1: src: found `Pariss`, the name of no city"),
        (
            one(&path).replace("}]}", r#"}], "outputs": [{"name": "p51_ms"}]}"#),
            "outputs[0]: the model has no such output",
        ),
        (
            one(&path).replace("}]}", r#"}], "outputs": [{"name": "p50_ms"}, {"name": "p50_ms"}]}"#),
            "outputs[1]: found `p50_ms` twice",
        ),
        (
            one(&path).replace("}]}", r#"}], "outputs": [{"name": "p50_ms", "parameters": {"classification": 2}}]}"#),
            "outputs[0]: found an extension that is not spoken here",
        ),
    ] {
        let response = post(&body);
        assert_error(response, 400, words);
    }
    let other = path.replacen("[2]", "[1]", 1).replacen("[1, 2]", "[1]", 1);
    assert_error(post(&one(&other)), 400, "src_lon: found 2 rows, but `src_lat` has 1");
    assert_error(
        local().post("/v2/models/other/infer").body(places().to_string()).dispatch(),
        404,
        "model: found \"other\"; allowed: latency",
    );
    for path in ["/v2/models/latency/versions/1", "/v2/models/latency/versions/1/ready"] {
        assert_error(local().get(path).dispatch(), 404, "version: found the version \"1\"; allowed: ");
    }
    assert_error(local().get("/v2/nothing").dispatch(), 404, "there is nothing here");
    assert_error(local().get(INFER).dispatch(), 405, "found GET; allowed here: POST");
    // What is sent back of a hostile name has an end.
    let long = one(&input(&"n".repeat(100_000), "[1, 2]"));
    assert!(infer(&long).1["error"].as_str().unwrap().len() < 500);
    let long = format!(r#"{{"inputs": "{}"}}"#, "n".repeat(100_000));
    assert!(infer(&long).1["error"].as_str().unwrap().len() < 500);
    let many = format!(r#"{{"inputs": [{}]}}"#, vec!["{}"; 2_001].join(","));
    assert_error(post(&many), 400, "inputs: found 2001 of them");
}

#[test]
fn refusals_before_any_route_have_the_same_form() {
    let closed = client(&limited(Settings { concurrency: Some(0), ..Settings::default() }));
    assert_error(closed.get("/v2/models/latency").dispatch(), 503, "as much to do as it takes on");
    assert_error(
        closed.post(INFER).header(Header::new("Content-Length", "2")).body("{}").dispatch(),
        503,
        "send the request again",
    );
    assert_eq!(closed.get("/v2/health/ready").dispatch().status(), Status::Ok);
    let limits = Settings { rate: Some(1.try_into().unwrap()), ..Settings::default() };
    let strict = client(&limited(limits));
    assert_eq!(strict.get("/v2").dispatch().status(), Status::Ok);
    assert_error(strict.get("/v2").dispatch(), 429, "more requests from this address");
    let file = TokenFile::new();
    let private = client(&Config { tokens: Some(file.tokens()), require_token: RequireToken::Predict, ..config() });
    assert_error(private.get("/v2").dispatch(), 401, "found no token");
}

fn limited(limits: Settings) -> Config {
    Config { limits, ..config() }
}

#[test]
fn the_repository_lists_models_and_loads_them_again() {
    let (file, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.onnx");
    crate::common::write_variant(&path, 0);
    let (source, own) = (Source::File(path.clone()), Source::File(own_model()));
    let models = Models::new(source.load(Options::default()).unwrap(), source, None).with(
        "own",
        own.load(Options::default()).unwrap(),
        own,
    );
    let config = Config { tokens: Some(file.tokens()), ..config() };
    let client = Client::untracked(latency_server::rocket(&config, models)).unwrap();
    let index = |body: &str| json(client.post("/v2/repository/index").body(body).dispatch());
    let before = index("");
    assert_eq!(before[0]["name"], "latency");
    assert_eq!(
        (&before[1]["name"], &before[1]["state"], &before[1]["reason"]),
        (&json!("own"), &json!("READY"), &json!(""))
    );
    assert_eq!(index(r#"{"ready": true}"#), before);
    assert_error(client.post("/v2/repository/index").body("[").dispatch(), 400, "found a body that cannot be read");

    let load = |name: &str, body: &str, token: &str| {
        let request = client.post(format!("/v2/repository/models/{name}/load"));
        let bearer = Header::new("Authorization", format!("Bearer {token}"));
        request.header(bearer).body(body).dispatch()
    };
    assert_error(load("latency", "", "wrong"), 401, "a token that is not known");
    assert_error(load("latency", "", &file.predict), 403, "without the scope admin");
    assert_error(load("other", "", &file.admin), 404, "allowed: latency, own");
    assert_error(
        load("latency", r#"{"parameters": {"config": "{}"}}"#, &file.admin),
        400,
        "parameters.config: found a configuration",
    );
    crate::common::write_variant(&path, 1);
    let response = load("latency", "{}", &file.admin);
    assert_eq!((response.status(), json(response)), (Status::Ok, json!({})));
    let after = index("");
    assert_ne!(after[0]["version"], before[0]["version"]);
    assert_eq!(after[1], before[1]);
    let reloads = json(client.get("/model_info").dispatch())["reloads"].clone();
    assert_eq!((&reloads["swapped"], &reloads["last"]["by"]), (&json!(1), &json!("token:operator")));
    // The version from before is gone.
    let old = format!("/v2/models/latency/versions/{}", before[0]["version"].as_str().unwrap());
    assert_eq!(client.get(old).dispatch().status(), Status::NotFound);
    std::fs::write(&path, "no model").unwrap();
    assert_error(load("latency", "", &file.admin), 500, "the one from before goes on");

    // A model of one's own has its own inputs, and no places.
    let body = json!({"inputs": [
        {"name": "hops", "shape": [2], "datatype": "INT64", "data": [7, 3]},
        {"name": "link", "shape": [2], "datatype": "BYTES", "data": ["fibre", "copper"]},
    ]});
    let answer = json(client.post("/v2/models/own/infer").body(body.to_string()).dispatch());
    assert_eq!(answer["outputs"].as_array().map(Vec::len), Some(5), "{answer}");
    let native = client
        .post("/predict?model=own")
        .body(r#"[{"hops": 7, "link": "fibre"}, {"hops": 3, "link": "copper"}]"#)
        .dispatch();
    let native = json(native);
    for row in 0..2 {
        assert_eq!(answer["outputs"][0]["data"][row], native["predictions"][row]["p50_ms"]);
    }
    let metadata = json(client.get("/v2/models/own").dispatch());
    let inputs: Vec<_> = metadata["inputs"].as_array().unwrap().iter().map(|input| &input["name"]).collect();
    assert_eq!(inputs, ["hops", "link"]);
}

/// A server with a default model and `own`, whose file is at this path; and the slot of `own`.
fn with_own(path: &Path, tokens: &TokenFile) -> (Client, Arc<Slot>) {
    let source = Source::File(path.to_owned());
    let models = models().with("own", source.load(Options::default()).unwrap(), source);
    let slot = Arc::clone(models.slot("own").unwrap());
    let observations = observations(path.parent().unwrap());
    let config = Config { tokens: Some(tokens.tokens()), observations: Some(observations), ..config() };
    (Client::untracked(latency_server::rocket(&config, models)).unwrap(), slot)
}

fn change<'c>(client: &'c Client, what: &str, token: &str) -> LocalResponse<'c> {
    let bearer = Header::new("Authorization", format!("Bearer {token}"));
    client.post(format!("/v2/repository/models/{what}")).header(bearer).body("{}").dispatch()
}

const OWN: &str = r#"{"inputs": [
    {"name": "hops", "shape": [1], "datatype": "INT64", "data": [7]},
    {"name": "link", "shape": [1], "datatype": "BYTES", "data": ["fibre"]}
]}"#;

#[test]
fn a_model_that_is_unloaded_answers_nobody_until_it_is_loaded_by_its_name() {
    let (tokens, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("own.onnx");
    std::fs::copy(own_model(), &path).unwrap();
    let (client, slot) = with_own(&path, &tokens);
    let get = |path: &str| json(client.get(path.to_owned()).dispatch());
    let index = |body: &str| json(client.post("/v2/repository/index").body(body).dispatch());
    let infer = || client.post("/v2/models/own/infer").body(OWN).dispatch();
    let before = json(infer());
    let version = before["model_version"].clone();

    assert_error(change(&client, "own/unload", "wrong"), 401, "a token that is not known");
    assert_error(change(&client, "own/unload", &tokens.predict), 403, "without the scope admin");
    assert_error(change(&client, "other/unload", &tokens.admin), 404, "allowed: latency, own");
    assert_error(change(&client, "latency/unload", &tokens.admin), 409, "the default model");
    assert_eq!(infer().status(), Status::Ok);

    // A request that is under way keeps it; the next finds none, and what it took is free again.
    let under_way = slot.served().unwrap();
    let memory = Arc::downgrade(&under_way);
    let response = change(&client, "own/unload", &tokens.admin);
    assert_eq!((response.status(), json(response)), (Status::Ok, json!({})));
    assert!(memory.upgrade().is_some_and(|served| served.predictor.schema().fields.len() == 2));
    drop(under_way);
    assert!(memory.upgrade().is_none());

    let entry = json!({"name": "own", "version": version, "state": "UNAVAILABLE", "reason": "unloaded"});
    assert_eq!(index("")[1], entry);
    assert_eq!(index(r#"{"ready": true}"#).as_array().map(Vec::len), Some(1));
    assert_error(infer(), 404, "model: found \"own\", which is unloaded; allowed: a model that is loaded; POST /v2/");
    let versioned = format!("/v2/models/own/versions/{}", version.as_str().unwrap());
    for path in ["/v2/models/own", "/v2/models/own/ready", &versioned, &format!("{versioned}/ready")] {
        assert_error(client.get(path.to_owned()).dispatch(), 404, "which is unloaded");
    }
    for path in ["/predict?model=own", "/observe?model=own"] {
        let response = client.post(path).body(r#"{"hops": 7, "link": "fibre", "measured_ms": 12}"#).dispatch();
        assert_eq!(json(response)["error"]["code"], "MODEL_UNLOADED", "{path}");
    }
    let mlflow = client.post("/endpoints/own/invocations").body(r#"{"instances": [{"hops": 7}]}"#).dispatch();
    assert_eq!(json(mlflow)["error_code"], "ENDPOINT_NOT_FOUND");
    assert_eq!(get("/api/2.0/endpoints")["endpoints"].as_array().map(Vec::len), Some(1));
    // Others are as they were, and so is the server.
    assert_eq!(client.get("/ready").dispatch().status(), Status::Ok);
    assert_eq!(client.post(INFER).body(places().to_string()).dispatch().status(), Status::Ok);

    let unloaded = get("/model_info?model=own");
    assert_eq!((&unloaded["served_as"], &unloaded["source"]), (&json!("own"), &json!("file")));
    assert_eq!((&unloaded["unloaded"]["by"], &unloaded["unloaded"]["version"]), (&json!("token:operator"), &version));
    for gone in ["version", "fields", "since"] {
        assert!(unloaded.get(gone).is_none(), "{unloaded}");
    }
    let page = client.get("/status").dispatch().into_string().unwrap();
    assert_eq!((page.matches("Unloaded since").count(), page.matches("Answers since").count()), (1, 1), "{page}");
    let metrics = || client.get("/metrics").dispatch().into_string().unwrap();
    let text = metrics();
    assert!(text.contains("latency_model_unloaded{model=\"own\"} 1\n"), "{text}");
    assert!(text.contains("latency_model_unloaded{model=\"latency\"} 0\n"), "{text}");
    assert!(!text.contains("latency_model_info{engine=\"onnxruntime\",model=\"own\""), "{text}");

    // Once more changes nothing, who did it first neither.
    assert_eq!(change(&client, "own/unload", &tokens.admin).status(), Status::Ok);
    assert_eq!(get("/model_info?model=own"), unloaded);

    // A file that cannot be used leaves it so.
    std::fs::write(&path, "no model").unwrap();
    assert_error(change(&client, "own/load", &tokens.admin), 500, "it stays unloaded");
    assert_eq!(index("")[1], entry);
    let last = get("/model_info?model=own")["reloads"]["last"].clone();
    assert_eq!((&last["result"], &last["to"]), (&json!("failed"), &Value::Null));
    assert!(metrics().contains("latency_model_last_reload_successful{model=\"own\"} 0\n"));

    std::fs::copy(own_model(), &path).unwrap();
    let response = change(&client, "own/load", &tokens.admin);
    assert_eq!((response.status(), json(response)), (Status::Ok, json!({})));
    assert_eq!(json(infer()), before);
    assert_eq!((&index("")[1]["state"], &index("")[1]["reason"]), (&json!("READY"), &json!("")));
    let info = get("/model_info?model=own");
    let last = &info["reloads"]["last"];
    assert_eq!((&last["result"], &last["from"], &last["to"]), (&json!("loaded"), &Value::Null, &version));
    assert!(info.get("unloaded").is_none() && info["version"] == version, "{info}");
    let text = metrics();
    for line in [
        "latency_model_unloaded{model=\"own\"} 0\n",
        "latency_model_reloads_total{model=\"own\",result=\"loaded\"} 1\n",
        "latency_model_last_reload_successful{model=\"own\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }

    // Who means it by its name may also say so to `/reload_model`; who means all of them does not bring it back.
    assert_eq!(change(&client, "own/unload", &tokens.admin).status(), Status::Ok);
    assert!(slot.reload_if_loaded("SIGHUP").is_none());
    let reload = |query: &str| {
        let bearer = Header::new("Authorization", format!("Bearer {}", tokens.admin));
        json(client.post(format!("/reload_model{query}")).header(bearer).dispatch())
    };
    assert_eq!(reload("")["reload"]["result"], "unchanged");
    assert_eq!(index("")[1], entry);
    assert_eq!(reload("?model=own")["reload"]["result"], "loaded");
    assert_eq!(json(infer()), before);
}

/// Reading the model blocks on a pipe until the test writes it.
#[cfg(unix)]
#[test]
fn a_model_that_is_being_loaded_cannot_be_unloaded() {
    let (tokens, folder) = (TokenFile::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("own.onnx");
    std::fs::copy(own_model(), &path).unwrap();
    let (client, slot) = with_own(&path, &tokens);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let loading = std::thread::spawn(move || slot.reload("test").is_ok());
    // Opens as soon as the slot does.
    let pipe = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    assert_error(change(&client, "own/unload", &tokens.admin), 409, "is being loaded already");
    drop(pipe);
    // An empty file is no model; the one from before goes on, and can be unloaded now.
    assert!(!loading.join().unwrap());
    assert_eq!(client.post("/v2/models/own/infer").body(OWN).dispatch().status(), Status::Ok);
    assert_eq!(change(&client, "own/unload", &tokens.admin).status(), Status::Ok);
}

#[test]
fn mutilated_bodies_are_the_callers_fault() {
    let inputs = [("src", "BYTES", 1, text(&["London"])), ("dst_lat", "FP64", 1, 35.68_f64.to_le_bytes().to_vec())];
    let (binary, length) = binary(&inputs, &json!({"outputs": [{"name": "p50_ms"}], "parameters": {}}));
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(places().to_string().as_bytes()).unwrap();
    let gzip = Header::new("Content-Encoding", "gzip");
    let rows = br#"{"dataframe_split": {"columns": ["src", "dst"], "data": [["London", NaN]]}, "params": {}}"#;
    let csv = Header::new("Content-Type", "text/csv");
    let bodies = [
        (INFER, Some(length), binary),
        (INFER, Some(gzip), zipped.finish().unwrap()),
        (INFER, None, places().to_string().into_bytes()),
        ("/invocations", None, rows.to_vec()),
        ("/invocations", Some(csv), b"src,dst,dst_access\nLondon,Tokyo,wifi\n".to_vec()),
    ];
    // Any numbers will do, as long as they are the same each time (Knuth's generator).
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for turn in 0..3_000 {
        let (path, header, mut body) = bodies[turn % bodies.len()].clone();
        for _ in 0..=next(3) {
            let at = next(body.len());
            match next(4) {
                0 => body[at] = u8::try_from(next(256)).unwrap(),
                1 => body.truncate(at.max(1)),
                2 => body.insert(at, b"[]{}\",:0N-\\\xff"[next(12)]),
                _ => drop(body.remove(at)),
            }
            if body.is_empty() {
                body.push(b' ');
            }
        }
        let mut request = local().post(path);
        if let Some(header) = header {
            request = request.header(header);
        }
        let status = request.body(&body).dispatch().status().code;
        assert!(matches!(status, 200 | 400 | 413), "{status} for {:?}", String::from_utf8_lossy(&body));
    }
}
