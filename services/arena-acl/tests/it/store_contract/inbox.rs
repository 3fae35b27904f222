use std::sync::Arc;

use arena_acl::{
    inbox::{Inbox as _, Item, Translation},
    memory::{HistIdTranslation, IdTranslation},
};
use domain::{
    arena_acl::{
        CourseId, CourseWrite, DeltakerWrite, Effect, HeldCourse, HeldId, IngestStatus, LastKnown, Mapping, Mark,
        Operation, ParticipantId, PersonId, Row, RowWrite, Table,
    },
    delivery::{Class, Outcome, Settlement},
};
use uuid::Uuid;

use crate::store::{World, at, course, item, marked, message, participant, store, write};

const X: Uuid = Uuid::from_u128(0x70001);
const Y: Uuid = Uuid::from_u128(0x70002);

fn mapping(amt_id: Uuid, participant: i64) -> Option<Mapping> {
    Some(Mapping { amt_id, participant: ParticipantId(participant) })
}

fn known(id: i64) -> LastKnown {
    LastKnown {
        id: ParticipantId(id),
        person: PersonId(5001),
        course: CourseId(3001),
        start: at(0).date().into(),
        end: None,
        registered: at(1),
        modified: at(2),
        status: "TILBUD".to_owned(),
        status_changed: Some(at(3)),
        external_id: None,
    }
}

fn course_row(id: i64, measure: &str, valid: bool) -> Option<CourseWrite> {
    Some(CourseWrite { id: CourseId(id), measure: measure.to_owned(), valid })
}

/// Everything an effect can do to a participant.
fn whole(id: i64, amt_id: Uuid) -> Effect {
    Effect {
        mapping: mapping(amt_id, id),
        deltaker: Some(DeltakerWrite::Keep(known(id))),
        course_uuid: Some((CourseId(3001), Y)),
        ..marked(IngestStatus::Handled)
    }
}

pub(super) async fn applying_twice_is_applying_once(world: impl World) {
    let courses = [course(3001, "1")];
    let participants = [participant(70001, "2")];
    let mut states = Vec::new();
    for _ in 0..2 {
        let course = || Effect { course: course_row(3001, "INDOPPFAG", true), ..marked(IngestStatus::Handled) };
        world.store().apply(&courses, at(12), |_, _| write(course())).await.unwrap();
        let ended = world.store().apply(&participants, at(12), |_, _| write(whole(70001, X))).await.unwrap();
        assert_eq!(ended, [Some(Settlement::Done(Outcome::Applied))]);
        states.push(format!("{:#?}", world.state().await));
    }
    assert_eq!(states[0], states[1]);
    assert!(states[0].contains("70001"));
}

pub(super) async fn a_refused_item_leaves_nothing_of_its_batch(world: impl World) {
    world.store().apply(&[participant(70001, "1")], at(8), |_, _| write(whole(70001, X))).await.unwrap();
    let before = format!("{:?}", world.state().await);
    let batch = [participant(70002, "2"), participant(70003, "3")];
    let refused = world
        .store()
        .apply(&batch, at(9), |item, _| {
            let amt_id = if item.change.arena_id == 70003 { X } else { Y };
            let mut write = write(whole(item.change.arena_id, amt_id))?;
            write.message = Some(message("k", "{}"));
            Some(write)
        })
        .await
        .unwrap_err();
    assert_eq!((refused.class, refused.outage), (Class::Permanent("refused_by_store"), false));
    assert!(refused.what.contains("arena_data_id_translation_pkey") && !refused.what.contains(&X.to_string()));
    assert_eq!(format!("{:?}", world.state().await), before);
}

pub(super) async fn what_decide_leaves_alone_stays_as_it_was(world: impl World) {
    let batch = [participant(70001, "1"), participant(70002, "2")];
    let ended = world
        .store()
        .apply(&batch, at(8), |item, _| (item.change.arena_id == 70002).then(|| write(marked(IngestStatus::Retry)))?)
        .await
        .unwrap();
    assert_eq!(ended, [None, Some(Settlement::Done(Outcome::Applied))]);
    let ids: Vec<String> = world.state().await.arena_data.into_iter().map(|row| row.arena_id).collect();
    assert_eq!(ids, ["70002"]);
}

