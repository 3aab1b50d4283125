//! Why something was not stored, or not found.

use std::fmt;
use std::io;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// Its words are for the operator.
#[derive(Debug)]
pub enum StoreError {
    /// Another program writes for too long.
    Busy,
    /// The disk is full, or the file may not grow.
    Full,
    /// The database does not answer now, and may do so later.
    Unreachable(String),
    /// Everything else.
    Other(String),
}

impl StoreError {
    /// Whether the connection is as good as before.
    pub fn leaves_connection(&self) -> bool {
        matches!(self, Self::Busy | Self::Full)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another program writes to it"),
            Self::Full => f.write_str("the disk is full"),
            Self::Unreachable(what) | Self::Other(what) => f.write_str(what),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let what = error.to_string();
        match error {
            // A certificate that is not trusted will not change by itself.
            sqlx::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => Self::Unreachable(what),
            sqlx::Error::Database(error) => answered(&*error, what),
            _ => Self::Other(what),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Other(error.to_string()),
        }
    }
}

/// What a database has answered.
fn answered(error: &dyn DatabaseError, what: String) -> StoreError {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return match error.code() {
            // Somebody else holds what is waited for; two of them wait for each other.
            "55P03" | "40P01" => StoreError::Busy,
            "53100" => StoreError::Full,
            // It starts, stops, or is one that others are to take over from; or has too many connections.
            "57P01" | "57P02" | "57P03" | "25006" | "53300" => StoreError::Unreachable(what),
            code if code.starts_with("08") => StoreError::Unreachable(what),
            _ => StoreError::Other(what),
        };
    }
    // The low byte of SQLite's extended result codes is the primary one.
    match error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
        Some(5 | 6) => StoreError::Busy,
        Some(13) => StoreError::Full,
        _ => StoreError::Other(what),
    }
}
