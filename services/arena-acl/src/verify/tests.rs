use std::sync::Arc;

use chrono::NaiveDate;
use domain::arena_acl::{Backoff, Operation, Pass};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::memory::{ArenaData, Deltaker, Gjennomforing, IdTranslation, Memory, Outgoing, State};

fn at(minute: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2025, 3, 10).unwrap().and_hms_opt(12, minute, 0).unwrap()
}

fn measure() -> Measure {
    let moment = Moment {
        pass: Pass::Retry,
        now: at(30),
        amt_id: Uuid::nil(),
        transaction: Uuid::nil(),
        max_attempts: 10,
        delete_wait: 2,
        backoff: Backoff { least: TimeDelta::seconds(30), most: TimeDelta::minutes(10) },
        unknown_match_waits: false,
        reprocess: false,
    };
    Measure { moment, retry_interval: TimeDelta::minutes(10) }
}

/// A change of participant 70001 on course 3001 that arrived and was handled as number `id`.
fn change(id: i64, operation: Operation, status: IngestStatus) -> ArenaData {
    let image: Arc<str> = json!({
        "TILTAKDELTAKER_ID": 70001, "PERSON_ID": 5001, "TILTAKGJENNOMFORING_ID": 3001, "DELTAKERSTATUSKODE": "GJENN",
        "DATO_FRA": "2025-04-01 00:00:00", "REG_DATO": "2025-02-20 08:00:00", "MOD_DATO": "2025-03-01 09:15:00",
        "BEGRUNNELSE_BESTILLING": "CANARY",
    })
    .to_string()
    .into();
    let deleted = operation == Operation::Deleted;
    ArenaData {
        id,
        arena_table_name: Table::Participants,
        arena_id: "70001".into(),
        operation_type: operation,
        operation_pos: Position::new(&(100 + id).to_string()).unwrap(),
        operation_timestamp: at(0),
        ingest_status: status,
        ingested_timestamp: Some(at(u32::try_from(id).unwrap())),
        ingest_attempts: 0,
        last_attempted: None,
        before: deleted.then(|| image.clone()),
        after: (!deleted).then_some(image),
        note: None,
        retry_at: None,
        replay_count: 0,
        dropped_at: None,
    }
}

/// Participant 70001 was read, handled and published.
fn true_copy() -> State {
    let of = |day: u32, month: u32| NaiveDate::from_ymd_opt(2025, month, day).unwrap();
    State {
        arena_data: vec![change(1, Operation::Created, IngestStatus::Handled)],
        id_translation: vec![IdTranslation {
            amt_id: Uuid::nil(),
            arena_table_name: Table::Participants.name().into(),
            arena_id: "70001".into(),
        }],
        deltaker: vec![Deltaker {
            arena_id: 70_001,
            person_id: 5001,
            gjennomforing_id: 3001,
            dato_fra: Some(of(1, 4)),
            dato_til: None,
            reg_dato: of(20, 2).and_hms_opt(8, 0, 0).unwrap(),
            mod_dato: of(1, 3).and_hms_opt(9, 15, 0).unwrap(),
            status: "GJENN".into(),
            dato_statusendring: None,
            ekstern_id: None,
            arena_source_table: Table::Participants.name().into(),
        }],
        gjennomforing: vec![Gjennomforing {
            arena_id: "3001".into(),
            tiltak_kode: "INDOPPFAG".into(),
            is_valid: true,
            id: None,
        }],
        ..State::default()
    }
}

#[derive(Default)]
struct Heard {
    found: Vec<Difference>,
    seen: u64,
}

