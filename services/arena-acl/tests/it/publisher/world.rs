//! A store that can fail, a broker that does as a test says, and the publisher between them.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arena_acl::{
    fresh::Fresh,
    inbox::{Head, NewMessage, Outbox, OutboxMessage, StoreError, Turn},
    memory::{Memory, MemoryTurn},
    publisher::Publisher,
};
use chassis::{
    backoff::Jitter,
    clock::Clock,
    dependency::Dependency,
    metrics::Metrics,
    parts::{Parts, PartsError},
};
use chrono::NaiveDateTime;
use domain::delivery::Class;
use kafka::{Outgoing, Publish, Report, SendError};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::store::{at, message};

/// As the real store waits for what a holder left under way.
const UNDER_WAY: Duration = Duration::from_secs(6);
const DRAIN: Duration = Duration::from_secs(8);

/// What becomes of a message, as a test decides it from its topic, key and place in the order of sending.
pub(crate) type Script = Arc<dyn Fn(&Outgoing, usize) -> Fate + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Fate {
    /// When its topic has it, after it was sent; `None` for never.
    pub(crate) appended: Option<Duration>,
    /// When the report comes, after it was sent.
    pub(crate) reported: Duration,
    pub(crate) report: Result<(), SendError>,
}

impl Fate {
    /// It arrives, and its report comes `after` it was sent.
    pub(crate) fn arrives(after: Duration) -> Self {
        Self { appended: Some(after), reported: after, report: Ok(()) }
    }

    pub(crate) fn refused() -> Self {
        let report = Err(SendError::Refused("scripted".to_owned()));
        Self { appended: None, reported: Duration::ZERO, report }
    }

    /// Nobody can say; `appended` says.
    pub(crate) fn unconfirmed(appended: Option<Duration>) -> Self {
        let report = Err(SendError::Unconfirmed("scripted".to_owned()));
        Self { appended, reported: kafka::producer::MESSAGE_TIMEOUT, report }
    }
}

/// A message in its topic, or one that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) key: String,
    pub(crate) payload: String,
}

#[derive(Clone)]
pub(crate) struct Broker {
    script: Script,
    tried: Arc<Mutex<Vec<Entry>>>,
    log: Arc<Mutex<Vec<Entry>>>,
    bytes: Arc<AtomicUsize>,
    most_bytes: Arc<AtomicUsize>,
}

impl Publish for Broker {
    fn hand_over(&self, message: Outgoing) -> Report {
        let text =
            |bytes: Option<&bytes::Bytes>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap();
        let (now, size) = (Instant::now(), message.payload.as_ref().unwrap().len());
        let entry = Entry { at: now, key: text(message.key.as_ref()), payload: text(message.payload.as_ref()) };
        let mut tried = self.tried.lock().unwrap();
        let fate = (self.script)(&message, tried.len());
        tried.push(entry.clone());
        if let Some(after) = fate.appended {
            self.log.lock().unwrap().push(Entry { at: now + after, ..entry });
        }
        let on_their_way = self.bytes.fetch_add(size, Ordering::Relaxed) + size;
        self.most_bytes.fetch_max(on_their_way, Ordering::Relaxed);
        let bytes = self.bytes.clone();
        Box::pin(async move {
            sleep(fate.reported).await;
            bytes.fetch_sub(size, Ordering::Relaxed);
            fate.report
        })
    }

    fn purge(&self) {}

    async fn flush(&self, _limit: Duration) -> bool {
        true
    }
}

/// The memory store with a turn that can be lost, and marks that can fail.
#[derive(Clone)]
pub(crate) struct Shaky {
    memory: Memory,
    clean: Arc<AtomicBool>,
    turn_is_lost: Arc<AtomicBool>,
    /// So many marks fail.
    failing_marks: Arc<AtomicUsize>,
}

pub(crate) struct ShakyTurn {
    inner: MemoryTurn,
    store: Shaky,
}

impl Turn for ShakyTurn {
    async fn holds(&mut self) -> bool {
        !self.store.turn_is_lost.load(Ordering::Relaxed)
    }

    async fn end(self) -> Result<(), StoreError> {
        self.store.clean.store(true, Ordering::Relaxed);
        self.inner.end().await
    }
}

impl Outbox for Shaky {
    type Turn = ShakyTurn;

    fn fresh(&self) -> &Fresh {
        self.memory.fresh()
    }

    async fn turn(&self) -> Result<ShakyTurn, StoreError> {
        let inner = self.memory.turn().await?;
        if !self.clean.swap(false, Ordering::Relaxed) {
            sleep(UNDER_WAY).await;
        }
        self.turn_is_lost.store(false, Ordering::Relaxed);
        Ok(ShakyTurn { inner, store: self.clone() })
    }

    async fn heads(&self, after: Option<&str>, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.memory.heads(after, limit).await
    }

    async fn unpublished(&self, ids: &[i64]) -> Result<Vec<OutboxMessage>, StoreError> {
        self.memory.unpublished(ids).await
    }

