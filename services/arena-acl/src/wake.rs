//! Trying again what is due before the next run of the retry job (docs/spec/arena-acl.md 10, IMP-17).

use std::{future::Future, num::NonZeroU32, sync::Arc};

use chassis::{clock::Clock, parts::Part, telemetry::Quiet};
use chrono::NaiveDateTime;
use domain::arena_acl::Table;
use tracing::warn;

use crate::{
    OSLO,
    inbox::{Inbox, StoreError, StoredChange},
    jobs::{JobError, Jobs},
    leader::{Leader, Leadership},
    operations::Operations,
};

/// The changes in RETRY that something woke. They stay so until they are handled, whoever looks.
pub trait Woken: Send + Sync + 'static {
    /// Those of `table` that are due at `now` (wall clock of Europe/Oslo) after `last`: by the time they are due, then numeric position, then
    /// id; at most `limit`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn woken(
        &self,
        table: Table,
        now: NaiveDateTime,
        last: Option<&StoredChange>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StoredChange>, StoreError>> + Send;

    /// Makes another page due at `now` of what waits for courses that became valid, where it was more than one page (4.3 step 6). Whether there
    /// was anything left to make due.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn release_more(&self, now: NaiveDateTime) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Whether any is due at `now`, or can be made due.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn any_woken(&self, now: NaiveDateTime) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Completes when changes may have been woken, and at the latest after a second: another process wakes too, and time passes.
    fn wakes(&self) -> impl Future<Output = ()> + Send;
}

/// Handles what is due until the stop, unless another process is known to lead: that one does.
pub(crate) async fn wake<S: Inbox + Operations + Woken + Leadership>(
    store: Arc<S>,
    jobs: Jobs<S>,
    leader: Arc<Leader<S>>,
    clock: Clock,
    batch_size: NonZeroU32,
    part: Part,
) {
    let quiet = Quiet::default();
    while !part.is_stopping() {
        tokio::select! {
            biased;
            () = part.stopping() => break,
            () = store.wakes() => {}
        }
        if leader.another_leads() {
            continue;
        }
        let done = match store.any_woken(clock.local(OSLO)).await {
            Ok(false) => continue,
            Ok(true) => jobs.wake(batch_size).await,
            Err(error) => Err(JobError::Store(error)),
        };
        match done {
            Ok(_) | Err(JobError::Stopped | JobError::Running) => {}
            Err(JobError::Store(error)) => {
                if let Some(count) = quiet.admit("wake", "store") {
                    warn!(count, %error, "what was woken waits for the store");
                }
            }
        }
    }
}
