//! The row of the leader.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::Memory;
use crate::{
    inbox::StoreError,
    leader::{Leadership, Taken, Term},
};

/// The row, and when it ends.
#[derive(Debug)]
pub(super) struct Row {
    term: Term,
    until: DateTime<Utc>,
}

impl Memory {
    fn leader(&self) -> MutexGuard<'_, Option<Row>> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leadership for Memory {
    async fn take(&self, holder: &str, term: Duration) -> Result<Taken, StoreError> {
        let now = self.clock.now();
        let mut leader = self.leader();
        if let Some(row) = &*leader
            && row.until > now
        {
            return Ok(Taken::Theirs((row.until - now).to_std().unwrap_or_default()));
        }
        let taken = Term { holder: holder.to_owned(), since: now.naive_utc() };
        *leader = Some(Row { term: taken.clone(), until: now + term });
        Ok(Taken::Ours(taken))
    }

    async fn extend(&self, held: &Term, term: Duration) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut leader = self.leader();
        let own = leader.as_mut().filter(|row| row.term == *held && row.until > now);
        Ok(own.map(|row| row.until = now + term).is_some())
    }

    async fn holds(&self, held: &Term) -> Result<bool, StoreError> {
        Ok(self.leader().as_ref().is_some_and(|row| row.term == *held && row.until > self.clock.now()))
    }

    async fn release(&self, held: &Term, at_least: Duration) -> Result<(), StoreError> {
        let now = self.clock.now();
        if let Some(row) = self.leader().as_mut().filter(|row| row.term == *held) {
            row.until = now.max(held.since.and_utc() + at_least);
        }
        Ok(())
    }
}
