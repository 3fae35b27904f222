//! Whether the copy is true, as far as the store itself can tell (architecture section 4; docs/spec/arena-acl.md 6.8).
//!
//! It reads the store page by page and cannot see what is in the topics: a record that was never read, or a message that was marked as
//! published and is not there, is no difference here. A change that `requeue-latest`, `check-latest` or `relast` set to RETRY looks as if nobody
//! tried it until the next run of the retry job: they note no time.

mod found;

#[cfg(test)]
mod tests;

use std::future::Future;

use chrono::{NaiveDateTime, TimeDelta};
use domain::arena_acl::{
    Change, HeldRow, IngestStatus, LastKnown, Left, Moment, Position, Table, left_behind, outlook,
};

pub use self::found::{Difference, Kind, Mending, Totals};
use crate::{
    explain::{Object, Recorded, Sent},
    inbox::{Cursor, Inbox, StoreError},
    operations::Mend,
};

/// Objects or rows on one page; of the cheapest kind ten times as many.
const PAGE: u32 = 1_000;
/// How long a message may wait to leave.
const MESSAGE_AGE: TimeDelta = TimeDelta::minutes(5);

/// An object and the order in which its changes were handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The object, as stored.
    pub arena_id: String,
    /// How many changes it has.
    pub changes: u64,
    /// Of those that are HANDLED the one that arrived last, by id.
    pub newest: Option<i64>,
    /// Of those that are HANDLED the one that was handled last, by id; a time that is not known counts as the latest.
    pub last: Option<i64>,
}

/// A participant and what is kept of it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The participant, as stored.
    pub arena_id: String,
    /// Of its changes that count (not INVALID, IGNORED or EXTERNAL_SOURCE) the one with the highest position.
    pub newest: Option<Recorded>,
    /// Whether it has a UUID (3.2).
    pub has_uuid: bool,
    /// Its last known row (3.4).
    pub known: Option<LastKnown>,
}

/// A run of stored changes by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// The last id in it; `None` when there is none left.
    pub last: Option<i64>,
    /// How many changes are in it.
    pub seen: u64,
    /// Of these the ones whose position is no number: id, table, Arena's id, status. INVALID ones are named already and not among them.
    pub odd: Vec<(i64, Table, String, IngestStatus)>,
}

/// The whole store, page by page. Each page is one bounded statement; what two pages say may be of two moments.
pub trait Audit: Send + Sync {
    /// About how many changes are stored.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn size(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The objects of `table` after `after`, in the store's own order of Arena ids, at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn order(
        &self,
        table: Table,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Order>, StoreError>> + Send;

    /// The participants after `after`, in the same order, at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn kept(&self, after: &str, limit: u32) -> impl Future<Output = Result<Vec<Kept>, StoreError>> + Send;

    /// The changes of `table` in `status` after `cursor`, by numeric position, then id; at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn open(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Recorded>, StoreError>> + Send;

    /// The messages after `after` that have waited to leave since before `since`, by place, at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn unsent(
        &self,
        since: NaiveDateTime,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Sent>, StoreError>> + Send;

    /// The next `limit` changes after `after`, by id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn window(&self, after: i64, limit: u32) -> impl Future<Output = Result<Window, StoreError>> + Send;

