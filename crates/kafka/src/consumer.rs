//! A member of a consumer group over librdkafka, as a [`Source`].

mod committer;
mod context;
mod poll;
mod shares;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use rdkafka::ClientConfig;
use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    time::timeout,
};

use self::{context::Context, poll::Poll};
use crate::{
    settings::Settings,
    source::{Drained, Event, Partition, Position, Source, SourceError},
};

/// Leaving a group needs the broker; whoever leaves does not wait longer for it. The group notices after the session timeout.
const LEAVE: Duration = Duration::from_secs(2);

/// Which group reads what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name of the group.
    pub id: String,
    /// The topics it reads.
    pub topics: Vec<String>,
    /// The name of this client in the broker's logs and quotas.
    pub client_id: String,
}

/// A member of a group. librdkafka is polled on a thread of its own that never waits for work, so the group keeps its member
/// however long a message takes.
///
/// Between that thread and [`Source::next`] stands at most 1 MiB of messages (and one more batch): beyond, the thread takes
/// nothing, and pauses after a second. librdkafka holds another 1 MiB, as it was sent.
#[derive(Debug)]
pub struct Consumer {
    events: UnboundedReceiver<Event>,
    commands: Sender<Command>,
    handed: Arc<Handed>,
    /// The size of what was given last: it is not dealt with before the next is asked for.
    given: usize,
    left: oneshot::Receiver<()>,
}

/// What the thread is told to do.
#[derive(Debug)]
enum Command {
    Pause,
    Resume,
    Commit(Vec<Position>),
    Release(Vec<Partition>),
    Close,
}

/// What was fetched and is not dealt with by the loop.
#[derive(Debug, Default)]
struct Handed(AtomicUsize);

impl Handed {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::AcqRel);
    }

    fn sub(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn bytes(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Consumer {
    /// Joins `group`. A broker that is away only delays it.
    ///
    /// # Errors
    /// librdkafka refuses the settings, for instance a certificate that cannot be read.
    pub fn new(settings: &Settings, group: &Group) -> Result<Self, SourceError> {
        let (event_sender, events) = tokio::sync::mpsc::unbounded_channel();
        let (commands, command_receiver) = mpsc::channel();
        let (leave, left) = oneshot::channel();
        let handed = Arc::new(Handed::default());
        let context = Context::new(event_sender);
        let poll = Poll::new(config(settings, group), context, &group.topics, command_receiver, Arc::clone(&handed))?;
        thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || {
                poll.run();
                // Nobody listens when the loop was cut off.
                leave.send(()).unwrap_or_default();
            })
            .map_err(|error| SourceError(error.to_string()))?;
        Ok(Self { events, commands, handed, given: 0, left })
    }

    /// The thread ends only after a command to close or a failure that it has told; then there is nobody to be commanded.
    fn tell(&self, command: Command) {
        self.commands.send(command).unwrap_or_default();
    }
}

impl Source for Consumer {
    async fn next(&mut self) -> Event {
        self.handed.sub(std::mem::take(&mut self.given));
        let event = self.events.recv().await;
        if let Some(Event::Records(records)) = &event {
            self.given = records.iter().map(poll::size).sum();
        }
        event.unwrap_or_else(|| Event::Failed(SourceError("poll thread has ended".to_owned())))
    }

    fn pause(&mut self) {
        self.tell(Command::Pause);
    }

    fn resume(&mut self) {
        self.tell(Command::Resume);
    }

    fn commit(&mut self, positions: Vec<Position>) {
        self.tell(Command::Commit(positions));
    }

    fn release(&mut self, partitions: Vec<Partition>) {
        self.tell(Command::Release(partitions));
    }

    async fn close(self) {
        self.tell(Command::Close);
        if timeout(LEAVE, self.left).await.is_err() {
            tracing::warn!(
                "group not left within {} ms: the broker notices after the session timeout",
                LEAVE.as_millis()
            );
        }
    }

    fn drained(&self) -> Drained {
        let handed = Arc::clone(&self.handed);
        Arc::new(move || handed.bytes() == 0)
    }
}

fn config(settings: &Settings, group: &Group) -> ClientConfig {
    let mut config = settings.client(&group.client_id);
    config
        .set("group.id", &group.id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", settings.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", (settings.session_timeout.as_millis() / 5).to_string())
        .set("max.poll.interval.ms", settings.max_poll_interval.as_millis().to_string())
        .set("queued.max.messages.kbytes", "1024")
        // Its default of 1 s starves a queue this small.
        .set("fetch.queue.backoff.ms", "20")
        // Of bytes as they are sent: what was packed takes several times as much here. A single message above these limits is fetched all the same.
        .set("fetch.max.bytes", "1048576")
        .set("fetch.message.max.bytes", "131072")
        .set("fetch.wait.max.ms", "500")
        // Lag and the state of the brokers come with the statistics.
        .set("statistics.interval.ms", "500")
        .set("allow.auto.create.topics", "false");
    if let Some(name) = &settings.group_instance_id {
        config.set("group.instance.id", name);
    }
    config
}
