//! The store of the observations: a file of `SQLite` or a database of `PostgreSQL`, which are asked by the same statements.

mod error;
mod migrations;
mod postgres;
mod sqlite;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use latency_core::Verdict;
use rocket::futures::TryFutureExt;
use sqlx::{ColumnIndex, Decode, Executor, FromRow, PgConnection, QueryBuilder, Row, SqliteConnection, Type};

pub use self::error::StoreError;
use super::observation::{Observation, Predicted, verdict};
use super::place::Place;

/// How long to wait for another program that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const COLUMNS: &str = "id, digest, model, version, at_ms, received_at_ms, path, distance_km, measured_ms, p50_ms, low_ms, high_ms, \
                       p90_ms, p99_ms, verdict";

/// The rows that one statement inserts: it has a value for each column of each, and `SQLite` takes up to 32,766 of these.
const INSERTED_AT_ONCE: usize = 1_000;

/// The rows that are deleted in one transaction, so that others get their turn.
const DELETED_AT_ONCE: i64 = 5_000;

/// How to reach the store.
#[derive(Debug, Clone)]
pub struct Store(Place);

impl Store {
    pub fn new(place: Place) -> Self {
        Self(place)
    }

    pub fn place(&self) -> &Place {
        &self.0
    }

    /// A connection that writes; the tables are there and up to date.
    pub async fn writer(&self) -> Result<Connection, StoreError> {
        Ok(match &self.0 {
            Place::File(path) => Connection::Sqlite(sqlite::open(path).await?),
            Place::Database(address) => Connection::Postgres(postgres::open(&address.options).await?),
        })
    }

    /// A connection that reads.
    pub async fn reader(&self) -> Result<Connection, StoreError> {
        Ok(match &self.0 {
            Place::File(path) => Connection::Sqlite(sqlite::read(path).await?),
            Place::Database(address) => Connection::Postgres(postgres::read(&address.options).await?),
        })
    }
}

