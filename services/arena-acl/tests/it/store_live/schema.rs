use arena_acl::{
    explain::{Chronicle as _, Object},
    inbox::{Inbox as _, Outbox as _},
    postgres::Postgres,
    verify::Audit as _,
};
use chrono::NaiveDateTime;
use domain::{
    arena_acl::{IngestStatus, Table},
    delivery::Class,
};
use sqlx::{PgPool, Row as _};

use crate::store::{Live, World as _, at, message, participant, store};

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn migrating_twice_and_at_once_is_migrating_once() {
    let database = testkit::servers::postgres().await;
    let (first, second) = (Live::process(&database), Live::process(&database));
    assert_eq!(first.schema_version().await.unwrap(), None);
    assert_eq!(first.waiting().await.unwrap_err().class, Class::Fatal, "our schema is missing");
    let (one, other) = tokio::join!(first.migrate(), second.migrate());
    one.unwrap();
    other.unwrap();
    first.migrate().await.unwrap();
    assert_eq!(first.schema_version().await.unwrap(), Some(Postgres::expected_schema_version()));
    first.ping().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_schema_of_a_newer_version_is_refused() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '', 0)")
        .execute(&live.reader)
        .await
        .unwrap();
    assert_eq!(live.store.migrate().await.unwrap_err().class(), Class::Fatal);
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn tables_of_the_old_service_are_altered_and_keep_their_rows() {
    let database = testkit::servers::postgres().await;
    let pool = PgPool::connect(database.url()).await.unwrap();
    sqlx::raw_sql(include_str!("../../../migrations/0001_tables_of_the_old_service.sql")).execute(&pool).await.unwrap();
    sqlx::raw_sql(
        "SET timezone = 'Europe/Oslo';
         INSERT INTO deltaker (id, arena_id, person_id, gjennomforing_id, reg_dato, mod_dato, status, dato_statusendring, arena_source_table)
         VALUES (gen_random_uuid(), 70001, 5001, 3001, '2025-02-20 08:00', '2025-07-01 09:15', 'TILBUD', NULL, 'SIAMO.TILTAKDELTAKER');
         INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status)
         VALUES ('SIAMO.TILTAKDELTAKER', '70001', 'CREATED', '7', '2025-03-10 06:00', 'RETRY'),
                ('SIAMO.TILTAKDELTAKER', '70001', 'CREATED', 'seven', '2025-03-10 06:00', 'RETRY'),
                ('SIAMO.TILTAKDELTAKER', '70001', 'MODIFIED', 'eight', '2025-03-10 06:00', 'HANDLED');",
    )
    .execute(&pool)
    .await
    .unwrap();
    let live = Live::over(&database).await;
    let times: (NaiveDateTime, NaiveDateTime) =
        sqlx::query_as("SELECT reg_dato, mod_dato FROM deltaker").fetch_one(&pool).await.unwrap();
    let wall = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    assert_eq!(times, (wall("2025-02-20 08:00"), wall("2025-07-01 09:15")));
    let statuses =
        sqlx::query("SELECT operation_pos, ingest_status FROM arena_data ORDER BY id").fetch_all(&pool).await.unwrap();
    let statuses: Vec<(String, String)> = statuses.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(statuses[0], ("7".to_owned(), "RETRY".to_owned()));
    assert_eq!(statuses[1], ("seven".to_owned(), "INVALID".to_owned()), "it can be seen and blocks nothing");
    let held = live.store.read(&[&participant(70001, "9").change]).await.unwrap();
    assert_eq!(held.rows_of(Table::Participants, 70001).len(), 1);
    assert_eq!(live.store.page(Table::Participants, IngestStatus::Retry, None, 10).await.unwrap().len(), 1);
    let window = live.store.window(0, 10).await.unwrap();
    let odd: Vec<_> = window.odd.iter().map(|(_, _, id, status)| (id.as_str(), *status)).collect();
    assert_eq!((window.seen, odd), (3, vec![("70001", IngestStatus::Handled)]), "the INVALID one is named already");
    let own = Object { table: Table::Participants, id: 70001 };
    assert_eq!(live.store.changes(&[own], 10).await.unwrap().some.len(), 3, "what is no position is told all the same");
    store(&live.store, &participant(3_000_000_000, "10"), IngestStatus::Handled).await;
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn emptying_leaves_the_schema_and_the_flag_of_the_publisher() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    store(&live.store, &participant(70001, "1"), IngestStatus::Handled).await;
    live.store.enqueue(&[message("a", "1")], at(8)).await.unwrap();
    live.store.truncate().await.unwrap();
    let state = live.state().await;
    assert!(state.arena_data.is_empty() && state.outbox.is_empty());
    assert_eq!(live.store.schema_version().await.unwrap(), Some(Postgres::expected_schema_version()));
    let flags: i64 = sqlx::query_scalar("SELECT count(*) FROM publisher").fetch_one(&live.reader).await.unwrap();
    assert_eq!(flags, 1);
}
