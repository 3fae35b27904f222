//! The queues of the service, with an eye on what becomes of each message.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reval_sync::{
    deliveries::{Deliveries, Delivery, Depth, Queue, QueueError, Settled},
    queues::{self, Queues},
    signals::{Outgoing, Signals},
};
use tokio::time::Instant;

/// The header or attribute by which a message is known.
pub(super) const MESSAGE: &str = "vector-message";
/// So long a message may be on its way: polls of killed processes may each take one of SQS, until the server has noticed.
const LOST: Duration = Duration::from_secs(30);

/// What became of messages. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<BTreeMap<u64, Message>>>);

#[derive(Debug)]
struct Message {
    queue: Queue,
    /// When it was put there, or back there.
    since: Instant,
    /// The service that runs has it.
    arrived: bool,
    settled: Option<Settled>,
}

impl Ledger {
    /// The next message, which goes into `queue`.
    pub(super) fn next(&self, queue: Queue) -> u64 {
        let mut messages = self.lock();
        let next = messages.last_key_value().map_or(0, |(last, _)| last + 1);
        messages.insert(next, Message { queue, since: Instant::now(), arrived: false, settled: None });
        next
    }

    pub(super) fn settled(&self, message: u64) -> Option<Settled> {
        self.lock().get(&message).and_then(|message| message.settled)
    }

    /// How many messages of each queue are not settled.
    pub(super) fn open(&self) -> BTreeMap<Queue, u64> {
        let mut open = BTreeMap::new();
        for message in self.lock().values().filter(|message| message.settled.is_none()) {
            *open.entry(message.queue).or_default() += 1;
        }
        open
    }

    /// What was in the hands of the service goes back.
    pub(super) fn give_back(&self) {
        for message in self.lock().values_mut().filter(|message| message.settled.is_none()) {
            (message.arrived, message.since) = (false, Instant::now());
        }
    }

    /// Whether something is on its way. What stands behind a message that is held is not, and neither is what nobody reads.
    pub(super) fn is_carrying(&self, read: &[Queue]) -> bool {
        let messages = self.lock();
        let open = || messages.values().filter(|message| message.settled.is_none() && read.contains(&message.queue));
        let held: BTreeSet<Queue> = open().filter(|message| message.arrived).map(|message| message.queue).collect();
        open().any(|message| !held.contains(&message.queue) && message.since.elapsed() < LOST)
    }

    fn arrived(&self, message: u64) {
        if let Some(message) = self.lock().get_mut(&message) {
            message.arrived = true;
        }
    }

    fn ended(&self, message: u64, how: Settled) {
        if let Some(message) = self.lock().get_mut(&message) {
            message.settled = Some(how);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Message>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queues of the service.
#[derive(Debug)]
pub(crate) struct Watched {
    queues: Queues,
    ledger: Ledger,
}

/// By what a delivery is known.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    own: queues::Receipt,
    message: Option<u64>,
}

impl Watched {
    pub(super) fn new(queues: Queues, ledger: Ledger) -> Self {
        Self { queues, ledger }
    }
}

impl Deliveries for Watched {
    type Receipt = Receipt;

    fn queues(&self) -> Vec<Queue> {
        self.queues.queues()
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Delivery<Receipt>>, QueueError> {
        let watched = |delivery: Delivery<queues::Receipt>| {
            let Delivery { receipt: own, queue, body, headers, redelivered, sent_at } = delivery;
            let named = headers.iter().find(|(name, _)| name == MESSAGE);
            let message = named.and_then(|(_, text)| str::from_utf8(text).ok()?.parse().ok());
            message.into_iter().for_each(|message| self.ledger.arrived(message));
            Delivery { receipt: Receipt { own, message }, queue, body, headers, redelivered, sent_at }
        };
        Ok(self.queues.receive(queue, limit).await?.into_iter().map(watched).collect())
    }

    async fn settle(&self, queue: Queue, settled: &[(Receipt, Settled)]) -> Result<(), QueueError> {
        let own: Vec<_> = settled.iter().map(|(receipt, how)| (receipt.own.clone(), *how)).collect();
        self.queues.settle(queue, &own).await?;
        for (receipt, how) in settled {
            receipt.message.into_iter().for_each(|message| self.ledger.ended(message, *how));
        }
        Ok(())
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, QueueError> {
        self.queues.depth(queue).await
    }

    async fn leave(&self) {
        self.queues.leave().await;
    }
}

impl Signals for Watched {
    async fn publish(&self, messages: &[Outgoing]) -> Result<(), QueueError> {
        self.queues.publish(messages).await
    }
}