/// A connection to the store.
#[derive(Debug)]
pub enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Awaits the same statement on either database.
macro_rules! ask {
    ($connection:expr, |$database:ident| $statement:expr) => {
        match $connection {
            Connection::Sqlite($database) => $statement.await.map_err(StoreError::from),
            Connection::Postgres($database) => postgres::answer($statement).await,
        }
    };
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

impl Connection {
    /// Whether it can be asked. What others have done to a database shows only then.
    pub async fn is_alive(&mut self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(database) => postgres::is_alive(database).await,
        }
    }

    /// Begins a transaction; [`end`](Self::end) ends it, also if it has not begun.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        let statement = match self {
            // At once, so that it waits for others who write here and not inside.
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => postgres::BEGIN,
        };
        self.run(statement).await
    }

    /// Without values: `PostgreSQL` takes several statements at once then.
    async fn run(&mut self, statements: &'static str) -> Result<(), StoreError> {
        ask!(self, |database| database.execute(statements).map_ok(drop))
    }

    /// Commits what was done since [`begin`](Self::begin), or takes it back if it or the commit failed.
    pub async fn end<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let ended = match done {
            Ok(done) => self.run("COMMIT").await.map(|()| done),
            Err(error) => Err(error),
        };
        if ended.as_ref().is_err_and(StoreError::leaves_connection) {
            // After some errors, that of a full disk among them, SQLite has done so already: then this fails, and does no
            // harm. (sqlx would take the transaction for open from then on, and begin no other.)
            let _ = self.run("ROLLBACK").await;
        }
        ended
    }

    /// Stores observations of one model, in this order.
    pub async fn insert(&mut self, observations: &[Observation]) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(observations.len());
        for observations in observations.chunks(INSERTED_AT_ONCE) {
            let mut stored = self.insert_some(observations).await?;
            // By each id that is not among these, one was there before; also one that this request has twice.
            let mut again = Vec::new();
            for (index, observation) in observations.iter().enumerate() {
                if observation.id.as_ref().is_some_and(|id| !stored.remove(id)) {
                    again.push(index);
                }
            }
            let before = self.before(observations, &again).await?;
            let mut again = again.into_iter().peekable();
            for (index, observation) in observations.iter().enumerate() {
                receipts.push(if again.next_if_eq(&index).is_some() {
                    let before = observation.id.as_ref().and_then(|id| before.get(id));
                    let before = before.ok_or_else(|| StoreError::Other("an observation has vanished".to_owned()))?;
                    if before.digest == observation.digest {
                        Receipt::Duplicate(Box::new(before.clone()))
                    } else {
                        Receipt::Conflict
                    }
                } else {
                    Receipt::Stored
                });
            }
        }
        Ok(receipts)
    }

    /// Inserts those whose id is new; the new ids.
    async fn insert_some(&mut self, observations: &[Observation]) -> Result<HashSet<String>, StoreError> {
        let stored: Vec<(Option<String>,)> = ask!(self, |database| async {
            let mut statement = QueryBuilder::new(format!("INSERT INTO observations ({COLUMNS}) "));
            statement.push_values(observations, |mut row, observation| {
                let Predicted { p50_ms, low_ms, high_ms, p90_ms, p99_ms } = observation.predicted;
                row.push_bind(observation.id.as_deref())
                    .push_bind(observation.digest.as_slice())
                    .push_bind(&observation.model)
                    .push_bind(&observation.version)
                    .push_bind(observation.at_ms)
                    .push_bind(observation.received_at_ms)
                    .push_bind(&observation.path)
                    .push_bind(observation.distance_km)
                    .push_bind(observation.measured_ms)
                    .push_bind(p50_ms)
                    .push_bind(low_ms)
                    .push_bind(high_ms)
                    .push_bind(p90_ms)
                    .push_bind(p99_ms)
                    .push_bind(observation.verdict.map(Verdict::as_str));
            });
            statement.push(" ON CONFLICT (model, id) DO NOTHING RETURNING id");
            // Those of other lengths are seldom asked again.
            statement.build_query_as().persistent(observations.len() == 1).fetch_all(database).await
        })?;
        Ok(stored.into_iter().filter_map(|(id,)| id).collect())
    }

    /// What is stored under the ids of these, which are all of one model.
    async fn before(
        &mut self,
        observations: &[Observation],
        indices: &[usize],
    ) -> Result<HashMap<String, Observation>, StoreError> {
        let Some(first) = indices.first() else { return Ok(HashMap::new()) };
        let found: Vec<Observation> = ask!(self, |database| async {
            let mut statement = QueryBuilder::new(format!("SELECT {COLUMNS} FROM observations WHERE model = "));
            statement.push_bind(&observations[*first].model).push(" AND id IN (");
            let mut ids = statement.separated(", ");
            for index in indices {
                ids.push_bind(observations[*index].id.as_deref());
            }
            statement.push(")");
            statement.build_query_as().persistent(indices.len() == 1).fetch_all(database).await
        })?;
        Ok(found.into_iter().filter_map(|observation| Some((observation.id.clone()?, observation))).collect())
    }

    /// The last observations of this version of a model, the oldest first.
    pub async fn last(&mut self, model: &str, version: &str, most: usize) -> Result<Vec<Observation>, StoreError> {
        let statement = format!(
            "SELECT {COLUMNS} FROM observations WHERE model = $1 AND version = $2 ORDER BY number DESC LIMIT $3"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows: Vec<Observation> = ask!(self, |database| {
            sqlx::query_as(&statement).bind(model).bind(version).bind(most).fetch_all(database)
        })?;
        rows.reverse();
        Ok(rows)
    }

    /// Up to so many paths of this model beyond a number, with what was measured; but not what cannot be true.
    pub async fn page(&mut self, model: &str, beyond: i64, most: usize) -> Result<Vec<(i64, String, f64)>, StoreError> {
        let statement = "SELECT number, path, measured_ms FROM observations WHERE model = $1 AND number > $2 \
                         AND verdict IS DISTINCT FROM 'impossible' ORDER BY number LIMIT $3";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        ask!(self, |database| sqlx::query_as(statement).bind(model).bind(beyond).bind(most).fetch_all(database))
    }

    /// The fields that any observation of this model has a value for.
    pub async fn fields(&mut self, model: &str) -> Result<Vec<String>, StoreError> {
        let statement = |path| format!("SELECT DISTINCT key FROM observations, json_each({path}) WHERE model = $1");
        let rows: Vec<(String,)> = match self {
            Self::Sqlite(database) => {
                sqlx::query_as(&statement("observations.path")).bind(model).fetch_all(database).await?
            }
            Self::Postgres(database) => {
                let statement = statement("observations.path::json");
                postgres::long_answer(sqlx::query_as(&statement).bind(model).fetch_all(database)).await?
            }
        };
        Ok(rows.into_iter().map(|(field,)| field).collect())
    }

    /// Deletes what came before this time, some of it: whether there may be more.
    pub async fn delete_before(&mut self, received_at_ms: i64) -> Result<bool, StoreError> {
        let statement = "DELETE FROM observations WHERE number IN \
                         (SELECT number FROM observations WHERE received_at_ms < $1 LIMIT $2)";
        let done = match self.begin().await {
            Ok(()) => ask!(self, |database| {
                let statement = sqlx::query(statement).bind(received_at_ms).bind(DELETED_AT_ONCE);
                async { statement.execute(database).await.map(|deleted| deleted.rows_affected() > 0) }
            }),
            Err(error) => Err(error),
        };
        self.end(done).await
    }

    /// The histograms that later observations of this version are compared with, in JSON, and until when they were
    /// received that they are made of.
    pub async fn reference(&mut self, model: &str, version: &str) -> Result<Option<(String, i64)>, StoreError> {
        let statement = "SELECT histograms, until_ms FROM references_of_models WHERE model = $1 AND version = $2";
        ask!(self, |database| sqlx::query_as(statement).bind(model).bind(version).fetch_optional(database))
    }

    /// Stores them: whether they are the first, which stay.
    pub async fn set_reference(
        &mut self,
        model: &str,
        version: &str,
        (histograms, until_ms): (&str, i64),
    ) -> Result<bool, StoreError> {
        let statement = "INSERT INTO references_of_models (model, version, histograms, until_ms) \
                         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        ask!(self, |database| {
            let statement = sqlx::query(statement).bind(model).bind(version).bind(histograms).bind(until_ms);
            async { statement.execute(database).await.map(|stored| stored.rows_affected() > 0) }
        })
    }
}

