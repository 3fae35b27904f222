//! Dead letters of the service, as one list (architecture section 8.6): `q` and a number is a quarantined record, `r` and a number a
//! row of `arena_data` in INVALID or FAILED.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use chassis::{
    clock::{self, Clock},
    dead_letters::{Contents, Filter, LetterId, LettersError, Note, OpenLetter, OpenLetters, Redriven, Show},
};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{
    arena_acl::{IngestStatus, Pass},
    delivery::{Class, Outcome, Settlement},
};

use crate::{
    OSLO,
    inbox::{Inbox, Item, StoreError, StoredChange},
    records::Records,
    waves::waves,
    wire::{self, Unreadable},
};

/// Quarantined records.
pub const QUARANTINED: char = 'q';
/// Rows in INVALID or FAILED.
pub const ROW: char = 'r';

/// Quarantined records whose bytes are held together.
const AT_ONCE: usize = 16;

/// Dead letters in the store.
pub trait LetterStore: Send + Sync {
    /// The open letters that `filter` lets through, after `after`, at most `limit`: quarantined records in the order in which they
    /// came, then rows likewise.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn open_letters(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> impl Future<Output = Result<Vec<OpenLetter>, StoreError>> + Send;

    /// Sets these rows, as far as they are in INVALID or FAILED, to RETRY with no attempts, due at once, counts a replay, and says which they were.
    /// `now` is wall clock of Europe/Oslo. Twice requeues nothing the second time.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn requeue(&self, rows: &[i64], now: NaiveDateTime) -> impl Future<Output = Result<Vec<i64>, StoreError>> + Send;

    /// Notes that these quarantined records are no dead letters any more. Twice is the same as once.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn resolve(&self, records: &[i64], now: DateTime<Utc>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that these quarantined records were replayed at `now` and failed again, each as its [`Unreadable`] says.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn failed_again(
        &self,
        records: &[(i64, Unreadable)],
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes these letters off the list, as far as they are open, adds `note` to what they say of themselves, and says which they were.
    /// A row becomes INVALID, so that it blocks nothing. Twice is the same as once.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn drop_letters(
        &self,
        ids: &[LetterId],
        note: &str,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Vec<LetterId>, StoreError>> + Send;
}

/// The dead letters of the service, for commands and routes.
pub struct Letters<S> {
    store: Arc<S>,
    records: Arc<Records<S>>,
    clock: Clock,
}

impl<S: Inbox + LetterStore> Letters<S> {
    /// The dead letters of `store`, redriven through `records`.
    pub fn new(store: Arc<S>, records: Arc<Records<S>>, clock: Clock) -> Self {
        Self { store, records, clock }
    }

    async fn requeue(&self, rows: &[i64]) -> Result<Vec<(LetterId, Redriven)>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let requeued = self.store.requeue(rows, self.clock.local(OSLO)).await?;
        Ok(requeued.into_iter().map(|number| (row(number), Redriven::Queued)).collect())
    }

    /// Feeds the bytes of quarantined records through 4.1 again, under the settings of live records.
    async fn replay(&self, records: &[LetterId]) -> Result<Vec<(LetterId, Redriven)>, StoreError> {
        let filter = Filter { ids: records.to_vec(), ..Filter::default() };
        let limit = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let letters = self.store.open_letters(&filter, None, limit, Show::Contents).await?;
        let mut replay = Replay::default();
        let mut changes: Vec<(LetterId, Item)> = Vec::new();
        for letter in letters {
            match letter.contents.and_then(|contents| contents.payload).map(read) {
                None => replay.settled.push((letter.id, "tombstone")),
                Some(Err(unreadable)) => replay.failed.push((letter.id, unreadable)),
                Some(Ok(item)) => changes.push((letter.id, item)),
            }
        }
        for wave in waves(changes, |(_, item)| item) {
            let (ids, items): (Vec<LetterId>, Vec<Item>) = wave.into_iter().unzip();
            for (id, ended) in ids.into_iter().zip(self.records.handle_each(&items, Pass::Live).await) {
                replay.ended(id, ended);
            }
        }
        let now = self.clock.now();
        self.store.resolve(&replay.settled.iter().map(|(id, _)| id.number).collect::<Vec<_>>(), now).await?;
        let failed: Vec<(i64, Unreadable)> = replay.failed.iter().map(|(id, why)| (id.number, why.clone())).collect();
        self.store.failed_again(&failed, now).await?;
        match replay.store_failed {
            Some(error) => Err(error),
            None => Ok(replay.results()),
        }
    }
}

/// How quarantined records ended that were replayed together.
#[derive(Default)]
struct Replay {
    settled: Vec<(LetterId, &'static str)>,
    failed: Vec<(LetterId, Unreadable)>,
    /// What was not done for this is no failed replay.
    store_failed: Option<StoreError>,
}

impl Replay {
    fn ended(&mut self, id: LetterId, ended: Result<Option<Settlement>, StoreError>) {
        match ended {
            Ok(Some(Settlement::Done(Outcome::Applied))) => self.settled.push((id, "applied")),
            Ok(Some(Settlement::Done(Outcome::Ignored(how) | Outcome::Waiting(how)))) => self.settled.push((id, how)),
            // it is a row now, and on the list as such
            Ok(Some(Settlement::DeadLettered(status))) => self.settled.push((id, status)),
            Ok(Some(Settlement::Again { .. }) | None) => {
                self.failed.push((id, refused("what it depends on changed meanwhile".to_owned())));
            }
            Err(StoreError { what, class: Class::Permanent(_), outage: false }) => {
                self.failed.push((id, refused(what)))
            }
            Err(error) => self.store_failed = Some(error),
        }
    }

