//! What operators do to stored changes as a whole (docs/spec/arena-acl.md 6.4, 6.7–6.9).

use arena_acl::{
    inbox::{Inbox as _, Item},
    operations::{Mend, Mismatch, Newest, Operations as _},
};
use domain::arena_acl::{
    CourseId, CourseWrite, DeltakerWrite, Effect, IngestStatus, LastKnown, ParticipantId, PersonId, Table,
    codes::Measure,
};

use crate::store::{World, at, course, marked, participant, write};

async fn stored(world: &impl World, item: Item, status: IngestStatus, hour: u32) {
    world.store().apply(&[item], at(hour), |_, _| write(marked(status))).await.unwrap();
}

/// Which changes are in RETRY: object and position.
async fn in_retry(world: &impl World) -> Vec<(String, String)> {
    let rows = world.state().await.arena_data.into_iter().filter(|row| row.ingest_status == IngestStatus::Retry);
    let mut rows: Vec<_> = rows
        .map(|row| {
            assert_eq!((row.ingest_attempts, row.last_attempted), (0, None));
            (row.arena_id, row.operation_pos.as_str().to_owned())
        })
        .collect();
    rows.sort();
    rows
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(id, position)| ((*id).to_owned(), (*position).to_owned())).collect()
}

pub(super) async fn purging_deletes_what_was_ignored_and_nothing_else(world: impl World) {
    for (id, status) in (70001..).zip(IngestStatus::ALL) {
        stored(&world, participant(id, &id.to_string()), status, 8).await;
    }
    assert_eq!(world.store().purge().await.unwrap(), 1);
    assert_eq!(world.store().purge().await.unwrap(), 0);
    let left = world.state().await.arena_data;
    assert_eq!(left.len(), IngestStatus::ALL.len() - 1);
    assert!(left.iter().all(|row| row.ingest_status != IngestStatus::Ignored));
}

/// Positions that order differently as text, and one change that is not done.
async fn three_changes(world: &impl World) {
    stored(world, participant(70001, "9"), IngestStatus::Handled, 8).await;
    stored(world, participant(70001, "10"), IngestStatus::Handled, 9).await;
    stored(world, participant(70001, "11"), IngestStatus::Invalid, 10).await;
    stored(world, participant(70002, "8"), IngestStatus::Handled, 11).await;
    stored(world, participant(70002, "7"), IngestStatus::Handled, 12).await;
    stored(world, course(3001, "6"), IngestStatus::Handled, 13).await;
}

pub(super) async fn the_newest_change_of_each_object_is_requeued(world: impl World) {
    three_changes(&world).await;
    assert_eq!(world.store().requeue_latest(Table::Participants, Newest::ByPosition).await.unwrap(), 2);
    assert_eq!(in_retry(&world).await, pairs(&[("70001", "10"), ("70002", "8")]));
}

pub(super) async fn the_newest_by_arrival_may_be_another(world: impl World) {
    three_changes(&world).await;
    assert_eq!(world.store().requeue_latest(Table::Participants, Newest::ById).await.unwrap(), 2);
    assert_eq!(in_retry(&world).await, pairs(&[("70001", "10"), ("70002", "7")]));
}

pub(super) async fn what_was_handled_out_of_order_is_told_and_mended(world: impl World) {
    three_changes(&world).await;
    stored(&world, participant(70001, "9"), IngestStatus::Handled, 20).await; // again, after the newer one
    let rows = world.state().await.arena_data;
    let id = |position: &str| rows.iter().find(|row| row.operation_pos.as_str() == position).unwrap().id;
    let mismatch = Mismatch { arena_id: "70001".to_owned(), siste_melding_id: id("10"), siste_ingestet: id("9") };
    let told = world.store().check_latest(Table::Participants, Mend::No).await.unwrap();
    assert_eq!(told, std::slice::from_ref(&mismatch));
    assert_eq!(in_retry(&world).await, pairs(&[]));
    assert_eq!(world.store().check_latest(Table::Participants, Mend::Yes).await.unwrap(), [mismatch]);
    assert_eq!(in_retry(&world).await, pairs(&[("70001", "10")]));
    assert_eq!(world.store().check_latest(Table::Participants, Mend::No).await.unwrap(), []);
}

pub(super) async fn a_measure_is_loaded_again_from_its_newest_handled_or_new_changes(world: impl World) {
    for (id, measure) in [(3001, "ENKELAMO"), (3002, "JOBBK")] {
        let row = || CourseWrite { id: CourseId(id), measure: measure.to_owned(), valid: true };
        let effect = || Effect { course: Some(row()), ..marked(IngestStatus::Handled) };
        world.store().apply(&[course(id, &id.to_string())], at(8), |_, _| write(effect())).await.unwrap();
    }
    for (id, on) in [(70001, 3001), (70002, 3002)] {
        let known = || LastKnown {
            id: ParticipantId(id),
            person: PersonId(5001),
            course: CourseId(on),
            start: None,
            end: None,
            registered: at(1),
            modified: at(2),
            status: "GJENN".to_owned(),
            status_changed: None,
            external_id: None,
        };
        let effect = || Effect { deltaker: Some(DeltakerWrite::Keep(known())), ..marked(IngestStatus::Handled) };
        let change = [participant(id, &format!("{id}9"))];
        world.store().apply(&change, at(9), |_, _| write(effect())).await.unwrap();
        stored(&world, participant(id, &format!("{id}10")), IngestStatus::New, 10).await;
        stored(&world, participant(id, &format!("{id}11")), IngestStatus::Failed, 11).await;
    }
    assert_eq!(world.store().relast(Measure::Enkelamo).await.unwrap(), 1);
    assert_eq!(in_retry(&world).await, pairs(&[("70001", "7000110")]));
}
