//! The `PostgreSQL` database.

use std::future::Future;
use std::time::Duration;

use rocket::tokio::time::timeout;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use super::{StoreError, migrations};

/// How long it may take to connect, or to say that the connection is still there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take. Without a limit nobody would notice that the network is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The same of a statement that reads all there is.
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_mins(10);

/// What its tables were made with, in order.
const MIGRATIONS: &[migrations::Step] = &[(1, "observations", include_str!("migrations/postgres/1_observations.sql"))];

/// Begins a transaction of the only one that writes, as `SQLite` has it: nobody waits inside, and what has a higher number
/// was committed later. One that has stopped in the middle does not keep the others waiting for ever.
pub const BEGIN: &str = "BEGIN; \
     SET LOCAL lock_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '30s'; \
     SELECT pg_advisory_xact_lock('observations'::regclass::oid::bigint)";

/// Connects to write, and brings the tables up to date.
pub async fn open(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let mut connection = connect(options).await?;
    let migrator = migrations::of(MIGRATIONS).await?;
    within(ANSWER_TIMEOUT, migrator.run_direct(&mut connection)).await?;
    Ok(connection)
}

/// Connects to read.
pub async fn read(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let mut connection = connect(options).await?;
    answer(connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")).await?;
    Ok(connection)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    within(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await
}

/// Whether it is still there.
pub async fn is_alive(connection: &mut PgConnection) -> bool {
    within(CONNECT_TIMEOUT, connection.ping()).await.is_ok()
}

/// The answer to a statement. If there is none in time, the connection is of no use any more.
pub async fn answer<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    within(ANSWER_TIMEOUT, asked).await
}

/// The same, to a statement that reads all there is.
pub async fn long_answer<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    within(LONG_ANSWER_TIMEOUT, asked).await
}

async fn within<T, E: Into<StoreError>>(
    limit: Duration,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match timeout(limit, asked).await {
        Ok(answer) => answer.map_err(E::into),
        Err(_) => Err(StoreError::Unreachable(format!("it has not answered within {} s", limit.as_secs()))),
    }
}
