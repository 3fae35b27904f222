//! The store of arena-acl, as the use cases see it: changes and what became of them, and messages that wait to leave.

use std::{fmt, future::Future, sync::Arc};

use chassis::trace;
use chrono::NaiveDateTime;
use domain::{
    arena_acl::{
        Change, CourseId, Effect, Held, IngestStatus, Lock, Operation, PersonId, Position, Row, Table, long_uuid,
    },
    delivery::{Class, Settlement},
};
use uuid::Uuid;

use crate::fresh::Fresh;

/// About how many bytes the texts of a decoded row take.
const ROW_TEXTS: usize = 512;

/// A change with its row images as JSON objects, cleaned (docs/spec/arena-acl.md 2.4). A clone is cheap.
#[derive(Clone)]
pub struct Item {
    /// What the rules see.
    pub change: Arc<Change>,
    /// The row before.
    pub before: Option<Arc<str>>,
    /// The row after.
    pub after: Option<Arc<str>>,
    /// Locks to take beside [`Change::locks`]: a history row may publish under the key of the participant it matches.
    pub also: Vec<Lock>,
    /// Where in a trace it is handled.
    pub trace: Option<trace::Context>,
}

impl Item {
    /// About how many bytes it holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        let images: usize = [&self.before, &self.after].into_iter().flatten().map(|image| image.len()).sum();
        // texts of the row are copies of what is in an image; each is an allocation of its own
        size_of::<Self>() + size_of::<Change>() + images + ROW_TEXTS
    }

    /// Every lock of the item.
    pub fn locks(&self) -> impl Iterator<Item = Lock> + '_ {
        self.change.locks().into_iter().chain(self.also.iter().copied())
    }
}

/// What is written for one item: its effect, and the message of it as it will leave.
#[derive(Debug, Clone)]
pub struct Write {
    /// What the rules decided.
    pub effect: Effect,
    /// The publication of the effect, rendered.
    pub message: Option<NewMessage>,
}

impl Write {
    /// Whether changes may be due at `now` once this is durable (IMP-17).
    pub(crate) fn wakes(&self, now: NaiveDateTime) -> bool {
        let Effect { release, wake, row, .. } = &self.effect;
        release.is_some() || wake.is_some() || row.as_ref().and_then(|row| row.retry_at).is_some_and(|at| at <= now)
    }
}

/// A message on its way into the outbox.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The topic.
    pub topic: Arc<str>,
    /// The key.
    pub key: String,
    /// The value, sent byte for byte; `None` for a tombstone.
    pub payload: Option<String>,
    /// The id inside the value, where it has one.
    pub transaction_id: Option<Uuid>,
    /// What in a trace caused it; sent with it, however often.
    pub trace: Option<trace::Context>,
}

/// The message of a key that has to leave before its others, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its place.
    pub id: i64,
    /// The topic.
    pub topic: Arc<str>,
    /// The key.
    pub key: String,
    /// The length of the value.
    pub bytes: usize,
}

/// A message in the outbox.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its place: messages of one key leave in ascending order.
    pub id: i64,
    /// The topic.
    pub topic: Arc<str>,
    /// The key.
    pub key: String,
    /// The value; `None` for a tombstone.
    pub payload: Option<String>,
    /// What in a trace caused it; its header `traceparent`.
    pub trace: Option<trace::Context>,
    /// When it was added (wall clock of Europe/Oslo).
    pub added_at: NaiveDateTime,
}

impl OutboxMessage {
    /// The same without its value.
    #[must_use]
    pub fn head(&self) -> Head {
        let bytes = self.payload.as_ref().map_or(0, String::len);
        Head { id: self.id, topic: self.topic.clone(), key: self.key.clone(), bytes }
    }
}

/// A stored change, for a job.
#[derive(Debug, Clone)]
pub struct StoredChange {
    /// Order of arrival.
    pub id: i64,
    /// The table.
    pub table: Table,
    /// Arena's id, as stored.
    pub arena_id: String,
    /// What happened.
    pub operation: Operation,
    /// When, in Arena's order.
    pub position: Position,
    /// When, on Arena's wall clock.
    pub timestamp: NaiveDateTime,
    /// The row before, a JSON text.
    pub before: Option<Arc<str>>,
    /// The row after, a JSON text.
    pub after: Option<Arc<str>>,
    /// When it may be tried before the next run of the retry job, wall clock of Europe/Oslo.
    pub retry_at: Option<NaiveDateTime>,
}

/// A place in the order of a job: numeric position, then order of arrival (6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The position of the last row seen.
    pub position: Position,
    /// Its id.
    pub id: i64,
}

/// Which Arena ids belong to a UUID (7.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Translation {
    /// From 3.2.
    pub arena_id: Option<String>,
    /// From 3.3, looked at only where 3.2 has nothing.
    pub arena_hist_id: Option<String>,
}

// rows and payloads are about people: they never get into a log by accident
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { table, arena_id, operation, position, .. } = &*self.change;
        write!(f, "Item({} {arena_id} {} {position})", table.name(), operation.name())
    }
}

impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewMessage({} {})", self.topic, self.key)
    }
}

