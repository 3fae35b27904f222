use std::{collections::BTreeMap, time::Duration};

use arena_acl::{
    inbox::{Inbox as _, Item, Outbox as _, Write},
    postgres::Postgres,
    wake::Woken as _,
};
use domain::arena_acl::{CourseId, Effect, IngestStatus, Mapping, ParticipantId, Table};
use sqlx::PgPool;
use uuid::Uuid;

use crate::store::{Live, at, course, marked, message, participant, write};

/// Rows enough that no planner chooses to read them all.
const ROWS: i32 = 20_000;

/// How often each of our tables was read from end to end.
async fn whole_reads(reader: &PgPool) -> BTreeMap<String, i64> {
    let rows: Vec<(String, Option<i64>)> =
        sqlx::query_as("SELECT relname::text, seq_scan FROM pg_stat_user_tables").fetch_all(reader).await.unwrap();
    rows.into_iter().filter(|(name, _)| name != "publisher").map(|(name, count)| (name, count.unwrap_or(0))).collect()
}

/// Ends the sessions of the store, whereupon the server has counted what they did.
async fn end_sessions(store: Postgres, reader: &PgPool) {
    drop(store);
    for _ in 0..100 {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
        .fetch_one(reader)
        .await
        .unwrap();
        if others == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a session of a dropped store does not end");
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn no_query_reads_a_large_table_from_end_to_end() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    for fill in [
        "INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, after, retry_at)
         SELECT 'SIAMO.TILTAKDELTAKER', n::text, 'CREATED', lpad(n::text, 20, '0'), now(),
             CASE n % 100 WHEN 1 THEN 'RETRY' WHEN 2 THEN 'WAITING' ELSE 'HANDLED' END,
             jsonb_build_object('TILTAKGJENNOMFORING_ID', n % 3000),
             CASE n % 200 WHEN 1 THEN '2025-03-10 07:00'::timestamp END FROM generate_series(1, $1) n",
        "INSERT INTO arena_data_id_translation SELECT gen_random_uuid(), 'SIAMO.TILTAKDELTAKER', n::text FROM generate_series(1, $1) n",
        "INSERT INTO arena_data_hist_id_translation SELECT gen_random_uuid(), n::text, NULL FROM generate_series(1, $1) n",
        "INSERT INTO gjennomforing (arena_id, tiltak_kode, is_valid) SELECT n::text, 'INDOPPFAG', true FROM generate_series(1, $1) n",
        "INSERT INTO deltaker (id, arena_id, person_id, gjennomforing_id, reg_dato, mod_dato, status, arena_source_table)
         SELECT gen_random_uuid(), n, n, n % 3000, now(), now(), 'TILBUD', 'SIAMO.TILTAKDELTAKER' FROM generate_series(1, $1) n",
        "INSERT INTO outbox (topic, message_key, payload, created_at) SELECT 'amt', (n % 9000)::text, '{}', now() FROM generate_series(1, $1) n",
    ] {
        sqlx::query(fill).bind(ROWS).execute(&live.reader).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE").execute(&live.reader).await.unwrap();
    let before = whole_reads(&live.reader).await;

    // more often than a statement is planned for its values only
    for round in 0..10 {
        let changes: Vec<Item> =
            (0..20).map(|n| participant(round * 20 + n, &format!("{}", 90_000 + round * 20 + n))).collect();
        let all: Vec<_> = changes.iter().map(|item| &*item.change).collect();
        live.store.read(&all).await.unwrap();
        live.store
            .apply(&changes, at(8), |item, _| {
                let id = item.change.arena_id;
                let mut write = write(Effect {
                    mapping: Some(Mapping { amt_id: Uuid::new_v4(), participant: ParticipantId(id) }),
                    course_uuid: Some((CourseId(3001), Uuid::from_u128(1))),
                    ..marked(IngestStatus::Handled)
                })?;
                write.message = Some(message(&id.to_string(), "{}"));
                Some(write)
            })
            .await
            .unwrap();
        let release = || Effect { release: Some(CourseId(round + 1)), ..marked(IngestStatus::Handled) };
        live.store.apply(&[course(round + 1, "1")], at(8), |_, _| write(release())).await.unwrap();
        let page = live.store.page(Table::Participants, IngestStatus::Retry, None, 50).await.unwrap();
        assert_eq!(page.len(), 50);
        assert!(live.store.any_woken(at(8)).await.unwrap());
        let woken = live.store.woken(Table::Participants, at(8), None, 20).await.unwrap();
        let more = live.store.woken(Table::Participants, at(8), woken.last(), 20).await.unwrap();
        assert_eq!((woken.len(), more.len()), (20, 20));
        let wake = |id| Effect { wake: Some(ParticipantId(id)), ..marked(IngestStatus::Handled) };
        let again = [participant(round, &format!("{}", 95_000 + round))];
        live.store.apply(&again, at(8), |_, _| write(wake(round * 200 + 101))).await.unwrap();
        let due = live.store.heads(None, 50).await.unwrap();
        assert_eq!(due.len(), 50);
        live.store.published(&due.iter().map(|message| message.id).collect::<Vec<_>>(), at(9)).await.unwrap();
        live.store.translation(Uuid::from_u128(1)).await.unwrap();
    }
    let Live { store, reader } = live;
    end_sessions(store, &reader).await;
    assert_eq!(whole_reads(&reader).await, before);
    for index in [
        "arena_data_unhandled_idx",
        "arena_data_course_after_idx",
        "arena_data_woken_idx",
        "outbox_unpublished_key_idx",
    ] {
        let scans: i64 = sqlx::query_scalar("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1")
            .bind(index)
            .fetch_one(&reader)
            .await
            .unwrap();
        assert!(scans > 0, "{index}");
    }
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn five_hundred_changes_are_one_transaction() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    let batch: Vec<Item> = (1..=500).map(|n| participant(n, &n.to_string())).collect();
    let decide = |item: &Item, _: &_| {
        let effect = Effect {
            mapping: Some(Mapping { amt_id: Uuid::new_v4(), participant: ParticipantId(item.change.arena_id) }),
            ..marked(IngestStatus::Handled)
        };
        Some(Write { effect, message: Some(message(&item.change.arena_id.to_string(), "{}")) })
    };
    live.store.apply(&batch, at(8), decide).await.unwrap();
    let counts: (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT xmin::text) FROM arena_data")
        .fetch_one(&live.reader)
        .await
        .unwrap();
    assert_eq!(counts, (500, 1));
    let ids = |order: &'static str| sqlx::query_scalar::<_, String>(order).fetch_all(&live.reader);
    let (keys, expected) = (ids("SELECT message_key FROM outbox ORDER BY id").await.unwrap(), 1..=500);
    assert_eq!(keys, expected.map(|n| n.to_string()).collect::<Vec<_>>(), "in the order of the items");
}
