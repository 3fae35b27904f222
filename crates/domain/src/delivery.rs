//! The words for one message on its way from a source to its settlement.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// How a message ended well. All three are durable before they are said.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is visible, now or since an earlier delivery.
    Applied,
    /// Readable, but by a documented rule nothing for us. A replay is `Ignored("duplicate")`.
    Ignored(&'static str),
    /// Kept in our own store until what it refers to is here.
    Waiting(&'static str),
}

/// Where a failure lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// In the moment: the same again, after `after` when the other side named a time, may succeed.
    Transient {
        /// The wait that the other side asked for.
        after: Option<Duration>,
    },
    /// In the message: it becomes a dead letter with this reason.
    Permanent(&'static str),
    /// In the service itself: nothing is settled, the process stops.
    Fatal,
}

/// What the loop does next with a message.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Its offset may be committed.
    Done(Outcome),
    /// The dead letter is durable; its offset may be committed.
    DeadLettered(&'static str),
    /// Not settled: it keeps its lane and comes again, after `after` or after the loop's own backoff.
    Again {
        /// The wait that the other side asked for.
        after: Option<Duration>,
        /// Whether this try counts against the attempts (an outage of our own store does not).
        counted: bool,
    },
}

impl Settlement {
    /// What metrics and traces call it: the outcome, and the service's own word for the reason, which is empty where there is none.
    #[must_use]
    pub fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Done(Outcome::Applied) => ("applied", ""),
            Self::Done(Outcome::Ignored(reason)) => ("ignored", reason),
            Self::Done(Outcome::Waiting(reason)) => ("waiting", reason),
            Self::DeadLettered(reason) => ("dead_lettered", reason),
            Self::Again { counted: true, .. } => ("again", "failed"),
            Self::Again { counted: false, .. } => ("again", "outage"),
        }
    }
}

/// Messages that share a key keep their order; messages without a common key do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// A key; equal texts are equal keys.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message as it was received. A clone shares its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic it came from.
    pub source: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// When the broker or the producer stamped it (UTC), where it is known.
    pub timestamp: Option<DateTime<Utc>>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value, unchanged; `None` for a tombstone.
    pub payload: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Bytes)>,
    /// Which try this is, from 1; a redelivery starts again at 1.
    pub attempt: u32,
}

impl Message {
    /// The bytes it holds in memory: key, value and headers.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.payload.as_ref().map_or(0, Bytes::len) + headers
    }

    /// Where it stands in its source, for people: `partition/offset`.
    #[must_use]
    pub fn position(&self) -> String {
        format!("{}/{}", self.partition, self.offset)
    }
}
