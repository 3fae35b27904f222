use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use domain::arena_acl::{Backoff, Pass};
use serde_json::json;

use super::*;
use crate::memory::{ArenaData, Deltaker, Gjennomforing, HistIdTranslation, IdTranslation, Memory, Outgoing, State};

const UUID: Uuid = Uuid::from_u128(0xa001);
const COURSE_UUID: Uuid = Uuid::from_u128(0xc001);

fn at(minute: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2025, 3, 10).unwrap().and_hms_opt(12, minute, 0).unwrap()
}

fn moment() -> Moment {
    Moment {
        pass: Pass::Retry,
        now: at(30),
        amt_id: Uuid::nil(),
        transaction: Uuid::nil(),
        max_attempts: 10,
        delete_wait: 2,
        backoff: Backoff { least: TimeDelta::seconds(30), most: TimeDelta::minutes(10) },
        unknown_match_waits: false,
        reprocess: false,
    }
}

/// A change of participant 70001 or history row 9001 of person 5001 on course 3001, arrived as number `id`.
fn change(id: i64, table: Table, operation: Operation, status: IngestStatus) -> ArenaData {
    let (arena_id, name) = match table {
        Table::History => (9001, "HIST_TILTAKDELTAKER_ID"),
        _ => (70_001, "TILTAKDELTAKER_ID"),
    };
    let mut row = json!({
        "PERSON_ID": 5001, "TILTAKGJENNOMFORING_ID": 3001, "DELTAKERSTATUSKODE": "FULLF",
        "REG_DATO": "2025-02-20 08:00:00", "MOD_DATO": "2025-03-01 09:15:00", "DATO_STATUSENDRING": "2025-03-01 09:15:00",
        "BEGRUNNELSE_BESTILLING": "CANARY free text", "NAVN": "CANARY name",
    });
    row[name] = json!(arena_id);
    let image: Option<Arc<str>> = Some(row.to_string().into());
    let deleted = operation == Operation::Deleted;
    ArenaData {
        id,
        arena_table_name: table,
        arena_id: arena_id.to_string(),
        operation_type: operation,
        operation_pos: Position::new(&format!("{}", 100 + id)).unwrap(),
        operation_timestamp: at(0),
        ingest_status: status,
        ingested_timestamp: Some(at(1)),
        ingest_attempts: 0,
        last_attempted: None,
        before: image.clone().filter(|_| deleted),
        after: image.filter(|_| !deleted),
        note: None,
        retry_at: None,
        replay_count: 0,
        dropped_at: None,
    }
}

fn participant(id: i64, operation: Operation, status: IngestStatus) -> ArenaData {
    change(id, Table::Participants, operation, status)
}

fn course() -> Gjennomforing {
    let arena_id = "3001".to_owned();
    Gjennomforing { arena_id, tiltak_kode: "INDOPPFAG".into(), is_valid: true, id: Some(COURSE_UUID) }
}

fn mapping() -> IdTranslation {
    let arena_table_name = Table::Participants.name().to_owned();
    IdTranslation { amt_id: UUID, arena_table_name, arena_id: "70001".into() }
}

fn known() -> Deltaker {
    Deltaker {
        arena_id: 70_001,
        person_id: 5001,
        gjennomforing_id: 3001,
        dato_fra: None,
        dato_til: None,
        reg_dato: at(2),
        mod_dato: at(3),
        status: "FULLF".into(),
        dato_statusendring: Some(at(4)),
        ekstern_id: None,
        arena_source_table: Table::Participants.name().into(),
    }
}

fn message(id: i64, change: i64, published_at: Option<NaiveDateTime>) -> Outgoing {
    Outgoing {
        id,
        topic: "amt.amt-tiltak-v1".into(),
        message_key: UUID.to_string(),
        payload: Some("CANARY payload".into()),
        transaction_id: Some(Uuid::from_u128(7)),
        arena_data_id: Some(change),
        created_at: at(5),
        published_at,
        trace: None,
    }
}

async fn told(state: State, word: &str, id: i64, limit: u32) -> Explanation {
    let key = Key::Object(Object::named(word, id).unwrap());
    match explain(&Memory::with(state), key, limit, &moment()).await.unwrap() {
        Explained::Told(told) => *told,
        Explained::Unknown(near) => panic!("unknown, near {near:?}"),
    }
}

/// As it stands on a terminal, checked for what must never stand there.
async fn text(state: State, word: &str, id: i64) -> String {
    let text = shown::text(&told(state, word, id, 50).await);
    assert!(!text.contains("CANARY") && !text.contains("5001"), "personal data:\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns:\n{text}");
    text
}

#[tokio::test]
async fn a_participant_before_its_course() {
    let waiting = ArenaData {
        ingest_attempts: 3,
        last_attempted: Some(at(20)),
        retry_at: Some(at(29)),
        note: Some("course 3001 has not been read yet".into()),
        ..participant(1, Operation::Created, IngestStatus::Retry)
    };
    let state = State { arena_data: vec![waiting], ..State::default() };
    insta::assert_snapshot!(text(state, "deltaker", 70_001).await);
}

