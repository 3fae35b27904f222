//! Dead letters as one list (architecture section 4).

use arena_acl::{
    inbox::{Inbox as _, Item},
    letters::LetterStore as _,
    wire::{self, Unreadable},
};
use bytes::Bytes;
use chassis::dead_letters::{DeadLetter, DeadLetters as _, Filter, LetterId, OpenLetter, Position, Show};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    arena_acl::{Effect, IngestStatus, Mark, RowWrite, Table},
    delivery::{Class, Outcome, Settlement},
};

use crate::store::{World, at, participant, store, write};

/// 2025-03-10 at 07:00, which is 08:00 in Oslo.
fn seven() -> DateTime<Utc> {
    "2025-03-10T07:00:00Z".parse().unwrap()
}

fn poison(offset: i64, reason: &'static str) -> DeadLetter {
    DeadLetter {
        source: "deltaker".into(),
        position: Position { partition: 3, offset },
        reason,
        class: Class::Permanent(reason),
        attempts: 1,
        first_at: seven(),
        last_at: seven() + TimeDelta::hours(offset),
        replay_count: 0,
        key: Some(Bytes::from_static(b"\xff")),
        headers: vec![("h".to_owned(), Bytes::from_static(b"\x00"))],
        payload: Some(Bytes::from_static(b"{\0")),
        detail: "line 1".to_owned(),
    }
}

async fn failed(world: &impl World, item: &Item, status: IngestStatus, hour: u32) {
    let row = || RowWrite { status, note: Some("a note".to_owned()), mark: Mark::Attempted, retry_at: None };
    let effect = || Effect { row: Some(row()), ..Effect::nothing(Settlement::Done(Outcome::Applied)) };
    world.store().apply(std::slice::from_ref(item), at(hour), |_, _| write(effect())).await.unwrap();
}

/// Two records in quarantine, a row in INVALID, one in FAILED, and others that are no dead letters.
async fn four(world: &impl World) -> Vec<OpenLetter> {
    world.store().put(&[poison(1, "MALFORMED_JSON"), poison(2, "BAD_ROW")]).await.unwrap();
    for (number, status) in (0..).zip(IngestStatus::ALL) {
        if matches!(status, IngestStatus::Invalid) {
            store(world.store(), &participant(70001, "101"), status).await;
        } else if !matches!(status, IngestStatus::Failed) {
            store(world.store(), &participant(71000 + number, &format!("20{number}")), status).await;
        }
    }
    store(world.store(), &participant(70002, "102"), IngestStatus::Retry).await;
    failed(world, &participant(70002, "102"), IngestStatus::Failed, 10).await;
    open(world).await
}

async fn asked(world: &impl World, filter: Filter, show: Show) -> Vec<OpenLetter> {
    world.store().open_letters(&filter, None, 100, show).await.unwrap()
}

async fn open(world: &impl World) -> Vec<OpenLetter> {
    asked(world, Filter::default(), Show::Summary).await
}

fn ids(letters: &[OpenLetter]) -> Vec<LetterId> {
    letters.iter().map(|letter| letter.id).collect()
}

fn numbers(letters: &[OpenLetter]) -> Vec<i64> {
    letters.iter().map(|letter| letter.id.number).collect()
}

pub(super) async fn quarantined_records_and_dead_rows_are_one_list(world: impl World) {
    let letters = four(&world).await;
    let shown: Vec<_> = letters
        .iter()
        .map(|letter| {
            (letter.id.kind, letter.source.as_str(), letter.position.as_deref().unwrap(), letter.reason.as_str())
        })
        .collect();
    let table = Table::Participants.name();
    assert_eq!(
        shown,
        [
            ('q', "deltaker", "3/1", "MALFORMED_JSON"),
            ('q', "deltaker", "3/2", "BAD_ROW"),
            ('r', table, "101", "INVALID"),
            ('r', table, "102", "FAILED"),
        ]
    );
    let OpenLetter { about, class, attempts, first_at, last_at, replay_count, detail, contents, .. } = &letters[3];
    assert_eq!((about.as_deref(), class.as_str(), *attempts, *replay_count), (Some("70002"), "transient", 1, 0));
    assert_eq!((*first_at, *last_at), (Some(seven()), Some(seven() + TimeDelta::hours(2))));
    assert_eq!((detail.as_str(), contents), ("a note", &None));
}

pub(super) async fn a_page_of_letters_goes_on_where_the_last_one_ended(world: impl World) {
    let letters = four(&world).await;
    let mut seen = Vec::new();
    while let [letter] =
        &*world.store().open_letters(&Filter::default(), seen.last().copied(), 1, Show::Summary).await.unwrap()
    {
        seen.push(letter.id);
    }
    assert_eq!(seen, ids(&letters));
    let edge = world.store().open_letters(&Filter::default(), Some(seen[0]), 2, Show::Summary).await.unwrap();
    assert_eq!(ids(&edge), seen[1..3]);
}

