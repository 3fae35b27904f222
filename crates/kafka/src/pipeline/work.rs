//! A message inside the loop, and what is held of each partition.

use std::{collections::BTreeMap, sync::Arc};

use chassis::{
    metrics::Metrics,
    trace::{self, Kind, Span},
};
use domain::delivery::{Key, Message, Settlement};

use crate::{epoch::Epoch, source::Partition};

/// A message between its delivery and its settlement.
#[derive(Debug)]
pub(super) struct Work<I> {
    /// Its place in the order of admission.
    pub(super) number: u64,
    pub(super) keys: Vec<Key>,
    pub(super) epoch: Epoch,
    pub(super) message: Message,
    /// What it weighs: see [`size`].
    pub(super) size: usize,
    /// `None` when it panicked alone: it becomes a dead letter.
    pub(super) item: Option<I>,
    /// How often it was tried without being settled, whether that counts or not.
    pub(super) tries: u32,
    pub(super) traced: Traced,
}

/// A message in its trace: the span `receive` until work on it begins, then one span `process` for each try.
#[derive(Debug)]
pub(super) struct Traced {
    received: Option<trace::Context>,
    pub(super) span: Span,
}

impl Traced {
    pub(super) fn received(message: &Message) -> Self {
        let mut span =
            Span::begin(Kind::Consumer, || format!("receive {}", message.source), trace::Context::of(&message.headers));
        if span.is_recorded() {
            span.set("messaging.system", "kafka");
            span.set("messaging.destination.name", message.source.to_string());
            span.set("messaging.destination.partition.id", message.partition.to_string());
            span.set("messaging.kafka.offset", message.offset);
        }
        Self { received: span.context(), span }
    }

    /// A try begins.
    pub(super) fn begin(&mut self, message: &Message) {
        self.span.end();
        self.span = Span::begin(Kind::Consumer, || format!("process {}", message.source), self.received);
        if self.span.is_recorded() {
            self.span.set("messaging.system", "kafka");
            self.span.set("messaging.destination.name", message.source.to_string());
            self.span.set("truecopy.attempt", i64::from(message.attempt));
        }
    }

    /// A try ended.
    pub(super) fn settle(&mut self, settlement: &Settlement) {
        let (outcome, reason) = settlement.words();
        self.span.set("truecopy.outcome", outcome);
        self.span.set("truecopy.reason", reason);
        if let Settlement::DeadLettered(_) | Settlement::Again { .. } = settlement {
            self.span.fail(outcome);
        }
        self.span.end();
    }
}

impl<I> Work<I> {
    pub(super) fn partition(&self) -> Partition {
        Partition::of(&self.message)
    }
}

/// What a message weighs in the loop: its bytes, what was read from them, and something for itself, or many empty ones would weigh nothing.
pub(super) fn size(message: &Message, read: usize) -> usize {
    message.size() + read + 2 * size_of::<Message>()
}

/// What is held of each partition, of whatever epoch, and how far work on it has begun.
#[derive(Debug, Default)]
pub(super) struct Load(BTreeMap<Partition, Held>);

#[derive(Debug, Default)]
struct Held {
    messages: usize,
    bytes: usize,
    started: Option<i64>,
}

impl Load {
    /// A new epoch begins: nothing of it has started.
    pub(super) fn begin(&mut self, partition: Partition) {
        self.0.entry(partition).or_default().started = None;
    }

    pub(super) fn add<I>(&mut self, work: &Work<I>) {
        let held = self.0.entry(work.partition()).or_default();
        held.messages += 1;
        held.bytes += work.size;
    }

    pub(super) fn remove<I>(&mut self, work: &Work<I>) {
        if let Some(held) = self.0.get_mut(&work.partition()) {
            held.messages -= 1;
            held.bytes -= work.size;
        }
    }

    pub(super) fn start(&mut self, message: &Message) {
        let held = self.0.entry(Partition::of(message)).or_default();
        held.started = held.started.max(Some(message.offset));
    }

    /// Whether a later message of the same partition has started before this one.
    pub(super) fn is_passed(&self, message: &Message) -> bool {
        self.0.get(&Partition::of(message)).is_some_and(|held| held.started >= Some(message.offset))
    }

    pub(super) fn is_empty(&self, partition: &Partition) -> bool {
        self.0.get(partition).is_none_or(|held| held.messages == 0)
    }

    /// The topics that partitions of were ever ours.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = self.0.keys().map(|partition| Arc::clone(&partition.topic)).collect();
        topics.dedup();
        topics
    }

    pub(super) fn report(&self, metrics: &Metrics) {
        let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (partition, held) in &self.0 {
            let (messages, bytes) = sums.entry(&partition.topic).or_default();
            *messages += held.messages;
            *bytes += held.bytes;
        }
        for (topic, (messages, bytes)) in sums {
            metrics.in_flight(topic, messages, bytes);
        }
    }
}
