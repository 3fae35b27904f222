//! A broker in memory: topics with partitions, groups with committed offsets, no rebalance.
//!
//! It takes the place of the real one in standalone mode and in tests. It loses everything with the process, keeps all until then, and
//! each group has one member that reads all partitions.

mod source;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chassis::clock::Clock;
use domain::delivery::Message;
use futures::future::{FutureExt as _, ready};
use tokio::sync::watch;

pub use self::source::Member;
use crate::{
    producer::{Outgoing, Publish, Report, SendError},
    source::{Partition, Position},
};

/// The broker. Clones share its topics.
#[derive(Debug, Clone)]
pub struct Broker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    /// Counts appends, so that members wake.
    appended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<Arc<str>, Vec<Vec<Message>>>,
    committed: HashMap<(String, Partition), i64>,
    without_key: usize,
}

/// The topic or the partition does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such topic or partition: {0}")]
pub struct Unknown(String);

impl Broker {
    /// A broker without topics. It stamps what it takes with the time of `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared { clock, state: Mutex::default(), appended: watch::Sender::default() }))
    }

    /// Makes a topic with `partitions` partitions (at least one); one that exists stays as it is.
    pub fn create_topic(&self, name: &str, partitions: u16) {
        let fresh = || vec![Vec::new(); usize::from(partitions.max(1))];
        self.state().topics.entry(name.into()).or_insert_with(fresh);
    }

    /// Appends a message, to `partition` or to the one that its key chooses, and says where it stands: partition and offset.
    ///
    /// # Errors
    /// [`Unknown`]: topics are not made by sending to them.
    pub fn append(&self, message: Outgoing, partition: Option<i32>) -> Result<(i32, i64), Unknown> {
        let now = self.0.clock.now();
        let mut state = self.state();
        let without_key = state.without_key;
        state.without_key = without_key.wrapping_add(usize::from(message.key.is_none()));
        let Some((topic, partitions)) =
            state.topics.get_key_value(&message.topic).map(|(topic, log)| (Arc::clone(topic), log.len()))
        else {
            return Err(Unknown(message.topic.to_string()));
        };
        let index = match (partition, &message.key) {
            (Some(number), _) => usize::try_from(number).unwrap_or(usize::MAX),
            (None, Some(key)) => spread(key, partitions),
            (None, None) => without_key % partitions,
        };
        let log = state.topics.get_mut(&topic).and_then(|logs| logs.get_mut(index));
        let (Some(log), Ok(number)) = (log, i32::try_from(index)) else {
            return Err(Unknown(format!("{}/{}", message.topic, partition.unwrap_or_default())));
        };
        let offset = next_offset(log);
        log.push(Message {
            source: topic,
            partition: number,
            offset,
            timestamp: Some(now),
            key: message.key,
            payload: message.payload,
            headers: message.headers,
            attempt: 1,
        });
        drop(state);
        self.0.appended.send_modify(|count| *count = count.wrapping_add(1));
        Ok((number, offset))
    }

    /// The messages of a partition from `offset` on, at most `limit`; none if there is no such topic or partition.
    #[must_use]
    pub fn read(&self, partition: &Partition, offset: i64, limit: usize) -> Vec<Message> {
        let state = self.state();
        let from = usize::try_from(offset).unwrap_or_default();
        state.log(partition).iter().skip(from).take(limit).cloned().collect()
    }

    /// The partitions of a topic, each with the offset that its next message gets; none if there is no such topic.
    #[must_use]
    pub fn ends(&self, topic: &str) -> Vec<Position> {
        self.state().ends(topic)
    }

    /// Notes for `group` where it goes on.
    pub fn commit(&self, group: &str, positions: &[Position]) {
        let mut state = self.state();
        for Position { partition, next } in positions {
            state.committed.insert((group.to_owned(), partition.clone()), *next);
        }
    }

    /// Where `group` goes on in `partition`; `None` if it never committed there.
    #[must_use]
    pub fn committed(&self, group: &str, partition: &Partition) -> Option<i64> {
        self.state().committed.get(&(group.to_owned(), partition.clone())).copied()
    }

    /// Joins `group` as its one member: reads all partitions of `topics` from where it committed, else from the start.
    ///
    /// A topic that is not there yet is read from its start once it is.
    #[must_use]
    pub fn member(&self, group: &str, topics: &[String]) -> Member {
        Member::new(self.clone(), group, topics)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn appends(&self) -> watch::Receiver<u64> {
        self.0.appended.subscribe()
    }
}

impl State {
    fn log(&self, partition: &Partition) -> &[Message] {
        let logs = self.topics.get(&partition.topic).map_or(&[][..], Vec::as_slice);
        usize::try_from(partition.number).ok().and_then(|index| logs.get(index)).map_or(&[], Vec::as_slice)
    }

    fn ends(&self, topic: &str) -> Vec<Position> {
        let Some((name, logs)) = self.topics.get_key_value(topic) else { return Vec::new() };
        let numbered = (0_i32..).zip(logs);
        numbered
            .map(|(number, log)| Position {
                partition: Partition::new(Arc::clone(name), number),
                next: next_offset(log),
            })
            .collect()
    }
}

impl Publish for Broker {
    fn hand_over(&self, message: Outgoing) -> Report {
        let appended = self.append(message, None);
        ready(appended.map(drop).map_err(|error| SendError::Unconfirmed(error.to_string()))).boxed()
    }

    fn purge(&self) {}

    async fn flush(&self, _limit: Duration) -> bool {
        true
    }
}

fn next_offset(log: &[Message]) -> i64 {
    i64::try_from(log.len()).unwrap_or(i64::MAX)
}

/// The same key has the same partition in every run.
fn spread(key: &Bytes, partitions: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let partitions = u64::try_from(partitions).unwrap_or(u64::MAX).max(1);
    usize::try_from(hasher.finish() % partitions).unwrap_or_default()
}
