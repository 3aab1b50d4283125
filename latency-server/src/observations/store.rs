//! The `SQLite` file of the observations.

use std::fmt;
use std::fs::OpenOptions;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use latency_core::Verdict;
use rocket::futures::FutureExt;
use rocket::futures::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Connection, Row, SqliteConnection};

use super::Settings;
use super::observation::{Observation, Predicted, verdict};

/// How long to wait for another program that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const COLUMNS: &str = "id, digest, model, version, at_ms, received_at_ms, path, distance_km, measured_ms, p50_ms, low_ms, high_ms, \
                       p90_ms, p99_ms, verdict";

/// The rows that are deleted in one transaction, so that others get their turn.
const DELETED_AT_ONCE: i64 = 5_000;

/// What the file's tables were made with, in order.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "observations", include_str!("migrations/1_observations.sql"))];

/// Why something was not stored, or not found. Its words are for the operator.
#[derive(Debug)]
pub enum StoreError {
    /// Another program writes for too long.
    Busy,
    /// The disk is full, or the file may not grow.
    Full,
    /// Everything else.
    Other(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another program writes to it"),
            Self::Full => f.write_str("the disk is full"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // The low byte of SQLite's extended result codes is the primary one.
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy,
            Some(13) => Self::Full,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => error.into(),
            error => Self::Other(error.to_string()),
        }
    }
}

/// How to read the file.
pub struct Store(SqliteConnectOptions);

impl Store {
    /// Opens the file, makes it if it is not there, brings its tables up to date; with the connection that writes.
    pub async fn open(settings: &Settings) -> Result<(Self, SqliteConnection), StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(&settings.path)
            // Readers and the writer do not wait for each other.
            .journal_mode(SqliteJournalMode::Wal)
            // What was answered is there after a power failure too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        make(&settings.path)?;
        let mut connection = SqliteConnection::connect_with(&options).await?;
        migrate(&mut connection).await?;
        let reading = SqliteConnectOptions::new().filename(&settings.path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        Ok((Self(reading), connection))
    }

    /// A connection that reads.
    pub async fn reader(&self) -> Result<SqliteConnection, StoreError> {
        Ok(SqliteConnection::connect_with(&self.0).await?)
    }
}

/// Makes an empty file that only this user can read, unless there is one.
fn make(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| StoreError::Other(error.to_string()))
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    Ok(Migrator::new(Embedded).await?.run_direct(connection).await?)
}

#[derive(Debug)]
struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migrations = MIGRATIONS
            .map(|(version, name, sql)| Migration::new(version, name.into(), MigrationType::Simple, sql.into(), false));
        async { Ok(migrations.into()) }.boxed()
    }
}

/// Begins a transaction; [`end`] ends it.
pub async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // At once, so that it waits for others who write here and not inside.
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
    Ok(())
}

