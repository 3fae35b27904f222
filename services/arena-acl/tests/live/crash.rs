//! The process is killed at each of its failpoints (docs/spec/arena-acl.md 10, IMP-03): what is left must be what an undisturbed run leaves.
//!
//! `just crash arena-acl`; the ledgers are printed.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt as _, time::Duration};

use domain::delivery::Message;
use tokio::time::Instant;

use crate::{
    account,
    feed::{Change, Course},
    world::{BOUND, SESSION, World, eventually, json},
};

const COURSE: Course = Course::group(3001);
const KILL: i32 = 9;
/// How long after a restart the first effect may take (docs/reliability.md section 5).
const FIRST_EFFECT: Duration = SESSION.saturating_add(Duration::from_secs(5));

/// What was left when the process was gone.
struct Left {
    /// Committed and not marked as published.
    unpublished: i64,
    /// In the output topic.
    published: usize,
    /// Changes that are handled.
    handled: i64,
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_before_the_commit_is_clean() {
    let left = killed_at("arena-acl.apply.before-commit:4").await;
    assert!(left.handled > 0);
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_after_the_commit_is_clean() {
    let left = killed_at("arena-acl.apply.after-commit:4").await;
    assert!(left.handled > 0);
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_between_commit_and_publication_is_clean() {
    let left = killed_at("arena-acl.publish.before-send:3").await;
    assert!(left.unpublished > 0, "the kill met nothing that was committed and had not left");
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_before_the_delivery_report_is_clean() {
    let left = killed_at("arena-acl.publish.after-send:3").await;
    assert!(left.unpublished > 0, "the kill met nothing that was on its way");
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_between_publication_and_its_mark_is_clean() {
    let left = killed_at("arena-acl.publish.before-mark:3").await;
    let marked = usize::try_from(left.handled - left.unpublished).unwrap();
    assert!(left.published > marked, "the kill met nothing that had left and was not marked");
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_after_the_mark_is_clean() {
    let left = killed_at("arena-acl.publish.after-mark:3").await;
    assert!(left.published > 0);
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_before_an_offset_is_committed_is_clean() {
    let left = killed_at("kafka-settled:4").await;
    assert!(left.handled > 0);
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_while_an_offset_is_committed_is_clean() {
    let left = killed_at("kafka-committing:1").await;
    assert!(left.handled > 0);
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn killed_after_an_offset_is_committed_is_clean() {
    let left = killed_at("kafka-committed:1").await;
    assert!(left.handled > 0);
}

/// Kills a process at `failpoint` in the middle of a load, lets another finish, and asserts that the account is clean.
async fn killed_at(failpoint: &str) -> Left {
    let world = World::new(&[COURSE]).await;
    let mut idle = world.start().await;
    world.know(&[COURSE]).await;
    assert_eq!(idle.sigterm(BOUND).await.unwrap().code(), Some(0));
    let changes = Change::all(70_000..70_400, 5, &[COURSE.id], 101);
    let places = world.produce_changes(&changes).await;

    let mut killed = world.launch(&[("TRUECOPY_FAILPOINT", failpoint.to_owned())]);
    assert_eq!(killed.wait_end(BOUND).await.unwrap().signal(), Some(KILL), "{failpoint} was not met");
    let left = Left {
        unpublished: world.unpublished().await,
        published: world.published().await.len(),
        handled: world.count(HANDLED).await,
    };

    let restart = Instant::now();
    let _service = world.start().await;
    let effect = async || world.published().await.len() > left.published || world.count(HANDLED).await > left.handled;
    eventually("the first effect", FIRST_EFFECT.saturating_sub(restart.elapsed()), effect).await;
    world.handled(&places).await;

    let published = world.published().await;
    let (mut ledger, repeated) = account::of(&changes, &published);
    let metrics = world.metrics().await;
    let again = metrics.sum(
        "truecopy_messages_settled_total",
        &[("source", &world.participants), ("outcome", "ignored"), ("reason", "duplicate")],
    );
    // what was under way at the kill came again: from the input, or out of the outbox
    ledger.redelivered(repeated + usize::try_from(again).unwrap() + usize::try_from(left.unpublished).unwrap());
    let balance = ledger.balance();
    println!("{failpoint}\n{balance}messages sent twice{repeated:>6}\n");
    balance.clean_after_faults().unwrap();
    as_a_sequential_model_leaves_it(&world, &changes, &published).await;
    metrics.assert_balance(&world.participants);
    left
}

const HANDLED: &str =
    "SELECT count(*) FROM arena_data WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND ingest_status = 'HANDLED'";

/// Tables and the last message of each participant are those of a run in which one change after another is handled.
async fn as_a_sequential_model_leaves_it(world: &World, changes: &[Change], published: &[Message]) {
    let last: BTreeMap<i64, &Change> = changes.iter().map(|change| (change.participant, change)).collect();
    let uuids = world.uuids().await;
    assert_eq!(uuids.keys().collect::<Vec<_>>(), last.keys().collect::<Vec<_>>());
    let messages: BTreeMap<String, &Message> = published
        .iter()
        .map(|message| (json(message)["payload"]["id"].as_str().unwrap().to_owned(), message))
        .collect();
    assert_eq!(messages.len(), last.len());
    for (participant, change) in &last {
        let uuid = uuids[participant];
        assert_eq!(json(messages[&uuid.to_string()])["payload"], change.message(uuid));
    }
    let rows = world.rows().await;
    assert_eq!(
        rows.iter().map(|row| row.2.clone()).collect::<Vec<_>>(),
        changes.iter().map(Change::position_text).collect::<Vec<_>>()
    );
    assert!(rows.iter().all(|(_, _, _, status)| status == "HANDLED"));
    let tables = "SELECT (SELECT count(*) FROM deltaker) + (SELECT count(*) FROM arena_data_id_translation)";
    assert_eq!(world.count(tables).await, 2 * i64::try_from(last.len()).unwrap());
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 0);
}
