//! Messages, events and documents as others write them, and their way into the rules (chapters 2 and 5, 3.2).
//!
//! Unknown members are ignored; null and absent are the same (R-WIRE-1, R-WIRE-4).

mod batch;
mod change;
mod dates;
mod document;
mod entry;
mod event;
mod fields;
mod stored;

pub use self::{
    batch::{Batch, Item, read as batch},
    change::{Change, signal, trainee, update},
    document::{MASTER_FIELDS, Meta, from_source, to_source},
    entry::{Entry, Kind},
    event::{Event, Operation, read as event},
    stored::{connection_log, doctor, exception, hidden_discrepancy, key_text, recommendation, summary_item},
};

/// Why bytes can never be handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Unreadable {
    /// From a closed set.
    pub reason: &'static str,
    /// For people: where, but not what.
    pub detail: String,
}

impl Unreadable {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// JSON that is none; `serde_json` quotes values in other errors, so only the place is kept.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::new("malformed_json", format!("line {} column {}", error.line(), error.column()))
    }
}

impl From<domain::reval_sync::Refused> for Unreadable {
    fn from(refused: domain::reval_sync::Refused) -> Self {
        Self::new(refused.0, "")
    }
}
