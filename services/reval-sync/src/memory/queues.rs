//! Queues and an exchange.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{
    deliveries::{Deliveries, Delivery, Depth, Queue, QueueError, Settled},
    signals::{Outgoing, Signals},
};

/// Queues and an exchange. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Queues(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: HashMap<Queue, VecDeque<Delivery<u64>>>,
    unsettled: BTreeMap<u64, Delivery<u64>>,
    settled: HashMap<u64, Settled>,
    published: Vec<Outgoing>,
    strangers: HashMap<Queue, u64>,
    unavailable: bool,
    next: u64,
}

impl Queues {
    /// Puts a message into a queue and says by what it is known again.
    pub fn deliver(&self, queue: Queue, body: Bytes, redelivered: bool) -> u64 {
        let mut state = self.lock();
        let receipt = state.next;
        state.next += 1;
        let delivery = Delivery { receipt, queue, body, headers: Vec::new(), redelivered, sent_at: None };
        state.ready.entry(queue).or_default().push_back(delivery);
        drop(state);
        self.0.arrived.notify_waiters();
        receipt
    }

    /// How a message was settled; `None` while it is not.
    #[must_use]
    pub fn settled(&self, receipt: u64) -> Option<Settled> {
        self.lock().settled.get(&receipt).copied()
    }

    /// Whether nothing waits to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().ready.values().all(VecDeque::is_empty)
    }

    /// What was sent so far, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Outgoing> {
        self.lock().published.clone()
    }

    /// From now on so many others read a queue.
    pub fn set_strangers(&self, queue: Queue, strangers: u64) {
        self.lock().strangers.insert(queue, strangers);
    }

    /// From now on every call fails, or, with `false`, no longer.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// What a broker does when a reader is gone: what was not settled is ready again, before all else.
    pub fn give_back(&self) {
        let mut state = self.lock();
        for (_, mut delivery) in std::mem::take(&mut state.unsettled).into_iter().rev() {
            delivery.redelivered = true;
            state.ready.entry(delivery.queue).or_default().push_front(delivery);
        }
        drop(state);
        self.0.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, QueueError> {
        let state = self.lock();
        if state.unavailable {
            return Err(QueueError::Unavailable("switched off".to_owned()));
        }
        Ok(state)
    }
}

impl Deliveries for Queues {
    type Receipt = u64;

    fn queues(&self) -> Vec<Queue> {
        Queue::ALL.to_vec()
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Delivery<u64>>, QueueError> {
        loop {
            let mut arrived = std::pin::pin!(self.0.arrived.notified());
            arrived.as_mut().enable();
            {
                let mut state = self.state()?;
                let ready = state.ready.entry(queue).or_default();
                let taken: Vec<_> = ready.drain(..limit.min(ready.len())).collect();
                if !taken.is_empty() {
                    state.unsettled.extend(taken.iter().map(|delivery| (delivery.receipt, delivery.clone())));
                    return Ok(taken);
                }
            }
            arrived.await;
        }
    }

    async fn settle(&self, _queue: Queue, settled: &[(u64, Settled)]) -> Result<(), QueueError> {
        let mut state = self.state()?;
        for (receipt, how) in settled {
            if state.unsettled.remove(receipt).is_some() {
                state.settled.insert(*receipt, *how);
            }
        }
        Ok(())
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, QueueError> {
        let state = self.state()?;
        let ready = state.ready.get(&queue).map_or(0, VecDeque::len);
        let unsettled = state.unsettled.values().filter(|delivery| delivery.queue == queue).count();
        let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let strangers = state.strangers.get(&queue).copied().unwrap_or_default();
        Ok(Depth { ready: count(ready), unsettled: count(unsettled), strangers, approximate: false })
    }

    async fn leave(&self) {
        self.give_back();
    }
}

impl Signals for Queues {
    async fn publish(&self, messages: &[Outgoing]) -> Result<(), QueueError> {
        self.state()?.published.extend_from_slice(messages);
        Ok(())
    }
}
