//! One change record, from its bytes to a change (docs/spec/arena-acl.md 2.1, 2.8).

use std::sync::Arc;

use domain::arena_acl::{Change, Operation, Position, Row, Table, time};
use serde::Serialize;
use serde_json::{error::Category, value::RawValue};

use super::{
    clean::clean,
    image::image,
    member::{Member, members},
    row::row,
};
use crate::inbox::{Item, StoredChange};

/// The largest record that is decoded, in bytes, inclusive.
pub const MAX_BYTES: usize = 1 << 20;

/// A record that cannot be processed. It is dead-lettered as it came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unreadable {
    /// One of the codes of 2.8, or `too_large`.
    pub reason: &'static str,
    /// Where it lies; never what stood there.
    pub detail: String,
}

fn unreadable(reason: &'static str, detail: impl Into<String>) -> Unreadable {
    Unreadable { reason, detail: detail.into() }
}

/// Reads one record, whichever topic it came from: its member `table` decides.
///
/// # Errors
/// The first row of 2.8 that fits, in its order; before all of them `too_large`, over [`MAX_BYTES`].
pub fn read(payload: &[u8]) -> Result<Item, Unreadable> {
    if payload.len() > MAX_BYTES {
        return Err(unreadable("too_large", format!("the record is larger than {MAX_BYTES} bytes")));
    }
    let json = clean(payload).map_err(|error| unreadable("MALFORMED_JSON", error.to_string()))?;
    let names = ["table", "op_type", "op_ts", "pos", "before", "after"];
    let [table, op_type, op_ts, pos, before, after] =
        members(&json, names).map_err(|error| not_an_envelope(&json, &error))?;

    let (table, op_type, op_ts) = (mandatory(table)?, mandatory(op_type)?, mandatory(op_ts)?);
    let position = Position::new(&mandatory(pos)?)
        .ok_or_else(|| unreadable("ENVELOPE_INVALID", "pos is not 1 to 20 decimal digits"))?;
    let table = Table::named(&table).ok_or_else(|| unreadable("UNKNOWN_TABLE", "table is none of the three"))?;
    let operation = match op_type.as_str() {
        "I" => Operation::Created,
        "U" => Operation::Modified,
        "D" => Operation::Deleted,
        _ => return Err(unreadable("UNKNOWN_OPERATION", "op_type is none of I, U, D")),
    };
    let timestamp = time::operation_time(&op_ts).ok_or_else(|| unreadable("BAD_TIMESTAMP", "op_ts is malformed"))?;
    let data = data_section(operation, before, after);
    let image = data.value.ok_or_else(|| unreadable("MISSING_DATA", format!("{} is absent or null", data.name)))?;
    let row = row(table, image.get()).map_err(|error| unreadable("BAD_ROW", error.to_string()))?;
    let change = Change { table, arena_id: id(&row), operation, position, timestamp, row };
    Ok(Item { change: Arc::new(change), before: object(before), after: object(after), also: Vec::new(), trace: None })
}

/// A stored change with its row as the rules see it: [`Row::Unusable`] where its data section is missing or cannot be
/// decoded.
#[must_use]
pub fn stored(stored: &StoredChange) -> Item {
    let StoredChange { id: _, table, arena_id, operation, position, timestamp, before, after, retry_at: _ } = stored;
    let image = data_section(*operation, before.as_deref(), after.as_deref());
    let change = Change {
        table: *table,
        arena_id: arena_id.parse().unwrap_or(0), // what is stored is always the decimal text of an id
        operation: *operation,
        position: position.clone(),
        timestamp: *timestamp,
        row: image.and_then(|image| row(*table, image).ok()).unwrap_or(Row::Unusable),
    };
    Item { change: Arc::new(change), before: before.clone(), after: after.clone(), also: Vec::new(), trace: None }
}

/// A record that says what `stored` says, as Arena would send it: for feeding it back.
#[must_use]
pub fn rebuilt(stored: &StoredChange) -> String {
    #[derive(Serialize)]
    struct Record<'a> {
        table: &'static str,
        op_type: &'static str,
        op_ts: String,
        pos: &'a str,
        before: Option<&'a RawValue>,
        after: Option<&'a RawValue>,
    }
    let record = Record {
        table: stored.table.name(),
        op_type: match stored.operation {
            Operation::Created => "I",
            Operation::Modified => "U",
            Operation::Deleted => "D",
        },
        op_ts: stored.timestamp.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
        pos: stored.position.as_str(),
        before: raw(stored.before.as_deref()),
        after: raw(stored.after.as_deref()),
    };
    // texts and JSON that was read before
    serde_json::to_string(&record).unwrap_or_default()
}

fn raw(image: Option<&str>) -> Option<&RawValue> {
    image.and_then(|json| serde_json::from_str(json).ok())
}

fn data_section<T>(operation: Operation, before: T, after: T) -> T {
    match operation {
        Operation::Created | Operation::Modified => after,
        Operation::Deleted => before,
    }
}

/// Tells what is not JSON from what is JSON but no object: the reader stops before the end of the latter.
fn not_an_envelope(json: &str, error: &serde_json::Error) -> Unreadable {
    let broken = match error.classify() {
        Category::Data => serde_json::from_str::<&RawValue>(json).err(),
        Category::Io | Category::Syntax | Category::Eof => None,
    };
    match (error.classify(), broken.as_ref()) {
        (Category::Data, None) => unreadable("ENVELOPE_INVALID", "the record is not an object"),
        (_, broken) => {
            let error = broken.unwrap_or(error); // its own text quotes the record
            let place = format!("not JSON at line {}, column {}", error.line(), error.column());
            unreadable("MALFORMED_JSON", place)
        }
    }
}

fn mandatory(member: Member<'_>) -> Result<String, Unreadable> {
    let text = member.text().ok().flatten();
    text.ok_or_else(|| unreadable("ENVELOPE_INVALID", format!("{} is absent, null or not a scalar", member.name)))
}

/// An image, for the store; one that is not an object is stored as null.
fn object(member: Member<'_>) -> Option<Arc<str>> {
    member.value.map(RawValue::get).filter(|json| json.starts_with('{')).map(image)
}

fn id(row: &Row) -> i64 {
    match row {
        Row::Course(row) => row.id,
        Row::Participant(row) => row.id,
        Row::Unusable => 0,
    }
}

#[cfg(test)]
mod tests;
