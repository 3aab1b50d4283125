//! The examples of `docs/server.md` do what the guide says: each `curl` is sent, and its answer compared with the one
//! below it.

use crate::common::local;
use rocket::http::Header;
use serde_json::Value;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/server.md");

/// Numbers move a little with each model; the guide need not follow every step.
const TOLERANCE: f64 = 0.25;

/// The words of a command; what stands in single quotes is one.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in command.split('\'').enumerate() {
        if index % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        let mut parts = part.split(' ');
        words.last_mut().unwrap().push_str(parts.next().unwrap());
        words.extend(parts.map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `curl localhost:5000PATH [-H 'NAME: VALUE'] [-d 'BODY']`: the answer's text.
fn send(command: &str) -> String {
    let (mut path, mut body, mut headers) = (None, None, Vec::new());
    let mut words = words(command).into_iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-d" | "--data-binary" => body = words.next(),
            "-H" => headers.extend(words.next()),
            word => path = word.strip_prefix("localhost:5000").map(str::to_owned),
        }
    }
    let path = path.unwrap_or_else(|| panic!("{command} is not understood"));
    let mut request = match body {
        Some(body) => local().post(path).body(body),
        None => local().get(path),
    };
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a header");
        request = request.header(Header::new(name.to_owned(), value.to_owned()));
    }
    request.dispatch().into_string().expect("the answer is text")
}

/// A text in one of the formats of answers, as JSON.
fn parsed(format: &str, text: &str) -> Value {
    let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match format {
        "json" => json(text),
        "jsonl" => text.lines().map(json).collect(),
        "csv" => {
            let mut records = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let cell = |cell: &str| cell.parse().map_or_else(|_| Value::from(cell), |number: f64| Value::from(number));
            records.records().map(|record| record.unwrap().iter().map(cell).collect::<Value>()).collect()
        }
        format => panic!("{format} is not understood"),
    }
}

fn assert_like(found: &Value, shown: &Value, at: &str) {
    match (found, shown) {
        (Value::Object(found), Value::Object(shown)) => {
            assert_eq!(found.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>(), "{at}");
            for (key, found) in found {
                assert_like(found, &shown[key], &format!("{at}.{key}"));
            }
        }
        (Value::Array(found), Value::Array(shown)) => {
            assert_eq!(found.len(), shown.len(), "{at}");
            for (index, (found, shown)) in found.iter().zip(shown).enumerate() {
                assert_like(found, shown, &format!("{at}[{index}]"));
            }
        }
        (Value::Number(found), Value::Number(shown)) => {
            let (found, shown) = (found.as_f64().unwrap(), shown.as_f64().unwrap());
            let difference = (found - shown).abs();
            assert!(difference <= TOLERANCE * shown.abs(), "{at}: the guide says {shown}, but it is {found}");
        }
        // Words around numbers that move with the model.
        (Value::String(found), Value::String(shown)) if at.ends_with("].message") || at.ends_with(".message") => {
            let words = |text: &str| text.split(|c: char| c.is_ascii_digit()).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(found)[0], words(shown)[0], "{at}");
        }
        // A new model has a new version.
        _ if ["model.version", "model_version", "versions[0]"].iter().any(|end| at.ends_with(end)) => {
            assert!(found.is_string() && shown.is_string(), "{at}");
        }
        _ => assert_eq!(found, shown, "{at}"),
    }
}

#[test]
fn the_examples_of_the_guide() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let mut examples = 0;
    for part in guide.split("```sh\n").skip(1) {
        let (command, rest) = part.split_once("\n```\n\n```").expect("an answer stands below each command");
        let (format, rest) = rest.split_once('\n').expect("it begins");
        let (shown, _) = rest.split_once("\n```\n").expect("it ends");
        assert_like(&parsed(format, &send(command)), &parsed(format, shown), command);
        examples += 1;
    }
    assert!(examples >= 16, "{examples} examples were found");
}
