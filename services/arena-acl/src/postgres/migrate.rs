//! Bringing the schema up to date, also that of the old service.

use sqlx::{migrate::Migrator, postgres::PgPoolOptions};

use super::{
    Postgres,
    errors::{during, during_migration},
    takeover,
};
use crate::{
    inbox::StoreError,
    service::{SchemaError, Store},
};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!();

impl Postgres {
    /// Brings the schema up to date. Twice is the same as once; of several processes one works and the others wait for it.
    ///
    /// # Errors
    /// As [`SchemaError`] says; `Fatal` if the schema is of a newer version, or a migration was changed after it was applied.
    pub async fn migrate(&self) -> Result<(), SchemaError> {
        // on a connection of its own: a migration may take longer than any other statement
        let options = self.settings.options([("statement_timeout", "0")]);
        let one = PgPoolOptions::new().max_connections(1).connect_with(options);
        let one = one.await.map_err(during("connecting to migrate"))?;
        takeover::check(&one).await?;
        MIGRATIONS.run(&one).await.map_err(during_migration)?;
        takeover::grant(&one).await?;
        one.close().await;
        Ok(())
    }

    /// The version of the schema in the database; `None` where it was never migrated.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn schema_version(&self) -> Result<Option<i64>, StoreError> {
        let failed = during("reading the schema version");
        let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&self.pool)
            .await
            .map_err(&failed)?;
        if !known {
            return Ok(None);
        }
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    /// The version of the schema that this program was made for.
    #[must_use]
    pub fn expected_schema_version() -> i64 {
        MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
    }
}

impl Store for Postgres {
    async fn migrate(&self) -> Result<(), SchemaError> {
        Self::migrate(self).await
    }
}
