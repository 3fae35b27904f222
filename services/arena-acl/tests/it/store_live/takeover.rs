//! The database of the old service: which may be taken over, and who may use what is added (docs/spec/arena-acl.md 3.9).

use std::time::Duration;

use arena_acl::{inbox::Inbox as _, postgres, postgres::Postgres, service::SchemaError};
use domain::arena_acl::IngestStatus;
use sqlx::PgPool;
use testkit::servers::FreshDatabase;

use crate::store::{Live, OLD_INDEXES, OLD_TABLES, at, participant, store};

async fn old_service(database: &FreshDatabase) -> PgPool {
    let pool = PgPool::connect(database.url()).await.unwrap();
    sqlx::raw_sql(OLD_TABLES).execute(&pool).await.unwrap();
    sqlx::raw_sql(OLD_INDEXES).execute(&pool).await.unwrap();
    pool
}

/// Every table, index and sequence, with its columns.
async fn schema(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT format('%s %s %s %s', relation.oid::regclass, relkind, attname, format_type(atttypid, atttypmod))
         FROM pg_class AS relation LEFT JOIN pg_attribute ON attrelid = relation.oid
         WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn another_version_of_the_old_service_is_refused_and_nothing_is_changed() {
    for (history, said) in [
        ("DELETE FROM flyway_schema_history WHERE version > '20'", "version 20"),
        ("UPDATE flyway_schema_history SET success = false WHERE version = '21'", "version 20"),
        (
            "INSERT INTO flyway_schema_history VALUES (23, '22', 'later', 'SQL', 'V22__later.sql', 1, 'acl', now(), 1, true)",
            "version 22",
        ),
        ("TRUNCATE flyway_schema_history", "version none"),
    ] {
        let database = testkit::servers::postgres().await;
        let pool = old_service(&database).await;
        sqlx::raw_sql(history).execute(&pool).await.unwrap();
        let before = schema(&pool).await;
        let error = Live::process(&database).migrate().await.unwrap_err();
        assert!(matches!(error, SchemaError::OldVersion { .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains(said) && told.contains("only version 21"), "{told}");
        assert_eq!(schema(&pool).await, before, "{history}");
    }
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_repeated_script_or_a_later_failure_of_the_old_service_is_no_version() {
    let database = testkit::servers::postgres().await;
    let pool = old_service(&database).await;
    sqlx::raw_sql(
        "INSERT INTO flyway_schema_history VALUES (23, NULL, 'views', 'SQL', 'R__views.sql', 1, 'acl', now(), 1, true),
             (24, '22', 'later', 'SQL', 'V22__later.sql', 1, 'acl', now(), 1, false)",
    )
    .execute(&pool)
    .await
    .unwrap();
    Live::process(&database).migrate().await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM flyway_schema_history").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 24, "the table of the old service is left alone");
}

/// What is in the schema and which of it the role may use in full.
async fn rights(pool: &PgPool) -> Vec<(String, bool)> {
    sqlx::query_as(
        "SELECT oid::regclass::text, CASE relkind
             WHEN 'S' THEN (SELECT bool_and(has_sequence_privilege('cloudsqliamuser', oid, kind))
                 FROM unnest('{USAGE,SELECT,UPDATE}'::text[]) AS kind)
             ELSE (SELECT bool_and(has_table_privilege('cloudsqliamuser', oid, kind))
                 FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS kind) END
         FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
         UNION ALL
         SELECT oid::regprocedure::text, 'cloudsqliamuser'::regrole IN (SELECT grantee FROM aclexplode(proacl))
         FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn what_is_added_is_granted_where_the_role_exists_and_to_nobody_else() {
    let database = testkit::servers::postgres().await;
    let pool = old_service(&database).await;
    // roles are of the server: the one of an earlier run goes when no database of a test that runs now has granted it anything
    for attempt in 0.. {
        if sqlx::raw_sql("DROP ROLE IF EXISTS cloudsqliamuser").execute(&pool).await.is_ok() {
            break;
        }
        assert!(attempt < 600, "the role is in use");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let store = Live::process(&database);
    store.migrate().await.unwrap();
    let granted = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relacl IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(granted).fetch_one(&pool).await.unwrap(), 0);

    sqlx::raw_sql("CREATE ROLE cloudsqliamuser").execute(&pool).await.unwrap();
    for _ in 0..2 {
        store.migrate().await.unwrap();
        let rights = rights(&pool).await;
        let missing: Vec<_> = rights.iter().filter(|(_, granted)| !granted).map(|(name, _)| name.as_str()).collect();
        assert_eq!(missing, ["flyway_schema_history"], "that one is not ours");
        for ours in ["outbox", "outbox_id_seq", "quarantine", "publisher", "arena_position(text)"] {
            assert!(rights.iter().any(|(name, _)| name == ours), "{ours} is not among {rights:?}");
        }
    }
    // what a later migration adds is granted by the run that adds it
    sqlx::raw_sql("CREATE TABLE later (id serial)").execute(&pool).await.unwrap();
    store.migrate().await.unwrap();
    let rights = rights(&pool).await;
    for later in ["later", "later_id_seq"] {
        assert!(rights.contains(&(later.to_owned(), true)), "{later}");
    }
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn the_schema_that_the_url_names_is_the_one_that_is_used() {
    let database = testkit::servers::postgres().await;
    let pool = PgPool::connect(database.url()).await.unwrap();
    sqlx::raw_sql("CREATE SCHEMA \"arena acl\"; CREATE TABLE public.flyway_schema_history (of_another int)")
        .execute(&pool)
        .await
        .unwrap();
    let url = format!("{}&currentSchema=%22arena%20acl%22", database.jdbc_url());
    let settings = chassis::settings::read([("DB_JDBC_URL", url)], postgres::Settings::declare).unwrap();
    let named = Postgres::new(&settings);
    named.migrate().await.unwrap();
    assert_eq!(named.schema_version().await.unwrap(), Some(Postgres::expected_schema_version()));
    store(&named, &participant(70001, "1"), IngestStatus::Retry).await;
    assert_eq!(named.read(&[&participant(70001, "2").change]).await.unwrap().rows.len(), 1);
    let count = "SELECT count(*) FROM \"arena acl\".arena_data WHERE ingested_timestamp = $1";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).bind(at(8)).fetch_one(&pool).await.unwrap(), 1);
    assert_eq!(schema(&pool).await.len(), 7, "nothing is added beside that one table");
}
