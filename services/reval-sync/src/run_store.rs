//! What the service itself remembers: who holds the lease and what runs, what was acknowledged, what was applied in which order, and what was given
//! up. Everything is durable (majority, journaled) when a method returns.

use std::{collections::HashMap, future::Future};

use bytes::Bytes;
use chassis::dead_letters::{Filter, LetterId, Note, OpenLetter, Show};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::sources::StoreError;

/// One document that is changed by compare-and-set: lease, active run and pending command (18a).
pub trait Control: Send + Sync + 'static {
    /// The document and its version; `None` before the first write.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn read(&self) -> impl Future<Output = Result<Option<(u64, Value)>, StoreError>> + Send;

    /// Writes the document over exactly version `expected` (`None`: where there is none), as the next version. `false`: somebody came between, and
    /// nothing was written.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn replace(&self, expected: Option<u64>, document: &Value)
    -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Runs, for whoever asks about them; what a run depends on is in [`Control`].
pub trait Runs: Send + Sync + 'static {
    /// Keeps what a run looks like now, over what was kept of it.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn keep(&self, id: &str, run: &Value) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The newest runs first, by id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn newest(&self, limit: usize) -> impl Future<Output = Result<Vec<Value>, StoreError>> + Send;

    /// One run.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn run(&self, id: &str) -> impl Future<Output = Result<Option<Value>, StoreError>> + Send;
}

/// One document of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its place, from 0; consecutive but for what was forgotten.
    pub sequence: u64,
    /// When it was written (UTC).
    pub at: DateTime<Utc>,
    /// Its entries, in order.
    pub entries: Vec<Bytes>,
}

/// Logs: what was acknowledged in a run, and the journal of what was applied to the live index.
///
/// A log has a name; its documents have consecutive places. The caller bounds a document to 1 MiB.
pub trait Logs: Send + Sync + 'static {
    /// Writes a document of a log at `page.sequence`. `false`: that place is taken, somebody else writes this log, and nothing was written.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn append(&self, log: &str, page: &Page) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Documents of a log from place `from` on, in order, at most `limit`; fewer only at the end.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn pages(&self, log: &str, from: u64, limit: usize) -> impl Future<Output = Result<Vec<Page>, StoreError>> + Send;

    /// The place after the last one ever written to a log that is not forgotten; 0 for an empty one.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn end(&self, log: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The first place of a log that was written at `at` or later; its end where there is none.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn since(&self, log: &str, at: DateTime<Utc>) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Forgets the documents of a log below place `before`, but never its last one.
    ///
    /// # Errors
    /// As [`StoreError`] says: some may be forgotten.
    fn forget(&self, log: &str, before: u64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets a whole log.
    ///
    /// # Errors
    /// As [`StoreError`] says: some of it may be forgotten.
    fn remove(&self, log: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The order tokens of change events (R-CDC-11), by collection and document key. They are kept 15 days.
pub trait Tokens: Send + Sync + 'static {
    /// The greatest token of each key that has one.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn of(&self, keys: &[String]) -> impl Future<Output = Result<HashMap<String, String>, StoreError>> + Send;

    /// Remembers tokens at `now`; a smaller one never replaces a greater one.
    ///
    /// # Errors
    /// As [`StoreError`] says: some may be remembered.
    fn remember(
        &self,
        tokens: &HashMap<String, String>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A message or an item of one that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// From its source and bytes, so that a repeat is the same letter.
    pub id: LetterId,
    /// The [name](crate::deliveries::Queue::name) of the queue whose handling it takes again; `store.COLLECTION` for a document of a store.
    pub source: String,
    /// Why, from a closed set.
    pub reason: String,
    /// For people; quotes nothing of the message.
    pub detail: String,
    /// The run in which it was given up.
    pub run: Option<String>,
    /// When it was given up (UTC).
    pub at: DateTime<Utc>,
    /// The bytes that take the ordinary path again: the message, or an item as `{"payload":[item],"syncEnd":false}`.
    pub body: Bytes,
}

/// Dead letters in our own store.
pub trait Letters: Send + Sync + 'static {
    /// Keeps letters. One that is open already changes nothing; one that was settled or dropped is open again.
    ///
    /// # Errors
    /// As [`StoreError`] says: some may be kept.
    fn put(&self, letters: &[Letter]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The open letters that `filter` lets through, by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn open(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: usize,
        show: Show,
    ) -> impl Future<Output = Result<Vec<OpenLetter>, StoreError>> + Send;

    /// Takes letters off the list, whose redrive took effect at `now`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn settled(&self, ids: &[LetterId], now: DateTime<Utc>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Counts another attempt and replay of a letter that failed again at `now`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn failed_again(
        &self,
        id: LetterId,
        reason: &str,
        detail: &str,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes open letters off the list without effect, keeps their bytes and `note`, and says which were open.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn drop_letters(
        &self,
        ids: &[LetterId],
        note: &Note,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Vec<LetterId>, StoreError>> + Send;
}

/// Everything that the service remembers.
pub trait RunStore: Control + Runs + Logs + Tokens + Letters {}

impl<S: Control + Runs + Logs + Tokens + Letters> RunStore for S {}
