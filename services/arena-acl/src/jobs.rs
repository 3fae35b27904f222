//! The jobs over stored changes (docs/spec/arena-acl.md 6.2–6.4).

use std::{collections::HashMap, num::NonZeroU32, panic::AssertUnwindSafe, sync::Arc};

use chassis::telemetry::Quiet;
use domain::{
    arena_acl::{Failure, IngestStatus, Lock, Pass, SUPERSEDED, Table},
    delivery::{Outcome, Settlement},
};
use futures::FutureExt as _;
use serde::Serialize;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use crate::{
    inbox::{Cursor, Inbox, Item, StoreError},
    operations::Operations,
    records::Records,
    wire,
};

/// What one run did, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Looked at.
    pub seen: u64,
    /// Done: HANDLED.
    pub handled: u64,
    /// Still waiting for something: RETRY or WAITING.
    pub waiting: u64,
    /// Ended in INVALID or FAILED.
    pub dead: u64,
    /// Not ours: IGNORED or EXTERNAL_SOURCE.
    pub ignored: u64,
    /// Left as they were: changed by another process meanwhile, or not writable.
    pub left: u64,
}

/// Which stored changes are handled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rerun {
    /// Those in RETRY (6.2).
    Retry,
    /// Those in FAILED (6.3).
    Failed,
}

impl Rerun {
    fn status(self) -> IngestStatus {
        match self {
            Self::Retry => IngestStatus::Retry,
            Self::Failed => IngestStatus::Failed,
        }
    }

    fn pass(self) -> Pass {
        match self {
            Self::Retry => Pass::Retry,
            Self::Failed => Pass::Failed,
        }
    }
}

/// Why a run did not happen or ended early.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A run never overlaps itself.
    #[error("the job is running already")]
    Running,
    /// The store failed; what was done stays.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// The jobs. A clone is the same jobs.
pub struct Jobs<I> {
    inbox: Arc<I>,
    records: Arc<Records<I>>,
    running: Arc<Running>,
    quiet: Arc<Quiet>,
}

/// How one change ended; `None` where it was left as it was.
type Ended = Result<Option<Settlement>, StoreError>;

/// Held while a run of the job is under way in this process. Different jobs may overlap.
#[derive(Debug, Default)]
struct Running {
    retry: Mutex<()>,
    failed: Mutex<()>,
    purge: Mutex<()>,
}

impl<I> Clone for Jobs<I> {
    fn clone(&self) -> Self {
        Self {
            inbox: self.inbox.clone(),
            records: self.records.clone(),
            running: self.running.clone(),
            quiet: self.quiet.clone(),
        }
    }
}

impl<I: Inbox + Operations> Jobs<I> {
    /// The jobs over a store.
    pub fn new(inbox: Arc<I>, records: Arc<Records<I>>) -> Self {
        Self { inbox, records, running: Arc::default(), quiet: Arc::default() }
    }

    /// Handles every row in the status of `job` once, courses first, then participants, then history rows; inside a table by
    /// position. Pages of `batch_size` rows bound the memory. Another run may follow at any time.
    ///
    /// # Errors
    /// When a run is under way in this process, or the store fails.
    pub async fn run(&self, job: Rerun, batch_size: NonZeroU32) -> Result<Counts, JobError> {
        let running = match job {
            Rerun::Retry => &self.running.retry,
            Rerun::Failed => &self.running.failed,
        };
        let _running = running.try_lock().map_err(|_busy| JobError::Running)?;
        let mut counts = Counts::default();
        for table in Table::ALL {
            let mut cursor = None;
            loop {
                let page = self.inbox.page(table, job.status(), cursor.as_ref(), batch_size.get()).await?;
                let Some(last) = page.last() else { break };
                cursor = Some(Cursor { position: last.position.clone(), id: last.id });
                let items: Vec<Item> = page.iter().map(wire::stored).collect();
                for wave in waves(items) {
                    self.handle(&wave, job.pass(), &mut counts).await?;
                }
            }
        }
        info!(job = ?job, counts = ?counts, "a job has ended");
        Ok(counts)
    }