    /// Sets these changes to RETRY with no attempts, due at `now`, where they are still in the status named, and says how many there were.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn queue(
        &self,
        changes: &[(i64, IngestStatus)],
        now: NaiveDateTime,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// What a run is measured by.
#[derive(Debug, Clone)]
pub struct Measure {
    /// The settings of the rules, and the time.
    pub moment: Moment,
    /// The pause between two runs of the retry job.
    pub retry_interval: TimeDelta,
}

/// Hears what a run looks at and finds, while it runs.
pub trait Listener {
    /// A pass begins, over about this many changes where that is known.
    fn begins(&mut self, pass: &'static str, about: Option<u64>);
    /// So many more changes, objects or messages have been looked at.
    fn seen(&mut self, more: u64);
    /// This was found.
    fn found(&mut self, difference: &Difference);
}

/// Looks at the whole store and, if it is to mend, sets the newest change of what it found to RETRY; a job then handles it
/// as any other. Nothing that was published is ever edited.
///
/// # Errors
/// As [`StoreError`] says; what was queued before stays queued.
pub async fn verify<S: Inbox + Audit>(
    store: &S,
    measure: &Measure,
    mend: Mend,
    listener: &mut impl Listener,
) -> Result<Totals, StoreError> {
    let about = store.size().await?;
    let mut run = Run { store, mend, now: measure.moment.now, listener, totals: Totals::default() };
    // what waits is looked at first: what is queued below would be among it
    run.listener.begins("changes that wait", None);
    for table in Table::ALL {
        for status in [IngestStatus::Retry, IngestStatus::Waiting] {
            run.waiting(table, status, measure).await?;
        }
    }
    run.listener.begins("messages", None);
    run.messages(run.now - MESSAGE_AGE).await?;
    run.listener.begins("order of handling", Some(about));
    for table in Table::ALL {
        run.order(table).await?;
    }
    run.listener.begins("participants", None);
    run.kept().await?;
    run.listener.begins("positions", Some(about));
    run.positions().await?;
    Ok(run.totals)
}

struct Run<'a, S, L> {
    store: &'a S,
    mend: Mend,
    now: NaiveDateTime,
    listener: &'a mut L,
    totals: Totals,
}

/// What is to be queued for a difference: a change, and the status in which it was seen.
type Repair = Option<(i64, IngestStatus)>;

impl<S: Inbox + Audit, L: Listener> Run<'_, S, L> {
    async fn waiting(&mut self, table: Table, status: IngestStatus, measure: &Measure) -> Result<(), StoreError> {
        let old = self.now - measure.retry_interval * 2;
        let mut cursor = None;
        loop {
            let page = self.store.open(table, status, cursor.as_ref(), PAGE).await?;
            let Some(last) = page.last().and_then(|row| Some((row.id, Position::new(&row.position)?))) else { break };
            cursor = Some(Cursor { position: last.1, id: last.0 });
            let old: Vec<(&Recorded, Change)> = page
                .iter()
                .filter(|row| row.ingested.max(row.last_attempted).max(row.retry_at).is_none_or(|since| since < old))
                .filter_map(|row| Some((row, row.change()?)))
                .collect();
            let changes: Vec<&Change> = old.iter().map(|(_, change)| change).collect();
            let held = self.store.held(&changes).await?;
            let free = old.iter().filter(|(row, change)| {
                let (operation, position) = (row.operation, change.position.clone());
                let stored =
                    HeldRow { operation, position, status: row.status, attempts: row.attempts, ingested: row.ingested };
                outlook(change, &stored, &held, &measure.moment).waits_for_nothing()
            });
            let found = free.map(|(row, _)| {
                let difference = Difference::of(&row.object.to_string(), Kind::WaitsForNothing).row(row.id);
                (difference.told(row.status.name()), Some((row.id, row.status)))
            });
            let found = found.collect();
            self.page(page.len(), found).await?;
        }
        Ok(())
    }

