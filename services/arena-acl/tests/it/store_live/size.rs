use arena_acl::{
    inbox::{Inbox as _, Item, Write},
    wake::Woken as _,
};
use domain::arena_acl::{CourseId, CourseWrite, Effect, Held, IngestStatus, Mapping, ParticipantId};
use uuid::Uuid;

use crate::store::{Live, at, course, marked, message, participant, store, write};

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

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn what_waits_for_a_course_is_released_a_page_at_a_time_in_the_order_of_positions() {
    let database = testkit::servers::postgres().await;
    let live = Live::over(&database).await;
    let course = course(3001, "1");
    let valid = CourseWrite { id: CourseId(3001), measure: "JOBBK".to_owned(), valid: true };
    store(&live.store, &course, IngestStatus::Handled).await;
    // the images of a change name its course before and after; the last position comes first
    sqlx::query(
        "INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
             ingest_attempts, before, after) \
         SELECT 'SIAMO.TILTAKDELTAKER', n::text, 'MODIFIED', (20000 - n)::text, localtimestamp, 'WAITING', 3, \
             '{\"TILTAKGJENNOMFORING_ID\": 3001}', '{\"TILTAKGJENNOMFORING_ID\": 3001}' FROM generate_series(1, 12000) AS n",
    )
    .execute(&live.reader)
    .await
    .unwrap();
    let due = async || {
        let (count, last): (i64, Option<i64>) = sqlx::query_as(
            "SELECT count(*), max(operation_pos::bigint) FROM arena_data \
             WHERE ingest_status = 'RETRY' AND ingest_attempts = 0 AND retry_at IS NOT NULL",
        )
        .fetch_one(&live.reader)
        .await
        .unwrap();
        (count, last.unwrap_or_default() - 7_999)
    };
    let release = |item: &Item, _: &Held| {
        let effect = Effect {
            release: Some(CourseId(item.change.arena_id)),
            course: Some(valid.clone()),
            ..marked(IngestStatus::Handled)
        };
        write(effect)
    };
    live.store.apply(&[course], at(8), release).await.unwrap();
    assert_eq!(due().await, (5_000, 5_000), "with the course");
    assert!(
        live.store.any_woken(at(7)).await.unwrap(),
        "there is more to release, although nothing is due at that time"
    );
    assert!(live.store.release_more(at(8)).await.unwrap());
    assert_eq!(due().await, (10_000, 10_000));
    assert!(live.store.release_more(at(8)).await.unwrap());
    assert_eq!(due().await, (12_000, 12_000));
    assert!(!live.store.release_more(at(8)).await.unwrap());
    assert!(!live.store.any_woken(at(7)).await.unwrap());
}
