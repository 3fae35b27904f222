//! Messages that this process is adding to the outbox, handed to its publisher: what is still in memory need not be read back.
//!
//! The outbox stays what counts. A message is promised before its transaction commits and handed over after it; from the promise on, only who takes
//! it from here may send it, or it would leave twice: once from here and once as the publisher reads the outbox. What cannot be handed over is found
//! by reading.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::inbox::OutboxMessage;

/// The most messages and keys that are held here; what comes beyond is found by reading.
const ENTRIES: usize = 2_000;
/// The most bytes of values that are held here.
const BYTES: usize = 1 << 20;

/// What was added to the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handed {
    /// A message that no older one of its key waits before.
    Message(OutboxMessage),
    /// The key of a message that is in the outbox only.
    Left(String),
    /// More than is remembered here.
    Unknown,
}

/// The way from a transaction to the publisher of the same process.
#[derive(Debug, Default)]
pub struct Fresh {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Odd while somebody takes what is handed over.
    generation: u64,
    promised: HashSet<i64>,
    bytes: usize,
    queue: VecDeque<Handed>,
}

impl State {
    fn is_open(&self) -> bool {
        self.generation % 2 == 1
    }

    fn turn(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }
}

impl Fresh {
    /// Whether anybody takes what would be promised.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state().is_open()
    }

    /// Promises `messages`, none of which waits behind an older one of its key, before their transaction commits; `left` are the keys of what
    /// else it adds.
    #[must_use]
    pub fn promise(&self, messages: Vec<OutboxMessage>, left: Vec<String>) -> Promise<'_> {
        let mut state = self.state();
        let mut handed = Vec::new();
        if state.is_open() {
            let mut keys = HashSet::new();
            for message in messages {
                let full = state.promised.len() >= ENTRIES || state.bytes >= BYTES;
                // of two of one key in one transaction the second waits for the first
                if full || !keys.insert(message.key.clone()) {
                    handed.push(Handed::Left(message.key));
                    continue;
                }
                state.bytes += bytes(&message);
                state.promised.insert(message.id);
                handed.push(Handed::Message(message));
            }
            handed.extend(left.into_iter().map(Handed::Left));
        }
        Promise { fresh: self, generation: state.generation, handed }
    }

    /// Takes what is handed over from now on, until it is dropped.
    #[must_use]
    pub fn open(&self) -> Open<'_> {
        let mut state = self.state();
        while !state.is_open() {
            state.turn();
        }
        Open(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a transaction will hand over. Dropped, it hands over nothing.
#[derive(Debug)]
pub struct Promise<'f> {
    fresh: &'f Fresh,
    generation: u64,
    handed: Vec<Handed>,
}

impl Promise<'_> {
    /// The transaction is durable.
    pub fn keep(mut self) {
        let handed = mem::take(&mut self.handed);
        let mut state = self.fresh.state();
        if handed.is_empty() || state.generation != self.generation {
            return;
        }
        for handed in handed {
            let is_message = matches!(handed, Handed::Message(_)); // bounded where it was promised
            if is_message || state.queue.len() < 2 * ENTRIES {
                state.queue.push_back(handed);
            } else if state.queue.back() != Some(&Handed::Unknown) {
                state.queue.push_back(Handed::Unknown);
            }
        }
        drop(state);
        self.fresh.ready.notify_one();
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        if self.handed.is_empty() {
            return;
        }
        let mut state = self.fresh.state();
        if state.generation == self.generation {
            for handed in &self.handed {
                if let Handed::Message(message) = handed {
                    state.promised.remove(&message.id);
                    state.bytes = state.bytes.saturating_sub(bytes(message));
                }
            }
        }
    }
}

/// The end that takes. There is one at a time.
#[derive(Debug)]
pub struct Open<'f>(&'f Fresh);