    async fn messages(&mut self, since: NaiveDateTime) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.store.unsent(since, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let found = page.iter().map(|sent| {
                let difference = Difference::of(&format!("outbox {}", sent.id), Kind::NotPublished);
                (difference.told(&format!("for {}, since {}", sent.topic, sent.created)), None)
            });
            let found = found.collect();
            self.page(page.len(), found).await?;
        }
        Ok(())
    }

    async fn order(&mut self, table: Table) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let page = self.store.order(table, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.arena_id);
            let changes: u64 = page.iter().map(|order| order.changes).sum();
            let found = page.iter().filter_map(|order| {
                let (newest, last) = order.newest.zip(order.last).filter(|(newest, last)| newest != last)?;
                let difference = Difference::of(&key(table, &order.arena_id), Kind::HandledOutOfOrder).row(newest);
                Some((difference.told(&format!("r{last} was handled after it")), Some((newest, IngestStatus::Handled))))
            });
            let found = found.collect();
            self.page(usize::try_from(changes).unwrap_or(usize::MAX), found).await?;
        }
        Ok(())
    }

    async fn kept(&mut self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let page = self.store.kept(&after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.arena_id);
            let found = page.iter().flat_map(compared).collect();
            self.page(page.len(), found).await?;
        }
        Ok(())
    }

    async fn positions(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let window = self.store.window(after, PAGE * 10).await?;
            let Some(last) = window.last else { break };
            after = last;
            let found = window.odd.iter().map(|(id, table, arena_id, status)| {
                let difference = Difference::of(&key(*table, arena_id), Kind::PositionNotANumber).row(*id);
                (difference.told(status.name()), None)
            });
            let found = found.collect();
            self.page(usize::try_from(window.seen).unwrap_or(usize::MAX), found).await?;
        }
        Ok(())
    }

    /// Queues what is to be queued, then tells it.
    async fn page(&mut self, seen: usize, found: Vec<(Difference, Repair)>) -> Result<(), StoreError> {
        let repairs: Vec<(i64, IngestStatus)> = found.iter().filter_map(|(_, repair)| *repair).collect();
        if self.mend == Mend::Yes && !repairs.is_empty() {
            self.totals.queued += self.store.queue(&repairs, self.now).await?;
        }
        for (difference, repair) in found {
            let mending = match (repair, self.mend) {
                (None, _) => Mending::No,
                (Some(_), Mend::No) => Mending::Possible,
                (Some(_), Mend::Yes) => Mending::Queued,
            };
            let difference = Difference { mending, ..difference };
            self.totals.differences += 1;
            self.listener.found(&difference);
        }
        let seen = u64::try_from(seen).unwrap_or(u64::MAX);
        self.totals.seen += seen;
        self.listener.seen(seen);
        Ok(())
    }
}

fn key(table: Table, arena_id: &str) -> String {
    // what is no number cannot be asked about, but it is told
    arena_id.parse().map_or_else(|_| format!("{} {arena_id}", table.name()), |id| Object { table, id }.to_string())
}

/// What is wrong with what is kept of a participant whose newest change is HANDLED. One that is not handled yet says of itself that the
/// copy is behind.
fn compared(kept: &Kept) -> Vec<(Difference, Repair)> {
    let Some(newest) = kept.newest.as_ref().filter(|newest| newest.status == IngestStatus::Handled) else {
        return Vec::new();
    };
    let Some(change) = newest.change() else { return Vec::new() };
    let of = |kind| Difference::of(&newest.object.to_string(), kind).row(newest.id);
    let repair = Some((newest.id, newest.status));
    let mut found = Vec::new();
    if !kept.has_uuid {
        found.push((of(Kind::NoUuid), repair));
    }
    match (left_behind(&change, newest.note.as_deref()), &kept.known) {
        (Left::Row(expected), Some(known)) if *expected != *known => {
            found.push((of(Kind::LastKnownDiffers).told(&columns(&expected, known)), repair));
        }
        (Left::Row(_), None) => found.push((of(Kind::NoLastKnown), repair)),
        (Left::Misregistered, Some(known)) if known.status != "FEILREGISTRERT" => {
            found.push((of(Kind::LastKnownDiffers).told("status"), repair));
        }
        // a change that today's rules refuse would only become INVALID
        (Left::Unusable, _) => found.push((of(Kind::ImageUnusable), None)),
        (Left::Row(_) | Left::Misregistered, _) => {}
    }
    found
}

/// The columns that differ, by name; their values are about people.
fn columns(expected: &LastKnown, known: &LastKnown) -> String {
    let all = [
        ("person_id", expected.person == known.person),
        ("gjennomforing_id", expected.course == known.course),
        ("dato_fra", expected.start == known.start),
        ("dato_til", expected.end == known.end),
        ("reg_dato", expected.registered == known.registered),
        ("mod_dato", expected.modified == known.modified),
        ("status", expected.status == known.status),
        ("dato_statusendring", expected.status_changed == known.status_changed),
        ("ekstern_id", expected.external_id == known.external_id),
    ];
    let differ: Vec<&str> = all.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
    differ.join(", ")
}
