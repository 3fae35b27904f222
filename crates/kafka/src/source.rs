//! What the loop needs of a place that messages come from.

use std::{fmt, future::Future, sync::Arc};

use domain::delivery::Message;

use crate::epoch::Epoch;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// Its number in the topic.
    pub number: i32,
}

impl Partition {
    /// The partition `number` of `topic`.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, number: i32) -> Self {
        Self { topic: topic.into(), number }
    }

    /// The partition that `message` came from.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self { topic: Arc::clone(&message.source), number: message.partition }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// Where a reader of a partition goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: Partition,
    /// The offset to read next; all below it are settled.
    pub next: i64,
}

/// A message and the assignment that it was received under.
#[derive(Debug, Clone)]
pub struct Record {
    /// The assignment of its partition.
    pub epoch: Epoch,
    /// The message.
    pub message: Message,
}

/// What of a partition is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: Partition,
    /// How many offsets are not committed, where that is known. Of a topic with transactions their marks count as well.
    pub messages: Option<i64>,
    /// Whether messages are there that were not given to the loop; marks of transactions do not count.
    pub unread: bool,
}

/// What a source has to say, in the order in which it happened.
#[derive(Debug)]
pub enum Event {
    /// These partitions are ours under these epochs. One that was ours already starts anew: results of its last epoch do not count.
    Assigned(Vec<(Partition, Epoch)>),
    /// Messages of assigned partitions, in order per partition.
    Records(Vec<Record>),
    /// These partitions go to somebody else. They stay ours until [`Source::release`], which must follow soon.
    Revoked(Vec<Partition>),
    /// These partitions are somebody else's already. Nothing of them may be committed; no release follows.
    Lost(Vec<Partition>),
    /// A commit was confirmed or refused. Of several asked for one partition the last alone may be answered.
    Committed {
        /// What was to be committed.
        positions: Vec<Position>,
        /// Whether it was.
        result: Result<(), CommitError>,
    },
    /// The broker can be reached, or cannot. Said first when it is known, then at each change.
    Reachable(bool),
    /// What of these partitions is still to come.
    Lag(Vec<Lag>),
    /// The source has failed for good.
    Failed(SourceError),
}

/// A place that messages come from: a consumer group's share of its topics.
pub trait Source: Send + 'static {
    /// The next event. May be dropped while it waits: nothing is lost. Asking for the next one says that the last was dealt with.
    fn next(&mut self) -> impl Future<Output = Event> + Send;

    /// Stops fetching, for what is assigned now and later. What was fetched before still comes. Twice is the same as once.
    fn pause(&mut self);

    /// Fetches again where it stopped. Twice is the same as once.
    fn resume(&mut self);

    /// Asks to commit; [`Event::Committed`] answers.
    fn commit(&mut self, positions: Vec<Position>);

    /// Gives up partitions that were revoked.
    fn release(&mut self, partitions: Vec<Partition>);

    /// Leaves the group. Commits nothing. Returns when that is done, or when it takes too long to wait for.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// Says, from any thread, whether nothing is on its way to the loop: nothing fetched that [`Source::next`] has still to give or
    /// that is not dealt with, and, if the source can know it, nothing left to fetch.
    fn drained(&self) -> Drained;
}

/// See [`Source::drained`].
pub type Drained = Arc<dyn Fn() -> bool + Send + Sync>;

/// Offsets were not committed. What is committed later covers them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("commit failed: {0}")]
pub struct CommitError(pub String);

/// The source has failed for good: a new process has to take over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("consumer failed for good: {0}")]
pub struct SourceError(pub String);
