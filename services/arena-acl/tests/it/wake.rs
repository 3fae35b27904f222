//! What waits is tried again as soon as what it waits for is here (docs/spec/arena-acl.md 10, IMP-17).

use std::time::Duration;

use arena_acl::{
    leader::{Leadership as _, Taken},
    scripted::Stub,
};
use domain::arena_acl::IngestStatus;
use serde_json::json;
use tokio::time::sleep;

use crate::service::{World, ok};

const SOON: Duration = Duration::from_secs(2);
/// No scheduled run comes after the first.
const RARELY: (&str, &str) = ("ARENA_ACL_RETRY_INTERVAL_SECONDS", "100000");
const BROKEN: Stub = Stub { status: 500, body: None };

fn statuses(world: &World, positions: impl IntoIterator<Item = u64>) -> Vec<IngestStatus> {
    positions.into_iter().filter_map(|position| world.row(position)).map(|row| row.ingest_status).collect()
}

fn is(world: &World, position: u64, status: IngestStatus) -> bool {
    world.row(position).is_some_and(|row| row.ingest_status == status)
}

#[tokio::test(start_paused = true)]
async fn a_course_that_arrives_wakes_its_participants_without_a_run_of_the_job() {
    let world = World::new();
    let process = world.start(&[]);
    world.produce_participant(70001, "I", 1);
    world.eventually(SOON, |world| is(world, 1, IngestStatus::Retry)).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(statuses(&world, [1]), [IngestStatus::Retry]);
    world.produce_course(2);
    world.eventually(SOON, |world| world.published() == [1]).await;
    let row = world.row(1).unwrap();
    assert_eq!((row.ingest_status, row.ingest_attempts, row.retry_at), (IngestStatus::Handled, 0, None));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_ten_messages_drains_in_its_order() {
    let world = World::new();
    let process = world.start(&[]);
    for position in 1..=10 {
        world.produce_participant(70001, if position == 1 { "I" } else { "U" }, position);
    }
    world.eventually(SOON, |world| statuses(world, 1..=10) == [IngestStatus::Retry; 10]).await;
    world.produce_course(11);
    world.eventually(SOON, |world| world.published().len() == 10).await;
    assert_eq!(world.published(), (1..=10).collect::<Vec<_>>());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_older_message_held_back_follows_it_at_once() {
    let world = World::new();
    let process = world.start(&[]);
    world.produce_course(1);
    world.eventually(SOON, |world| is(world, 1, IngestStatus::Handled)).await;
    world.person_is(BROKEN);
    world.produce_participant(70001, "I", 2);
    world.eventually(SOON, |world| is(world, 2, IngestStatus::Retry)).await;
    world.person_is(ok(json!({ "fnr": "90000005001" })));
    world.produce_participant(70001, "U", 3);
    world.produce_participant(70001, "U", 4);
    world.eventually(SOON, |world| is(world, 4, IngestStatus::Retry)).await;
    assert!(world.published().is_empty());
    // the older one is tried again after 30 s, the others with it
    world.eventually(Duration::from_secs(32), |world| world.published() == [2, 3, 4]).await;
    assert!([2, 3, 4].iter().all(|position| world.row(*position).unwrap().ingest_attempts == 0));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_technical_failure_is_tried_again_ever_more_rarely_and_never_counted() {
    let world = World::new();
    let process = world.start(&[RARELY]);
    world.produce_course(1);
    sleep(Duration::from_secs(65)).await; // the one run of the job is over
    world.person_is(BROKEN);
    world.produce_participant(70001, "I", 2);
    world.eventually(SOON, |world| is(world, 2, IngestStatus::Retry)).await;
    let first = world.row(2).unwrap();
    let mut tries = Vec::new();
    for _ in 0..500 {
        let due = (world.row(2).unwrap().retry_at.unwrap() - first.ingested_timestamp.unwrap()).num_seconds();
        if tries.last() != Some(&due) {
            tries.push(due);
        }
        sleep(Duration::from_secs(1)).await;
    }
    let [first_try, second, third, fourth, ..] = tries[..] else { panic!("{tries:?}") };
    // what is due is looked for once a second, and each delay doubles with the rest
    assert_eq!(first_try, 30);
    assert!((60..65).contains(&second) && (120..130).contains(&third) && (240..260).contains(&fourth), "{tries:?}");
    let row = world.row(2).unwrap();
    assert_eq!((row.ingest_attempts, row.last_attempted, row.ingested_timestamp), (0, None, first.ingested_timestamp));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_dropped_as_soon_as_its_history_row_is_here() {
    let world = World::new();
    let process = world.start(&[]);
    world.produce_course(1);
    world.eventually(SOON, |world| is(world, 1, IngestStatus::Handled)).await;
    world.produce_participant(70001, "I", 2);
    world.eventually(SOON, |world| world.published() == [2]).await;
    world.produce_participant(70001, "D", 3);
    world.eventually(SOON, |world| is(world, 3, IngestStatus::Retry)).await;
    world.participation_is(world.store.state().id_translation[0].amt_id, "HAR_SLUTTET");
    world.produce_history(9001, 4);
    world.eventually(SOON, |world| is(world, 3, IngestStatus::Handled)).await;
    let row = world.row(3).unwrap();
    assert_eq!(row.note.as_deref(), Some("Slettes ikke fordi deltaker ble historisert"));
    assert_eq!((row.ingest_attempts, world.published()), (0, vec![2]));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn waking_a_delete_does_not_bring_its_publication_nearer() {
    let world = World::new();
    let process = world.start(&[RARELY]);
    world.produce_course(1);
    world.eventually(SOON, |world| is(world, 1, IngestStatus::Handled)).await;
    world.produce_participant(70001, "D", 2);
    world.eventually(SOON, |world| is(world, 2, IngestStatus::Retry)).await;
    for position in 3..9 {
        world.produce_course(position); // each wakes what is in RETRY on the course
        sleep(Duration::from_secs(5)).await;
    }
    let row = world.row(2).unwrap();
    assert_eq!((row.ingest_status, row.ingest_attempts, row.retry_at), (IngestStatus::Retry, 0, None));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn where_another_process_is_known_to_lead_nothing_is_woken() {
    let world = World::new();
    let term = Duration::from_secs(60);
    assert!(matches!(world.store.take("another host", term).await.unwrap(), Taken::Ours(_)));
    let process = world.start(&[RARELY]);
    world.produce_participant(70001, "I", 1);
    world.eventually(SOON, |world| is(world, 1, IngestStatus::Retry)).await;
    world.produce_course(2);
    sleep(Duration::from_secs(50)).await;
    let row = world.row(1).unwrap();
    assert!(row.ingest_status == IngestStatus::Retry && row.retry_at.is_some(), "{row:?}");
    world.eventually(Duration::from_secs(15), |world| world.published() == [1]).await;
    process.stop().await;
}
