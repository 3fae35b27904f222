//! Change events (5.1).

use domain::reval_sync::Text;
use serde_json::Value;

use super::{Change, Unreadable, fields::Fields, stored};
use crate::sources::Collection;

/// A change event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub operation: Operation,
    /// The key of the document, as text.
    pub key: Option<Text>,
    /// Its place in the order of events of the document.
    pub token: Option<String>,
}

/// What happened to a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// It changes ours.
    Change(Change),
    /// It is nothing for us, for this reason.
    Ignored(&'static str),
}

/// Reads a change event. The collection is that of the queue, whatever `ns` says (R-CDC-1).
///
/// # Errors
/// It can never be handled (R-CDC-13).
pub fn read(collection: Collection, body: &[u8]) -> Result<Event, Unreadable> {
    let value: Value = serde_json::from_slice(body).map_err(|error| Unreadable::json(&error))?;
    let fields = Fields::of(&value)?;
    let operation = fields.text("operationType")?;
    let operation = operation.ok_or_else(|| Unreadable::new("unknown_operation", "operationType is missing"))?;
    let token = fields.get("_id").and_then(|id| id.get("_data")).and_then(Value::as_str).map(str::to_owned);
    let of_document =
        |document: Option<&Value>| document.and_then(|document| document.get("_id")).and_then(stored::key_text);
    let key = of_document(fields.get("documentKey")).or_else(|| of_document(fields.get("fullDocument")));
    let operation = match operation.to_ascii_lowercase().as_str() {
        "insert" | "replace" | "update" => {
            let document = fields.get("fullDocument");
            let document = document.ok_or_else(|| Unreadable::new("no_document", "fullDocument is missing"))?;
            match stored::of_event(collection, document)? {
                Some(change) => Operation::Change(change),
                None => Operation::Ignored("not_successful"),
            }
        }
        "delete" if collection == Collection::HiddenDiscrepancies => {
            let key = key.clone().ok_or_else(|| Unreadable::new("no_key", "documentKey has no _id"))?;
            Operation::Change(Change::Unhide(key))
        }
        "delete" => return Err(Unreadable::new("delete_unsupported", collection.name())),
        "drop" | "rename" | "dropdatabase" | "invalidate" | "other" => Operation::Ignored("not_a_document"),
        _ => return Err(Unreadable::new("unknown_operation", "operationType is not known")),
    };
    Ok(Event { operation, key, token })
}
