//! The jobs over stored changes (docs/spec/arena-acl.md 6.2–6.4), and the run between two of them over what was woken (IMP-17).

mod running;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use chassis::{
    clock::Clock,
    telemetry::Quiet,
    trace::{self, Kind, Span},
};
use domain::{
    arena_acl::{IngestStatus, Pass, SUPERSEDED, Table},
    delivery::{Outcome, Settlement},
};
use serde::Serialize;
use tracing::{debug, error, info, warn};

use self::running::Running;
use crate::{
    OSLO,
    inbox::{Cursor, Inbox, Item, StoreError, StoredChange},
    operations::Operations,
    records::Records,
    wake::Woken,
    waves::waves,
    wire,
};

/// The most rows that are handled before the stop is looked at: about two transactions of participants, one in the database while the other
/// is decided.
const STEP: usize = 500;

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
    /// The process is stopping; what was done stays.
    #[error("the job was stopped")]
    Stopped,
    /// The store failed; what was done stays.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// The jobs. A clone is the same jobs.
pub struct Jobs<I> {
    inbox: Arc<I>,
    records: Arc<Records<I>>,
    clock: Clock,
    running: Arc<Running>,
    stopped: Arc<AtomicBool>,
    steps: Arc<AtomicU64>,
    quiet: Arc<Quiet>,
}

impl<I> Clone for Jobs<I> {
    fn clone(&self) -> Self {
        Self {
            inbox: self.inbox.clone(),
            records: self.records.clone(),
            clock: self.clock.clone(),
            running: self.running.clone(),
            stopped: self.stopped.clone(),
            steps: self.steps.clone(),
            quiet: self.quiet.clone(),
        }
    }
}

impl<I: Inbox + Operations> Jobs<I> {
    /// The jobs over a store.
    pub fn new(inbox: Arc<I>, records: Arc<Records<I>>, clock: Clock) -> Self {
        Self {
            inbox,
            records,
            clock,
            running: Arc::default(),
            stopped: Arc::default(),
            steps: Arc::default(),
            quiet: Arc::default(),
        }
    }

    /// Handles every row in the status of `job` once, courses first, then participants, then history rows; inside a table by
    /// position. Pages of `batch_size` rows bound the memory. Another run may follow at any time.
    ///
    /// # Errors
    /// When a run is under way in this process, the process stops, or the store fails.
    pub async fn run(&self, job: Rerun, batch_size: NonZeroU32) -> Result<Counts, JobError> {
        let running = match job {
            Rerun::Retry => &self.running.retry,
            Rerun::Failed => &self.running.failed,
        };
        let _under_way = running.begin().ok_or(JobError::Running)?;
        let span = Span::begin(Kind::Internal, || format!("job {job:?}").to_lowercase(), None);
        let mut counts = Counts::default();
        for table in Table::ALL {
            let mut cursor = None;
            loop {
                let page = self.inbox.page(table, job.status(), cursor.as_ref(), batch_size.get()).await?;
                let Some(last) = page.last() else { break };
                cursor = Some(Cursor { position: last.position.clone(), id: last.id });
                trace::within(span.context(), self.handle_page(&page, job.pass(), &mut counts)).await?;
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
        let _under_way = self.running.purge.begin().ok_or(JobError::Running)?;
        let deleted = self.inbox.purge().await?;
        info!(deleted, "{deleted} ignored changes were deleted");
        Ok(deleted)
    }

    /// Ends every run after the step it is at, for good.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether a run is under way in this process. Looking keeps none from its start.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.any()
    }

    /// How many steps the runs over rows have made so far; `None` while none is under way. One that makes none hangs.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        self.running.any_over_rows().then(|| self.steps.load(Ordering::Relaxed))
    }

    async fn handle_page(&self, page: &[StoredChange], pass: Pass, counts: &mut Counts) -> Result<(), JobError> {
        for wave in waves(page.iter().map(wire::stored).collect(), |item| item) {
            for step in wave.chunks(STEP) {
                if self.stopped.load(Ordering::Acquire) {
                    return Err(JobError::Stopped);
                }
                self.handle(step, pass, counts).await?;
            }
        }
        Ok(())
    }

    async fn handle(&self, step: &[Item], pass: Pass, counts: &mut Counts) -> Result<(), StoreError> {
        let ended = self.records.handle_each(step, pass).await;
        self.steps.fetch_add(1, Ordering::Relaxed);
        for (item, ended) in step.iter().zip(ended) {
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
}

impl<I: Inbox + Operations + Woken> Jobs<I> {
    /// Handles every change that is due before the next run of the retry job, in the order of a job, and once each: what it wakes itself
    /// comes last, and what a course releases beyond its first page, page by page. Pages of `batch_size` rows bound the memory.
    ///
    /// # Errors
    /// As those of [`run`](Self::run).
    pub async fn wake(&self, batch_size: NonZeroU32) -> Result<Counts, JobError> {
        let _under_way = self.running.wake.begin().ok_or(JobError::Running)?;
        let mut counts = Counts::default();
        loop {
            self.wake_due(batch_size, &mut counts).await?;
            if !self.inbox.release_more(self.clock.local(OSLO)).await? {
                break;
            }
        }
        debug!(counts = ?counts, "what was woken has been tried");
        Ok(counts)
    }

    async fn wake_due(&self, batch_size: NonZeroU32, counts: &mut Counts) -> Result<(), JobError> {
        for table in Table::ALL {
            let mut last = None;
            loop {
                let now = self.clock.local(OSLO);
                let mut page = self.inbox.woken(table, now, last.as_ref(), batch_size.get()).await?;
                last = page.last().cloned();
                if last.is_none() {
                    break;
                }
                // an older change of a participant comes before those it holds back, whatever woke them
                page.sort_by(|one, other| (&one.position, one.id).cmp(&(&other.position, other.id)));
                self.handle_page(&page, Pass::Wake, counts).await?;
            }
        }
        Ok(())
    }
}
