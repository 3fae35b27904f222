//! The commands of dead letters on the built binary.

use serde_json::{Value, json};

use crate::{
    feed::{Change, Course, raw},
    world::{BOUND, PARTITIONS, World, eventually, json as value},
};

const COURSE: Course = Course::group(3001);

fn ids(letters: &[Value]) -> Vec<&str> {
    letters.iter().map(|letter| letter["id"].as_str().unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn poison_is_listed_shown_exported_redriven_and_dropped() {
    let world = World::new(&[COURSE]).await;
    let _service = world.start().await;
    world.know(&[COURSE]).await;
    let places = world.produce(&[raw(&world.participants, 1, Some("{\0canary".into()))]).await;
    world.handled(&places).await;

    let (code, listed) = world.command(&["dead-letters", "list"]).await;
    assert_eq!((code, ids(&listed)), (0, vec!["q1"]));
    assert_eq!(
        (&listed[0]["source"], &listed[0]["position"], &listed[0]["reason"]),
        (&json!(world.participants), &json!("1/0"), &json!("MALFORMED_JSON"))
    );
    assert_eq!(listed[0].get("payload"), None);
    let (_, exported) = world.command(&["dead-letters", "export"]).await;
    assert_eq!(exported[0]["payload"], "ewBjYW5hcnk=");

    let (code, ended) = world.command(&["dead-letters", "redrive", "q1"]).await;
    assert_eq!((code, &ended[0]["result"], &ended[0]["detail"]), (3, &json!("failed_again"), &json!("MALFORMED_JSON")));
    let (_, listed) = world.command(&["dead-letters", "list"]).await;
    assert_eq!(listed[0]["replay_count"], 1);
    let (code, _) = world.command(&["dead-letters", "drop", "q1", "--by", "test", "--why", "poison of a test"]).await;
    assert_eq!(code, 0);
    assert_eq!(world.command(&["dead-letters", "list"]).await, (0, vec![]));
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_failed_row_is_redriven_and_published_once_its_course_is_there() {
    let world = World::new(&[COURSE]).await;
    let one_attempt = [("ARENA_ACL_MAX_ATTEMPTS", "1".to_owned())];
    let _service = world.start_with(&one_attempt).await;
    let change = Change { participant: 70_001, course: COURSE.id, operation: "I", position: 101 };
    let places = world.produce(&[change.record(&world.participants, PARTITIONS)]).await;
    world.handled(&places).await;
    let (code, counts) = world.command_with(&one_attempt, &["job", "retry"]).await;
    assert_eq!((code, &counts[0]["dead"]), (0, &json!(1)));

    let (_, listed) = world.command(&["dead-letters", "list", "--reason", "FAILED"]).await;
    assert_eq!((listed.len(), &listed[0]["about"]), (1, &json!("70001")));
    world.know(&[COURSE]).await;
    let (code, ended) = world.command(&["dead-letters", "redrive", "--reason", "FAILED"]).await;
    assert_eq!((code, &ended[0]["result"]), (0, &json!("queued")));
    let (_, counts) = world.command(&["job", "retry"]).await;
    assert_eq!(counts[0]["handled"], 1);
    eventually("the outbox is empty", BOUND, async || world.unpublished().await == 0).await;
    let published = world.published().await;
    assert_eq!(
        published.iter().map(value).map(|message| message["operation"].clone()).collect::<Vec<_>>(),
        ["CREATED"]
    );
    assert_eq!(world.command(&["dead-letters", "list"]).await, (0, vec![]));
}
