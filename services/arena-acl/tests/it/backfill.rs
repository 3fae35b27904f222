//! The import of single-place participants from a topic (docs/spec/arena-acl.md 4.15).

use std::{
    collections::BTreeMap,
    future::{pending, ready},
};

use arena_acl::{
    backfill::{Blocked, Imported, Reread, import},
    memory::Memory,
    records::Records,
    wire,
};
use bytes::Bytes;
use domain::{
    arena_acl::{IngestStatus, Pass},
    delivery::Message,
};
use kafka::{
    reread::Span,
    source::{Position, SourceError},
};

use crate::records::{GROUP, SINGLE_PLACE, course, participant, records};

/// One partition in memory, which is given in batches of three.
struct Log<'l> {
    messages: &'l [Option<Bytes>],
    span: [Span; 1],
    next: i64,
    committed: &'l mut Option<i64>,
}

impl<'l> Log<'l> {
    fn new(messages: &'l [Option<Bytes>], last: i64, committed: &'l mut Option<i64>) -> Self {
        let (from, end) = (committed.unwrap_or(0), i64::try_from(messages.len()).unwrap().min(last + 1));
        Self {
            messages,
            span: [Span { topic: "deltaker".into(), partition: 0, from, end, last }],
            next: from,
            committed,
        }
    }
}

impl Reread for Log<'_> {
    fn spans(&self) -> &[Span] {
        &self.span
    }

    async fn next(&mut self) -> Result<Vec<Message>, SourceError> {
        let to = self.span[0].end.min(self.next + 3);
        let offsets = std::mem::replace(&mut self.next, to)..to;
        let message = |offset: i64| Message {
            source: "deltaker".into(),
            partition: 0,
            offset,
            timestamp: None,
            key: None,
            payload: self.messages[usize::try_from(offset).unwrap()].clone(),
            headers: Vec::new(),
            attempt: 1,
        };
        Ok(offsets.map(message).collect())
    }

    async fn commit(&mut self, positions: Vec<Position>) -> Result<(), SourceError> {
        for position in positions {
            *self.committed = Some(position.next);
        }
        Ok(())
    }
}

async fn know(records: &Records<Memory>, record: Bytes) {
    records.handle(&[wire::read(&record).unwrap()], Pass::Live).await.remove(0).unwrap();
}

async fn run(
    records: &Records<Memory>,
    messages: &[Option<Bytes>],
    last: i64,
    committed: &mut Option<i64>,
) -> Imported {
    import(records, Log::new(messages, last, committed), pending(), |_| {}).await.unwrap()
}

fn participants(store: &Memory) -> BTreeMap<String, IngestStatus> {
    let rows = store.state().arena_data.into_iter().filter(|row| row.arena_table_name.name().contains("DELTAKER"));
    rows.map(|row| (row.arena_id, row.ingest_status)).collect()
}

#[tokio::test]
async fn what_was_left_out_is_stored_and_nothing_else_and_nothing_is_published() {
    let store = Memory::default();
    let records = records(&store);
    know(&records, course(GROUP, "INDOPPFAG", 1)).await;
    know(&records, course(SINGLE_PLACE, "ENKELAMO", 2)).await;
    let messages = [
        Some(participant(70_001, 5001, SINGLE_PLACE, 101)),
        Some(participant(70_002, 5002, GROUP, 102)),
        None,
        Some(Bytes::from_static(b"{")),
        Some(participant(70_001, 5001, SINGLE_PLACE, 103)),
        Some(participant(70_003, 5999, SINGLE_PLACE, 104)),
        Some(participant(70_004, 5004, SINGLE_PLACE, 105)),
        Some(participant(70_005, 5005, SINGLE_PLACE, 106)),
    ];
    let mut committed = None;
    let imported = run(&records, &messages, 6, &mut committed).await;
    let Imported { read, stored, failed, skipped, unreadable, .. } = imported;
    assert_eq!((read, stored, failed, skipped, unreadable), (7, 3, 1, 3, 1));
    assert!(imported.is_complete());
    assert_eq!(committed, Some(7), "the record at the given offset is the last");
    let expected = [("70001", IngestStatus::New), ("70003", IngestStatus::Failed), ("70004", IngestStatus::New)];
    assert_eq!(participants(&store), expected.map(|(id, status)| (id.to_owned(), status)).into());
    assert!(store.state().outbox.is_empty());

    let mut anew = None;
    assert_eq!(run(&records, &messages, 6, &mut anew).await.skipped, 7, "the whole once more changes nothing");
}

#[tokio::test]
async fn a_record_that_blocks_stops_the_import_and_a_repeat_goes_on_there() {
    let store = Memory::default();
    let records = records(&store);
    let messages: Vec<_> = [(70_001, 101), (70_002, 102), (70_001, 103), (70_003, 104)]
        .into_iter()
        .map(|(id, position)| Some(participant(id, 5001, SINGLE_PLACE, position)))
        .collect();
    know(&records, course(GROUP, "INDOPPFAG", 1)).await;
    let mut log = messages.clone();
    log.insert(0, Some(participant(70_009, 5002, GROUP, 100)));
    let mut committed = None;
    let imported = run(&records, &log, 4, &mut committed).await;
    let reason = format!("course {SINGLE_PLACE} has not been read yet");
    assert_eq!(imported.blocked, Some(Blocked { partition: 0, offset: 1, reason }));
    assert!(!imported.is_complete());
    assert_eq!((committed, imported.read), (Some(1), 1), "what blocks is not passed");

    know(&records, course(SINGLE_PLACE, "ENKELAMO", 2)).await;
    let imported = run(&records, &log, 4, &mut committed).await;
    assert_eq!((imported.read, imported.stored, committed), (4, 4, Some(5)));
}

#[tokio::test]
async fn a_stop_and_a_topic_that_is_too_short_are_told() {
    let store = Memory::default();
    let records = records(&store);
    let log = [Some(participant(70_001, 5001, GROUP, 101)), None];
    let mut committed = None;
    let stopped = import(&records, Log::new(&log, 1, &mut committed), ready(()), |_| {}).await.unwrap();
    assert!(stopped.interrupted && !stopped.is_complete());
    assert_eq!(committed, None);

    let short = run(&records, &[None, None], 9, &mut committed).await;
    assert!(short.partitions[0].ends_before && !short.is_complete());
    assert_eq!((short.partitions[0].next, committed), (2, Some(2)));
}
