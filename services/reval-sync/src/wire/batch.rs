//! Messages that carry items of an export: doctor summaries, connection logs, hidden discrepancies (2.5–2.7).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Change, Unreadable, stored};
use domain::reval_sync::run::Stage;

/// An export message.
#[derive(Debug)]
pub struct Batch {
    /// Its items in order, each with its own bytes.
    pub items: Vec<Item>,
    /// Whether it ends the export.
    pub is_end: bool,
}

/// One item of an export message.
#[derive(Debug)]
pub struct Item {
    /// The item as JSON, unchanged.
    pub body: Bytes,
    /// What it does, or why it never can.
    pub change: Result<Change, Unreadable>,
}

impl Item {
    /// The bytes that take the ordinary path again (14.2 no. 9).
    #[must_use]
    pub fn alone(&self) -> Bytes {
        let body = self.body.as_ref();
        [br#"{"payload":["#, body, br#"],"syncEnd":false}"#].concat().into()
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(rename = "syncEnd", default)]
    sync_end: Option<bool>,
}

/// Reads an export message of a stage. Its payload is a list, one item, or nothing (R-WIRE-6).
///
/// # Errors
/// It is no such message. What is wrong with an item is in the item.
pub fn read(stage: Stage, body: &[u8]) -> Result<Batch, Unreadable> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| Unreadable::json(&error))?;
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Unreadable::new("wrong_type", "not an object")); // serde reads a list as the members of a struct in their order
    }
    let payload = envelope.payload.map(RawValue::get).unwrap_or("null");
    let raw: Vec<&RawValue> = match payload.bytes().next() {
        Some(b'[') => serde_json::from_str(payload).map_err(|error| Unreadable::json(&error))?,
        Some(b'{') => envelope.payload.into_iter().collect(),
        Some(b'n') | None => Vec::new(),
        Some(_) => return Err(Unreadable::new("wrong_type", "payload is neither a list nor an object")),
    };
    let items = raw.into_iter().map(|item| Item {
        body: Bytes::copy_from_slice(item.get().as_bytes()),
        change: stored::item(stage, item.get().as_bytes()),
    });
    Ok(Batch { items: items.collect(), is_end: envelope.sync_end == Some(true) })
}
