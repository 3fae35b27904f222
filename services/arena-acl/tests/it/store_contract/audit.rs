//! The whole store, page by page.

use arena_acl::{
    inbox::{Cursor, Outbox as _},
    verify::{Audit as _, Order},
};
use domain::arena_acl::{IngestStatus, ParticipantId, Position, Table};

use super::chronicle::handled;
use crate::store::{World, at, course, message, participant, store};

pub(super) async fn objects_come_page_by_page_with_the_order_of_their_changes(world: impl World) {
    for (id, position, status) in [
        (70001, "9", IngestStatus::Handled),
        (70001, "10", IngestStatus::Handled),
        (70001, "11", IngestStatus::Retry),
        (70002, "12", IngestStatus::Invalid),
        (70003, "13", IngestStatus::Handled),
    ] {
        store(world.store(), &participant(id, position), status).await;
    }
    store(world.store(), &course(70001, "1"), IngestStatus::Handled).await;
    let rows = world.state().await.arena_data;
    let id = |position: &str| rows.iter().find(|row| row.operation_pos.as_str() == position).map(|row| row.id);
    let order = |arena_id: &str, changes, newest| Order { arena_id: arena_id.into(), changes, newest, last: newest };
    let first = world.store().order(Table::Participants, "", 2).await.unwrap();
    assert_eq!(first, [order("70001", 3, id("10")), order("70002", 1, None)]);
    let rest = world.store().order(Table::Participants, "70002", 2).await.unwrap();
    assert_eq!(rest, [order("70003", 1, id("13"))]);
    assert_eq!(world.store().order(Table::Participants, "70003", 2).await.unwrap(), []);
}

pub(super) async fn a_participant_comes_with_its_newest_change_that_counts_and_what_is_kept(world: impl World) {
    handled(&world).await;
    for (id, position, status) in [
        (70001, "9", IngestStatus::Handled),
        (70001, "11", IngestStatus::Invalid),
        (70001, "12", IngestStatus::ExternalSource),
        (70002, "13", IngestStatus::Ignored),
    ] {
        store(world.store(), &participant(id, position), status).await;
    }
    let kept = world.store().kept("", 5).await.unwrap();
    let told: Vec<_> = kept
        .iter()
        .map(|kept| {
            let position = kept.newest.as_ref().map(|newest| newest.position.as_str());
            (kept.arena_id.as_str(), position, kept.has_uuid, kept.known.as_ref().map(|known| known.id))
        })
        .collect();
    assert_eq!(told, [("70001", Some("10"), true, Some(ParticipantId(70001))), ("70002", None, false, None)]);
    assert!(world.store().kept("70002", 5).await.unwrap().is_empty());
}

pub(super) async fn what_waits_comes_by_numeric_position(world: impl World) {
    for (id, position) in [(70001, "10"), (70002, "9"), (70003, "9")] {
        store(world.store(), &participant(id, position), IngestStatus::Retry).await;
    }
    store(world.store(), &participant(70004, "8"), IngestStatus::Waiting).await;
    let open = async |cursor: Option<&Cursor>| {
        let page = world.store().open(Table::Participants, IngestStatus::Retry, cursor, 2).await.unwrap();
        page.into_iter().map(|row| (row.position, row.object.id, row.id)).collect::<Vec<_>>()
    };
    // one position of one operation is one change, so the third took the place of the second
    let first = open(None).await;
    let ids: Vec<_> = first.iter().map(|(position, object, _)| (position.as_str(), *object)).collect();
    assert_eq!(ids, [("9", 70002), ("10", 70001)]);
    let last = &first[0];
    let cursor = Cursor { position: Position::new(&last.0).unwrap(), id: last.2 };
    assert_eq!(open(Some(&cursor)).await, first[1..]);
}

pub(super) async fn messages_that_wait_for_long_are_told(world: impl World) {
    world.store().enqueue(&[message("a", "1"), message("b", "2")], at(8)).await.unwrap();
    world.store().enqueue(&[message("c", "3")], at(10)).await.unwrap();
    let all = world.store().unsent(at(11), 0, 5).await.unwrap();
    assert_eq!(all.len(), 3);
    world.store().published(&[all[0].id], at(10)).await.unwrap();
    let old = world.store().unsent(at(9), 0, 5).await.unwrap();
    assert_eq!(old.iter().map(|sent| sent.id).collect::<Vec<_>>(), [all[1].id]);
    assert_eq!(world.store().unsent(at(9), all[1].id, 5).await.unwrap(), []);
}

pub(super) async fn windows_go_over_every_change_once(world: impl World) {
    for id in 1..=5 {
        store(world.store(), &participant(70000 + id, &id.to_string()), IngestStatus::Handled).await;
    }
    let (mut after, mut seen) = (0, 0);
    while let Some(last) = {
        let window = world.store().window(after, 2).await.unwrap();
        assert!(window.odd.is_empty());
        seen += window.seen;
        window.last
    } {
        after = last;
    }
    assert_eq!(seen, 5);
}

pub(super) async fn only_what_is_as_it_was_seen_is_queued(world: impl World) {
    store(world.store(), &participant(70001, "1"), IngestStatus::Handled).await;
    store(world.store(), &participant(70002, "2"), IngestStatus::Failed).await;
    let ids: Vec<i64> = world.state().await.arena_data.iter().map(|row| row.id).collect();
    let seen = [(ids[0], IngestStatus::Handled), (ids[1], IngestStatus::Waiting)];
    assert_eq!(world.store().queue(&seen, at(9)).await.unwrap(), 1);
    assert_eq!(world.store().queue(&seen, at(10)).await.unwrap(), 0, "twice is the same as once");
    let rows: Vec<_> = world.state().await.arena_data.iter().map(|row| (row.ingest_status, row.retry_at)).collect();
    assert_eq!(rows, [(IngestStatus::Retry, Some(at(9))), (IngestStatus::Failed, None)]);
}