pub(super) async fn a_stored_change_keeps_its_images_its_attempts_and_its_arrival(world: impl World) {
    let first = participant(70001, "007");
    store(world.store(), &first, IngestStatus::Retry).await;
    attempt(&world, &first, IngestStatus::Retry).await;
    let mut again = first.clone();
    again.after = Some(r#"{"other": 1}"#.into());
    again.before = Some("{}".into());
    Arc::make_mut(&mut again.change).timestamp = at(23);
    store(world.store(), &participant(70002, "8"), IngestStatus::Retry).await;
    let noted = || RowWrite {
        status: IngestStatus::Handled,
        note: Some("why".to_owned()),
        mark: Mark::Ingested,
        retry_at: None,
    };
    world
        .store()
        .apply(&[again], at(15), |_, _| write(Effect { row: Some(noted()), ..marked(IngestStatus::Handled) }))
        .await
        .unwrap();
    let rows = world.state().await.arena_data;
    let row = &rows[0];
    assert!(row.id < rows[1].id);
    assert_eq!((row.ingest_status, row.note.as_deref()), (IngestStatus::Handled, Some("why")));
    assert_eq!((row.ingested_timestamp, row.last_attempted, row.ingest_attempts), (Some(at(15)), Some(at(14)), 1));
    assert_eq!(
        (row.operation_timestamp, row.operation_pos.as_str(), row.operation_type),
        (at(6), "007", Operation::Created)
    );
    assert_eq!(row.after.as_deref(), first.after.as_deref());
    assert_eq!(row.before, None);
}

pub(super) async fn a_failed_attempt_counts_and_leaves_the_time_of_ingestion(world: impl World) {
    let change = participant(70001, "1");
    store(world.store(), &change, IngestStatus::Retry).await;
    attempt(&world, &change, IngestStatus::Retry).await;
    attempt(&world, &change, IngestStatus::Failed).await;
    let rows = world.state().await.arena_data;
    assert_eq!((rows[0].ingest_attempts, rows[0].ingest_status), (2, IngestStatus::Failed));
    assert_eq!((rows[0].ingested_timestamp, rows[0].last_attempted), (Some(at(8)), Some(at(14))));
}

async fn attempt(world: &impl World, item: &Item, status: IngestStatus) {
    let row = || RowWrite { status, note: Some("not yet".to_owned()), mark: Mark::Attempted, retry_at: None };
    world
        .store()
        .apply(std::slice::from_ref(item), at(14), |_, _| write(Effect { row: Some(row()), ..marked(status) }))
        .await
        .unwrap();
}

pub(super) async fn ignored_changes_keep_no_images(world: impl World) {
    store(world.store(), &participant(70001, "1"), IngestStatus::Ignored).await;
    let waited = participant(70002, "2");
    store(world.store(), &waited, IngestStatus::Waiting).await;
    assert!(world.state().await.arena_data[1].after.is_some());
    store(world.store(), &waited, IngestStatus::Ignored).await;
    for row in world.state().await.arena_data {
        assert_eq!((row.ingest_status, row.before, row.after), (IngestStatus::Ignored, None, None));
    }
}

pub(super) async fn what_was_ignored_gets_its_images_when_it_is_wanted_after_all(world: impl World) {
    let change = [participant(70001, "1")];
    for status in [IngestStatus::Ignored, IngestStatus::Retry] {
        world.store().apply(&change, at(8), |_, _| write(marked(status))).await.unwrap();
    }
    let row = &world.state().await.arena_data[0];
    assert_eq!((row.ingest_status, row.before.as_deref()), (IngestStatus::Retry, None));
    assert!(row.after.as_deref().unwrap().contains("70001"));
}

pub(super) async fn a_release_touches_only_what_waits_for_the_course(world: impl World) {
    let image = |table, id, after: &str| item(table, id, &id.to_string(), Row::Unusable, after);
    let mut moved = image(Table::Participants, 6, r#"{"TILTAKGJENNOMFORING_ID": 9}"#);
    moved.before = Some(r#"{"TILTAKGJENNOMFORING_ID": 3001}"#.into());
    for (change, status) in [
        (image(Table::Participants, 1, r#"{"TILTAKGJENNOMFORING_ID": 3001}"#), IngestStatus::Waiting),
        (image(Table::Participants, 2, r#"{"TILTAKGJENNOMFORING_ID": " 3001 "}"#), IngestStatus::Waiting),
        (image(Table::Participants, 3, r#"{"TILTAKGJENNOMFORING_ID": 3001.7}"#), IngestStatus::Waiting),
        (image(Table::History, 4, r#"{"TILTAKGJENNOMFORING_ID": "3001"}"#), IngestStatus::Waiting),
        (moved, IngestStatus::Waiting),
        (image(Table::Participants, 11, r#"{"TILTAKGJENNOMFORING_ID": 3002}"#), IngestStatus::Waiting),
        (image(Table::Participants, 12, r#"{"TILTAKGJENNOMFORING_ID": 3001}"#), IngestStatus::Failed),
        (image(Table::Participants, 13, r#"{"TILTAKGJENNOMFORING_ID": {}}"#), IngestStatus::Waiting),
        (image(Table::Participants, 14, r#"{"TILTAKGJENNOMFORING_ID": "30 01"}"#), IngestStatus::Waiting),
        (image(Table::Participants, 15, r#"{"TILTAKGJENNOMFORING_ID": 1e300}"#), IngestStatus::Waiting),
    ] {
        store(world.store(), &change, status).await;
        attempt(&world, &change, status).await;
    }
    let release = || Effect { release: Some(CourseId(3001)), ..marked(IngestStatus::Handled) };
    world.store().apply(&[course(3001, "99")], at(20), |_, _| write(release())).await.unwrap();
    for row in world.state().await.arena_data {
        if row.arena_table_name == Table::Courses {
            continue;
        }
        let released = row.arena_id.parse::<i64>().unwrap() < 10;
        assert_eq!(row.ingest_status == IngestStatus::Retry, released, "{row:?}");
        assert_eq!(row.ingest_attempts, u32::from(!released), "{row:?}");
        let kept = (row.note.as_deref(), row.last_attempted, row.ingested_timestamp);
        assert_eq!(kept, (Some("not yet"), Some(at(14)), Some(at(8))));
    }
}

pub(super) async fn a_course_keeps_its_uuid_when_its_row_changes(world: impl World) {
    for (effect, expected) in [
        (
            Effect {
                course: course_row(3001, "OLD", false),
                course_uuid: Some((CourseId(3001), X)),
                ..marked(IngestStatus::Handled)
            },
            ("OLD", false),
        ),
        (Effect { course: course_row(3001, "INDOPPFAG", true), ..marked(IngestStatus::Handled) }, ("INDOPPFAG", true)),
    ] {
        world.store().apply(&[course(3001, "1")], at(8), |_, _| write(effect.clone())).await.unwrap();
        let rows = world.state().await.gjennomforing;
        let row = &rows[0];
        assert_eq!((rows.len(), row.arena_id.as_str()), (1, "3001"));
        assert_eq!((row.tiltak_kode.as_str(), row.is_valid), expected);
        assert_eq!(row.id, Some(X));
    }
}

pub(super) async fn several_participants_may_name_one_course(world: impl World) {
    let known = || Effect { course: course_row(3001, "INDOPPFAG", true), ..marked(IngestStatus::Handled) };
    world.store().apply(&[course(3001, "1")], at(8), |_, _| write(known())).await.unwrap();
    let batch = [participant(70001, "2"), participant(70002, "3")];
    let named = || Effect { course_uuid: Some((CourseId(3001), X)), ..marked(IngestStatus::Handled) };
    world.store().apply(&batch, at(8), |_, _| write(named())).await.unwrap();
    assert_eq!(world.state().await.gjennomforing[0].id, Some(X));
}

pub(super) async fn a_participant_keeps_its_first_uuid(world: impl World) {
    for amt_id in [X, Y] {
        world.store().apply(&[participant(70001, "1")], at(8), |_, _| write(whole(70001, amt_id))).await.unwrap();
    }
    let kept = IdTranslation {
        amt_id: X,
        arena_table_name: Table::Participants.name().to_owned(),
        arena_id: "70001".to_owned(),
    };
    assert_eq!(world.state().await.id_translation, [kept]);
}

pub(super) async fn the_last_known_row_is_replaced_and_misregistered(world: impl World) {
    let change = [participant(70001, "1")];
    let keep = |row: LastKnown| Effect { deltaker: Some(DeltakerWrite::Keep(row)), ..marked(IngestStatus::Handled) };
    world.store().apply(&change, at(8), |_, _| write(keep(known(70001)))).await.unwrap();
    let moved =
        LastKnown { status: "FULLF".to_owned(), end: at(0).date().into(), status_changed: None, ..known(70001) };
    world.store().apply(&change, at(9), |_, _| write(keep(moved.clone()))).await.unwrap();
    let rows = world.state().await.deltaker;
    assert_eq!((rows.len(), rows[0].status.as_str(), rows[0].dato_til), (1, "FULLF", moved.end));
    assert_eq!((rows[0].reg_dato, rows[0].dato_statusendring, rows[0].dato_fra), (at(1), None, moved.start));
    for id in [70001, 70002] {
        let gone = DeltakerWrite::Misregistered(ParticipantId(id));
        let effect = || Effect { deltaker: Some(gone.clone()), ..marked(IngestStatus::Handled) };
        world.store().apply(&[participant(id, "2")], at(9), |_, _| write(effect())).await.unwrap();
    }
    let rows = world.state().await.deltaker;
    assert_eq!((rows.len(), rows[0].status.as_str(), rows[0].dato_til), (1, "FEILREGISTRERT", moved.end));
}

pub(super) async fn what_is_held_is_what_was_written(world: impl World) {
    let row = HistIdTranslation { amt_id: X, arena_hist_id: "9001".to_owned(), arena_id: Some("70001".to_owned()) };
    let world = world.historised(row).await;
    let known = || Effect { course: course_row(3001, "INDOPPFAG", true), ..marked(IngestStatus::Handled) };
    world.store().apply(&[course(3001, "1")], at(8), |_, _| write(known())).await.unwrap();
    let change = participant(70001, "007");
    world.store().apply(std::slice::from_ref(&change), at(8), |_, _| write(whole(70001, X))).await.unwrap();
    store(world.store(), &participant(70001, "8"), IngestStatus::Retry).await;
    store(world.store(), &participant(70001, "5"), IngestStatus::Failed).await;
    store(world.store(), &participant(70001, "6"), IngestStatus::Handled).await; // older and done: it says nothing more
    store(world.store(), &participant(70002, "9"), IngestStatus::Retry).await;
    let check = |held: &domain::arena_acl::Held| {
        let expected = HeldCourse { measure: "INDOPPFAG".to_owned(), valid: true, id: Some(Y) };
        assert_eq!((held.courses.len(), held.courses.get(&CourseId(3001))), (1, Some(&expected)));
        assert_eq!(held.rows.keys().collect::<Vec<_>>(), [&(Table::Participants, 70001)]);
        assert_eq!(held.rows_of(Table::Participants, 70001).len(), 3);
        let row = held.row(Table::Participants, 70001, Operation::Created, &change.change.position).unwrap();
        assert_eq!((row.status, row.attempts), (IngestStatus::Handled, 0));
        assert!(held.owners.is_empty());
    };
    let asked = world.store().read(&[&change.change]).await.unwrap();
    check(&asked);
    assert!(asked.ids.is_empty(), "no question depends on them");
    world
        .store()
        .apply(std::slice::from_ref(&change), at(9), |_, held| {
            check(held);
            assert_eq!((held.ids.len(), held.ids.get(&70001)), (1, Some(&HeldId { amt_id: X, historised: true })));
            None
        })
        .await
        .unwrap();
}

pub(super) async fn an_external_id_has_one_owner(world: impl World) {
    world.store().apply(&[participant(70001, "1")], at(8), |_, _| write(whole(70001, X))).await.unwrap();
    let claim = |text: &str| {
        let mut change = participant(70002, "2").change;
        let Row::Participant(row) = &mut Arc::make_mut(&mut change).row else { unreachable!() };
        row.external_id = Some(text.to_owned());
        change
    };
    for (text, owner) in [
        (X.to_string(), Some("70001")),
        (X.to_string().to_uppercase(), Some("70001")),
        (X.simple().to_string(), None),
        (Y.to_string(), None),
        ("no uuid".to_owned(), None),
    ] {
        let held = world.store().read(&[&claim(&text)]).await.unwrap();
        assert_eq!(held.owners.get(&X).map(String::as_str), owner, "{text}");
        assert!(held.ids.is_empty());
    }
}

pub(super) async fn a_translation_prefers_the_participant(world: impl World) {
    let hist = |amt_id, hist: &str| HistIdTranslation { amt_id, arena_hist_id: hist.to_owned(), arena_id: None };
    let world = world.historised(hist(X, "9001")).await.historised(hist(Y, "9002")).await;
    world.store().apply(&[participant(70001, "1")], at(8), |_, _| write(whole(70001, X))).await.unwrap();
    for (amt_id, arena_id, arena_hist_id) in
        [(X, Some("70001"), None), (Y, None, Some("9002")), (Uuid::from_u128(1), None, None)]
    {
        let expected =
            Translation { arena_id: arena_id.map(str::to_owned), arena_hist_id: arena_hist_id.map(str::to_owned) };
        assert_eq!(world.store().translation(amt_id).await.unwrap(), expected);
    }
}
