//! The end of a case, as it was found and in the shape of `then` (docs/spec/arena-acl/README.md 2.4).

use arena_acl::settings::Topics;
use domain::delivery::Message;
use serde_json::{Map, Value, json};

use crate::shapes::{DELTAKER, GJENNOMFORING, HIST_ID_TRANSLATION, ID_TRANSLATION};

/// What stores and topics hold at the end.
#[derive(Debug)]
pub(crate) struct End {
    /// The rows of each table by column, times as ISO local times.
    pub(crate) tables: Tables,
    /// The full names of the topics that the service reads and writes.
    pub(crate) topics: Topics,
    pub(crate) amt_tiltak: Vec<Message>,
    pub(crate) enkeltplass: Vec<Message>,
}

/// Rows by column.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) arena_data: Vec<Value>,
    pub(crate) gjennomforing: Vec<Value>,
    pub(crate) deltaker: Vec<Value>,
    pub(crate) id_translation: Vec<Value>,
    pub(crate) hist_id_translation: Vec<Value>,
    pub(crate) quarantine: Vec<Value>,
}

/// `end` in the shape of `then`. Rows of `arena_data` have their images too, messages all that is in them.
pub(crate) fn observed(end: &End) -> Value {
    let End { tables, topics, amt_tiltak, enkeltplass } = end;
    json!({
        "arena_data": tables.arena_data.iter().map(arena_data).collect::<Vec<_>>(),
        "gjennomforing": tables.gjennomforing.iter().map(|row| only(&GJENNOMFORING, row)).collect::<Vec<_>>(),
        "deltaker": tables.deltaker.iter().map(|row| only(&DELTAKER, row)).collect::<Vec<_>>(),
        "id_translation": tables.id_translation.iter().map(|row| only(&ID_TRANSLATION, row)).collect::<Vec<_>>(),
        "hist_id_translation":
            tables.hist_id_translation.iter().map(|row| only(&HIST_ID_TRANSLATION, row)).collect::<Vec<_>>(),
        "quarantine": tables.quarantine.iter().map(|row| quarantine(row, topics)).collect::<Vec<_>>(),
        "amt_tiltak": amt_tiltak.iter().map(wrapped).collect::<Vec<_>>(),
        "enkeltplass": enkeltplass.iter().map(bare).collect::<Vec<_>>(),
    })
}

fn arena_data(row: &Value) -> Value {
    json!({
        "table": row["arena_table_name"],
        "arena_id": row["arena_id"],
        "op": row["operation_type"],
        "pos": row["operation_pos"],
        "status": row["ingest_status"],
        "attempts": row["ingest_attempts"],
        "note": row["note"],
        "before": row["before"],
        "after": row["after"],
    })
}

fn only(columns: &[&str], row: &Value) -> Value {
    Value::Object(columns.iter().map(|column| ((*column).to_owned(), row[*column].clone())).collect())
}

fn quarantine(row: &Value, topics: &Topics) -> Value {
    let topic = match row["topic"].as_str() {
        Some(topic) if topic == topics.courses => "gjennomforing",
        Some(topic) if topic == topics.participants => "deltaker",
        Some(topic) if topic == topics.history => "histdeltaker",
        other => other.unwrap_or_default(),
    };
    json!({ "topic": topic, "reason": row["reason"] })
}

/// A message with its value's members beside its key.
fn wrapped(message: &Message) -> Value {
    let mut members = match value(message) {
        Value::Object(members) => members,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    members.insert("key".to_owned(), key(message));
    Value::Object(members)
}

fn bare(message: &Message) -> Value {
    if message.payload.is_none() {
        return json!({ "key": key(message), "tombstone": true });
    }
    json!({ "key": key(message), "payload": value(message) })
}

fn key(message: &Message) -> Value {
    message.key.as_deref().map_or(Value::Null, |key| json!(String::from_utf8_lossy(key)))
}

fn value(message: &Message) -> Value {
    let bytes = message.payload.as_deref().unwrap_or_default();
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)))
}