    fn results(self) -> Vec<(LetterId, Redriven)> {
        let settled = self.settled.into_iter().map(|(id, how)| (id, Redriven::Settled(how)));
        let failed = self.failed.into_iter().map(|(id, why)| (id, Redriven::FailedAgain(why.reason.to_owned())));
        settled.chain(failed).collect()
    }
}

fn refused(detail: String) -> Unreadable {
    Unreadable { reason: "refused_by_store", detail }
}

fn read(payload: Bytes) -> Result<Item, Unreadable> {
    let panicked = |_| Unreadable { reason: "bug", detail: "reading it panicked".to_owned() };
    std::panic::catch_unwind(|| wire::read(&payload)).map_err(panicked).flatten()
}

impl<S: Inbox + LetterStore> OpenLetters for Letters<S> {
    async fn page(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> Result<Vec<OpenLetter>, LettersError> {
        self.store.open_letters(filter, after, limit, show).await.map_err(failed)
    }

    async fn redrive(&self, ids: &[LetterId]) -> Result<Vec<(LetterId, Redriven)>, LettersError> {
        let mut ended = Vec::with_capacity(ids.len());
        for records in of_kind(ids, QUARANTINED).chunks(AT_ONCE) {
            ended.extend(self.replay(records).await.map_err(failed)?);
        }
        ended.extend(self.requeue(&numbers(ids, ROW)).await.map_err(failed)?);
        Ok(ended)
    }

    async fn give_up(&self, ids: &[LetterId], note: &Note) -> Result<Vec<LetterId>, LettersError> {
        let note = format!("dropped by {}: {}", note.by, note.why);
        self.store.drop_letters(ids, &note, self.clock.now()).await.map_err(failed)
    }
}

fn failed(error: StoreError) -> LettersError {
    LettersError { what: error.what, outage: error.outage }
}

fn of_kind(ids: &[LetterId], kind: char) -> Vec<LetterId> {
    ids.iter().copied().filter(|id| id.kind == kind).collect()
}

/// The numbers of those of `ids` that are of `kind`.
pub(crate) fn numbers(ids: &[LetterId], kind: char) -> Vec<i64> {
    of_kind(ids, kind).iter().map(|id| id.number).collect()
}

/// The id of a row.
pub(crate) fn row(number: i64) -> LetterId {
    LetterId { kind: ROW, number }
}

/// The id of a quarantined record.
pub(crate) fn record(number: i64) -> LetterId {
    LetterId { kind: QUARANTINED, number }
}

/// From which number on a store has to look among letters of `kind` for those after `after`; `None`: all of them come before it.
pub(crate) fn first_after(after: Option<LetterId>, kind: char) -> Option<i64> {
    match after {
        Some(after) if after.kind > kind => None,
        Some(after) if after.kind == kind => Some(after.number),
        Some(_) | None => Some(0),
    }
}

/// A row in INVALID or FAILED, beside the change itself.
pub(crate) struct DeadRow {
    pub(crate) status: IngestStatus,
    pub(crate) attempts: u32,
    pub(crate) ingested: Option<NaiveDateTime>,
    pub(crate) last_attempted: Option<NaiveDateTime>,
    pub(crate) replay_count: u32,
    pub(crate) note: Option<String>,
}

impl DeadRow {
    /// The row as a letter. Its bytes are those of a record that says the same: what was received is kept as its parts only.
    pub(crate) fn letter(self, change: &StoredChange, show: Show) -> OpenLetter {
        let utc = |local| clock::to_utc(local, OSLO);
        OpenLetter {
            id: row(change.id),
            source: change.table.name().to_owned(),
            position: Some(change.position.as_str().to_owned()),
            about: Some(change.arena_id.clone()),
            reason: self.status.name().to_owned(),
            // the job over rows in FAILED tries them again
            class: class_name(if self.status == IngestStatus::Failed { AGAIN } else { UNUSABLE }).to_owned(),
            attempts: self.attempts,
            first_at: self.ingested.map(utc),
            last_at: self.last_attempted.max(self.ingested).map(utc),
            replay_count: self.replay_count,
            detail: self.note.unwrap_or_default(),
            contents: (show == Show::Contents).then(|| Contents {
                key: None,
                headers: Vec::new(),
                payload: Some(wire::rebuilt(change).into()),
            }),
        }
    }
}

const AGAIN: Class = Class::Transient { after: None };
const UNUSABLE: Class = Class::Permanent("INVALID");

/// The name under which a class is stored and shown.
pub(crate) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Transient { .. } => "transient",
        Class::Permanent(_) => "permanent",
        Class::Fatal => "fatal",
    }
}
