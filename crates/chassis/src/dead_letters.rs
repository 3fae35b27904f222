//! Messages that cannot be handled, kept in the service's own store for a person to look at.

pub mod commands;
mod open;
pub mod routes;
mod shown;
mod work;

#[cfg(test)]
mod tests;

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::delivery::{Class, Message};

pub use self::{
    open::{
        Contents, Filter, LetterId, LettersError, MAX_REPLAYS, NoLetterId, Note, OpenLetter, OpenLetters, Redriven,
        Show,
    },
    shown::{object, table},
};

/// A message that was given up, as it was received, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic it came from.
    pub source: Arc<str>,
    /// Where it stood there.
    pub position: Position,
    /// Why, from a closed set.
    pub reason: &'static str,
    /// Where the last failure lies; `Transient` when the attempts were used up.
    pub class: Class,
    /// How often it was tried, from 1.
    pub attempts: u32,
    /// When it was first tried (UTC).
    pub first_at: DateTime<Utc>,
    /// When it was given up (UTC).
    pub last_at: DateTime<Utc>,
    /// How often a dead letter of this message was fed through the service again.
    pub replay_count: u32,
    /// Its key, unchanged.
    pub key: Option<Bytes>,
    /// Its headers, in order, unchanged.
    pub headers: Vec<(String, Bytes)>,
    /// Its value, unchanged.
    pub payload: Option<Bytes>,
    /// What failed, for people; quotes nothing of the message.
    pub detail: String,
}

/// Where a message stood in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl DeadLetter {
    /// A dead letter of `message`, tried first and given up at `now` (UTC), never replayed. Its bytes are shared.
    #[must_use]
    pub fn new(message: &Message, reason: &'static str, class: Class, detail: String, now: DateTime<Utc>) -> Self {
        Self {
            source: Arc::clone(&message.source),
            position: Position { partition: message.partition, offset: message.offset },
            reason,
            class,
            attempts: message.attempt,
            first_at: now,
            last_at: now,
            replay_count: 0,
            key: message.key.clone(),
            headers: message.headers.clone(),
            payload: message.payload.clone(),
            detail,
        }
    }
}

/// Where dead letters are kept.
pub trait DeadLetters: Send + Sync {
    /// Keeps all of `letters`, or none. They are durable when it returns, and only then may their messages be settled.
    ///
    /// Twice is the same as once: a letter with the source and position of one that is kept changes nothing.
    ///
    /// # Errors
    /// [`PutError`], whatever its class: nothing was kept, the messages are not settled.
    fn put(&self, letters: &[DeadLetter]) -> impl Future<Output = Result<(), PutError>> + Send;
}

/// The letters could not be kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("dead letters could not be kept: {detail}")]
pub struct PutError {
    /// Where the failure lies; `Permanent` means that the store refuses these letters.
    pub class: Class,
    /// The store cannot be reached or has no room, so that whatever was asked would have failed.
    pub outage: bool,
    /// What failed, for people: code and constraint, nothing of the letters.
    pub detail: String,
}