/// Commits what was done since [`begin`], or takes it back if it or the commit failed.
pub async fn end<T>(connection: &mut SqliteConnection, done: Result<T, StoreError>) -> Result<T, StoreError> {
    let ended = match done {
        Ok(done) => sqlx::query("COMMIT").execute(&mut *connection).await.map(|_| done).map_err(StoreError::from),
        Err(error) => Err(error),
    };
    if ended.is_err() {
        // After some errors, that of a full disk among them, SQLite has done so already: then this fails, and does no
        // harm. (sqlx would take the transaction for open from then on, and begin no other.)
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    ended
}

/// What became of an observation.
#[derive(Debug, PartialEq)]
pub enum Receipt {
    Stored,
    /// It was there already: as it was stored.
    Duplicate(Box<Observation>),
    /// Another one has its id.
    Conflict,
}

/// Stores one observation.
pub async fn insert(connection: &mut SqliteConnection, observation: &Observation) -> Result<Receipt, StoreError> {
    let statement = format!(
        "INSERT INTO observations ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model, id) DO NOTHING"
    );
    let Predicted { p50_ms, low_ms, high_ms, p90_ms, p99_ms } = observation.predicted;
    let stored = sqlx::query(&statement)
        .bind(observation.id.as_deref())
        .bind(observation.digest.as_slice())
        .bind(&observation.model)
        .bind(&observation.version)
        .bind(observation.at_ms)
        .bind(observation.received_at_ms)
        .bind(&observation.path)
        .bind(observation.distance_km)
        .bind(observation.measured_ms)
        .bind(p50_ms)
        .bind(low_ms)
        .bind(high_ms)
        .bind(p90_ms)
        .bind(p99_ms)
        .bind(observation.verdict.map(Verdict::as_str))
        .execute(&mut *connection)
        .await?;
    if stored.rows_affected() == 1 {
        return Ok(Receipt::Stored);
    }
    let statement = format!("SELECT {COLUMNS} FROM observations WHERE model = ? AND id = ?");
    let before = sqlx::query(&statement).bind(&observation.model).bind(observation.id.as_deref());
    let before = read(&before.fetch_one(connection).await?)?;
    Ok(if before.digest == observation.digest { Receipt::Duplicate(Box::new(before)) } else { Receipt::Conflict })
}

/// The last observations of this version of a model, the oldest first.
pub async fn last(
    connection: &mut SqliteConnection,
    model: &str,
    version: &str,
    most: usize,
) -> Result<Vec<Observation>, StoreError> {
    let statement =
        format!("SELECT {COLUMNS} FROM observations WHERE model = ? AND version = ? ORDER BY number DESC LIMIT ?");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = sqlx::query(&statement).bind(model).bind(version).bind(most).fetch_all(connection).await?;
    rows.iter().rev().map(|row| Ok(read(row)?)).collect()
}

/// Up to so many paths of this model beyond a number, with what was measured; but not what cannot be true.
pub async fn page(
    connection: &mut SqliteConnection,
    model: &str,
    beyond: i64,
    most: usize,
) -> Result<Vec<(i64, String, f64)>, StoreError> {
    let rows = sqlx::query(
        "SELECT number, path, measured_ms FROM observations WHERE model = ? AND number > ? AND verdict IS NOT 'impossible' \
         ORDER BY number LIMIT ?",
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = rows.bind(model).bind(beyond).bind(most).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

/// The fields that any observation of this model has a value for.
pub async fn fields(connection: &mut SqliteConnection, model: &str) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query("SELECT DISTINCT key FROM observations, json_each(observations.path) WHERE model = ?");
    let rows = rows.bind(model).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Deletes what came before this time, some of it: whether there may be more.
pub async fn delete_before(connection: &mut SqliteConnection, received_at_ms: i64) -> Result<bool, StoreError> {
    let deleted = sqlx::query(
        "DELETE FROM observations WHERE number IN (SELECT number FROM observations WHERE received_at_ms < ? LIMIT ?)",
    );
    let deleted = deleted.bind(received_at_ms).bind(DELETED_AT_ONCE).execute(connection).await?;
    Ok(deleted.rows_affected() > 0)
}

/// The histograms that later observations of this version are compared with, in JSON, and until when they were received
/// that they are made of.
pub async fn reference(
    connection: &mut SqliteConnection,
    model: &str,
    version: &str,
) -> Result<Option<(String, i64)>, StoreError> {
    let row = sqlx::query("SELECT histograms, until_ms FROM references_of_models WHERE model = ? AND version = ?");
    let row = row.bind(model).bind(version).fetch_optional(connection).await?;
    Ok(row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?)
}

/// Stores them; the first ones stay.
pub async fn set_reference(
    connection: &mut SqliteConnection,
    model: &str,
    version: &str,
    (histograms, until_ms): (&str, i64),
) -> Result<(), StoreError> {
    let statement = "INSERT INTO references_of_models (model, version, histograms, until_ms) VALUES (?, ?, ?, ?) \
                     ON CONFLICT DO NOTHING";
    let statement = sqlx::query(statement).bind(model).bind(version).bind(histograms).bind(until_ms);
    statement.execute(connection).await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<Observation, sqlx::Error> {
    let verdict_of = |name: Option<&str>| name.and_then(verdict);
    Ok(Observation {
        id: row.try_get("id")?,
        digest: row.try_get::<&[u8], _>("digest")?.try_into().unwrap_or_default(),
        model: row.try_get("model")?,
        version: row.try_get("version")?,
        at_ms: row.try_get("at_ms")?,
        received_at_ms: row.try_get("received_at_ms")?,
        path: row.try_get("path")?,
        distance_km: row.try_get("distance_km")?,
        measured_ms: row.try_get("measured_ms")?,
        predicted: Predicted {
            p50_ms: row.try_get("p50_ms")?,
            low_ms: row.try_get("low_ms")?,
            high_ms: row.try_get("high_ms")?,
            p90_ms: row.try_get("p90_ms")?,
            p99_ms: row.try_get("p99_ms")?,
        },
        verdict: verdict_of(row.try_get("verdict")?),
    })
}

#[cfg(test)]
mod tests {
    use rocket::tokio;

    use super::*;

    fn observation(id: Option<String>) -> Observation {
        Observation {
            id,
            digest: [7; 32],
            model: "m".to_owned(),
            version: "1".to_owned(),
            at_ms: 1,
            received_at_ms: 2,
            path: r#"{"hops":7.0,"link":"fibre"}"#.to_owned(),
            distance_km: None,
            measured_ms: 12.5,
            predicted: Predicted { p50_ms: 0.1, low_ms: 0.2, high_ms: 0.3, p90_ms: 0.4, p99_ms: 0.5 },
            verdict: Some(Verdict::Slow),
        }
    }

    fn settings(folder: &tempfile::TempDir) -> Settings {
        Settings { path: folder.path().join("observations.db"), keep: Duration::from_hours(1) }
    }

    #[tokio::test]
    async fn what_is_stored_is_read_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut connection) = Store::open(&settings(&folder)).await.unwrap();
        let [named, nameless] = [Some("a".to_owned()), None].map(observation);
        for (observation, expected) in [
            (&named, Receipt::Stored),
            (&nameless, Receipt::Stored),
            (&nameless, Receipt::Stored),
            (&named, Receipt::Duplicate(Box::new(named.clone()))),
            (&Observation { digest: [8; 32], ..named.clone() }, Receipt::Conflict),
        ] {
            assert_eq!(insert(&mut connection, observation).await.unwrap(), expected);
        }
        assert_eq!(last(&mut connection, "m", "1", 2).await.unwrap(), [nameless.clone(), nameless]);
        let mut reader = store.reader().await.unwrap();
        let mut found = fields(&mut reader, "m").await.unwrap();
        found.sort();
        assert_eq!(found, ["hops", "link"]);
        #[cfg(unix)]
        for entry in folder.path().read_dir().unwrap() {
            let mode = std::os::unix::fs::MetadataExt::mode(&entry.unwrap().metadata().unwrap());
            assert_eq!(mode & 0o77, 0, "others may read it");
        }
        assert_eq!(page(&mut reader, "m", 1, 9).await.unwrap().len(), 2);
        assert!(insert(&mut reader, &named).await.is_err());
        assert!(delete_before(&mut connection, 3).await.unwrap() && !delete_before(&mut connection, 3).await.unwrap());
        // Its tables are up to date now.
        assert!(Store::open(&settings(&folder)).await.is_ok());
    }

    #[tokio::test]
    async fn a_full_disk_is_known_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut connection) = Store::open(&settings(&folder)).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 20").execute(&mut connection).await.unwrap();
        let mut stored = 0;
        let error = loop {
            match insert(&mut connection, &observation(Some(stored.to_string()))).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(stored > 10 && matches!(error, StoreError::Full), "{error:?} after {stored}");
        assert_eq!(last(&mut connection, "m", "1", 10_000).await.unwrap().len(), stored);

        // Also inside a transaction, of which nothing stays; and when there is space again, the next one is stored.
        begin(&mut connection).await.unwrap();
        let done = insert(&mut connection, &observation(Some("a".repeat(9_000)))).await.map(drop);
        assert!(matches!(end(&mut connection, done).await, Err(StoreError::Full)));
        sqlx::query("PRAGMA max_page_count = 1000").execute(&mut connection).await.unwrap();
        begin(&mut connection).await.unwrap();
        let done = insert(&mut connection, &observation(Some("a".repeat(9_000)))).await;
        assert_eq!(end(&mut connection, done).await.unwrap(), Receipt::Stored);
        assert_eq!(last(&mut connection, "m", "1", 10_000).await.unwrap().len(), stored + 1);
    }
}
