//! Messages as they arrive, and how each is settled.

use std::{fmt, future::Future};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::sources::Collection;

/// A queue of the service, whatever carries it (2.2, 2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Trainees of an extract, and its end marker.
    TcsData,
    /// Single trainee updates.
    TcsUpdated,
    /// Doctor summaries: from RabbitMQ, or from SQS with the transport of 2022.
    GmcData,
    /// Connection logs of an export.
    ConnectionLogData,
    /// Hidden discrepancies of an export.
    HiddenDiscrepancyData,
    /// `gmcSyncStart`, for the exporter role.
    GmcStart,
    /// Change events of a collection.
    Changes(Collection),
}

impl Queue {
    /// Every queue that the service may read.
    pub const ALL: [Self; 10] = [
        Self::TcsData,
        Self::TcsUpdated,
        Self::GmcData,
        Self::ConnectionLogData,
        Self::HiddenDiscrepancyData,
        Self::GmcStart,
        Self::Changes(Collection::Doctors),
        Self::Changes(Collection::Recommendations),
        Self::Changes(Collection::ConnectionLogs),
        Self::Changes(Collection::HiddenDiscrepancies),
    ];

    /// Its name in logs, metrics and dead letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TcsData => "tcs.syncdata",
            Self::TcsUpdated => "tcs.updated",
            Self::GmcData => "gmc.syncdata",
            Self::ConnectionLogData => "connectionlog.syncdata",
            Self::HiddenDiscrepancyData => "hiddendiscrepancy.syncdata",
            Self::GmcStart => "gmc.syncstart",
            Self::Changes(Collection::Doctors) => "cdc.doctor",
            Self::Changes(Collection::Recommendations) => "cdc.recommendation",
            Self::Changes(Collection::ConnectionLogs) => "cdc.connectionlog",
            Self::Changes(Collection::HiddenDiscrepancies) => "cdc.hiddendiscrepancy",
            Self::Changes(Collection::ExceptionLogs) => "cdc.exceptionlog",
        }
    }

    /// The queue of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }
}

/// One message that arrived and is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<R> {
    /// By what its queue knows it again.
    pub receipt: R,
    /// Where it came from.
    pub queue: Queue,
    /// Its bytes, unchanged.
    pub body: Bytes,
    /// Its headers or attributes, in order.
    pub headers: Vec<(String, Bytes)>,
    /// Whether the queue says that it was delivered before.
    pub redelivered: bool,
    /// When it was sent (UTC), where the queue tells.
    pub sent_at: Option<DateTime<Utc>>,
}

/// How a delivery ended. One that shall come again is not settled: whoever handles it keeps it and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It took effect, or needs none: acknowledged, deleted.
    Done,
    /// It is in our own store of dead letters: rejected without requeue, deleted.
    DeadLettered,
}

/// What is in a queue, for the barrier of a stage (14.3 no. 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that nobody has taken.
    pub ready: u64,
    /// Messages that were taken and are not settled: ours, where the queue tells only of ours, else everybody's.
    pub unsettled: u64,
    /// Consumers that are not ours.
    pub strangers: u64,
    /// The counts lag behind: only three times nothing, 5 s apart, is nothing.
    pub approximate: bool,
}

/// The queues could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The broker cannot be reached or did not confirm in time; whether it took effect is not known.
    #[error("the broker cannot be reached: {0}")]
    Unavailable(String),
    /// The broker refuses it, and would again: login, a queue that is not there, a message without route.
    #[error("the broker refused: {0}")]
    Refused(String),
}

/// Where messages come from.
pub trait Deliveries: Send + Sync + 'static {
    /// By what a queue knows a delivery again.
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;

    /// The queues that this one reads.
    fn queues(&self) -> Vec<Queue>;

    /// Waits for the next messages of a queue and gives at least one and at most `limit`, in order of arrival. The first call begins to read.
    ///
    /// The future may be dropped: what it did not give comes with a later call. One call at a time per queue.
    ///
    /// # Errors
    /// As [`QueueError`] says; the next call tries again.
    fn receive(
        &self,
        queue: Queue,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Delivery<Self::Receipt>>, QueueError>> + Send;

    /// Settles deliveries of a queue, in order of arrival, as few calls as possible. One that the queue no longer knows as ours is left to its
    /// redelivery, without an error.
    ///
    /// # Errors
    /// As [`QueueError`] says: some may come again.
    fn settle(
        &self,
        queue: Queue,
        settled: &[(Self::Receipt, Settled)],
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// What is in a queue; asks without taking part.
    ///
    /// # Errors
    /// As [`QueueError`] says.
    fn depth(&self, queue: Queue) -> impl Future<Output = Result<Depth, QueueError>> + Send;

    /// Stops reading all queues and gives back what is not settled, so that another instance may read. A later [`receive`](Self::receive) begins
    /// again.
    fn leave(&self) -> impl Future<Output = ()> + Send;
}