impl<'r, R: Row> FromRow<'r, R> for Observation
where
    for<'c> &'c str: ColumnIndex<R>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<f64>: Decode<'r, R::Database> + Type<R::Database>,
    f64: Decode<'r, R::Database> + Type<R::Database>,
    f32: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
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
            verdict: row.try_get::<Option<String>, _>("verdict")?.as_deref().and_then(verdict),
        })
    }
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

    fn file(folder: &tempfile::TempDir) -> Store {
        Store::new(Place::File(folder.path().join("observations.db")))
    }

    /// Of the database that the tests are given, a part that nobody else has.
    async fn database(name: &str) -> Store {
        let address =
            std::env::var("LATENCY_TEST_POSTGRES").expect("LATENCY_TEST_POSTGRES is the address of a database");
        let schema = format!("{name}_{}", std::process::id());
        let mut connection = <PgConnection as sqlx::Connection>::connect(&address).await.unwrap();
        sqlx::raw_sql(&format!("CREATE SCHEMA {schema}")).execute(&mut connection).await.unwrap();
        let separator = if address.contains('?') { '&' } else { '?' };
        Store::new(Place::parse(format!("{address}{separator}options[search_path]={schema}").into()).unwrap())
    }

    async fn stores_and_reads(store: Store) {
        let mut connection = store.writer().await.unwrap();
        let [named, nameless] = [Some("a".to_owned()), None].map(observation);
        for (observation, expected) in [
            (&named, Receipt::Stored),
            (&nameless, Receipt::Stored),
            (&nameless, Receipt::Stored),
            (&named, Receipt::Duplicate(Box::new(named.clone()))),
            (&Observation { digest: [8; 32], ..named.clone() }, Receipt::Conflict),
        ] {
            assert_eq!(connection.insert(std::slice::from_ref(observation)).await.unwrap(), [expected]);
        }
        assert_eq!(connection.last("m", "1", 2).await.unwrap(), [nameless.clone(), nameless.clone()]);
        let mut reader = store.reader().await.unwrap();
        let mut found = reader.fields("m").await.unwrap();
        found.sort();
        assert_eq!(found, ["hops", "link"]);
        let pages = reader.page("m", 0, 9).await.unwrap();
        assert_eq!(reader.page("m", pages[0].0, 9).await.unwrap(), pages[1..]);
        assert_eq!((pages.len(), pages[0].2), (3, 12.5));
        assert!(reader.insert(std::slice::from_ref(&nameless)).await.is_err());

        // More than one statement takes, with some twice, some that are there, and others by their ids.
        let [digest, other] = [[7; 32], [8; 32]];
        let many: Vec<_> = (0..INSERTED_AT_ONCE + 10)
            .map(|index| match index {
                3 | 5 | INSERTED_AT_ONCE => Observation { digest, ..observation(Some("b".to_owned())) },
                4 => Observation { digest: other, ..observation(Some("b".to_owned())) },
                6 => observation(Some("a".to_owned())),
                _ => observation(None),
            })
            .collect();
        connection.begin().await.unwrap();
        let done = connection.insert(&many).await;
        let receipts = connection.end(done).await.unwrap();
        for (index, receipt) in receipts.iter().enumerate() {
            let expected = match index {
                4 => Receipt::Conflict,
                5 | 6 | INSERTED_AT_ONCE => Receipt::Duplicate(Box::new(many[index].clone())),
                _ => Receipt::Stored,
            };
            assert_eq!(*receipt, expected, "{index}");
        }
        assert_eq!(connection.last("m", "1", 9_999).await.unwrap().len(), 3 + many.len() - 4);

        // What is taken back is not there.
        connection.begin().await.unwrap();
        connection.insert(&[observation(Some("c".to_owned()))]).await.unwrap();
        assert!(connection.end::<()>(Err(StoreError::Busy)).await.is_err());
        assert_eq!(connection.insert(&[observation(Some("c".to_owned()))]).await.unwrap(), [Receipt::Stored]);

        assert!(connection.set_reference("m", "1", ("{}", 5)).await.unwrap());
        assert!(!connection.set_reference("m", "1", ("[]", 6)).await.unwrap());
        assert_eq!(connection.reference("m", "1").await.unwrap(), Some(("{}".to_owned(), 5)));
        assert_eq!(connection.reference("m", "2").await.unwrap(), None);
        assert!(!connection.delete_before(2).await.unwrap());
        assert!(connection.delete_before(3).await.unwrap() && !connection.delete_before(3).await.unwrap());
        // Its tables are up to date now.
        assert!(store.writer().await.is_ok());
    }

    #[tokio::test]
    async fn what_is_stored_in_a_file_is_read_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        stores_and_reads(file(&folder)).await;
        #[cfg(unix)]
        for entry in folder.path().read_dir().unwrap() {
            let mode = std::os::unix::fs::MetadataExt::mode(&entry.unwrap().metadata().unwrap());
            assert_eq!(mode & 0o77, 0, "others may read it");
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: make postgres"]
    async fn what_is_stored_in_postgres_is_read_as_it_was() {
        stores_and_reads(database("read").await).await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: make postgres"]
    async fn what_postgres_answers_is_understood() {
        let store = database("understood").await;
        let mut connection = store.writer().await.unwrap();
        let mut raise = async |code: &str| {
            let statement = format!("DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$");
            let Connection::Postgres(database) = &mut connection else { unreachable!() };
            StoreError::from(sqlx::raw_sql(&statement).execute(database).await.unwrap_err())
        };
        assert!(matches!(raise("53100").await, StoreError::Full));
        assert!(matches!(raise("40P01").await, StoreError::Busy));
        assert!(matches!(raise("57P01").await, StoreError::Unreachable(_)));
        assert!(matches!(raise("42501").await, StoreError::Other(_)));

        // Whoever writes keeps others waiting, and these give up; nobody else waits.
        let mut other = store.writer().await.unwrap();
        other.begin().await.unwrap();
        let begun = connection.begin().await;
        assert!(matches!(connection.end(begun).await, Err(StoreError::Busy)));
        assert!(store.reader().await.unwrap().page("m", 0, 1).await.unwrap().is_empty());
        other.end(Ok(())).await.unwrap();
        let begun = connection.begin().await;
        connection.end(begun).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_known_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = file(&folder).writer().await.unwrap();
        let limit = async |connection: &mut Connection, pages: usize| {
            let Connection::Sqlite(file) = connection else { unreachable!() };
            sqlx::raw_sql(&format!("PRAGMA max_page_count = {pages}")).execute(file).await.unwrap();
        };
        limit(&mut connection, 20).await;
        let mut stored = 0;
        let error = loop {
            match connection.insert(&[observation(Some(stored.to_string()))]).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(stored > 10 && matches!(error, StoreError::Full), "{error:?} after {stored}");
        assert_eq!(connection.last("m", "1", 10_000).await.unwrap().len(), stored);

        // Also inside a transaction, of which nothing stays; and when there is space again, the next one is stored.
        let large = [observation(Some("a".repeat(9_000)))];
        connection.begin().await.unwrap();
        let done = connection.insert(&large).await;
        assert!(matches!(connection.end(done).await, Err(StoreError::Full)));
        limit(&mut connection, 1_000).await;
        connection.begin().await.unwrap();
        let done = connection.insert(&large).await;
        assert_eq!(connection.end(done).await.unwrap(), [Receipt::Stored]);
        assert_eq!(connection.last("m", "1", 10_000).await.unwrap().len(), stored + 1);
    }
}
