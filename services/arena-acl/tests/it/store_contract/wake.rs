//! What is due before the next run of the retry job (docs/spec/arena-acl.md 10, IMP-17).

use std::time::Duration;

use arena_acl::{
    inbox::{Inbox as _, Item},
    wake::Woken as _,
};
use chrono::NaiveDateTime;
use domain::arena_acl::{CourseId, Effect, IngestStatus, Mark, ParticipantId, Row, RowWrite, Table};

use crate::store::{World, at, course, item, marked, participant, store, write};

fn row(status: IngestStatus, mark: Mark, retry_at: Option<NaiveDateTime>) -> Effect {
    let row = RowWrite { status, note: Some("not yet".to_owned()), mark, retry_at };
    Effect { row: Some(row), ..marked(status) }
}

async fn waits(world: &impl World, item: &Item, retry_at: Option<NaiveDateTime>) {
    let effect = || row(IngestStatus::Retry, Mark::Ingested, retry_at);
    world.store().apply(std::slice::from_ref(item), at(6), |_, _| write(effect())).await.unwrap();
}

/// Ids of all that is due, in pages of `limit`.
async fn due(world: &impl World, table: Table, now: NaiveDateTime, limit: u32) -> Vec<String> {
    let (mut ids, mut last) = (Vec::new(), None);
    loop {
        let page = world.store().woken(table, now, last.as_ref(), limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        ids.extend(page.iter().map(|row| row.arena_id.clone()));
        last = page.last().cloned();
        if last.is_none() {
            return ids;
        }
    }
}

/// Rows by Arena id: status, attempts, when they are due.
async fn rows(world: &impl World) -> Vec<(String, IngestStatus, u32, Option<NaiveDateTime>)> {
    let rows = world.state().await.arena_data.into_iter().filter(|row| row.arena_table_name != Table::Courses);
    let mut rows: Vec<_> =
        rows.map(|row| (row.arena_id, row.ingest_status, row.ingest_attempts, row.retry_at)).collect();
    rows.sort();
    rows
}

pub(super) async fn what_is_due_goes_by_its_time_then_position_then_arrival(world: impl World) {
    for (id, position, hour) in [(1, "10", 7), (2, "9", 7), (3, "1", 8), (4, "009", 7), (5, "2", 9)] {
        waits(&world, &participant(id, position), Some(at(hour))).await;
    }
    for limit in [1, 2, 100] {
        assert_eq!(due(&world, Table::Participants, at(8), limit).await, ["2", "4", "1", "3"], "pages of {limit}");
    }
}

pub(super) async fn a_page_of_what_is_due_holds_one_table_and_nothing_that_is_not_due(world: impl World) {
    waits(&world, &participant(1, "1"), None).await;
    assert!(!world.store().any_woken(at(23)).await.unwrap(), "not before the next run");
    waits(&world, &participant(2, "2"), Some(at(9))).await;
    assert!(!world.store().any_woken(at(8)).await.unwrap());
    assert!(world.store().any_woken(at(9)).await.unwrap());
    waits(&world, &item(Table::History, 3, "3", Row::Unusable, "{}"), Some(at(7))).await;
    let failed = row(IngestStatus::Failed, Mark::Ingested, Some(at(7)));
    world.store().apply(&[participant(4, "4")], at(6), |_, _| write(failed.clone())).await.unwrap();
    assert_eq!(due(&world, Table::Participants, at(10), 10).await, ["2"]);
    assert_eq!(due(&world, Table::History, at(10), 10).await, ["3"]);
    assert!(due(&world, Table::Courses, at(10), 10).await.is_empty());
}

pub(super) async fn a_release_wakes_what_is_in_retry_and_keeps_its_attempts(world: impl World) {
    let attempted = || row(IngestStatus::Retry, Mark::Attempted, Some(at(22)));
    world.store().apply(&[participant(1, "1")], at(6), |_, _| write(attempted())).await.unwrap();
    store(world.store(), &participant(2, "2"), IngestStatus::Waiting).await;
    waits(&world, &item(Table::History, 3, "3", Row::Unusable, r#"{"TILTAKGJENNOMFORING_ID": "3001"}"#), None).await;
    waits(&world, &participant(4, "4"), Some(at(7))).await;
    waits(&world, &item(Table::Participants, 5, "5", Row::Unusable, r#"{"TILTAKGJENNOMFORING_ID": 3002}"#), None).await;
    store(world.store(), &participant(6, "6"), IngestStatus::Failed).await;
    let release = || Effect { release: Some(CourseId(3001)), ..marked(IngestStatus::Handled) };
    world.store().apply(&[course(3001, "99")], at(20), |_, _| write(release())).await.unwrap();
    let expected = [
        ("1", IngestStatus::Retry, 1, Some(at(20))),
        ("2", IngestStatus::Retry, 0, Some(at(20))),
        ("3", IngestStatus::Retry, 0, Some(at(20))),
        ("4", IngestStatus::Retry, 0, Some(at(7))),
        ("5", IngestStatus::Retry, 0, None),
        ("6", IngestStatus::Failed, 0, None),
    ];
    assert_eq!(rows(&world).await, expected.map(|(id, status, count, due)| (id.to_owned(), status, count, due)));
}

pub(super) async fn a_participant_that_is_woken_is_due_at_once(world: impl World) {
    for (id, position) in [(70001, "2"), (70001, "3"), (70002, "4")] {
        waits(&world, &participant(id, position), None).await;
    }
    waits(&world, &item(Table::History, 70001, "5", Row::Unusable, "{}"), None).await;
    store(world.store(), &participant(70001, "6"), IngestStatus::Failed).await;
    let wake = || Effect { wake: Some(ParticipantId(70001)), ..marked(IngestStatus::Handled) };
    world.store().apply(&[participant(70001, "1")], at(9), |_, _| write(wake())).await.unwrap();
    assert_eq!(due(&world, Table::Participants, at(9), 10).await, ["70001", "70001"]);
    assert!(due(&world, Table::History, at(9), 10).await.is_empty());
}

pub(super) async fn what_is_written_again_is_due_as_that_says(world: impl World) {
    let change = [participant(1, "1")];
    for (effect, expected) in [
        (row(IngestStatus::Retry, Mark::Ingested, Some(at(7))), Some(at(7))),
        (row(IngestStatus::Retry, Mark::Kept, Some(at(9))), Some(at(9))),
        (row(IngestStatus::Retry, Mark::Attempted, None), None),
        (row(IngestStatus::Retry, Mark::Kept, Some(at(10))), Some(at(10))),
        (marked(IngestStatus::Handled), None),
    ] {
        world.store().apply(&change, at(8), |_, _| write(effect.clone())).await.unwrap();
        assert_eq!(world.state().await.arena_data[0].retry_at, expected);
    }
}

pub(super) async fn a_wake_up_that_came_too_early_leaves_attempts_and_times(world: impl World) {
    let change = [participant(1, "1")];
    for (mark, hour) in [(Mark::Ingested, 6), (Mark::Attempted, 7), (Mark::Kept, 8)] {
        let effect = || row(IngestStatus::Retry, mark, None);
        world.store().apply(&change, at(hour), |_, _| write(effect())).await.unwrap();
    }
    let kept = &world.state().await.arena_data[0];
    assert_eq!((kept.ingest_attempts, kept.ingested_timestamp, kept.last_attempted), (1, Some(at(6)), Some(at(7))));
}

pub(super) async fn what_is_woken_is_heard_of(world: impl World) {
    // what nobody woke is looked for all the same, only later
    let bound = Duration::from_secs(5);
    tokio::time::timeout(bound, world.store().wakes()).await.unwrap();
    waits(&world, &participant(1, "1"), Some(at(6))).await;
    let begin = tokio::time::Instant::now();
    tokio::time::timeout(bound, world.store().wakes()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(500));
}