impl Listener for Heard {
    fn begins(&mut self, _: &'static str, _: Option<u64>) {}

    fn seen(&mut self, more: u64) {
        self.seen += more;
    }

    fn found(&mut self, difference: &Difference) {
        self.found.push(difference.clone());
    }
}

async fn run(store: &Memory, mend: Mend) -> (Vec<Difference>, Totals) {
    let mut heard = Heard::default();
    let totals = verify(store, &measure(), mend, &mut heard).await.unwrap();
    assert_eq!(heard.seen, totals.seen);
    (heard.found, totals)
}

/// Kind, detail and mending of each difference.
async fn found(state: State) -> Vec<(Kind, Option<String>, Mending)> {
    let (found, _) = run(&Memory::with(state), Mend::No).await;
    found.into_iter().map(|difference| (difference.kind, difference.detail, difference.mending)).collect()
}

#[tokio::test]
async fn a_true_copy_has_no_differences() {
    assert_eq!(found(true_copy()).await, []);
}

#[tokio::test]
async fn what_is_not_kept_is_found_and_queued() {
    let missing = |state| async { found(state).await.into_iter().map(|(kind, ..)| kind).collect::<Vec<_>>() };
    assert_eq!(missing(State { id_translation: vec![], ..true_copy() }).await, [Kind::NoUuid]);
    assert_eq!(missing(State { deltaker: vec![], ..true_copy() }).await, [Kind::NoLastKnown]);
    let store = Memory::with(State { deltaker: vec![], ..true_copy() });
    let (found, totals) = run(&store, Mend::Yes).await;
    assert_eq!((found[0].mending, totals.differences, totals.queued), (Mending::Queued, 1, 1));
    assert_eq!((found[0].key.as_str(), found[0].row.as_deref()), ("deltaker 70001", Some("r1")));
    assert_eq!(store.state().arena_data[0].ingest_status, IngestStatus::Retry);
    assert!(store.state().deltaker.is_empty(), "what was published or kept is never edited");
}

#[tokio::test]
async fn a_last_known_row_that_differs_is_told_by_its_columns_alone() {
    let mut state = true_copy();
    state.deltaker[0].dato_fra = None;
    state.deltaker[0].status = "TILBUD".into();
    let detail = Some("dato_fra, status".to_owned());
    assert_eq!(found(state).await, [(Kind::LastKnownDiffers, detail, Mending::Possible)]);
}

#[tokio::test]
async fn a_published_delete_leaves_a_misregistered_row_or_none() {
    let mut state = true_copy();
    state.arena_data.push(change(2, Operation::Deleted, IngestStatus::Handled));
    assert_eq!(found(State { deltaker: vec![], ..state.clone() }).await, []);
    let detail = Some("status".to_owned());
    assert_eq!(found(state.clone()).await, [(Kind::LastKnownDiffers, detail, Mending::Possible)]);
    state.deltaker[0].status = "FEILREGISTRERT".into();
    assert_eq!(found(state).await, []);
}

#[tokio::test]
async fn a_participant_that_is_on_its_way_is_no_difference() {
    let mut state = State { deltaker: vec![], id_translation: vec![], ..true_copy() };
    let waiting = ArenaData { ingested_timestamp: Some(at(29)), ..change(2, Operation::Modified, IngestStatus::Retry) };
    state.arena_data.push(waiting);
    assert_eq!(found(state).await, []);
}

#[tokio::test]
async fn what_was_handled_out_of_order_is_found() {
    let mut state = true_copy();
    state.arena_data.push(change(2, Operation::Modified, IngestStatus::Handled));
    state.arena_data[0].ingested_timestamp = Some(at(20));
    let told = ("r1 was handled after it".to_owned(), Mending::Possible);
    assert_eq!(found(state).await, [(Kind::HandledOutOfOrder, Some(told.0), told.1)]);
}

#[tokio::test]
async fn only_what_waits_for_nothing_and_long_enough_is_found() {
    let waiting = |status, minute| {
        let row = ArenaData { ingested_timestamp: Some(at(minute)), ..change(2, Operation::Modified, status) };
        State { arena_data: vec![row], ..true_copy() }
    };
    let (kind, mending) = (Kind::WaitsForNothing, Mending::Possible);
    for status in [IngestStatus::Retry, IngestStatus::Waiting] {
        let name = Some(status.name().to_owned());
        assert_eq!(found(waiting(status, 9)).await, [(kind, name, mending)]);
        assert_eq!(found(waiting(status, 11)).await, [], "two runs of the job have not passed");
        let for_its_course = State { gjennomforing: vec![], ..waiting(IngestStatus::Retry, 9) };
        assert_eq!(found(for_its_course).await, []);
    }
}

#[tokio::test]
async fn what_is_due_gets_two_runs_of_the_job_from_then_on() {
    let due = |minute| {
        let (ingested_timestamp, retry_at) = (Some(at(1)), Some(at(minute)));
        let row = ArenaData { ingested_timestamp, retry_at, ..change(2, Operation::Modified, IngestStatus::Retry) };
        State { arena_data: vec![row], ..true_copy() }
    };
    for minute in [11, 29, 40] {
        assert_eq!(found(due(minute)).await, []);
    }
    assert_eq!(found(due(9)).await, [(Kind::WaitsForNothing, Some("RETRY".to_owned()), Mending::Possible)]);
    let store = Memory::with(State { deltaker: vec![], ..true_copy() });
    assert_eq!(run(&store, Mend::Yes).await.1.queued, 1);
    assert_eq!(store.state().arena_data[0].retry_at, Some(at(30)));
    assert_eq!(run(&store, Mend::Yes).await.1, Totals { seen: 4, ..Totals::default() }, "it was queued a moment ago");
}

#[tokio::test]
async fn a_message_that_nobody_publishes_is_found() {
    let message = |minute| Outgoing {
        id: 7,
        topic: "amt".into(),
        message_key: "CANARY".into(),
        payload: Some("CANARY".into()),
        transaction_id: None,
        arena_data_id: None,
        created_at: at(minute),
        published_at: None,
        trace: None,
    };
    let state = |minute| State { outbox: vec![message(minute)], ..true_copy() };
    assert_eq!(found(state(26)).await, []);
    let detail = Some("for amt, since 2025-03-10 12:24:00".to_owned());
    assert_eq!(found(state(24)).await, [(Kind::NotPublished, detail, Mending::No)]);
}

#[tokio::test]
async fn pages_meet_without_a_gap() {
    let participants = PAGE + 1;
    let mut state = State { id_translation: vec![], deltaker: vec![], ..true_copy() };
    state.arena_data = (1..=i64::from(participants))
        .map(|id| ArenaData {
            id,
            arena_id: (70_000 + id).to_string(),
            operation_pos: Position::new(&id.to_string()).unwrap(),
            ..change(1, Operation::Created, IngestStatus::Waiting)
        })
        .collect();
    let (found, _) = run(&Memory::with(state), Mend::No).await;
    assert_eq!(found.len(), usize::try_from(participants).unwrap());
}
