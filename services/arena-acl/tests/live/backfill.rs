//! The import of single-place participants from a real topic (docs/spec/arena-acl.md 4.15).

use arena_acl::kafka::IMPORT_GROUP;
use serde_json::{Value, json};

use crate::{
    feed::{Change, Course},
    world::{BOUND, World},
};

const FIRST: Course =
    Course { id: 3002, measure: "ENKELAMO", kind: Some("ENKELTPLASS_ARBEIDSMARKEDSOPPLAERING"), complete: true };
const SECOND: Course = Course { id: 3003, ..FIRST };

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn an_import_stops_at_what_blocks_it_and_goes_on_there() {
    let world = World::new(&[FIRST, SECOND]).await;
    let mut service = world.start().await;
    world.know(&[FIRST]).await;
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
    // records that the service has not seen
    let changes = Change::all(70_000..72_000, 1, &[FIRST.id], 1001);
    let blocked = Change { participant: 72_000, course: SECOND.id, operation: "I", position: 5000 };
    let after = Change { participant: 72_004, course: FIRST.id, operation: "I", position: 5001 };
    let later = Change { participant: 72_008, course: FIRST.id, operation: "I", position: 5002 };
    world.produce_changes(&[changes, vec![blocked, after, later]].concat()).await;
    // 500 records of 70,000 … 71,996 in each partition; in partition 0 then 500: blocked, 501: after, 502: later
    let until = "0:501,1:499,2:499,3:499";

    let (code, lines) = world.command(&["backfill", "--until", until]).await;
    assert_eq!((code, lines.len()), (3, 1));
    let Value::Object(blocked) = &lines[0]["blocked"] else { panic!("{lines:?}") };
    assert_eq!((&blocked["partition"], &blocked["offset"]), (&json!(0), &json!(500)));
    assert_eq!(blocked["reason"], "course 3003 has not been read yet");
    let committed = world.topics.committed(IMPORT_GROUP, &world.participants).await.unwrap();
    assert_eq!(committed[0], Some(500));

    let mut service = world.start().await;
    world.know(&[SECOND]).await;
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
    let (code, lines) = world.command(&["backfill", "--until", until]).await;
    assert_eq!((code, &lines[0]["blocked"]), (0, &Value::Null), "{lines:?}");
    let committed = world.topics.committed(IMPORT_GROUP, &world.participants).await.unwrap();
    assert_eq!(committed, [Some(502), Some(500), Some(500), Some(500)]);
    let (code, lines) = world.command(&["backfill", "--until", until]).await;
    assert_eq!((code, &lines[0]["read"]), (0, &json!(0)), "once more there is nothing to read");
}
