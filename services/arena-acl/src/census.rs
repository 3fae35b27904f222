//! How much of what is in the store, as gauges (docs/spec/arena-acl.md 7.4, IMP-18).
//!
//! Every process counts, not the leader alone: an alert on a row in FAILED must not depend on who leads. All show the same, so a query over
//! several takes `max`, not `sum`. What an alert may look at is counted often; what is finished is counted seldom, since that reads an index
//! of tens of millions of entries. A count that fails leaves the last values, and the time of the last success stands still beside them.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use chassis::{clock::Clock, parts::Part, telemetry::Quiet};
use chrono::NaiveDateTime;
use domain::arena_acl::{IngestStatus, Table};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::{
    OSLO,
    inbox::StoreError,
    metrics::{Counted, Metrics},
    settings::{Counting, Topics},
};

/// Statuses that an alert may look at: what is unhandled, and what was given up.
pub const OPEN: [IngestStatus; 4] =
    [IngestStatus::Retry, IngestStatus::Waiting, IngestStatus::Failed, IngestStatus::Invalid];

/// What is held and not finished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// Changes in one of [`OPEN`]; what is not named is 0. A table that is none of the three is left out.
    pub changes: Vec<Rows>,
    /// Dead letters that nobody has dealt with: topic, reason, number.
    pub quarantine: Vec<(String, String, u64)>,
    /// Messages that wait to leave.
    pub outbox: u64,
    /// When the one that has been there longest was added (wall clock of Europe/Oslo).
    pub outbox_since: Option<NaiveDateTime>,
}

/// Changes of one table in one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rows {
    /// The table.
    pub table: Table,
    /// The status.
    pub status: IngestStatus,
    /// How many there are.
    pub rows: u64,
    /// When message processing gave the one that has had it longest its status (wall clock of Europe/Oslo); only where the status is
    /// unhandled.
    pub since: Option<NaiveDateTime>,
}

/// A store that can be counted.
pub trait Census: Send + Sync + 'static {
    /// What is not finished; its cost follows what is counted, not what is stored. Only reads.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn open(&self) -> impl Future<Output = Result<Open, StoreError>> + Send;

    /// The changes in every other status. Reads an index as large as the store; only reads.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn finished(&self) -> impl Future<Output = Result<Vec<Rows>, StoreError>> + Send;
}

/// Counts until the part is told to stop. A store that is away only makes the numbers old.
pub async fn count<C: Census>(
    store: Arc<C>,
    metrics: Metrics,
    clock: Clock,
    topics: Topics,
    every: Counting,
    part: Part,
) {
    let mut gauges = Gauges { metrics, clock, topics, dead: BTreeSet::new() };
    let quiet = Quiet::default();
    let (mut open_at, mut finished_at) = (Instant::now(), Instant::now());
    part.ready();
    loop {
        tokio::select! {
            biased;
            () = part.stopping() => return,
            () = sleep_until(open_at.min(finished_at)) => {}
        }
        let now = Instant::now();
        let counted = async {
            if open_at <= now {
                open_at = now + every.open;
                gauges.open(&store.open().await?);
            }
            if finished_at <= now {
                // after a failure it is tried again with the next of the others
                finished_at = now + every.open;
                gauges.finished(&store.finished().await?);
                finished_at = now + every.finished;
            }
            Ok::<_, StoreError>(())
        };
        tokio::select! {
            () = part.stopping() => return,
            counted = counted => {
                if let Err(error) = counted && let Some(count) = quiet.admit("census", "store") {
                    warn!(%error, count, "nothing was counted: the gauges show what was before");
                }
            }
        }
    }
}

struct Gauges {
    metrics: Metrics,
    clock: Clock,
    topics: Topics,
    /// Labels of dead letters that were shown: what is gone is shown as 0.
    dead: BTreeSet<(String, String)>,
}

impl Gauges {
    fn open(&mut self, open: &Open) {
        let now = self.clock.local(OSLO);
        let age = |since: Option<NaiveDateTime>| {
            since.map_or(Duration::ZERO, |since| (now - since).to_std().unwrap_or_default())
        };
        let shared = self.metrics.shared();
        let mut dead: Vec<(&str, &str, u64)> = open
            .quarantine
            .iter()
            .map(|(topic, reason, letters)| (topic.as_str(), reason.as_str(), *letters))
            .collect();
        for table in Table::ALL {
            let source = self.topics.of(table);
            for status in OPEN {
                let found = open.changes.iter().find(|rows| (rows.table, rows.status) == (table, status));
                let rows = found.map_or(0, |found| found.rows);
                self.metrics.rows(table, status, rows);
                if status.is_unhandled() {
                    self.metrics.oldest(table, status, age(found.and_then(|found| found.since)));
                }
                match status {
                    IngestStatus::Invalid | IngestStatus::Failed => dead.push((source, status.name(), rows)),
                    _ => shared.waiting(source, status.name(), rows),
                }
            }
        }
        for (source, reason) in &self.dead {
            if !dead.iter().any(|(s, r, _)| s == source && r == reason) {
                shared.dead_letters(source, reason, 0);
            }
        }
        for (source, reason, letters) in dead {
            shared.dead_letters(source, reason, letters);
            self.dead.insert((source.to_owned(), reason.to_owned()));
        }
        self.metrics.outbox(open.outbox, age(open.outbox_since));
        self.metrics.counted(Counted::Open, self.clock.now());
    }

    fn finished(&self, finished: &[Rows]) {
        for table in Table::ALL {
            for status in IngestStatus::ALL.into_iter().filter(|status| !OPEN.contains(status)) {
                let found = finished.iter().find(|rows| (rows.table, rows.status) == (table, status));
                self.metrics.rows(table, status, found.map_or(0, |found| found.rows));
            }
        }
        self.metrics.counted(Counted::Finished, self.clock.now());
    }
}
