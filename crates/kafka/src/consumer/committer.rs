//! The thread that commits.
//!
//! librdkafka's synchronous commit tells its result but has no timeout, and rdkafka 0.39 never calls back for an asynchronous one. So it
//! is synchronous on a thread of its own, and whoever needs the result waits for the event as long as it likes.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use chassis::failpoints;
use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaResult,
    topic_partition_list::Offset,
};

use super::context::Context;
use crate::source::{CommitError, Event, Partition, Position};

#[derive(Debug)]
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The last position asked for in each partition, and not begun to be committed.
    waiting: BTreeMap<Partition, i64>,
    closed: bool,
}

impl Committer {
    pub(super) fn start(consumer: Arc<BaseConsumer<Context>>) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        let thread = thread::Builder::new().name("kafka-commit".to_owned()).spawn(move || {
            while let Some(positions) = ours.next() {
                commit(&consumer, positions);
            }
        })?;
        Ok(Self { shared, thread })
    }

    /// Commits these positions, unless later ones take their place before. [`Event::Committed`] answers.
    pub(super) fn ask(&self, positions: Vec<Position>) {
        let positions = positions.into_iter().map(|position| (position.partition, position.next));
        self.shared.state().waiting.extend(positions);
        self.shared.wake.notify_one();
    }

    /// These partitions are about to be somebody else's: what was not begun for them is not committed any more.
    pub(super) fn forget(&self, partitions: &[Partition]) {
        self.shared.state().waiting.retain(|partition, _| !partitions.contains(partition));
    }

    /// Ends the thread after the commit that runs, which is not waited for.
    pub(super) fn close(self) -> JoinHandle<()> {
        self.shared.state().closed = true;
        self.shared.wake.notify_one();
        self.thread
    }
}

impl Shared {
    /// What to commit next: the positions of one topic. `None` when it is closed.
    fn next(&self) -> Option<Vec<Position>> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self.wake.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        let topic = state.waiting.first_key_value().map(|(partition, _)| Arc::clone(&partition.topic))?;
        let taken = state.waiting.extract_if(.., |partition, _| partition.topic == topic);
        Some(taken.map(|(partition, next)| Position { partition, next }).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits positions of one topic: a refusal of some partitions of several topics would be told as a success.
fn commit(consumer: &BaseConsumer<Context>, positions: Vec<Position>) {
    let result = list_of(&positions).and_then(|list| consumer.commit(&list, CommitMode::Sync));
    failpoints::hit("kafka-commit-answered");
    let result = result.map_err(|error| CommitError(error.to_string()));
    consumer.context().say(Event::Committed { positions, result });
}

fn list_of(positions: &[Position]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for Position { partition, next } in positions {
        list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(*next))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(shared: &Shared, asked: &[(&str, i32, i64)]) {
        shared
            .state()
            .waiting
            .extend(asked.iter().map(|(topic, number, next)| (Partition::new(*topic, *number), *next)));
    }

    #[test]
    fn the_last_position_of_each_partition_is_committed_topic_by_topic() {
        let shared = Shared::default();
        ask(&shared, &[("b", 0, 1), ("a", 0, 1), ("a", 1, 7)]);
        ask(&shared, &[("a", 0, 5)]);
        let next = || {
            shared
                .next()
                .unwrap()
                .into_iter()
                .map(|position| (position.partition.to_string(), position.next))
                .collect::<Vec<_>>()
        };
        assert_eq!(next(), [("a/0".to_owned(), 5), ("a/1".to_owned(), 7)]);
        assert_eq!(next(), [("b/0".to_owned(), 1)]);
        ask(&shared, &[("a", 0, 9)]);
        shared.state().closed = true;
        assert_eq!(shared.next(), None, "nothing is begun after the end");
    }
}
