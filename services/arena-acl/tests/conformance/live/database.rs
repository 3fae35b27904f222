//! The tables of the service in Postgres.

use arena_acl::postgres::{self, Postgres};
use chassis::settings;
use serde_json::{Map, Value};
use sqlx::{PgPool, types::Json};
use testkit::{servers::FreshDatabase, vectors::BadCase};

use crate::observed::Tables;

/// A database of its own, read and filled beside the service.
pub(super) struct Database {
    pool: PgPool,
    store: Postgres,
    fresh: FreshDatabase,
}

impl Database {
    /// A new one. The service makes its schema.
    pub(super) async fn fresh(fresh: FreshDatabase) -> Result<Self, BadCase> {
        let pairs = [("DB_JDBC_URL", fresh.jdbc_url())];
        let settings = settings::read(pairs, postgres::Settings::declare);
        let settings = settings.map_err(|error| BadCase::because("settings", &error))?;
        let pool = PgPool::connect(fresh.url()).await.map_err(|error| BadCase::because("the database", &error))?;
        Ok(Self { pool, store: Postgres::new(&settings), fresh })
    }

    /// Its address for the service.
    pub(super) fn jdbc_url(&self) -> String {
        self.fresh.jdbc_url()
    }

    /// Empties the tables of data and puts the rows of `given` into them; the sequence stands behind the highest id.
    pub(super) async fn fill(&self, given: &Map<String, Value>) -> Result<(), BadCase> {
        self.store.truncate().await.map_err(|error| BadCase::because("emptying the tables", &error))?;
        for (table, statement) in [
            (
                "gjennomforing",
                "INSERT INTO gjennomforing (arena_id, tiltak_kode, is_valid, id) \
                 SELECT arena_id, tiltak_kode, is_valid, id FROM jsonb_populate_recordset(NULL::gjennomforing, $1)",
            ),
            (
                "arena_data",
                "INSERT INTO arena_data (id, arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, \
                 ingest_status, ingested_timestamp, ingest_attempts, last_attempted, before, after, note) \
                 SELECT id, arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, \
                 ingest_status, ingested_timestamp, ingest_attempts, last_attempted, before, after, note \
                 FROM jsonb_populate_recordset(NULL::arena_data, $1)",
            ),
            (
                "deltaker",
                "INSERT INTO deltaker (id, arena_id, person_id, gjennomforing_id, dato_fra, dato_til, reg_dato, mod_dato, \
                 status, dato_statusendring, ekstern_id, arena_source_table) \
                 SELECT gen_random_uuid(), arena_id, person_id, gjennomforing_id, dato_fra, dato_til, reg_dato, \
                 mod_dato, status, dato_statusendring, ekstern_id, arena_source_table \
                 FROM jsonb_populate_recordset(NULL::deltaker, $1)",
            ),
            (
                "arena_data_id_translation",
                "INSERT INTO arena_data_id_translation \
                 SELECT * FROM jsonb_populate_recordset(NULL::arena_data_id_translation, $1)",
            ),
            (
                "arena_data_hist_id_translation",
                "INSERT INTO arena_data_hist_id_translation \
                 SELECT * FROM jsonb_populate_recordset(NULL::arena_data_hist_id_translation, $1)",
            ),
        ] {
            let Some(rows) = given.get(table) else { continue };
            let inserted = sqlx::query(statement).bind(Json(rows)).execute(&self.pool).await;
            inserted.map_err(|error| BadCase::because(table, &error))?;
        }
        let moved = sqlx::query(
            "SELECT setval('arena_data_id_seq', greatest(last_value, (SELECT max(id) FROM arena_data))) \
             FROM arena_data_id_seq",
        );
        moved.execute(&self.pool).await.map_err(|error| BadCase::because("the sequence", &error))?;
        Ok(())
    }

    /// All rows.
    pub(super) async fn tables(&self) -> Result<Tables, BadCase> {
        Ok(Tables {
            arena_data: self.rows("SELECT to_jsonb(t) FROM arena_data t").await?,
            gjennomforing: self.rows("SELECT to_jsonb(t) FROM gjennomforing t").await?,
            deltaker: self.rows("SELECT to_jsonb(t) FROM deltaker t").await?,
            id_translation: self.rows("SELECT to_jsonb(t) FROM arena_data_id_translation t").await?,
            hist_id_translation: self.rows("SELECT to_jsonb(t) FROM arena_data_hist_id_translation t").await?,
            quarantine: self.rows("SELECT to_jsonb(t) FROM quarantine t").await?,
        })
    }

    async fn rows(&self, statement: &'static str) -> Result<Vec<Value>, BadCase> {
        let rows = sqlx::query_scalar(statement).fetch_all(&self.pool).await;
        rows.map_err(|error| BadCase::because("reading a table", &error))
    }
}
