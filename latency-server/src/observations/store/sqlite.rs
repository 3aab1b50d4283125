//! The `SQLite` file.

use std::fs::OpenOptions;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::{BUSY_TIMEOUT, StoreError, migrations};

/// What the file's tables were made with, in order.
const MIGRATIONS: &[migrations::Step] = &[(1, "observations", include_str!("migrations/sqlite/1_observations.sql"))];

/// Opens the file to write, makes it if it is not there, brings its tables up to date.
pub async fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    make(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        // Readers and the writer do not wait for each other.
        .journal_mode(SqliteJournalMode::Wal)
        // What was answered is there after a power failure too.
        .synchronous(SqliteSynchronous::Full);
    let mut connection = connect(options).await?;
    migrations::of(MIGRATIONS).await?.run_direct(&mut connection).await?;
    Ok(connection)
}

/// Opens the file to read.
pub async fn read(path: &Path) -> Result<SqliteConnection, StoreError> {
    connect(SqliteConnectOptions::new().filename(path).read_only(true)).await
}

async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    // Statements have thousands of values, whose places are all that the log would show.
    Ok(options.busy_timeout(BUSY_TIMEOUT).disable_statement_logging().connect().await?)
}

/// Makes an empty file that only this user can read, unless there is one.
fn make(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| StoreError::Other(error.to_string()))
}
