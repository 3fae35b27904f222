//! Taking over the database of the old service (docs/spec/arena-acl.md 3.9): whether it is where our migrations begin, and who else may use
//! what they add.

use sqlx::PgPool;

use super::errors::during;
use crate::{inbox::StoreError, service::SchemaError};

/// The last migration of the old service. Ours begin there.
const LAST_OF_OLD: &str = "21";

/// Refuses a database that the old service left at another version. One that it never had is welcome. Only reads.
pub(super) async fn check(pool: &PgPool) -> Result<(), SchemaError> {
    let failed = during("reading the version of the old service");
    let old: bool = sqlx::query_scalar("SELECT to_regclass('flyway_schema_history') IS NOT NULL")
        .fetch_one(pool)
        .await
        .map_err(&failed)?;
    if !old {
        return Ok(());
    }
    // scripts that are repeated have no version
    let found: Option<String> = sqlx::query_scalar(
        "SELECT version FROM flyway_schema_history WHERE success AND version IS NOT NULL \
         ORDER BY installed_rank DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await
    .map_err(failed)?;
    match found {
        Some(version) if version == LAST_OF_OLD => Ok(()),
        other => {
            Err(SchemaError::OldVersion { found: other.unwrap_or_else(|| "none".to_owned()), wanted: LAST_OF_OLD })
        }
    }
}

/// Gives the role of the people who look into the database all rights on what is ours in the schema; nothing where there is no such role.
///
/// After every run of the migrations, so that none of them has to think of it. Twice is the same as once.
pub(super) async fn grant(pool: &PgPool) -> Result<(), StoreError> {
    // one process at a time: two that change the rights of one table refuse each other
    sqlx::raw_sql(
        "DO $$
         DECLARE command text;
         BEGIN
             IF to_regrole('cloudsqliamuser') IS NULL THEN RETURN; END IF;
             PERFORM pg_advisory_xact_lock(hashtextextended('cloudsqliamuser', 0));
             FOR command IN
                 SELECT format('GRANT ALL ON %s %s TO cloudsqliamuser',
                     CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass)
                 FROM pg_class
                 WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'S')
                     AND pg_has_role(relowner, 'USAGE') AND relname <> 'flyway_schema_history'
                 UNION ALL
                 SELECT format('GRANT EXECUTE ON FUNCTION %s TO cloudsqliamuser', oid::regprocedure)
                 FROM pg_proc
                 WHERE pronamespace = current_schema()::regnamespace AND prokind = 'f' AND pg_has_role(proowner, 'USAGE')
             LOOP EXECUTE command; END LOOP;
         END $$",
    )
    .execute(pool)
    .await
    .map(drop)
    .map_err(during("granting rights on the schema"))
}
