//! The examples of `docs/server.md` do what the guide says: each `curl` is sent, and its answer compared with the JSON
//! below it.

mod common;

use common::{json, local};
use serde_json::Value;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/server.md");

/// Numbers move a little with each model; the guide need not follow every step.
const TOLERANCE: f64 = 0.25;

/// `curl localhost:5000PATH [-d 'BODY']`
fn send(command: &str) -> Value {
    let rest = command.strip_prefix("curl localhost:5000").unwrap_or_else(|| panic!("{command} is not understood"));
    let response = match rest.split_once(" -d '") {
        Some((path, body)) => {
            let body = body.strip_suffix('\'').unwrap_or_else(|| panic!("{command} is not understood"));
            local().post(path.to_owned()).body(body).dispatch()
        }
        None => local().get(rest.to_owned()).dispatch(),
    };
    json(response)
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
        // A new model has a new version.
        _ if at.ends_with("model.version") => assert!(found.is_string() && shown.is_string(), "{at}"),
        _ => assert_eq!(found, shown, "{at}"),
    }
}

#[test]
fn the_examples_of_the_guide() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let mut examples = 0;
    for part in guide.split("```sh\n").skip(1) {
        let (command, rest) = part.split_once("\n```\n\n```json\n").expect("JSON stands below each command");
        let (shown, _) = rest.split_once("\n```\n").expect("the JSON ends");
        let shown = serde_json::from_str(shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_like(&send(command), &shown, command);
        examples += 1;
    }
    assert!(examples >= 4, "{examples} examples were found");
}
