//! The queue adapter: which topics, the keys for order, and how each outcome is settled.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use chassis::{
    clock::Clock,
    dead_letters::{DeadLetter, DeadLetters, PutError},
    dependency::Dependency,
    parts::Part,
    telemetry::Quiet,
    trace,
};
use domain::{
    arena_acl::{Failure, Lock, Pass},
    delivery::{Class, Key, Message, Outcome, Settlement},
};
use kafka::Consume;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use crate::{
    inbox::{Inbox, Item, StoreError},
    records::Records,
    wire::{self, Unreadable},
};

/// The consumer group of all input topics (docs/spec/arena-acl.md 2.11).
pub const GROUP: &str = "amt-arena-acl-consumer-v3";
/// The consumer group of the import (4.15).
pub const IMPORT_GROUP: &str = "amt-arena-acl-temp-consumer-v1";
/// The client id of the producer.
pub const PRODUCER: &str = "amt-arena-acl-producer";

/// How long the calls of a batch may take together, when third parties hang.
const LONGEST_BATCH: Duration = Duration::from_secs(120);
/// Tries of a record that the store fails on while it works otherwise (reliability section 3).
const MAX_TRIES: u32 = 10;

/// Takes records through the service and settles them.
pub struct Consumer<I> {
    records: Arc<Records<I>>,
    inbox: Arc<I>,
    store: Dependency,
    clock: Clock,
    part: Part,
    quiet: Quiet,
}

/// A record that was read once.
#[derive(Debug, Clone)]
pub struct Delivery {
    message: Message,
    read: Read,
    trace: Option<trace::Context>,
}

#[derive(Debug, Clone)]
enum Read {
    /// A null value: nothing was said (2.8 row 1).
    Tombstone,
    Unreadable(Arc<Unreadable>),
    Change(Arc<Item>),
}

/// Why a consumer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The store does not know us or our schema.
    #[error("the inbox failed")]
    Store(#[source] StoreError),
    /// The same, where dead letters are kept.
    #[error("the quarantine failed")]
    Quarantine(#[source] PutError),
}

impl<I: Inbox + DeadLetters> Consumer<I> {
    /// A consumer over a handler and its store; `store` is told how the store does, and `part` that a batch
    /// makes progress.
    pub fn new(records: Arc<Records<I>>, inbox: Arc<I>, store: Dependency, clock: Clock, part: Part) -> Self {
        Self { records, inbox, store, clock, part, quiet: Quiet::default() }
    }

    /// Settles what was read and is a change; `items` are the changes of the batch in order.
    async fn changes(&self, deliveries: &[&Delivery], items: &[Item]) -> Result<Vec<Settlement>, Fatal> {
        let mut settled = Vec::with_capacity(items.len());
        let handled = waiting(&self.part, self.records.handle(items, Pass::Live)).await;
        for (delivery, ended) in deliveries.iter().zip(handled) {
            settled.push(trace::within(delivery.trace, self.settled(&delivery.message, ended)).await?);
        }
        Ok(settled)
    }

    /// What is said of one change that was handled.
    async fn settled(
        &self,
        message: &Message,
        ended: Result<Option<Settlement>, StoreError>,
    ) -> Result<Settlement, Fatal> {
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => return self.failed(message, error).await,
        };
        self.store.succeeded();
        if let Some(Settlement::DeadLettered(reason)) = ended {
            self.tell(message, reason);
        }
        // live records are always decided
        Ok(ended.unwrap_or(Settlement::Again { after: None, counted: false }))
    }

    /// A record that is stored and will not be handled without a person: its note says why.
    fn tell(&self, message: &Message, reason: &'static str) {
        if let Some(count) = self.quiet.admit(&message.source, reason) {
            error!(source = %message.source, position = message.position(), reason, count, "a record was given up");
        }
    }

    /// A change that the store did not take.
    async fn failed(&self, message: &Message, error: StoreError) -> Result<Settlement, Fatal> {
        match error.class {
            Class::Fatal => Err(Fatal::Store(error)),
            Class::Permanent(reason) => self.quarantine(message, reason, error.class, error.to_string()).await,
            Class::Transient { .. } if !error.outage && message.attempt >= MAX_TRIES => {
                self.quarantine(message, "exhausted", error.class, error.to_string()).await
            }
            Class::Transient { after } => {
                if error.outage {
                    self.store.lost();
                } else {
                    self.store.failed();
                }
                if let Some(count) = self.quiet.admit(&message.source, "store") {
                    warn!(source = %message.source, count, %error, "the store failed, records wait");
                }
                Ok(Settlement::Again { after, counted: !error.outage })
            }
        }
    }

    async fn quarantine(
        &self,
        message: &Message,
        reason: &'static str,
        class: Class,
        detail: String,
    ) -> Result<Settlement, Fatal> {
        let letter = DeadLetter::new(message, reason, class, detail.clone(), self.clock.now());
        match self.inbox.put(std::slice::from_ref(&letter)).await {
            Ok(()) => {
                error!(source = %message.source, position = %message.position(), reason, detail, "a record is quarantined");
                Ok(Settlement::DeadLettered(reason))
            }
            Err(error) if error.class == Class::Fatal => Err(Fatal::Quarantine(error)),
            Err(error) => {
                if error.outage {
                    self.store.lost();
                } else {
                    self.store.failed();
                }
                if let Some(count) = self.quiet.admit(&message.source, "quarantine") {
                    warn!(source = %message.source, count, %error, "a dead letter waits for the store");
                }
                Ok(Settlement::Again { after: None, counted: false })
            }
        }
    }
}

