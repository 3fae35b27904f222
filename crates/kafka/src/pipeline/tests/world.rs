//! A loop under test: a service whose behaviour each test gives, a source, and what can be asked of them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chassis::{
    clock::Clock,
    dependency::Dependency,
    metrics::Metrics,
    parts::{Health, Parts, PartsError},
};
use domain::delivery::{Key, Message, Outcome, Settlement};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    memory::Broker,
    pipeline::{Consume, Limits, Progress, Wiring, consume},
    producer::Outgoing,
    source::{Partition, Source},
};

pub(super) const TOPIC: &str = "topic";
pub(super) const GROUP: &str = "group";
pub(super) const APPLIED: Settlement = Settlement::Done(Outcome::Applied);
pub(super) const AGAIN: Settlement = Settlement::Again { after: None, counted: true };
pub(super) const OUTAGE: Settlement = Settlement::Again { after: None, counted: false };

/// What becomes of one message in a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Settle(Settlement),
    Take(Duration, Settlement),
    Panic,
    Fatal,
}

#[derive(Debug, thiserror::Error)]
#[error("the service cannot go on")]
pub(super) struct Broken;

type Behaviour = Box<dyn Fn(&Message) -> Act + Send + Sync>;

pub(super) struct Service {
    behaviour: Behaviour,
    /// The payloads and attempts that each step was given.
    pub(super) steps: Mutex<Vec<Vec<(String, u32)>>>,
    /// The payloads in the order in which they were settled.
    pub(super) settled: Mutex<Vec<String>>,
    pub(super) bugs: Mutex<Vec<String>>,
}

pub(super) fn text(message: &Message) -> String {
    String::from_utf8(message.payload.clone().unwrap_or_default().to_vec()).unwrap()
}

impl Consume for Service {
    type Item = Message;
    type Fatal = Broken;

    fn read(&self, message: Message) -> (Vec<Key>, Message) {
        assert_ne!(text(&message), "unreadable", "a bug in reading");
        let key = message.key.as_ref().map(|key| Key::new(String::from_utf8_lossy(key)));
        (key.into_iter().collect(), message)
    }

    fn weight(&self, _item: &Message) -> usize {
        0 // it is the message
    }

    fn again(&self, item: &mut Message, attempt: u32) {
        item.attempt = attempt;
    }

    async fn step(&self, batch: Vec<Message>) -> Result<Vec<Settlement>, Broken> {
        let seen = batch.iter().map(|message| (text(message), message.attempt)).collect();
        self.steps.lock().unwrap().push(seen);
        let mut settlements = Vec::new();
        let mut takes = Duration::ZERO;
        for message in &batch {
            settlements.push(match (self.behaviour)(message) {
                Act::Settle(settlement) => settlement,
                Act::Take(time, settlement) => {
                    takes = takes.max(time);
                    settlement
                }
                Act::Panic => panic!("a bug in the step"),
                Act::Fatal => return Err(Broken),
            });
        }
        sleep(takes).await;
        let done =
            batch.iter().zip(&settlements).filter(|(_, settlement)| !matches!(settlement, Settlement::Again { .. }));
        self.settled.lock().unwrap().extend(done.map(|(message, _)| text(message)));
        Ok(settlements)
    }

    async fn bug(&self, message: Message) -> Settlement {
        self.bugs.lock().unwrap().push(text(&message));
        Settlement::DeadLettered("bug")
    }
}

pub(super) struct World {
    pub(super) broker: Broker,
    pub(super) service: Arc<Service>,
    pub(super) metrics: Metrics,
    pub(super) store: Dependency,
    pub(super) progress: Progress,
    pub(super) health: Health,
    stop: oneshot::Sender<()>,
    run: JoinSet<Result<(), PartsError>>,
}

/// Two partitions.
pub(super) fn broker() -> Broker {
    let broker = Broker::new(Clock::system());
    broker.create_topic(TOPIC, 2);
    broker
}

