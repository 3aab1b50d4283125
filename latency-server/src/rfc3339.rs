//! Times as people and programs read them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `1970-01-01T00:00:00Z`.
pub(crate) fn rfc3339(time: impl Into<OffsetDateTime>) -> String {
    // Only years beyond 9999 fail.
    time.into().format(&Rfc3339).unwrap_or_default()
}
