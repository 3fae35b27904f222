//! The one document that all instances share: who holds the lease, what runs, what is wanted (18a).

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{record::Record, run_store::Control, sources::StoreError};

/// How long a lease is good for.
pub const LEASE: Duration = Duration::from_secs(30);

/// What all instances share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Board {
    /// Who works.
    pub lease: Option<Lease>,
    /// The run that has not ended, or is being rolled back.
    pub active: Option<Record>,
    /// What is wanted of it.
    pub command: Option<Command>,
    /// The last run that was swapped in and not rolled back.
    pub last: Option<Record>,
    /// Whether `last` is being rolled back.
    pub rolling_back: bool,
    /// Runs accepted so far.
    pub runs: u64,
}

/// Who works, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The instance; none once it gave the lease back.
    pub owner: Option<String>,
    /// Rises with each owner.
    pub epoch: u64,
    /// Until when (UTC).
    pub expires_at: DateTime<Utc>,
}

/// What is wanted of the active run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// That it stops before its swap.
    Cancel,
    /// That the generation before it becomes live again.
    Rollback,
}

impl Board {
    /// Whether a run is active whose signal is not sent yet.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.active.as_ref().is_some_and(Record::is_requested)
    }

    /// Whether somebody works, or did until a moment ago (18a).
    #[must_use]
    pub fn is_attended(&self, now: DateTime<Utc>) -> bool {
        self.lease.as_ref().is_some_and(|lease| now <= lease.expires_at + TimeDelta::seconds(10))
    }
}

/// Why a change of the board did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BoardError {
    /// The run store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another instance holds the lease now.
    #[error("the lease is lost")]
    Lost,
}

/// The board in its store. Clones share it.
#[derive(Debug)]
pub struct Desk<S> {
    store: Arc<S>,
    changed: Arc<Notify>,
}

impl<S> Clone for Desk<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), changed: Arc::clone(&self.changed) }
    }
}

impl<S: Control> Desk<S> {
    /// The board of a store.
    pub fn new(store: Arc<S>) -> Self {
        Self { store, changed: Arc::new(Notify::new()) }
    }

    /// What the board says now.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn look(&self) -> Result<Board, StoreError> {
        Ok(self.read().await?.1)
    }

    /// Changes the board by compare-and-set: `change` sees what it says and may refuse, and sees it again whenever somebody came between.
    ///
    /// # Errors
    /// The store's; the inner result is that of `change`.
    pub async fn change<T, R>(
        &self,
        mut change: impl FnMut(&mut Board) -> Result<T, R> + Send,
    ) -> Result<Result<T, R>, StoreError> {
        loop {
            let (version, mut board) = self.read().await?;
            let result = match change(&mut board) {
                Ok(result) => result,
                Err(refused) => return Ok(Err(refused)),
            };
            let document = serde_json::to_value(&board).map_err(|error| StoreError::Refused(error.to_string()))?;
            if self.store.replace(version, &document).await? {
                self.changed.notify_waiters();
                return Ok(Ok(result));
            }
        }
    }

    /// The same, for the holder of `epoch`.
    ///
    /// # Errors
    /// As [`BoardError`] says.
    pub async fn change_as<T>(
        &self,
        epoch: u64,
        mut change: impl FnMut(&mut Board) -> T + Send,
    ) -> Result<T, BoardError> {
        let changed = self.change(|board| {
            let is_ours = board.lease.as_ref().is_some_and(|lease| lease.epoch == epoch && lease.owner.is_some());
            is_ours.then(|| change(board)).ok_or(BoardError::Lost)
        });
        changed.await?
    }

    /// Comes when an instance in this process changed the board.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn read(&self) -> Result<(Option<u64>, Board), StoreError> {
        let Some((version, document)) = self.store.read().await? else { return Ok((None, Board::default())) };
        let board = serde_json::from_value::<Board>(document)
            .map_err(|error| StoreError::Refused(format!("the control document is not ours: line {}", error.line())))?;
        Ok((Some(version), board))
    }
}
