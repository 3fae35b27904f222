//! What became of a step, in lines for the terminal.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::arena_acl::{Operation, Table};

use kafka::{Outgoing, memory::Broker, source::Partition};
use serde_json::Value;

use crate::{jobs::Counts, memory::Memory, settings::Topics, wire};

/// Remembers what was shown already.
pub(super) struct Shown {
    store: Arc<Memory>,
    broker: Broker,
    outputs: [String; 2],
    published: HashMap<Partition, i64>,
    /// The changes that were shown: one that comes again is a duplicate.
    seen: HashSet<(Table, Operation, String)>,
}

impl Shown {
    pub(super) fn new(store: Arc<Memory>, broker: Broker, topics: &Topics) -> Self {
        let outputs = [topics.group.clone(), topics.single_place.clone()];
        Self { store, broker, outputs, published: HashMap::new(), seen: HashSet::new() }
    }

    pub(super) fn record(&mut self, record: &Outgoing, partition: i32, offset: i64) -> Vec<String> {
        let mut lines =
            vec![format!("{} {partition}/{offset}  {}", record.topic, self.verdict(record, partition, offset))];
        lines.extend(self.news());
        lines
    }

    pub(super) fn job(&mut self, counts: Counts) -> Vec<String> {
        let Counts { seen, handled, waiting, dead, .. } = counts;
        let mut lines = vec![format!("{seen} rows seen: {handled} handled, {waiting} still waiting, {dead} given up")];
        lines.extend(self.news());
        lines
    }

    /// What the store says of the record now.
    fn verdict(&mut self, record: &Outgoing, partition: i32, offset: i64) -> String {
        let state = self.store.state();
        let here = |letter: &&chassis::dead_letters::DeadLetter| {
            letter.source == record.topic && (letter.position.partition, letter.position.offset) == (partition, offset)
        };
        if let Some(letter) = state.quarantine.iter().find(here) {
            return format!("quarantined: {} ({})", letter.reason, letter.detail);
        }
        let Some(Ok(item)) = record.payload.as_deref().map(wire::read) else {
            return "skipped and counted: a tombstone".into();
        };
        let change = item.change;
        let what = format!("{} {} {}", change.table.name(), change.arena_id, change.operation.name());
        let same = |row: &&crate::memory::ArenaData| {
            row.arena_table_name == change.table
                && row.operation_type == change.operation
                && row.operation_pos.as_str() == change.position.as_str()
        };
        let new = self.seen.insert((change.table, change.operation, change.position.as_str().to_owned()));
        match state.arena_data.iter().find(same) {
            Some(row) if !new => format!("{what} -> a duplicate: it is {} already", row.ingest_status.name()),
            None => format!("{what} -> not stored: the measure is not supported"),
            Some(row) => {
                let note = row.note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
                format!("{what} -> {}{note}", row.ingest_status.name())
            }
        }
    }

    /// What was published since it was last asked.
    fn news(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for topic in &self.outputs {
            for end in self.broker.ends(topic) {
                let from = self.published.insert(end.partition.clone(), end.next).unwrap_or(0);
                lines.extend(self.broker.read(&end.partition, from, 1000).iter().map(|message| {
                    let value =
                        message.payload.as_deref().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
                    format!("published to {topic}: {}", value.as_ref().map(summary).unwrap_or_default())
                }));
            }
        }
        lines
    }
}

/// What of a published message tells it apart, without what is about the person.
fn summary(value: &Value) -> String {
    let participant = value.get("payload").unwrap_or(value);
    let text = |value: &Value, member: &str| value.get(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    let operation = value.get("operation").and_then(Value::as_str).map(|operation| format!("{operation} "));
    format!("{}{} as {}", operation.unwrap_or_default(), text(participant, "id"), text(participant, "status"))
}