    /// Deletes what was ignored, and says how many rows that were (6.4).
    ///
    /// # Errors
    /// When a run is under way in this process, or the store fails.
    pub async fn purge(&self) -> Result<u64, JobError> {
        let _running = self.running.purge.try_lock().map_err(|_busy| JobError::Running)?;
        let deleted = self.inbox.purge().await?;
        info!(deleted, "{deleted} ignored changes were deleted");
        Ok(deleted)
    }

    /// Whether a run is under way in this process.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let Running { retry, failed, purge } = &*self.running;
        [retry, failed, purge].into_iter().any(|job| job.try_lock().is_err())
    }

    async fn handle(&self, wave: &[Item], pass: Pass, counts: &mut Counts) -> Result<(), StoreError> {
        let ended = match self.caught(wave, pass).await {
            Some(ended) => ended,
            // one of them panics: the others are done one by one, and that one has failed
            None => {
                let mut ended = Vec::with_capacity(wave.len());
                for item in wave {
                    ended.push(self.handle_alone(item, pass).await);
                }
                ended
            }
        };
        for (item, ended) in wave.iter().zip(ended) {
            counts.seen += 1;
            let change = &item.change;
            match ended {
                Ok(None) => counts.left += 1,
                Ok(Some(Settlement::Done(Outcome::Applied) | SUPERSEDED)) => counts.handled += 1,
                Ok(Some(Settlement::Done(Outcome::Ignored(_)))) => counts.ignored += 1,
                Ok(Some(Settlement::Done(Outcome::Waiting(_)) | Settlement::Again { .. })) => counts.waiting += 1,
                Ok(Some(Settlement::DeadLettered(reason))) => {
                    if let Some(count) = self.quiet.admit("jobs", reason) {
                        let (table, id) = (change.table.name(), change.arena_id);
                        error!(table, arena.id = id, reason, count, "a stored change was given up");
                    }
                    counts.dead += 1;
                }
                Err(error) if error.ends_all() => return Err(error),
                Err(error) => {
                    if let Some(count) = self.quiet.admit("jobs", "left") {
                        let (table, id) = (change.table.name(), change.arena_id);
                        warn!(table, arena.id = id, count, %error, "a stored change was left as it was");
                    }
                    counts.left += 1;
                }
            }
        }
        Ok(())
    }

    /// One change alone. A panic is a failed attempt (class *other*).
    async fn handle_alone(&self, item: &Item, pass: Pass) -> Ended {
        match self.caught(std::slice::from_ref(item), pass).await {
            Some(ended) => ended.into_iter().next().unwrap_or(Ok(None)),
            None => {
                let failure = Failure::other("handling it panicked; the log of that time has the place");
                self.records.fail(item, pass, failure).await
            }
        }
    }

    /// What became of `items`; `None` when handling them panicked.
    async fn caught(&self, items: &[Item], pass: Pass) -> Option<Vec<Ended>> {
        AssertUnwindSafe(self.records.handle(items, pass)).catch_unwind().await.ok()
    }
}

/// `items` in runs of which none has an object twice, in order: a chain of messages of one participant drains in one
/// run, each link in a transaction after the one before it.
fn waves(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut waves: Vec<Vec<Item>> = Vec::new();
    let mut depth: HashMap<Lock, usize> = HashMap::new();
    for item in items {
        let own: Vec<Lock> =
            item.change.locks().into_iter().filter(|lock| !matches!(lock, Lock::CourseShared(_))).collect();
        // one wave after the last that has any of its objects
        let place = own.iter().filter_map(|lock| depth.get(lock).map(|wave| wave + 1)).max().unwrap_or(0);
        for lock in &own {
            depth.insert(*lock, place);
        }
        if place == waves.len() {
            waves.push(Vec::new());
        }
        if let Some(wave) = waves.get_mut(place) {
            wave.push(item);
        }
    }
    waves
}
