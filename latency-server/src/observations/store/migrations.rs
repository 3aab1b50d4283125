//! The steps by which tables are made and changed.

use rocket::futures::FutureExt;
use rocket::futures::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};

/// A number, a name, and its statements.
pub type Step = (i64, &'static str, &'static str);

/// What takes these steps, each of them once. Of several programs that do so at once, the others wait.
pub async fn of(steps: &'static [Step]) -> Result<Migrator, MigrateError> {
    Migrator::new(Embedded(steps)).await
}

#[derive(Debug)]
struct Embedded(&'static [Step]);

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let step = |(version, name, sql): &'static (i64, &str, &str)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into(), false)
        };
        let migrations = self.0.iter().map(step).collect();
        async { Ok(migrations) }.boxed()
    }
}