impl fmt::Debug for OutboxMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboxMessage({} {} {})", self.id, self.topic, self.key)
    }
}

/// What a store could not do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct StoreError {
    /// What was tried and what the store said of it: an SQLSTATE, a constraint; never data.
    pub what: String,
    /// Where the failure lies.
    pub class: Class,
    /// The store cannot be reached or has no room: whatever was asked would have failed, so it is no attempt
    /// (a lost connection, a pool timeout, SQLSTATE 08, 53 but not 53200, 57 but not 57014).
    pub outage: bool,
}

impl StoreError {
    /// A UUID was given to two history ids at once (4.5 step 3); the change has to be decided anew.
    pub(crate) fn taken() -> Self {
        let class = Class::Permanent("refused_by_store");
        Self { what: "writing history ids: a UUID has another history id by now".to_owned(), class, outage: false }
    }

    /// Whether every other change would have failed like this one.
    #[must_use]
    pub fn ends_all(&self) -> bool {
        self.outage || self.class == Class::Fatal
    }
}

/// Changes, what is known of their objects, and the outbox, in one store with transactions.
pub trait Inbox: Send + Sync + 'static {
    /// What is held of the objects of `changes`, one read per table, without locks: good for asking, not for writing. What no question
    /// depends on is left out: the UUIDs of participants.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn read(&self, changes: &[&Change]) -> impl Future<Output = Result<Held, StoreError>> + Send;

    /// The same with nothing left out, for who tells what would become of `changes`; several may be of one object.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn held(&self, changes: &[&Change]) -> impl Future<Output = Result<Held, StoreError>> + Send;

    /// Makes `items` durable as `decide` says, all or none, and says how each ended, in order; `None` where `decide`
    /// left the item as it was. Twice is the same as once, as far as `decide` makes it so.
    ///
    /// `decide` sees what is held after every other process was locked out of the items' [locks](Item::locks). Course
    /// changes never share a call with others, no lock is asked for twice in conflicting kinds, and there are at most
    /// 600 locks. `now` is wall clock of Europe/Oslo.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was written, except that a connection lost during the commit leaves it open
    /// whether everything was.
    fn apply<D>(
        &self,
        items: &[Item],
        now: NaiveDateTime,
        decide: D,
    ) -> impl Future<Output = Result<Vec<Option<Settlement>>, StoreError>> + Send
    where
        D: Fn(&Item, &Held) -> Option<Write> + Send + Sync;

    /// The changes of `table` in `status` after `cursor`, by numeric position, then id; at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn page(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StoredChange>, StoreError>> + Send;

    /// The Arena ids of a UUID.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn translation(&self, amt_id: Uuid) -> impl Future<Output = Result<Translation, StoreError>> + Send;
}

/// Messages that are durable and have not left yet.
pub trait Outbox: Send + Sync + 'static {
    /// The right to send: at most one process has it.
    type Turn: Turn;

    /// What this process adds and can be sent without being read back.
    fn fresh(&self) -> &Fresh;

    /// Waits until this process may send, as architecture section 8.7 says; a holder that did not end cleanly costs
    /// the wait of one message time-out.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn turn(&self) -> impl Future<Output = Result<Self::Turn, StoreError>> + Send;

    /// The first unpublished message of each key, by key, beginning after the key `after`; at most `limit`. Only reads.
    ///
    /// The order of keys is the store's own. What this costs follows from `limit`, not from how many messages wait or how they are spread.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn heads(&self, after: Option<&str>, limit: u32) -> impl Future<Output = Result<Vec<Head>, StoreError>> + Send;

    /// Those of these messages that are unpublished, lowest id first. Only reads.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn unpublished(&self, ids: &[i64]) -> impl Future<Output = Result<Vec<OutboxMessage>, StoreError>> + Send;

    /// Marks messages as published and drops their payload. Twice is the same as once.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn published(&self, ids: &[i64], now: NaiveDateTime) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds messages that no change caused, in order, all or none.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn enqueue(
        &self,
        messages: &[NewMessage],
        now: NaiveDateTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many messages wait to leave.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn waiting(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Completes when messages may have been added, and at the latest after a short while: another process adds too.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// The right to send what is in the outbox.
pub trait Turn: Send + 'static {
    /// Whether the right still stands; it may be relied on for 1 s after this was called (monotonic clock).
    fn holds(&mut self) -> impl Future<Output = bool> + Send;

    /// Gives the right back and notes that nothing is under way.
    ///
    /// # Errors
    /// As [`StoreError`] says; the next holder then waits as if this one had died.
    fn end(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The person and course of a history change: the pair by which its participation is looked for (4.10).
pub(crate) fn person_on_course(change: &Change) -> Option<(PersonId, CourseId)> {
    match &change.row {
        Row::Participant(row) if change.table == Table::History => Some((PersonId(row.person?), CourseId(row.course))),
        _ => None,
    }
}

/// The UUID that another system gave the participant of `change`; shortened forms are malformed (11.2).
pub(crate) fn external_id(change: &Change) -> Option<Uuid> {
    let Row::Participant(row) = &change.row else { return None };
    long_uuid(row.external_id.as_deref()?)
}
