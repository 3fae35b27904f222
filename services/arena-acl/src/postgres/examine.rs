//! What the database says of itself, for `check`.

use sqlx::{Connection as _, PgConnection};

use super::{Postgres, errors::during, migrate::MIGRATIONS};
use crate::inbox::StoreError;

/// The least version of the server: functions with a body of SQL (migration 3).
const LEAST_SERVER: i32 = 14;

/// Tables that the service reads and writes; those of later migrations may be missing.
const TABLES: [&str; 8] = [
    "arena_data",
    "arena_data_id_translation",
    "arena_data_hist_id_translation",
    "deltaker",
    "gjennomforing",
    "outbox",
    "publisher",
    "quarantine",
];

/// What the database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The major version of the server.
    pub server: i32,
    /// The least that is needed.
    pub least_server: i32,
    /// Migrations of ours that are applied.
    pub applied: usize,
    /// Migrations of ours that are not.
    pub pending: Vec<i64>,
    /// Migrations that this program does not know: a newer one was here.
    pub foreign: Vec<i64>,
    /// Migrations that broke off.
    pub broken: Vec<i64>,
    /// Whether the user may create tables, which migrations need.
    pub may_create: bool,
    /// Tables in which the user may not read, insert, change and delete.
    pub refused: Vec<String>,
}

impl Postgres {
    /// Asks the database about itself, on a connection of its own; changes nothing.
    ///
    /// # Errors
    /// As [`StoreError`] says, with the cause: no pool stands between.
    pub async fn examine(&self) -> Result<Examined, StoreError> {
        // the pool would try again and say in the end only that nothing became free
        let options = self.settings.options([("statement_timeout", "5s"), ("default_transaction_read_only", "on")]);
        let mut connection = PgConnection::connect_with(&options).await.map_err(during("connecting"))?;
        let examined = examine(&mut connection).await.map_err(during("asking the database about itself"));
        // it is closed in any case
        connection.close().await.unwrap_or_default();
        examined
    }
}

async fn examine(connection: &mut PgConnection) -> Result<Examined, sqlx::Error> {
    let (version, migrated, may_create): (i32, bool, bool) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer, to_regclass('_sqlx_migrations') IS NOT NULL, \
                coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let known: Vec<(i64, bool)> = if migrated {
        sqlx::query_as("SELECT version, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *connection)
            .await?
    } else {
        Vec::new()
    };
    let refused = sqlx::query_scalar(
        "SELECT name FROM unnest($1::text[]) AS own (name) \
         WHERE to_regclass(name) IS NOT NULL AND NOT ( \
             has_table_privilege(name, 'SELECT') AND has_table_privilege(name, 'INSERT') \
             AND has_table_privilege(name, 'UPDATE') AND has_table_privilege(name, 'DELETE')) \
         ORDER BY name",
    )
    .bind(TABLES.as_slice())
    .fetch_all(connection)
    .await?;
    let ours: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let applied = |version: &i64| known.iter().any(|(known, success)| known == version && *success);
    Ok(Examined {
        server: version / 10_000,
        least_server: LEAST_SERVER,
        applied: ours.iter().filter(|version| applied(version)).count(),
        pending: ours.iter().copied().filter(|version| !applied(version)).collect(),
        foreign: known.iter().map(|(version, _)| *version).filter(|version| !ours.contains(version)).collect(),
        broken: known.iter().filter(|(_, success)| !success).map(|(version, _)| *version).collect(),
        may_create,
        refused,
    })
}
