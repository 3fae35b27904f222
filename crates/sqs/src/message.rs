//! Messages on their way in and out.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// By what a queue knows one delivery of a message again. The next delivery of the same message has another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(Arc<str>);

impl Receipt {
    /// The receipt of that text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that was received and is hidden from others for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The name of the queue it came from.
    pub queue: Arc<str>,
    /// Its id, the same in each delivery.
    pub id: String,
    /// To settle this delivery.
    pub receipt: Receipt,
    /// Its bytes, unchanged.
    pub body: Bytes,
    /// Its attributes, in the order of their names.
    pub attributes: Vec<(String, Bytes)>,
    /// How often it was received, this time included; about, in a standard queue.
    pub deliveries: u32,
    /// Its group, in a FIFO queue.
    pub group: Option<String>,
    /// When it was sent (UTC, milliseconds).
    pub sent_at: Option<DateTime<Utc>>,
}

impl Received {
    /// The bytes it holds in memory: body and attributes.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.body.len() + attributes
    }
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// Its text.
    pub body: String,
    /// Its attributes, all of them text.
    pub attributes: Vec<(String, String)>,
    /// Its group; a FIFO queue asks for one, others for none.
    pub group: Option<String>,
    /// What identifies it for five minutes in a FIFO queue: another one with the same text there is taken and dropped.
    pub deduplication: Option<String>,
}

impl Outgoing {
    /// A message without group and attributes.
    #[must_use]
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// The bytes that SQS counts: text and attributes.
    pub(crate) fn size(&self) -> usize {
        let attributes: usize =
            self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len()).sum();
        self.body.len() + attributes
    }
}