    async fn published(&self, ids: &[i64], now: NaiveDateTime) -> Result<(), StoreError> {
        let fails = |left: usize| left.checked_sub(1);
        if self.failing_marks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fails).is_ok() {
            let what = "marking messages as published: SQLSTATE 53100".to_owned();
            return Err(StoreError { what, class: Class::Transient { after: None }, outage: true });
        }
        self.memory.published(ids, now).await
    }

    async fn enqueue(&self, messages: &[NewMessage], now: NaiveDateTime) -> Result<(), StoreError> {
        self.memory.enqueue(messages, now).await
    }

    async fn waiting(&self) -> Result<u64, StoreError> {
        self.memory.waiting().await
    }

    async fn changed(&self) {
        self.memory.changed().await;
    }
}

/// What stops the publisher, and its parts as one task.
type Process = (oneshot::Sender<()>, JoinSet<Result<(), PartsError>>);

/// The publisher, and what outlives it.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) metrics: Metrics,
    /// What the publisher said of the store: each change.
    pub(crate) store_was_up: Arc<Mutex<Vec<bool>>>,
    store: Shaky,
    spacing: Duration,
    process: Option<Process>,
}

impl World {
    /// A publisher that runs and has nothing to do.
    pub(crate) async fn new(
        spacing: Duration,
        script: impl Fn(&Outgoing, usize) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let mut world = Self {
            broker: Broker {
                script: Arc::new(script),
                tried: Arc::default(),
                log: Arc::default(),
                bytes: Arc::default(),
                most_bytes: Arc::default(),
            },
            metrics: Metrics::new(),
            store_was_up: Arc::default(),
            store: Shaky {
                memory: Memory::default(),
                clean: Arc::new(AtomicBool::new(true)),
                turn_is_lost: Arc::default(),
                failing_marks: Arc::default(),
            },
            spacing,
            process: None,
        };
        world.start();
        sleep(spacing + Duration::from_secs(1)).await;
        world
    }

    pub(crate) fn start(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        let mut parts = Parts::new(async move { stopped.await.unwrap_or_default() });
        let seen = self.store_was_up.clone();
        let dependency = Dependency::new("store", move |_, up| seen.lock().unwrap().push(up));
        let (store, broker, metrics) = (self.store.clone(), self.broker.clone(), self.metrics.clone());
        let spacing = self.spacing;
        parts.spawn("publisher", DRAIN, move |part| async move {
            let clock = Clock::system();
            let publisher = Publisher::new(Arc::new(store), broker, dependency, clock, metrics, spacing, part);
            publisher.with_jitter(Jitter::seeded(7)).run().await
        });
        let mut process = JoinSet::new();
        process.spawn(parts.run());
        self.process = Some((stop, process));
    }

    /// Ends the publisher as SIGKILL does.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Ends the publisher as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        let (stop, mut process) = self.process.take().unwrap();
        stop.send(()).unwrap();
        process.join_next().await.unwrap().unwrap().unwrap();
    }

    /// How the publisher ends by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), PartsError> {
        let (_stop, mut process) = self.process.take().unwrap();
        process.join_next().await.unwrap().unwrap()
    }

    pub(crate) fn lose_the_turn(&self) {
        self.store.turn_is_lost.store(true, Ordering::Relaxed);
    }

    /// The turn as another process gets it, once the publisher has lost it.
    pub(crate) async fn turn_of_another(&self) -> MemoryTurn {
        self.store.memory.turn().await.unwrap()
    }

    pub(crate) fn let_marks_fail(&self, times: usize) {
        self.store.failing_marks.store(times, Ordering::Relaxed);
    }

    pub(crate) async fn add(&self, messages: &[NewMessage]) {
        self.store.enqueue(messages, at(8)).await.unwrap();
    }

    /// One message for each of these numbers, which are keys and payloads.
    pub(crate) async fn add_numbers(&self, numbers: RangeInclusive<u32>) {
        let messages: Vec<_> = numbers.map(|number| message(&number.to_string(), &number.to_string())).collect();
        self.add(&messages).await;
    }

    /// What waits to leave.
    pub(crate) async fn waiting(&self) -> u64 {
        self.store.waiting().await.unwrap()
    }

    /// Waits until nothing waits to leave.
    pub(crate) async fn emptied(&self, within: Duration) {
        let empty = async {
            while self.waiting().await > 0 {
                sleep((within / 1_000).max(Duration::from_millis(1))).await;
            }
        };
        assert!(timeout(within, empty).await.is_ok(), "{} messages wait", self.waiting().await);
    }

    /// What the topics have, in the order in which it arrived.
    pub(crate) fn log(&self) -> Vec<Entry> {
        let mut log = self.broker.log.lock().unwrap().clone();
        log.sort_by_key(|entry| entry.at);
        log
    }

    /// What was sent, in that order.
    pub(crate) fn tried(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.broker.tried.lock().unwrap()
    }

    /// The most bytes that were on their way at once.
    pub(crate) fn most_bytes(&self) -> usize {
        self.broker.most_bytes.load(Ordering::Relaxed)
    }
}
