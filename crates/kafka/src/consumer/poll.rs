//! The thread that polls librdkafka.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use chrono::DateTime;
use domain::delivery::Message;
use rdkafka::{
    ClientConfig, Message as _, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    Command, Handed,
    committer::Committer,
    context::{Context, Rebalance},
    shares::{Admission, Shares},
};
use crate::source::{Event, Partition, Record, SourceError};

/// How long a command waits at most while nothing comes in.
const TICK: Duration = Duration::from_millis(20);
/// One event holds at most this many messages, or these bytes and one message.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 1024 * 1024;
/// The loop takes messages at once; if this much stands before it, it is held up, and nothing is taken until half of it is gone.
const BACKLOG_BYTES: usize = 1024 * 1024;
/// How long nothing is taken from librdkafka before it is told to pause. What it holds it drops with a pause, and half a second went by in a
/// measurement until it had fetched it again; but what it asks meanwhile, as a rebalance, waits so long.
const HOLD: Duration = Duration::from_secs(1);
/// How often is looked whether to go on, while nothing is taken.
const LOOK: Duration = Duration::from_millis(1);

/// What a record weighs: its bytes, and something for itself, or many empty ones would weigh nothing.
pub(super) fn size(record: &Record) -> usize {
    record.message.size() + size_of::<Record>()
}

pub(super) struct Poll {
    config: ClientConfig,
    client: Client,
    commands: Receiver<Command>,
    handed: Arc<Handed>,
    topics: HashMap<String, Arc<str>>,
    shares: Shares,
    /// Revoked, told, and not released yet.
    revoked: Vec<Partition>,
    asked_to_pause: bool,
    backlog: bool,
    /// Since when nothing is to be taken.
    held_since: Option<Instant>,
    paused: bool,
}

/// One client of librdkafka, and the thread that commits through it.
struct Client {
    consumer: Arc<BaseConsumer<Context>>,
    committer: Committer,
}

impl Client {
    fn join<'a>(
        config: &ClientConfig,
        context: Context,
        topics: impl Iterator<Item = &'a str>,
    ) -> Result<Self, SourceError> {
        let failed = |error: KafkaError| SourceError(error.to_string());
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(config.create_with_context(context).map_err(failed)?);
        consumer.subscribe(&topics.collect::<Vec<_>>()).map_err(failed)?;
        let committer = Committer::start(Arc::clone(&consumer)).map_err(|error| SourceError(error.to_string()))?;
        Ok(Self { consumer, committer })
    }

    /// Leaves the group. What librdkafka asks from here on is answered in the callback.
    fn leave(self) {
        self.consumer.context().closing();
        // It holds the consumer too, and the last to let go of it leaves the group: here, if no commit hangs.
        if self.committer.close().join().is_err() {
            error!("the commit thread has panicked");
        }
    }

    /// Lets go of a client that is not well: a commit may hang in it for ever.
    fn discard(self) {
        self.consumer.context().closing();
        self.consumer.unsubscribe(); // while a commit hangs the client lives on, and must not join again
        drop(self.committer.close());
        // Letting go waits for the group to be left.
        let consumer = self.consumer;
        let letting_go = thread::Builder::new().name("kafka-discard".to_owned()).spawn(move || drop(consumer));
        if let Err(error) = letting_go {
            warn!("a lost consumer is let go of on the poll thread: {error}");
        }
    }
}

