use arena_acl::inbox::{Inbox as _, Item, Write};
use domain::arena_acl::{Effect, IngestStatus, Mapping, ParticipantId};
use uuid::Uuid;

use crate::store::{Live, at, marked, message, participant};

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