#[tokio::test]
async fn a_change_in_retry_says_when_it_is_tried_next() {
    let next = async |status, retry_at| {
        let row = ArenaData { retry_at, ..participant(1, Operation::Created, status) };
        let state = State { arena_data: vec![row], gjennomforing: vec![course()], ..State::default() };
        let told = told(state, "deltaker", 70_001, 50).await;
        (told.changes[0].retry_at, told.changes[0].next.clone().unwrap().split(" publishes").next().unwrap().to_owned())
    };
    for (retry_at, tried) in [
        (None, "the next retry run"),
        (Some(at(29)), "the wake-up that is due since 2025-03-10 12:29:00"),
        (Some(at(31)), "the wake-up at 2025-03-10 12:31:00 (or an earlier retry run)"),
    ] {
        assert_eq!(next(IngestStatus::Retry, retry_at).await, (retry_at, tried.to_owned()));
    }
    let (retry_at, tried) = next(IngestStatus::Failed, Some(at(29))).await;
    assert_eq!(retry_at, None, "only what is in RETRY is woken");
    assert!(tried.starts_with("the nightly run over FAILED, or a wake-up after `dead-letters redrive r1`"), "{tried}");
}

#[tokio::test]
async fn a_participant_behind_a_failed_change() {
    let blocked = ArenaData {
        note: Some("Forrige melding på deltaker med id=70001 er ikke håndtert enda".into()),
        ..participant(3, Operation::Modified, IngestStatus::Retry)
    };
    let failed = ArenaData {
        ingest_attempts: 10,
        last_attempted: Some(at(20)),
        note: Some("call to mulighetsrommet failed: answered 500\nsecond line".into()),
        ..participant(2, Operation::Modified, IngestStatus::Failed)
    };
    let state = State {
        arena_data: vec![participant(1, Operation::Created, IngestStatus::Handled), failed, blocked],
        id_translation: vec![mapping()],
        deltaker: vec![known()],
        gjennomforing: vec![course()],
        outbox: vec![message(1, 1, Some(at(6))), message(2, 99, None)],
        ..State::default()
    };
    insta::assert_snapshot!(text(state, "deltaker", 70_001).await);
}

fn historised() -> State {
    let matched = ArenaData {
        note: Some("Fant match? true".into()),
        ..change(2, Table::History, Operation::Created, IngestStatus::Handled)
    };
    let hist = HistIdTranslation { amt_id: UUID, arena_hist_id: "9001".into(), arena_id: Some("70001".into()) };
    State {
        arena_data: vec![
            participant(1, Operation::Created, IngestStatus::Handled),
            matched,
            participant(3, Operation::Deleted, IngestStatus::Retry),
        ],
        id_translation: vec![mapping()],
        hist_id_translation: vec![hist],
        deltaker: vec![known()],
        gjennomforing: vec![course()],
        outbox: vec![message(1, 1, Some(at(6)))],
        ..State::default()
    }
}

#[tokio::test]
async fn a_participant_that_was_moved_to_the_history_table() {
    insta::assert_snapshot!(text(historised(), "deltaker", 70_001).await);
}

#[tokio::test]
async fn a_history_row_tells_of_its_participant_too() {
    let objects = |told: &Explanation| told.changes.iter().map(|change| change.object.clone()).collect::<Vec<_>>();
    let by_row = told(historised(), "hist", 9001, 50).await;
    assert_eq!(objects(&by_row), ["deltaker 70001", "hist 9001", "deltaker 70001"]);
}

#[tokio::test]
async fn a_course_tells_what_waits_for_it() {
    let state = State {
        arena_data: vec![participant(1, Operation::Created, IngestStatus::Waiting)],
        gjennomforing: vec![Gjennomforing { is_valid: false, ..course() }],
        ..State::default()
    };
    insta::assert_snapshot!(text(state.clone(), "gjennomforing", 3001).await);
    let told = told(state, "deltaker", 70_001, 50).await;
    let next = "set to RETRY and tried as soon as course 3001 arrives valid (4.3 step 6, IMP-17)";
    assert_eq!(told.changes[0].next.as_deref(), Some(next));
}

#[tokio::test]
async fn programs_get_the_same_with_stable_names() {
    insta::assert_json_snapshot!(told(historised(), "deltaker", 70_001, 1).await);
}

#[tokio::test]
async fn of_many_changes_the_last_are_told_and_what_is_unhandled() {
    let mut rows: Vec<ArenaData> =
        (1..=9).map(|id| participant(id, Operation::Modified, IngestStatus::Handled)).collect();
    rows[2].ingest_status = IngestStatus::Failed;
    let told = told(State { arena_data: rows, ..State::default() }, "deltaker", 70_001, 2).await;
    let shown: Vec<&str> = told.changes.iter().map(|change| change.row.as_str()).collect();
    assert_eq!((told.changes_in_all, shown), (9, vec!["r3", "r8", "r9"]));
}

#[tokio::test]
async fn an_unknown_key_leads_to_what_has_its_number_or_uuid() {
    let store = Memory::with(State { gjennomforing: vec![course()], ..historised() });
    for (key, meant) in [
        (Key::Object(Object::named("deltaker", 9001).unwrap()), &["hist 9001"][..]),
        (Key::Object(Object::named("deltaker", 3001).unwrap()), &["gjennomforing 3001"]),
        (Key::Uuid(COURSE_UUID), &["gjennomforing 3001"]),
        (Key::Uuid(Uuid::nil()), &[]),
    ] {
        let Explained::Unknown(near) = explain(&store, key, 50, &moment()).await.unwrap() else { panic!("{key}") };
        let near: Vec<String> = near.iter().map(ToString::to_string).collect();
        assert_eq!(near, meant, "{key}");
    }
    assert!(matches!(explain(&store, Key::Uuid(UUID), 50, &moment()).await, Ok(Explained::Told(_))));
}