pub(super) async fn letters_are_found_by_id_reason_source_and_time(world: impl World) {
    let all = ids(&four(&world).await);
    let found = async |filter| ids(&asked(&world, filter, Show::Summary).await);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(Filter { ids: vec![all[3], all[0]], ..Filter::default() }).await, [all[0], all[3]]);
    assert_eq!(found(Filter { reason: text("BAD_ROW"), ..Filter::default() }).await, [all[1]]);
    assert_eq!(found(Filter { reason: text("FAILED"), ..Filter::default() }).await, [all[3]]);
    assert_eq!(found(Filter { source: text("deltaker"), ..Filter::default() }).await, all[..2]);
    assert_eq!(found(Filter { source: text(Table::Participants.name()), ..Filter::default() }).await, all[2..]);
    let since = |hours| Filter { since: Some(seven() + TimeDelta::hours(hours)), ..Filter::default() };
    assert_eq!(found(since(2)).await, [all[1], all[3]]);
    assert_eq!(found(since(3)).await, []);
}

pub(super) async fn the_bytes_come_unchanged_or_as_a_record_that_says_the_same(world: impl World) {
    four(&world).await;
    let letters = asked(&world, Filter::default(), Show::Contents).await;
    let record = letters[0].contents.clone().unwrap();
    let DeadLetter { key, headers, payload, .. } = poison(1, "");
    assert_eq!((record.key, record.headers, record.payload), (key, headers, payload));
    let rebuilt = wire::read(&letters[3].contents.clone().unwrap().payload.unwrap()).unwrap();
    let original = participant(70002, "102");
    assert_eq!((rebuilt.change.table, rebuilt.change.arena_id), (original.change.table, original.change.arena_id));
    assert_eq!(
        (rebuilt.change.operation, &rebuilt.change.position),
        (original.change.operation, &original.change.position)
    );
    assert_eq!(rebuilt.change.timestamp, original.change.timestamp);
    let json = |image: Option<std::sync::Arc<str>>| serde_json::from_str::<serde_json::Value>(&image.unwrap()).unwrap();
    assert_eq!(json(rebuilt.after), json(original.after));
}

pub(super) async fn a_requeued_row_begins_anew_and_its_replays_are_counted(world: impl World) {
    let letters = four(&world).await;
    let rows = numbers(&letters[2..]);
    let mut requeued = world.store().requeue(&rows, at(9)).await.unwrap();
    requeued.sort_unstable();
    assert_eq!(requeued, rows);
    assert_eq!(world.store().requeue(&rows, at(9)).await.unwrap(), Vec::<i64>::new());
    for row in world.state().await.arena_data.iter().filter(|row| rows.contains(&row.id)) {
        assert_eq!((row.ingest_status, row.ingest_attempts, row.last_attempted), (IngestStatus::Retry, 0, None));
        assert_eq!(row.retry_at, Some(at(9)));
        assert_eq!((row.replay_count, row.note.is_some()), (1, row.arena_id == "70002"));
    }
    assert_eq!(ids(&open(&world).await), ids(&letters[..2]));
    failed(&world, &participant(70002, "102"), IngestStatus::Failed, 11).await;
    assert_eq!(open(&world).await[2].replay_count, 1);
}

pub(super) async fn a_resolved_record_is_no_letter_any_more_and_a_failed_replay_is_counted(world: impl World) {
    let letters = four(&world).await;
    let store = world.store();
    store.resolve(&numbers(&letters[..1]), seven()).await.unwrap();
    store.resolve(&numbers(&letters[..1]), seven()).await.unwrap();
    let again = Unreadable { reason: "MISSING_DATA", detail: "after is absent or null".to_owned() };
    let later = seven() + TimeDelta::hours(9);
    store.failed_again(&[(letters[1].id.number, again.clone())], later).await.unwrap();
    let open = open(&world).await;
    assert_eq!(ids(&open), ids(&letters[1..]));
    let OpenLetter { reason, detail, replay_count, attempts, last_at, .. } = &open[0];
    assert_eq!((reason.as_str(), detail), (again.reason, &again.detail));
    assert_eq!((*replay_count, *attempts, *last_at), (1, 2, Some(later)));
    // the same record once more is known
    store.put(&[poison(1, "MALFORMED_JSON")]).await.unwrap();
    assert_eq!(world.state().await.quarantine.len(), 2);
}

pub(super) async fn what_is_dropped_blocks_nothing_says_why_and_comes_back_only_when_it_fails(world: impl World) {
    let letters = four(&world).await;
    let store = world.store();
    let mut dropped = store.drop_letters(&ids(&letters), "dropped by ola: test", seven()).await.unwrap();
    dropped.sort();
    assert_eq!(dropped, ids(&letters));
    assert_eq!(store.drop_letters(&ids(&letters), "twice", seven()).await.unwrap(), []);
    assert_eq!(open(&world).await, []);
    let state = world.state().await;
    assert_eq!(state.quarantine[0].detail, "line 1; dropped by ola: test");
    assert_eq!(state.quarantine[0].payload, poison(1, "").payload, "the bytes are kept");
    let rows: Vec<_> = numbers(&letters[2..])
        .into_iter()
        .map(|id| state.arena_data.iter().find(|row| row.id == id).unwrap())
        .map(|row| (row.ingest_status, row.note.as_deref().unwrap(), row.dropped_at))
        .collect();
    let invalid = IngestStatus::Invalid;
    let expected =
        [(invalid, "dropped by ola: test", Some(at(8))), (invalid, "a note; dropped by ola: test", Some(at(8)))];
    assert_eq!(rows, expected);

    failed(&world, &participant(70001, "101"), IngestStatus::Failed, 12).await;
    assert_eq!(ids(&open(&world).await), ids(&letters[2..3]), "a row in FAILED blocks, so it is shown");
}
