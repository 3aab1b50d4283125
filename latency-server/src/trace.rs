//! Who a request is: its id, and the trace that it belongs to.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest id that is taken from a caller.
const MAX_ID: usize = 128;

/// The id that a caller or a proxy gave, if it can stand in a log; otherwise a new one.
pub fn request_id(given: Option<&str>) -> String {
    /// Different in every process, so that ids of several servers do not meet.
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    match given {
        Some(id) if is_id(id) => id.to_owned(),
        _ => format!("{:016x}-{:x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

/// What a `traceparent` says, in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The trace that a request belongs to.
    pub trace_id: &'a str,
    /// The span in it that sent the request.
    pub span_id: &'a str,
    /// The last bit says whether the trace is sampled.
    pub flags: &'a str,
}

impl<'a> Parent<'a> {
    /// Reads a `traceparent`, if that is what <https://www.w3.org/TR/trace-context/> allows.
    pub fn read(traceparent: &'a str) -> Option<Self> {
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = traceparent.split('-');
        let mut part = |length: usize| parts.next().filter(|part| part.len() == length && is_hex(part));
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        // Later versions may add parts.
        let fits = version != "ff" && (version != "00" || parts.next().is_none());
        (fits && !is_zero(trace_id) && !is_zero(span_id)).then_some(Self { trace_id, span_id, flags })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_taken_or_made_up() {
        for id in ["a", "0123-abc_DEF.x:y/z+=", &"a".repeat(128)] {
            assert_eq!(request_id(Some(id)), id);
        }
        let strange = ["", "two words", "line\nbreak", "é", "quote\"", "<script>", &"a".repeat(129)];
        let made: BTreeSet<_> = strange.into_iter().map(Some).chain([None]).map(request_id).collect();
        assert_eq!(made.len(), strange.len() + 1, "{made:?}");
        assert!(made.iter().all(|id| is_id(id)), "{made:?}");
    }

    #[test]
    fn traceparents() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let expected = |good: bool| good.then_some((trace, "00f067aa0ba902b7"));
        for (text, good) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), true),
            (format!("00-{trace}-00f067aa0ba902b7-00"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-what-the-future-adds"), true),
            (format!("00-{trace}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), false),
            (format!("00-{trace}-00f067aa0ba902b7"), false),
            (format!("00-{trace}-00f067aa0ba902b-01"), false),
            (format!("0-{trace}-00f067aa0ba902b7-01"), false),
            (format!(" 00-{trace}-00f067aa0ba902b7-01"), false),
            (format!("00-{trace}-00f067aa0ba902b7-é"), false),
            (String::new(), false),
        ] {
            let found = Parent::read(&text);
            assert_eq!(found.map(|parent| (parent.trace_id, parent.span_id)), expected(good), "{text}");
        }
    }
}