pub(super) fn append(broker: &Broker, partition: i32, key: &str, payload: &str) -> i64 {
    let key = (!key.is_empty()).then(|| Bytes::from(key.to_owned()));
    let message =
        Outgoing { topic: TOPIC.into(), key, payload: Some(Bytes::from(payload.to_owned())), headers: Vec::new() };
    broker.append(message, Some(partition)).unwrap().1
}

pub(super) fn partition(number: i32) -> Partition {
    Partition::new(TOPIC, number)
}

impl World {
    pub(super) fn start(
        broker: &Broker,
        limits: Limits,
        behaviour: impl Fn(&Message) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::over(broker.member(GROUP, &[TOPIC.to_owned()]), broker, limits, behaviour)
    }

    pub(super) fn over(
        source: impl Source,
        broker: &Broker,
        limits: Limits,
        behaviour: impl Fn(&Message) -> Act + Send + Sync + 'static,
    ) -> Self {
        let service = Arc::new(Service {
            behaviour: Box::new(behaviour),
            steps: Mutex::default(),
            settled: Mutex::default(),
            bugs: Mutex::default(),
        });
        let wiring = Wiring {
            limits,
            metrics: Metrics::new(),
            clock: Clock::system(),
            store: Dependency::new("store", |_, _| {}),
            progress: Progress::default(),
        };
        let (metrics, store, progress) = (wiring.metrics.clone(), wiring.store.clone(), wiring.progress.clone());
        let (stop, told) = oneshot::channel();
        let mut parts = Parts::new(async { told.await.unwrap_or_default() });
        let consumer = Arc::clone(&service);
        parts.spawn("kafka", Duration::from_secs(8), |part| consume(source, consumer, wiring, part));
        let health = parts.health();
        let mut run = JoinSet::new();
        run.spawn(parts.run());
        Self { broker: broker.clone(), service, metrics, store, progress, health, stop, run }
    }

    /// Waits until all is settled and committed.
    pub(super) async fn idle(&self) {
        self.until("idle", || self.progress.is_idle()).await;
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waited = timeout(Duration::from_secs(600), async {
            while !holds() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(waited.await.is_ok(), "not within ten minutes: {what}");
    }

    /// Stops the loop and says how it ended.
    pub(super) async fn stop(mut self) -> Result<(), String> {
        self.stop.send(()).unwrap_or_default();
        ended(&mut self.run).await
    }

    /// Waits until the loop ends by itself.
    pub(super) async fn ended(mut self) -> Result<(), String> {
        ended(&mut self.run).await
    }

    pub(super) fn committed(&self, number: i32) -> Option<i64> {
        self.broker.committed(GROUP, &partition(number))
    }

    pub(super) fn settled(&self) -> Vec<String> {
        self.service.settled.lock().unwrap().clone()
    }

    /// What each step was given, without attempts.
    pub(super) fn steps(&self) -> Vec<Vec<String>> {
        let steps = self.service.steps.lock().unwrap();
        steps.iter().map(|seen| seen.iter().map(|(text, _)| text.clone()).collect()).collect()
    }

    /// The value of a metric whose line begins with `name` and holds all of `labels`, 0 if there is none.
    pub(super) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics.render();
        let lines =
            text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Asserts that every message received is accounted for.
    pub(super) fn assert_balanced(&self) {
        let received = self.metric("truecopy_messages_received_total{", &[]);
        let settled = self.metric("truecopy_messages_settled_total{", &[]);
        let in_flight = self.metric("truecopy_messages_in_flight{", &[]);
        assert_eq!(received, settled + in_flight, "{}", self.metrics.render());
    }
}

async fn ended(run: &mut JoinSet<Result<(), PartsError>>) -> Result<(), String> {
    let ended = timeout(Duration::from_secs(600), run.join_next()).await.expect("the loop does not end");
    ended.unwrap().unwrap().map_err(|error| match error {
        PartsError::Failed { source, .. } => source.to_string(),
        other => other.to_string(),
    })
}
