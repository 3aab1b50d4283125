//! Times as people and programs read them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `1970-01-01T00:00:00Z`.
pub(crate) fn rfc3339(time: impl Into<OffsetDateTime>) -> String {
    // Only years beyond 9999 fail.
    time.into().format(&Rfc3339).unwrap_or_default()
}

/// The time that such a text means.
pub(crate) fn parse_rfc3339(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Milliseconds of Unix time.
pub(crate) fn unix_ms(time: impl Into<OffsetDateTime>) -> i64 {
    i64::try_from(time.into().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