impl<I: Inbox + DeadLetters> Consume for Consumer<I> {
    type Item = Delivery;
    type Fatal = Fatal;

    fn read(&self, message: Message) -> (Vec<Key>, Delivery) {
        let read = match message.payload.as_deref().map(wire::read) {
            None => Read::Tombstone,
            Some(Err(unreadable)) => Read::Unreadable(Arc::new(unreadable)),
            Some(Ok(item)) => Read::Change(Arc::new(item)),
        };
        let keys = match &read {
            Read::Change(item) => item.change.locks().into_iter().filter_map(key).collect(),
            Read::Tombstone | Read::Unreadable(_) => Vec::new(),
        };
        (keys, Delivery { message, read, trace: None })
    }

    fn weight(&self, item: &Delivery) -> usize {
        match &item.read {
            Read::Tombstone | Read::Unreadable(_) => 0,
            Read::Change(item) => item.weight(),
        }
    }

    fn again(&self, item: &mut Delivery, attempt: u32) {
        item.message.attempt = attempt;
    }

    fn trace(&self, item: &mut Delivery, context: trace::Context) {
        item.trace = Some(context);
    }

    async fn step(&self, batch: Vec<Delivery>) -> Result<Vec<Settlement>, Fatal> {
        let (deliveries, items): (Vec<&Delivery>, Vec<Item>) = batch
            .iter()
            .filter_map(|delivery| match &delivery.read {
                Read::Change(item) => Some((delivery, Item { trace: delivery.trace, ..Item::clone(item) })),
                Read::Tombstone | Read::Unreadable(_) => None,
            })
            .unzip();
        let mut changes = self.changes(&deliveries, &items).await?.into_iter();
        let mut settled = Vec::with_capacity(batch.len());
        for delivery in &batch {
            settled.push(match &delivery.read {
                Read::Tombstone => Settlement::Done(Outcome::Ignored("tombstone")),
                Read::Unreadable(unreadable) => {
                    let Unreadable { reason, detail } = &**unreadable;
                    let quarantined =
                        self.quarantine(&delivery.message, reason, Class::Permanent(reason), detail.clone());
                    trace::within(delivery.trace, quarantined).await?
                }
                Read::Change(_) => changes.next().unwrap_or(Settlement::Again { after: None, counted: false }),
            });
        }
        debug!(records = batch.len(), "a batch is settled");
        Ok(settled)
    }

    /// A readable record that panics is kept in the inbox as any other unexpected failure (class *other*), where the
    /// retry job finds it; one whose reading panics is quarantined.
    async fn bug(&self, message: Message) -> Settlement {
        let read = std::panic::catch_unwind(|| message.payload.as_deref().map(wire::read));
        let again = Settlement::Again { after: None, counted: false };
        if let Ok(Some(Ok(item))) = read {
            let failure = Failure::other("handling it panicked; the log of that time has the place");
            match self.records.fail(&item, Pass::Live, failure).await {
                Ok(settlement) => return settlement.unwrap_or(again),
                Err(StoreError { class: Class::Permanent(_), .. }) => {} // it cannot be written at all
                Err(error) => return self.failed(&message, error).await.unwrap_or(again),
            }
        }
        let detail = "handling it panicked".to_owned();
        let put = self.quarantine(&message, "bug", Class::Permanent("bug"), detail).await;
        put.unwrap_or(again)
    }
}

/// Does `work` and says meanwhile that it makes progress: every call in it has a deadline of its own, and slow third parties must not look
/// like a process that stands still. A batch that takes longer than all its calls may does look like one.
async fn waiting<T>(part: &Part, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    for _ in 0..LONGEST_BATCH.as_secs() {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(Duration::from_secs(1)) => part.progressed(),
        }
    }
    work.await
}

/// The key of a lock that one change has alone; shared locks keep no order.
fn key(lock: Lock) -> Option<Key> {
    Some(Key::new(match lock {
        Lock::Participant(id) => format!("deltaker/{id}"),
        Lock::History(id) => format!("hist/{id}"),
        Lock::PersonOnCourse(person, course) => format!("person/{person}/course/{course}"),
        Lock::Course(id) => format!("course/{id}"),
        Lock::CourseShared(_) => return None,
    }))
}
