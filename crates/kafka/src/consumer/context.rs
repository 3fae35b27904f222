//! What librdkafka calls back: noted here, carried out by the poll thread.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    statistics,
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    log,
    orphan::Orphan,
    source::{Event, Lag, Partition},
};

/// A rebalance that librdkafka waits for: the assignment stands still until it is carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    Assign(Vec<Partition>),
    Revoke(Vec<Partition>),
    /// Of all that was assigned.
    Lose,
}

pub(super) struct Context {
    events: UnboundedSender<Event>,
    noted: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
    reachable: Arc<Mutex<Option<bool>>>,
    orphan: Orphan,
}

impl Context {
    pub(super) fn new(events: UnboundedSender<Event>) -> Self {
        Self {
            events,
            noted: Mutex::default(),
            closing: AtomicBool::new(false),
            reachable: Arc::default(),
            orphan: Orphan::default(),
        }
    }

    /// The context of the consumer that takes the place of this one's.
    pub(super) fn successor(&self) -> Self {
        Self { reachable: Arc::clone(&self.reachable), ..Self::new(self.events.clone()) }
    }

    pub(super) fn take_noted(&self) -> Option<Rebalance> {
        lock(&self.noted).pop_front()
    }

    pub(super) fn has_noted(&self) -> bool {
        !lock(&self.noted).is_empty()
    }

    /// From now on partitions are given up in the callback: while a consumer closes, nobody else could. Its state is no news any more.
    pub(super) fn closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether this client will never reach a broker again.
    pub(super) fn is_orphaned(&self) -> bool {
        self.orphan.is_certain()
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Says that the broker can be reached, or cannot, unless that was said last.
    pub(super) fn reachable(&self, reachable: bool) {
        let mut said = lock(&self.reachable);
        if *said != Some(reachable) {
            *said = Some(reachable);
            self.say(Event::Reachable(reachable));
        }
    }

    pub(super) fn say(&self, event: Event) {
        // When the loop is gone nobody has to know.
        self.events.send(event).unwrap_or_default();
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::error(&error, reason);
        // From the first connection on the statistics know better: one of several brokers may be away.
        if !self.is_closing() && lock(&self.reachable).is_none() {
            self.reachable(false);
        }
    }

    fn stats(&self, statistics: Statistics) {
        if self.is_closing() {
            return;
        }
        self.orphan.look(&statistics);
        if statistics.brokers.values().any(|broker| matches!(broker.state.as_str(), "UP" | "UPDATE")) {
            self.reachable(true);
        } else if *lock(&self.reachable) == Some(true) {
            self.reachable(false); // at the start no broker is up either: there `error` says it
        }
        let lag: Vec<_> = statistics.topics.into_values().flat_map(|topic| lag_of(&topic)).collect();
        if !lag.is_empty() {
            self.say(Event::Lag(lag));
        }
    }
}

fn lag_of(topic: &statistics::Topic) -> Vec<Lag> {
    let name: Arc<str> = topic.topic.as_str().into();
    let real = topic.partitions.values().filter(|partition| partition.partition >= 0); // -1 is librdkafka's own
    let lags = real.map(|state| {
        // Below zero stands for what is not known. A group that never committed has everything before it.
        let (end, known) = (state.ls_offset, |offset: i64| (offset >= 0).then_some(offset));
        let uncommitted = || Some((known(end)? - known(state.lo_offset)?).max(0));
        let fetched = known(end).zip(known(state.next_offset)).is_none_or(|(end, next)| next >= end);
        Lag {
            partition: Partition::new(Arc::clone(&name), state.partition),
            messages: known(state.consumer_lag).or_else(uncommitted),
            unread: !fetched || state.fetchq_cnt > 0,
        }
    });
    lags.collect()
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assigned = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.is_closing() {
            let done = if assigned { Ok(()) } else { consumer.incremental_unassign(list) };
            // Whatever is the matter with the list: without an answer the consumer would close for ever.
            if assigned || done.is_err() {
                consumer.unassign().unwrap_or_else(|error| tracing::warn!("partitions not given up: {error}"));
            }
            return;
        }
        let partitions = partitions_of(list);
        lock(&self.noted).push_back(match (assigned, consumer.assignment_lost()) {
            (true, _) => Rebalance::Assign(partitions),
            (false, false) => Rebalance::Revoke(partitions),
            (false, true) => Rebalance::Lose,
        });
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().map(|element| Partition::new(element.topic(), element.partition())).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(state: statistics::Partition) -> Lag {
        let topic = statistics::Topic {
            topic: "topic".to_owned(),
            partitions: [(state.partition, state)].into(),
            ..Default::default()
        };
        lag_of(&topic).remove(0)
    }

    #[test]
    fn the_mark_of_a_transaction_at_the_end_is_nothing_to_read() {
        let read = statistics::Partition {
            ls_offset: 8,
            next_offset: 8,
            committed_offset: 7,
            consumer_lag: 1,
            ..Default::default()
        };
        assert_eq!(lag(read.clone()), Lag { partition: Partition::new("topic", 0), messages: Some(1), unread: false });
        assert!(lag(statistics::Partition { next_offset: 7, ..read.clone() }).unread);
        assert!(lag(statistics::Partition { fetchq_cnt: 1, ..read }).unread);
    }

    #[test]
    fn a_group_that_never_committed_has_all_before_it() {
        let state = statistics::Partition {
            ls_offset: 9,
            lo_offset: 4,
            next_offset: 9,
            consumer_lag: -1,
            ..Default::default()
        };
        assert_eq!(lag(state.clone()).messages, Some(5));
        assert_eq!(lag(statistics::Partition { lo_offset: -1001, ..state }).messages, None);
    }
}
