//! What operators do to stored changes as a whole (docs/spec/arena-acl.md 6.4, 6.7–6.9). Nothing is published by any of it: the next
//! run of the retry job does that.

use std::future::Future;

use domain::arena_acl::{Table, codes::Measure};
use serde::Serialize;

use crate::inbox::StoreError;

/// Which HANDLED change of an object counts as its newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Newest {
    /// The one with the highest position; ties by id.
    #[default]
    ByPosition,
    /// The one that arrived last, as the old service had it.
    ById,
}

/// An object whose change that was handled last is not its newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The object.
    pub arena_id: String,
    /// The change that arrived last, by id.
    pub siste_melding_id: i64,
    /// The change that was handled last, by id.
    pub siste_ingestet: i64,
}

/// Whether what is found is mended too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// It is only told.
    No,
    /// The newest change of each object found becomes RETRY.
    Yes,
}

/// Stored changes, as operators see them.
pub trait Operations: Send + Sync {
    /// Deletes every change in IGNORED and says how many there were (6.4). Twice deletes nothing the second time.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was deleted.
    fn purge(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Sets the newest HANDLED change of each object of `table` to RETRY with no attempts, and says how many there were (6.7). Twice takes
    /// the change before, so it is not the same as once.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn requeue_latest(&self, table: Table, newest: Newest) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The objects of `table` whose change that was handled last is not their newest, by Arena id as text; with [`Mend::Yes`] their newest
    /// change becomes RETRY with no attempts (6.8). The list is as it was before.
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn check_latest(&self, table: Table, mend: Mend) -> impl Future<Output = Result<Vec<Mismatch>, StoreError>> + Send;

    /// Sets the newest HANDLED or NEW change of each participant on a course of `measure` to RETRY with no attempts, and says how many
    /// there were (6.9).
    ///
    /// # Errors
    /// As [`StoreError`] says; nothing was changed.
    fn relast(&self, measure: Measure) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
