//! The one member of a group.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::Arc,
};

use tokio::sync::watch;

use super::Broker;
use crate::{
    epoch::{Epoch, Epochs},
    source::{Drained, Event, Partition, Position, Record, Source},
};

/// One event holds at most this many messages of a partition.
const BATCH: usize = 500;

/// Reads for a group. See [`Broker::member`].
#[derive(Debug)]
pub struct Member {
    broker: Broker,
    group: String,
    topics: Vec<String>,
    epochs: Epochs,
    reading: BTreeMap<Partition, (Epoch, i64)>,
    said: VecDeque<Event>,
    appended: watch::Receiver<u64>,
    paused: bool,
}

impl Member {
    pub(super) fn new(broker: Broker, group: &str, topics: &[String]) -> Self {
        let mut appended = broker.appends();
        appended.mark_changed();
        Self {
            broker,
            group: group.to_owned(),
            topics: topics.to_vec(),
            epochs: Epochs::default(),
            reading: BTreeMap::new(),
            said: VecDeque::from([Event::Reachable(true)]),
            appended,
            paused: false,
        }
    }

    /// What is there now: first the partitions that are new, then their messages.
    fn fetch(&mut self) {
        let mut assigned = Vec::new();
        for Position { partition, .. } in self.topics.iter().flat_map(|topic| self.broker.ends(topic)) {
            let from = || self.broker.committed(&self.group, &partition).unwrap_or_default();
            if !self.reading.contains_key(&partition) {
                let epoch = self.epochs.begin();
                self.reading.insert(partition.clone(), (epoch, from()));
                assigned.push((partition, epoch));
            }
        }
        if !assigned.is_empty() {
            self.said.push_back(Event::Assigned(assigned));
        }
        for (partition, (epoch, next)) in &mut self.reading {
            let messages = self.broker.read(partition, *next, BATCH);
            let Some(last) = messages.last() else { continue };
            *next = last.offset + 1;
            let records = messages.into_iter().map(|message| Record { epoch: *epoch, message });
            self.said.push_back(Event::Records(records.collect()));
        }
    }
}

impl Source for Member {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.said.pop_front() {
                return event;
            }
            if !self.paused {
                self.appended.mark_unchanged();
                self.fetch();
                if !self.said.is_empty() {
                    continue;
                }
            }
            // The sender lives in the broker that this member holds. While paused nothing but a command changes anything.
            if self.paused || self.appended.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    fn pause(&mut self) {
        self.paused = true;
    }

    fn resume(&mut self) {
        self.paused = false;
    }

    fn commit(&mut self, positions: Vec<Position>) {
        self.broker.commit(&self.group, &positions);
        self.said.push_back(Event::Committed { positions, result: Ok(()) });
    }

    fn release(&mut self, partitions: Vec<Partition>) {
        self.reading.retain(|partition, _| !partitions.contains(partition));
    }

    async fn close(self) {}

    /// True when the group has committed all that its topics hold.
    fn drained(&self) -> Drained {
        let (broker, group, topics) = (self.broker.clone(), self.group.clone(), self.topics.clone());
        Arc::new(move || {
            let state = broker.state();
            topics.iter().flat_map(|topic| state.ends(topic)).all(|Position { partition, next }| {
                state.committed.get(&(group.clone(), partition)).copied().unwrap_or_default() >= next
            })
        })
    }
}
