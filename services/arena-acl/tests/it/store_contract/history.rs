//! History rows: what they may be of, and their UUIDs (docs/spec/arena-acl.md 3.3, 4.10).

use std::sync::Arc;

use arena_acl::{
    inbox::{Inbox as _, Item},
    memory::HistIdTranslation,
};
use domain::{
    arena_acl::{
        Candidate, CourseId, DeltakerWrite, Effect, HistMapping, IfTaken, IngestStatus, LastKnown, Mapping,
        ParticipantId, ParticipantRow, PersonId, Position, Row, Table,
    },
    delivery::Class,
};
use uuid::Uuid;

use crate::store::{World, at, item, marked, participant, write};

const X: Uuid = Uuid::from_u128(0x70001);
const Y: Uuid = Uuid::from_u128(0x70002);

fn history(id: i64, person: i64, course: i64) -> Item {
    let row = ParticipantRow { id, person: Some(person), course, ..ParticipantRow::default() };
    item(Table::History, id, "50", Row::Participant(row), r#"{"HIST_TILTAKDELTAKER_ID": 9001}"#)
}

fn kept(id: i64, person: i64, amt_id: Option<Uuid>) -> Effect {
    let known = LastKnown {
        id: ParticipantId(id),
        person: PersonId(person),
        course: CourseId(3001),
        start: Some(at(0).date()),
        end: None,
        registered: at(1),
        modified: at(2),
        status: "FULLF".to_owned(),
        status_changed: Some(at(3)),
        external_id: None,
    };
    Effect {
        deltaker: Some(DeltakerWrite::Keep(known)),
        mapping: amt_id.map(|amt_id| Mapping { amt_id, participant: ParticipantId(id) }),
        ..marked(IngestStatus::Handled)
    }
}

fn named(amt_id: Uuid, history: i64, participant: Option<&str>) -> Effect {
    let participant = participant.map(str::to_owned);
    let mapping = HistMapping { amt_id, history, participant, if_taken: IfTaken::Kept };
    Effect { hist_mapping: Some(mapping), ..marked(IngestStatus::Handled) }
}

pub(super) async fn a_history_row_finds_the_participations_of_its_person_and_course(world: impl World) {
    for (id, person, amt_id) in [(70001, 5001, Some(X)), (70002, 5001, None), (70003, 5002, Some(Y))] {
        let effect = || kept(id, person, amt_id);
        world.store().apply(&[participant(id, &id.to_string())], at(8), |_, _| write(effect())).await.unwrap();
    }
    world
        .store()
        .apply(&[history(9001, 5001, 3001)], at(9), |_, _| write(named(X, 9001, Some("70001"))))
        .await
        .unwrap();
    let mistake =
        Effect { deltaker: Some(DeltakerWrite::Misregistered(ParticipantId(70002))), ..marked(IngestStatus::Handled) };
    world.store().apply(&[participant(70002, "70009")], at(9), |_, _| write(mistake.clone())).await.unwrap();
    let (mine, elsewhere) = (history(9001, 5001, 3001), history(9002, 5001, 3002));
    let held = world.store().read(&[&mine.change, &elsewhere.change]).await.unwrap();
    let mut candidates = held.candidates[&(PersonId(5001), CourseId(3001))].clone();
    candidates.sort_by_key(|candidate| candidate.participant);
    let candidate = |id, amt_id, misregistered| Candidate {
        participant: ParticipantId(id),
        start: Some(at(0).date()),
        end: None,
        status_changed: Some(at(3)),
        amt_id,
        misregistered,
    };
    assert_eq!(candidates, [candidate(70001, Some(X), false), candidate(70002, None, true)]);
    assert_eq!(held.candidates.len(), 1, "nobody is on the other course");
    assert_eq!(held.hist_ids.get(&9001), Some(&X));
    assert_eq!(held.hist_ids.get(&9002), None);
    assert_eq!(held.hist_owners.get(&X).map(String::as_str), Some("9001"));
}

pub(super) async fn a_participation_keeps_its_first_history_id(world: impl World) {
    for id in [9001, 9002] {
        world
            .store()
            .apply(&[history(id, 5001, 3001)], at(8), |_, _| write(named(X, id, Some("70001"))))
            .await
            .unwrap();
    }
    let row = HistIdTranslation { amt_id: X, arena_hist_id: "9001".to_owned(), arena_id: Some("70001".to_owned()) };
    assert_eq!(world.state().await.hist_id_translation, [row]);
}

pub(super) async fn a_history_id_of_another_participation_is_refused(world: impl World) {
    let change = [history(9001, 5001, 3001)];
    world.store().apply(&change, at(8), |_, _| write(named(X, 9001, None))).await.unwrap();
    let before = format!("{:?}", world.state().await);
    let refused = world.store().apply(&change, at(9), |_, _| write(named(Y, 9001, None))).await.unwrap_err();
    assert_eq!((refused.class, refused.outage), (Class::Permanent("refused_by_store"), false));
    assert_eq!(format!("{:?}", world.state().await), before);
}

pub(super) async fn an_external_id_that_another_history_row_took_at_once_is_refused(world: impl World) {
    let external = |history| HistMapping { amt_id: X, history, participant: None, if_taken: IfTaken::Refused };
    let effect = |item: &Item| Effect {
        hist_mapping: Some(external(item.change.arena_id)),
        ..marked(IngestStatus::ExternalSource)
    };
    let mut both = [history(9001, 5001, 3001), history(9002, 5002, 3002)];
    Arc::make_mut(&mut both[1].change).position = Position::new("51").unwrap();
    let refused = world.store().apply(&both, at(8), |item, _| write(effect(item))).await.unwrap_err();
    assert_eq!((refused.class, refused.outage), (Class::Permanent("refused_by_store"), false));
    assert_eq!(world.state().await.hist_id_translation, []);
    world.store().apply(&both[..1], at(8), |item, _| write(effect(item))).await.unwrap();
    assert!(world.store().apply(&both[1..], at(9), |item, _| write(effect(item))).await.is_err());
}