impl Open<'_> {
    /// At most `limit` of what was handed over, oldest first. What is taken is no longer promised.
    pub fn take(&self, limit: usize) -> Vec<Handed> {
        let mut state = self.0.state();
        let count = state.queue.len().min(limit);
        let taken: Vec<Handed> = state.queue.drain(..count).collect();
        for handed in &taken {
            if let Handed::Message(message) = handed {
                state.promised.remove(&message.id);
                state.bytes = state.bytes.saturating_sub(bytes(message));
            }
        }
        taken
    }

    /// Whether the message was promised and not taken yet.
    #[must_use]
    pub fn is_promised(&self, id: i64) -> bool {
        self.0.state().promised.contains(&id)
    }

    /// Waits until something was handed over.
    pub async fn ready(&self) {
        loop {
            let told = self.0.ready.notified();
            if !self.0.state().queue.is_empty() {
                return;
            }
            told.await;
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.state().turn();
    }
}

fn bytes(message: &OutboxMessage) -> usize {
    message.payload.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::NaiveDate;

    use super::*;

    fn message(id: i64, key: &str) -> OutboxMessage {
        let added_at = NaiveDate::from_ymd_opt(2025, 3, 10).and_then(|day| day.and_hms_opt(12, 0, 0)).unwrap();
        let payload = Some("{}".to_owned());
        OutboxMessage { id, topic: Arc::from("amt"), key: key.to_owned(), payload, trace: None, added_at }
    }

    #[test]
    fn what_a_durable_transaction_promised_is_handed_over_in_order() {
        let fresh = Fresh::default();
        let open = fresh.open();
        let promise = fresh.promise(vec![message(1, "a"), message(2, "b")], vec!["c".to_owned()]);
        assert!(open.is_promised(1));
        assert_eq!(open.take(10), [], "not before it is durable");
        promise.keep();
        let expected =
            [Handed::Message(message(1, "a")), Handed::Message(message(2, "b")), Handed::Left("c".to_owned())];
        assert_eq!(open.take(2), expected[..2]);
        assert!(!open.is_promised(1));
        assert_eq!(open.take(2), expected[2..]);
    }

    #[test]
    fn what_was_not_committed_is_promised_no_longer() {
        let fresh = Fresh::default();
        let open = fresh.open();
        drop(fresh.promise(vec![message(1, "a")], Vec::new()));
        assert!(!open.is_promised(1));
        assert_eq!(open.take(10), []);
    }

    #[test]
    fn what_was_promised_to_one_who_is_gone_is_not_handed_to_the_next() {
        let fresh = Fresh::default();
        assert!(!fresh.is_open());
        fresh.promise(vec![message(1, "a")], Vec::new()).keep();
        let open = fresh.open();
        let promise = fresh.promise(vec![message(2, "a")], Vec::new());
        fresh.promise(vec![message(3, "b")], Vec::new()).keep();
        drop(open);
        let open = fresh.open();
        promise.keep();
        assert_eq!(open.take(10), []);
        assert!(!open.is_promised(2) && !open.is_promised(3));
    }

    #[test]
    fn the_second_message_of_a_key_is_left_for_the_outbox() {
        let fresh = Fresh::default();
        let open = fresh.open();
        fresh.promise(vec![message(1, "a"), message(2, "a")], Vec::new()).keep();
        assert_eq!(open.take(10), [Handed::Message(message(1, "a")), Handed::Left("a".to_owned())]);
        assert!(!open.is_promised(2));
    }

    #[test]
    fn no_more_is_held_than_its_bounds() {
        let fresh = Fresh::default();
        let open = fresh.open();
        for id in 0..10_000 {
            fresh.promise(vec![message(id, &id.to_string())], Vec::new()).keep();
        }
        let taken = open.take(usize::MAX);
        assert_eq!(taken.iter().filter(|handed| matches!(handed, Handed::Message(_))).count(), ENTRIES);
        assert_eq!(taken.len(), 2 * ENTRIES + 1);
        assert_eq!(taken.last(), Some(&Handed::Unknown));
    }

    #[tokio::test]
    async fn who_waits_hears_of_it() {
        let fresh = Fresh::default();
        let open = fresh.open();
        tokio::join!(open.ready(), async {
            tokio::task::yield_now().await;
            fresh.promise(vec![message(1, "a")], Vec::new()).keep();
        });
        assert_eq!(open.take(10).len(), 1);
    }
}