impl Poll {
    pub(super) fn new(
        config: ClientConfig,
        context: Context,
        topics: &[String],
        commands: Receiver<Command>,
        handed: Arc<Handed>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            client: Client::join(&config, context, topics.iter().map(String::as_str))?,
            config,
            commands,
            handed,
            topics: topics.iter().map(|topic| (topic.clone(), topic.as_str().into())).collect(),
            shares: Shares::default(),
            revoked: Vec::new(),
            asked_to_pause: false,
            backlog: false,
            held_since: None,
            paused: false,
        })
    }

    /// Polls until it is told to close or the consumer fails for good.
    pub(super) fn run(mut self) {
        while self.obey() {
            if self.held_since.is_some() && !self.paused {
                thread::sleep(LOOK);
                continue;
            }
            if !self.fetch() {
                break;
            }
            self.rebalance();
            if let Err(error) = self.replace_orphan() {
                self.say(Event::Failed(error));
                break;
            }
            self.steer();
        }
        // librdkafka waits for an answer to what it asked before.
        self.rebalance();
        if !self.revoked.is_empty() {
            self.unassign(&self.revoked);
        }
        self.client.leave();
    }

    /// Does what it was told; false when that is to close.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Pause) => self.asked_to_pause = true,
                Ok(Command::Resume) => self.asked_to_pause = false,
                Ok(Command::Commit(positions)) => self.client.committer.ask(positions),
                Ok(Command::Release(partitions)) => self.release(partitions),
                Ok(Command::Close) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => break,
            }
        }
        self.steer();
        true
    }

    fn release(&mut self, mut partitions: Vec<Partition>) {
        partitions.retain(|partition| self.revoked.contains(partition)); // others were lost meanwhile
        self.revoked.retain(|partition| !partitions.contains(partition));
        if !partitions.is_empty() {
            self.unassign(&partitions);
        }
    }

    /// Carries out what the callback noted.
    fn rebalance(&mut self) {
        while let Some(rebalance) = self.client.consumer.context().take_noted() {
            match rebalance {
                Rebalance::Assign(partitions) => self.assign(partitions),
                Rebalance::Revoke(partitions) => {
                    info!("{} partitions revoked", partitions.len());
                    self.shares.end(&partitions);
                    self.revoked.extend(partitions.iter().cloned());
                    if partitions.is_empty() {
                        self.unassign(&partitions); // librdkafka waits for an answer, the loop has nothing to settle
                    } else {
                        self.say(Event::Revoked(partitions));
                    }
                }
                Rebalance::Lose => self.lose(),
            }
        }
    }

    /// Everything is somebody else's. librdkafka joins the group again by itself.
    fn lose(&mut self) {
        let mut lost = self.shares.partitions();
        self.shares.end(&lost);
        lost.append(&mut self.revoked);
        warn!("{} partitions lost", lost.len());
        self.unassign(&lost);
        self.say(Event::Lost(lost));
    }

    /// Joins the group anew where the client can never reach a broker again. The place of the old one is free after the session timeout.
    fn replace_orphan(&mut self) -> Result<(), SourceError> {
        if !self.client.consumer.context().is_orphaned() {
            return Ok(());
        }
        warn!("the Kafka client has forgotten all brokers: a new one joins the group");
        self.lose();
        let context = self.client.consumer.context().successor();
        let successor = Client::join(&self.config, context, self.topics.keys().map(String::as_str))?;
        std::mem::replace(&mut self.client, successor).discard();
        Ok(())
    }

    fn assign(&mut self, partitions: Vec<Partition>) {
        info!("{} partitions assigned", partitions.len());
        if let Err(error) = self.client.consumer.incremental_assign(&list_of(&partitions)) {
            warn!("partitions not taken: {error}"); // the group gives them again, or librdkafka says that it failed for good
            return;
        }
        self.client.consumer.context().reachable(true);
        let mut assigned = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let partition = Partition::new(self.topic(&partition.topic), partition.number);
            let epoch = self.shares.begin(partition.clone());
            assigned.push((partition, epoch));
        }
        // A partition keeps its pause while it is away.
        let list: Vec<_> = assigned.iter().map(|(partition, _)| partition.clone()).collect();
        self.set_paused(&list, self.paused);
        self.say(Event::Assigned(assigned));
    }

    fn unassign(&self, partitions: &[Partition]) {
        self.client.committer.forget(partitions);
        if let Err(error) = self.client.consumer.incremental_unassign(&list_of(partitions)) {
            warn!("partitions not given up: {error}");
        }
    }

    /// Holds back for a while, then pauses what is assigned; resumes it.
    fn steer(&mut self) {
        let waiting = self.handed.bytes();
        self.backlog = if self.backlog { waiting > BACKLOG_BYTES / 2 } else { waiting >= BACKLOG_BYTES };
        let hold = self.asked_to_pause || self.backlog;
        self.held_since = hold.then(|| self.held_since.unwrap_or_else(Instant::now));
        let pause = self.held_since.is_some_and(|since| since.elapsed() >= HOLD);
        if pause != self.paused {
            self.paused = pause;
            self.set_paused(&self.shares.partitions(), pause);
        }
    }

    fn set_paused(&self, partitions: &[Partition], pause: bool) {
        let list = list_of(partitions);
        let done = if pause { self.client.consumer.pause(&list) } else { self.client.consumer.resume(&list) };
        if let Err(error) = done {
            warn!("partitions not {}: {error}", if pause { "paused" } else { "resumed" });
        }
    }

    /// Hands over what came in, waiting one tick for the first; false when the consumer failed for good.
    fn fetch(&mut self) -> bool {
        let (mut records, mut bytes, mut failed) = (Vec::new(), 0, None);
        while records.len() < BATCH && bytes < BATCH_BYTES && failed.is_none() {
            let wait = if records.is_empty() { TICK } else { Duration::ZERO };
            // None is no sign that the time is over: it also follows each event that was served.
            let Some(polled) = self.client.consumer.poll(wait) else { break };
            match polled.map(|received| self.message(&received)) {
                Err(error) => failed = Some(error),
                Ok(message) => {
                    let epoch = match self.shares.admit(&message) {
                        Admission::NotOurs => continue,
                        Admission::Next(epoch) => epoch,
                        Admission::Back(epoch) => {
                            self.hand_over(std::mem::take(&mut records));
                            self.say(Event::Assigned(vec![(Partition::of(&message), epoch)]));
                            epoch
                        }
                    };
                    let record = Record { epoch, message };
                    bytes += size(&record);
                    records.push(record);
                }
            }
            if self.client.consumer.context().has_noted() {
                break;
            }
        }
        self.hand_over(records);
        match failed {
            Some(KafkaError::MessageConsumptionFatal(code)) => {
                self.say(Event::Failed(SourceError(code.to_string())));
                false
            }
            // Already logged by the context; librdkafka goes on by itself.
            _ => true,
        }
    }

    fn hand_over(&self, records: Vec<Record>) {
        if !records.is_empty() {
            self.handed.add(records.iter().map(size).sum());
            self.say(Event::Records(records));
        }
    }

    fn say(&self, event: Event) {
        self.client.consumer.context().say(event);
    }

    fn topic(&self, name: &str) -> Arc<str> {
        self.topics.get(name).map_or_else(|| name.into(), Arc::clone)
    }

    fn message(&self, received: &BorrowedMessage<'_>) -> Message {
        let headers = received.headers().map_or_else(Vec::new, |headers| {
            let copied = headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.map_or_else(Bytes::new, Bytes::copy_from_slice)));
            copied.collect()
        });
        Message {
            source: self.topic(received.topic()),
            partition: received.partition(),
            offset: received.offset(),
            timestamp: received.timestamp().to_millis().and_then(DateTime::from_timestamp_millis),
            key: received.key().map(Bytes::copy_from_slice),
            payload: received.payload().map(Bytes::copy_from_slice),
            headers,
            attempt: 1,
        }
    }
}

fn list_of(partitions: &[Partition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}
