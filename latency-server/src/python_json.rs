//! JSON as Python writes it: a number that is not known is a bare `NaN`.

use std::borrow::Cow;

use crate::body::not_utf8;
use crate::errors::Failure;
use crate::predict::invalid_json;

/// The text of a body, with null for every `NaN` outside of strings.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(&error))?;
    if !text.contains("NaN") {
        return Ok(text.into());
    }
    let mut strict = String::with_capacity(text.len());
    // Quotes that a backslash escapes end no string.
    let (mut in_string, mut escaped, mut kept) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'N' if !in_string && at >= kept && text[at..].starts_with("NaN") => {
                strict.push_str(&text[kept..at]);
                strict.push_str("null");
                kept = at + "NaN".len();
            }
            _ => {}
        }
    }
    strict.push_str(&text[kept..]);
    Ok(strict.into())
}

/// A body that is JSON, but not what is asked for; or no JSON at all.
pub fn unreadable(error: &serde_json::Error, allowed: &str) -> Failure {
    // It may quote what was sent.
    let error: String = error.to_string().chars().take(200).collect();
    invalid_json(format!("found a body that cannot be read ({error}); allowed: {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_is_null_but_in_strings() {
        for (written, read) in [
            ("[NaN,NaN]", "[null,null]"),
            (r#"{"NaN": NaN, "é": "NaN"}"#, r#"{"NaN": null, "é": "NaN"}"#),
            (r#"["\"NaN", NaN, "\\", NaN, "NaN\\\""]"#, r#"["\"NaN", null, "\\", null, "NaN\\\""]"#),
            ("NaNaN", "nullaN"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(text(written.as_bytes()).unwrap(), read);
        }
        assert_eq!(text(b"[\"\xff\"]").unwrap_err().code, "INVALID_JSON");
    }
}
