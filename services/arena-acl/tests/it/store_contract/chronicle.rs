//! What is held of single objects, for people.

use arena_acl::{
    explain::{Chronicle as _, Known, Object},
    inbox::{Inbox as _, NewMessage, Outbox as _, Write},
    memory::HistIdTranslation,
};
use domain::arena_acl::{
    CourseId, CourseWrite, DeltakerWrite, Effect, IngestStatus, LastKnown, Mapping, ParticipantId, PersonId, Table,
};
use uuid::Uuid;

use crate::store::{World, at, course, marked, message, participant, store, write};

const UUID: Uuid = Uuid::from_u128(0xa001);

fn object(table: Table, id: i64) -> Object {
    Object { table, id }
}

fn last_known() -> LastKnown {
    LastKnown {
        id: ParticipantId(70001),
        person: PersonId(5001),
        course: CourseId(3001),
        start: None,
        end: Some(at(0).date()),
        registered: at(1),
        modified: at(2),
        status: "GJENN".to_owned(),
        status_changed: Some(at(3)),
        external_id: None,
    }
}

/// Participant 70001 is handled, has a UUID, a last known row and a message.
pub(super) async fn handled(world: &impl World) {
    let effect = || Effect {
        mapping: Some(Mapping { amt_id: UUID, participant: ParticipantId(70001) }),
        deltaker: Some(DeltakerWrite::Keep(last_known())),
        ..marked(IngestStatus::Handled)
    };
    let message = || NewMessage { key: UUID.to_string(), ..message("", "{}") };
    let decide = |_: &_, _: &_| Some(Write { effect: effect(), message: Some(message()) });
    world.store().apply(&[participant(70001, "10")], at(8), decide).await.unwrap();
}

pub(super) async fn an_object_has_its_last_changes_and_its_oldest_unhandled_ones(world: impl World) {
    for (position, status) in [
        ("9", IngestStatus::Failed),
        ("10", IngestStatus::Handled),
        ("8", IngestStatus::Retry),
        ("11", IngestStatus::Handled),
        ("12", IngestStatus::Handled),
    ] {
        store(world.store(), &participant(70001, position), status).await;
    }
    store(world.store(), &participant(70002, "1"), IngestStatus::Handled).await;
    store(world.store(), &course(70001, "2"), IngestStatus::Handled).await;
    let own = [object(Table::Participants, 70001)];
    let changes = world.store().changes(&own, 1).await.unwrap();
    let told: Vec<_> = changes.some.iter().map(|change| (change.position.as_str(), change.status.name())).collect();
    assert_eq!((changes.total, told), (5, vec![("8", "RETRY"), ("12", "HANDLED")]));
    let both = [object(Table::Participants, 70001), object(Table::Courses, 70001)];
    assert_eq!(world.store().changes(&both, u32::MAX).await.unwrap().some.len(), 6);
    assert_eq!(world.store().changes(&[], 5).await.unwrap().total, 0);
}

pub(super) async fn a_change_is_told_with_all_that_became_of_it(world: impl World) {
    handled(&world).await;
    let changes = world.store().changes(&[object(Table::Participants, 70001)], 5).await.unwrap();
    let row = &world.state().await.arena_data[0];
    let told = &changes.some[0];
    assert_eq!((told.id, told.timestamp, told.ingested), (row.id, row.operation_timestamp, row.ingested_timestamp));
    assert_eq!((told.attempts, &told.note, told.last_attempted), (0, &None, None));
    assert!(told.before.is_none() && told.after.is_some());
}

pub(super) async fn ids_lead_from_an_object_to_its_uuid_and_back(world: impl World) {
    handled(&world).await;
    let hist = || HistIdTranslation { amt_id: UUID, arena_hist_id: "9001".into(), arena_id: Some("70001".into()) };
    let world = world.historised(hist()).await;
    let participant = (UUID, Table::Participants.name().to_owned(), "70001".to_owned());
    let history = (UUID, "9001".to_owned(), Some("70001".to_owned()));
    let of = async |objects: &[Object], uuids: &[Uuid]| {
        let ids = world.store().ids(objects, uuids).await.unwrap();
        (ids.participants, ids.histories)
    };
    assert_eq!(of(&[object(Table::Participants, 70001)], &[]).await, (vec![participant.clone()], vec![]));
    assert_eq!(of(&[object(Table::History, 9001)], &[]).await, (vec![], vec![history.clone()]));
    assert_eq!(of(&[], &[UUID]).await, (vec![participant], vec![history]));
    assert_eq!(of(&[object(Table::Courses, 70001)], &[Uuid::nil()]).await, (vec![], vec![]));
}

pub(super) async fn a_last_known_row_is_told_without_its_person(world: impl World) {
    handled(&world).await;
    let LastKnown { start, end, registered, modified, status, status_changed, course, .. } = last_known();
    let known = Known { arena_id: 70001, course, start, end, registered, modified, status, status_changed };
    assert_eq!(world.store().known(&[70001, 70002]).await.unwrap(), [known]);
}

pub(super) async fn courses_are_found_by_id_and_uuid_with_what_waits_for_them(world: impl World) {
    let row = || CourseWrite { id: CourseId(3001), measure: "JOBBK".to_owned(), valid: false };
    let effect =
        || Effect { course: Some(row()), course_uuid: Some((CourseId(3001), UUID)), ..marked(IngestStatus::Handled) };
    world.store().apply(&[course(3001, "1")], at(8), |_, _| write(effect())).await.unwrap();
    store(world.store(), &participant(70001, "2"), IngestStatus::Waiting).await;
    store(world.store(), &participant(70002, "3"), IngestStatus::Retry).await;
    for (ids, uuids) in [(&[CourseId(3001)][..], &[][..]), (&[], &[UUID])] {
        let found = world.store().courses(ids, uuids).await.unwrap();
        let (id, held) = &found[0];
        assert_eq!((found.len(), *id, held.valid, held.id), (1, CourseId(3001), false, Some(UUID)));
    }
    assert_eq!(world.store().courses(&[CourseId(3002)], &[Uuid::nil()]).await.unwrap(), []);
    let waiting = [CourseId(3001), CourseId(3002)].map(|course| world.store().waiting_for(course));
    let [one, other] = waiting;
    assert_eq!((one.await.unwrap(), other.await.unwrap()), (1, 0));
}

pub(super) async fn messages_of_a_key_are_told_published_or_not(world: impl World) {
    handled(&world).await;
    let more = NewMessage { key: UUID.to_string(), payload: None, ..message("", "") };
    world.store().enqueue(&[message("other", "{}"), more], at(9)).await.unwrap();
    let first = world.store().messages(&[UUID], 5).await.unwrap()[0].id;
    world.store().published(&[first], at(10)).await.unwrap();
    let told = world.store().messages(&[UUID], 5).await.unwrap();
    let change = world.state().await.arena_data[0].id;
    let told: Vec<_> = told.iter().map(|sent| (sent.change, sent.created, sent.published)).collect();
    assert_eq!(told, [(Some(change), at(8), Some(at(10))), (None, at(9), None)]);
    assert_eq!(world.store().messages(&[UUID], 1).await.unwrap().len(), 1);
    assert_eq!(world.store().messages(&[], 5).await.unwrap(), []);
}
