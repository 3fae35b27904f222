//! The loop around a service's step: order by key, batches, retries, offsets, a bound on what is held, and an orderly end.
//!
//! ```text
//! source ──> admit (byte budget) ──> read ──> lanes by key ──> batch ──> step ──> settle ──> commit
//! ```
//!
//! What is promised is in `docs/reliability.md`, sections 1 to 4.

mod batches;
mod flow;
mod leaving;
mod liveness;
mod progress;
mod work;

#[cfg(test)]
mod tests;

use std::{error::Error, future::Future, num::NonZeroUsize, sync::Arc, time::Duration};

use chassis::{clock::Clock, dependency::Dependency, metrics::Metrics, parts::Part, trace};
use domain::delivery::{Key, Message, Settlement};

use self::flow::Flow;
pub use self::progress::Progress;
use crate::{
    settings::Settings,
    source::{Source, SourceError},
};

/// What a service does with its messages.
pub trait Consume: Send + Sync + 'static {
    /// What the step works on. A clone is cheap: the loop keeps one in case the step panics.
    type Item: Clone + Send + 'static;
    /// Why the service cannot go on at all.
    type Fatal: Error + Send + Sync + 'static;

    /// Reads a message once: its keys for order, and what the step works on. What cannot be decoded has no key and waits for nobody.
    ///
    /// Runs on the loop: it neither fails nor waits. Should it panic, the message is a [`bug`](Consume::bug).
    fn read(&self, message: Message) -> (Vec<Key>, Self::Item);

    /// The bytes that `item` holds beside its message, for the budget; about is enough. The same whenever it is asked.
    fn weight(&self, item: &Self::Item) -> usize;

    /// Notes in `item` that it is tried for the `attempt`th time, from 2; only tries that count are numbered.
    fn again(&self, item: &mut Self::Item, attempt: u32);

    /// Notes in `item` where in a trace its next try is, for what it causes; not called for a message without a trace.
    fn trace(&self, _item: &mut Self::Item, _context: trace::Context) {}

    /// Takes one batch through the service and gives one settlement per item, in order. No two items share a key.
    ///
    /// Several batches run at once. An item may come twice: after a crash, a revoke, or a panic beside it.
    ///
    /// # Errors
    /// The service cannot go on: nothing of the batch is settled, the loop ends.
    fn step(&self, batch: Vec<Self::Item>) -> impl Future<Output = Result<Vec<Settlement>, Self::Fatal>> + Send;

    /// Makes a dead letter of a message that panicked alone, with reason `bug`. `Again` if that cannot be done now.
    fn bug(&self, message: Message) -> impl Future<Output = Settlement> + Send;
}

/// How much at once, and how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A batch is closed with this many items …
    pub batch_items: NonZeroUsize,
    /// … or these bytes, as they are held (its last item may exceed them) …
    pub batch_bytes: usize,
    /// … or so long after its first item; at once while no other runs.
    pub batch_wait: Duration,
    /// How many batches run at once.
    pub workers: NonZeroUsize,
    /// Intake is paused when so many bytes are held, messages and what was read from them, and resumed at half.
    pub budget_bytes: usize,
    /// Commits are so far apart; at once when nothing is held.
    pub commit_every: Duration,
    /// At a stop and at a revoke, running work and its commit are waited for so long.
    pub settle_within: Duration,
    /// A partition with messages and no progress for so long fails liveness.
    pub stalled_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
        Self {
            batch_items: NonZeroUsize::MIN.saturating_add(499),
            batch_bytes: 2 * 1024 * 1024,
            batch_wait: Duration::from_millis(5),
            workers: TWO,
            budget_bytes: 8 * 1024 * 1024,
            commit_every: Duration::from_millis(200),
            settle_within: Duration::from_secs(5),
            stalled_after: Duration::from_secs(20),
        }
    }
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self {
            budget_bytes: settings.budget_bytes.get(),
            stalled_after: settings.session_timeout * 2,
            ..Self::default()
        }
    }
}

/// What the loop is connected to.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// How much at once.
    pub limits: Limits,
    /// Counted into.
    pub metrics: Metrics,
    /// The time of day, for the age of messages.
    pub clock: Clock,
    /// The store that every step needs: intake is paused while it is down, one message probes it, and no try counts.
    pub store: Dependency,
    /// Told how far the loop is.
    pub progress: Progress,
}

/// Why the loop ended though nobody stopped it.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError<F: Error + 'static> {
    /// The service cannot go on.
    #[error("step failed for good")]
    Fatal(#[source] F),
    /// Too many messages panicked alone: the service itself is broken.
    #[error("{} panics within {} s", batches::PANICS, batches::PANICS_WITHIN.as_secs())]
    Panics,
    /// A step did not give one settlement per item.
    #[error("step gave {settlements} settlements for {items} items")]
    Miscounted {
        /// How many settlements it gave.
        settlements: usize,
        /// How many items it was given.
        items: usize,
    },
    /// The source has failed for good.
    #[error("source ended")]
    Source(#[from] SourceError),
}

/// Takes the messages of `source` through `consumer` until the part is stopped.
///
/// An offset is committed when its message and all before it in its partition are settled. At a stop nothing new is taken, what runs is
/// finished, its offsets are committed, and the group is left. The part is ready while the broker and the store can be reached.
///
/// # Errors
/// [`ConsumeError`]: the process has to end. What was not settled comes again in the next one.
pub async fn consume<S: Source, C: Consume>(
    source: S,
    consumer: Arc<C>,
    wiring: Wiring,
    part: Part,
) -> Result<(), ConsumeError<C::Fatal>> {
    wiring.progress.attach(source.drained());
    let mut flow = Flow::new(source, consumer, wiring, part);
    let ended = flow.run().await;
    flow.close().await;
    ended
}
