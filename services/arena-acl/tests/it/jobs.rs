//! When the jobs run, and where (docs/spec/arena-acl.md 6.1, 6.6).

use std::time::Duration;

use arena_acl::{
    inbox::Inbox as _,
    jobs::{JobError, Rerun},
};
use domain::arena_acl::IngestStatus;
use tokio::time::sleep;

use crate::{
    service::World,
    store::{at, course, marked, write},
};

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

/// Failed attempts of a participant whose course never comes.
fn attempts(world: &World) -> u32 {
    world.row(1).unwrap().ingest_attempts
}

#[tokio::test(start_paused = true)]
async fn the_retry_job_runs_a_minute_after_the_start_and_ten_minutes_after_its_last_run() {
    let world = World::new();
    let process = world.start(&[]);
    world.produce_participant(70001, "I", 1);
    seconds(58).await;
    assert_eq!(attempts(&world), 0);
    seconds(4).await;
    assert_eq!(attempts(&world), 1);
    seconds(590).await;
    assert_eq!(attempts(&world), 1);
    seconds(20).await;
    assert_eq!(attempts(&world), 2);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_failed_job_runs_at_midnight_in_oslo() {
    let world = World::at("2025-03-10T22:58:00Z");
    let process = world.start(&[("ARENA_ACL_MAX_ATTEMPTS", "1")]);
    world.produce_participant(70001, "I", 1);
    seconds(110).await;
    let row = world.row(1).unwrap();
    assert_eq!((row.ingest_status, row.ingest_attempts), (IngestStatus::Failed, 1));
    seconds(20).await;
    assert_eq!(attempts(&world), 2);
    seconds(3600).await;
    assert_eq!(attempts(&world), 2, "once a day");
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_ignored_is_purged_hourly() {
    let world = World::new();
    let process = world.start(&[]);
    let ignored = async |position: &str| {
        let change = [course(3009, position)];
        world.store.apply(&change, at(8), |_, _| write(marked(IngestStatus::Ignored))).await.unwrap();
    };
    ignored("1").await;
    seconds(62).await;
    assert_eq!(world.store.state().arena_data.len(), 0);
    ignored("2").await;
    seconds(3590).await;
    assert_eq!(world.store.state().arena_data.len(), 1);
    seconds(20).await;
    assert_eq!(world.store.state().arena_data.len(), 0);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_one_runs_the_jobs_and_the_other_follows_it() {
    let world = World::new();
    let first = world.start(&[]);
    seconds(1).await;
    let second = world.start(&[]);
    world.produce_participant(70001, "I", 1);
    seconds(70).await;
    assert_eq!(attempts(&world), 1);
    first.stop().await;
    // the row is free at once, and looked at every minute
    seconds(600).await;
    assert_eq!(attempts(&world), 2);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_run_between_two_steps() {
    let world = World::new();
    let process = world.start(&[]);
    world.produce_participant(70001, "I", 1);
    seconds(1).await;
    let jobs = process.service.jobs().clone();
    process.stop().await;
    let stopped = jobs.run(Rerun::Retry, 10.try_into().unwrap()).await;
    assert!(matches!(stopped, Err(JobError::Stopped)), "{stopped:?}");
    assert_eq!(attempts(&world), 0);
    assert!(!jobs.is_running());
}
