//! Which process runs the jobs (docs/spec/arena-acl.md 6.6): the holder of one row, which the old service honours too.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{clock::Clock, parts::Part};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::inbox::StoreError;

/// For how long the row is taken.
const TERM: Duration = Duration::from_secs(600);
/// A leader with less than this left extends its term.
const EXTEND: TimeDelta = TimeDelta::minutes(3);
/// How often the row is looked at.
const CHECK: Duration = Duration::from_secs(60);
/// A leader stops to regard itself as one so long before its term ends.
const SKEW: TimeDelta = TimeDelta::seconds(5);
/// A leader that is told to stop keeps the row for at least so long after it took it.
const AT_LEAST: Duration = Duration::from_secs(10);

/// The row of the leader. Times are the store's own.
pub trait Leadership: Send + Sync + 'static {
    /// Takes the row for `term` if nobody holds it, or says for how long somebody does. Twice, the second finds it held by the first.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn take(&self, holder: &str, term: Duration) -> impl Future<Output = Result<Taken, StoreError>> + Send;

    /// Makes a term that has not ended end `term` from now; `false` where it has, or the row is another's.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn extend(&self, held: &Term, term: Duration) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Whether the term has not ended and the row is not another's.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn holds(&self, held: &Term) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends the term now, or `at_least` after it began. Nothing happens to a row that is another's.
    ///
    /// # Errors
    /// As [`StoreError`] says; the term then ends by itself.
    fn release(&self, held: &Term, at_least: Duration) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What came of [`Leadership::take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The row is ours.
    Ours(Term),
    /// Somebody holds it so much longer.
    Theirs(Duration),
}

/// A row that was taken. Holder and time together tell it from the row of another process on the same host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The host that took it.
    pub holder: String,
    /// When, by the store's clock, UTC.
    pub since: NaiveDateTime,
}

/// Whether this process leads.
pub struct Leader<L> {
    row: Arc<L>,
    clock: Clock,
    host: String,
    standing: Mutex<Standing>,
}

/// What this process knows, until when by its own clock.
#[derive(Debug, Clone)]
enum Standing {
    /// Nothing.
    Unknown,
    /// It holds the row.
    Leads(Term, DateTime<Utc>),
    /// Somebody else does.
    Follows(DateTime<Utc>),
}

impl<L: Leadership> Leader<L> {
    /// A process that does not lead yet.
    pub fn new(row: Arc<L>, clock: Clock) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { row, clock, host, standing: Mutex::new(Standing::Unknown) }
    }

    /// Holds the row as long as it can be had, and gives it back at the stop.
    pub async fn stand(&self, part: Part) {
        part.ready(); // who has the row says nothing about whether records can be handled
        while !part.is_stopping() {
            self.check().await;
            tokio::select! {
                () = part.stopping() => {}
                () = sleep(CHECK) => {}
            }
        }
        let last = self.standing().clone();
        if let Standing::Leads(term, _) = last
            && let Err(error) = self.row.release(&term, AT_LEAST).await
        {
            warn!(%error, "the row of the leader was not given back and ends by itself");
        }
    }

    /// Whether a job may start here: this process regards itself as leader, and the row says so too.
    pub async fn may_start(&self) -> bool {
        let Some(term) = self.term() else { return false };
        match self.row.holds(&term).await {
            Ok(true) => true,
            Ok(false) => {
                self.lost(&term);
                false
            }
            Err(error) => {
                warn!(%error, "a job does not start: whether this process leads cannot be read");
                false
            }
        }
    }

    /// Whether another process is known to lead.
    pub fn another_leads(&self) -> bool {
        matches!(*self.standing(), Standing::Follows(until) if self.clock.now() < until)
    }

    /// Takes the row, or extends the term when it is about to end.
    pub async fn check(&self) {
        let asked = self.clock.now();
        let until = asked + TERM;
        let done = match self.term_until() {
            Some((_, ends)) if ends - asked >= EXTEND => return,
            Some((term, _)) => match self.row.extend(&term, TERM).await {
                Ok(true) => {
                    *self.standing() = Standing::Leads(term, until);
                    Ok(())
                }
                Ok(false) => {
                    self.lost(&term);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            None => match self.row.take(&self.host, TERM).await {
                Ok(Taken::Ours(term)) => {
                    info!("this process leads");
                    *self.standing() = Standing::Leads(term, until);
                    Ok(())
                }
                Ok(Taken::Theirs(longer)) => {
                    *self.standing() = Standing::Follows(asked + longer);
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            warn!(%error, "the row of the leader cannot be had");
        }
    }

    /// The term of a process that regards itself as leader.
    fn term(&self) -> Option<Term> {
        self.term_until().map(|(term, _)| term)
    }

    fn term_until(&self) -> Option<(Term, DateTime<Utc>)> {
        match &*self.standing() {
            Standing::Leads(term, until) if self.clock.now() + SKEW < *until => Some((term.clone(), *until)),
            Standing::Leads(..) | Standing::Follows(_) | Standing::Unknown => None,
        }
    }

    fn lost(&self, term: &Term) {
        let mut standing = self.standing();
        if matches!(&*standing, Standing::Leads(held, _) if held == term) {
            warn!("this process no longer leads: its row is gone");
            *standing = Standing::Unknown;
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
