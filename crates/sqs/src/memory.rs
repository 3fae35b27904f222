//! A queue in memory, with the rules of SQS that its users meet: hiding, receipts, groups, deduplication.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chassis::clock::Clock;
use chrono::{DateTime, Utc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    message::{Outgoing, Receipt, Received},
    queue::{BATCH, Depth, Error, Queue},
};

/// For so long a FIFO queue knows a message again.
const DEDUPLICATED_FOR: Duration = Duration::from_secs(300);

/// A queue in memory. A clone is the same queue.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// By the order in which they were sent.
    messages: BTreeMap<u64, Kept>,
    sent: u64,
    receipts: u64,
    known: BTreeMap<String, (Instant, String)>,
    down: bool,
}

#[derive(Debug)]
struct Kept {
    message: Outgoing,
    sent_at: DateTime<Utc>,
    deliveries: u32,
    /// Of the last delivery, and until when it hides the message.
    held: Option<(Receipt, Instant)>,
}

impl Kept {
    fn is_hidden(&self, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|(_, until)| *until > now)
    }
}

impl Memory {
    /// An empty queue; a name that ends in `.fifo` makes a FIFO queue. `clock` stamps what is sent.
    #[must_use]
    pub fn new(name: &str, clock: Clock) -> Self {
        Self(Arc::new(Shared { name: Arc::from(name), clock, state: Mutex::default(), changed: Notify::new() }))
    }

    /// From now on no call reaches it; what waits inside [`receive`](Queue::receive) fails.
    pub fn cut(&self) {
        self.state().down = true;
        self.0.changed.notify_waiters();
    }

    /// Calls reach it again.
    pub fn restore(&self) {
        self.state().down = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fifo(&self) -> bool {
        self.0.name.ends_with(".fifo")
    }

    fn reach(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        if state.down { Err(Error::Unavailable("cut".to_owned())) } else { Ok(state) }
    }

    fn take(&self, limit: usize, hidden: Duration) -> Result<Vec<Received>, Error> {
        let now = Instant::now();
        let mut state = self.reach()?;
        let State { messages, receipts, .. } = &mut *state;
        // a group of which something is hidden stays shut; what one call takes of a group comes in order
        let held: HashSet<String> = messages
            .values()
            .filter(|kept| kept.is_hidden(now))
            .filter_map(|kept| kept.message.group.clone())
            .collect();
        let mut taken = Vec::new();
        for (number, kept) in messages {
            if taken.len() == limit {
                break;
            }
            let blocked = self.is_fifo() && kept.message.group.as_ref().is_some_and(|group| held.contains(group));
            if blocked || kept.is_hidden(now) {
                continue;
            }
            *receipts += 1;
            let receipt = Receipt::new(format!("{number}-{receipts}"));
            kept.held = Some((receipt.clone(), now + hidden));
            kept.deliveries = kept.deliveries.saturating_add(1);
            let mut attributes: Vec<_> = kept.message.attributes.clone();
            attributes.sort_unstable();
            taken.push(Received {
                queue: Arc::clone(&self.0.name),
                id: id(*number),
                receipt,
                body: Bytes::from(kept.message.body.clone()),
                attributes: attributes.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect(),
                deliveries: kept.deliveries,
                group: kept.message.group.clone(),
                sent_at: Some(kept.sent_at),
            });
        }
        Ok(taken)
    }

    fn put(&self, message: &Outgoing) -> Result<String, Error> {
        let sent_at = self.0.clock.now();
        let now = Instant::now();
        let mut state = self.reach()?;
        let number = state.sent;
        if self.is_fifo() {
            if message.group.is_none() {
                return Err(Error::Refused("MissingParameter".to_owned()));
            }
            let known = message.deduplication.clone().unwrap_or_else(|| message.body.clone());
            state.known.retain(|_, (until, _)| *until > now);
            if let Some((_, id)) = state.known.get(&known) {
                return Ok(id.clone());
            }
            state.known.insert(known, (now + DEDUPLICATED_FOR, id(number)));
        }
        state.sent += 1;
        let kept = Kept { message: message.clone(), sent_at, deliveries: 0, held: None };
        state.messages.insert(number, kept);
        drop(state);
        self.0.changed.notify_waiters();
        Ok(id(number))
    }

    /// Does `change` to the message whose last delivery has that receipt, or is told that there is none.
    fn on<T>(&self, receipt: &Receipt, change: impl FnOnce(&mut State, u64) -> T) -> Result<T, Error> {
        let mut state = self.reach()?;
        let number = receipt.as_str().split('-').next().and_then(|number| number.parse().ok()).ok_or(Error::Gone)?;
        let held = state.messages.get(&number).and_then(|kept| kept.held.as_ref());
        if held.is_none_or(|(last, _)| last != receipt) {
            return Err(Error::Gone);
        }
        Ok(change(&mut state, number))
    }

    /// When something hidden shows again, if nothing is done.
    fn shows_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let state = self.state();
        let hidden = state.messages.values().filter_map(|kept| kept.held.as_ref().map(|(_, until)| *until));
        hidden.filter(|until| *until > now).min()
    }
}

fn id(number: u64) -> String {
    format!("message-{number}")
}

impl Queue for Memory {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn receive(&self, limit: usize, wait: Duration, hidden: Duration) -> Result<Vec<Received>, Error> {
        let until = Instant::now() + wait;
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let taken = self.take(limit.clamp(1, BATCH), hidden)?;
            if !taken.is_empty() || Instant::now() >= until {
                return Ok(taken);
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(self.shows_at().map_or(until, |shows| shows.min(until))) => {}
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), Error>> {
        let delete = |state: &mut State, number: u64| {
            state.messages.remove(&number);
        };
        let deleted = receipts.iter().map(|receipt| self.on(receipt, delete)).collect();
        self.0.changed.notify_waiters();
        deleted
    }

    async fn hide(&self, receipts: &[Receipt], hidden: Duration) -> Vec<Result<(), Error>> {
        let until = Instant::now() + hidden;
        let change = |receipt: &Receipt| {
            let hidden = self.on(receipt, |state, number| {
                let kept = state.messages.get_mut(&number).filter(|kept| kept.is_hidden(Instant::now()));
                kept.map(|kept| kept.held = Some((receipt.clone(), until)))
            });
            hidden?.ok_or(Error::Gone)
        };
        let changed = receipts.iter().map(change).collect();
        self.0.changed.notify_waiters();
        changed
    }

    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<String, Error>> {
        messages.iter().map(|message| self.put(message)).collect()
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let now = Instant::now();
        let state = self.reach()?;
        let in_flight = state.messages.values().filter(|kept| kept.is_hidden(now)).count();
        let visible = state.messages.len() - in_flight;
        Ok(Depth { visible: visible as u64, in_flight: in_flight as u64, delayed: 0 })
    }
}
