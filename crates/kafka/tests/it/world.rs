//! A service that notes what it is given, and the loop around it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chassis::{
    clock::Clock,
    dependency::Dependency,
    metrics::Metrics,
    parts::{Health, Parts, PartsError},
    settings,
};
use domain::delivery::{Key, Message, Outcome, Settlement};
use kafka::{Consume, Consumer, Group, Limits, Outgoing, Progress, Publish as _, Settings, Wiring, consume};
use testkit::servers::TestTopics;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep},
};

pub(crate) fn settings(topics: &TestTopics) -> Settings {
    settings::read([("KAFKA_BROKERS", topics.brokers())], Settings::declare).unwrap()
}

pub(crate) fn group(topic: &str) -> Group {
    Group { id: format!("group-{topic}"), topics: vec![topic.to_owned()], client_id: "it".to_owned() }
}

pub(crate) fn text(bytes: Option<&Bytes>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// What every member of a test was given, in the order in which it was settled.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Message>>>);

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.0.lock().unwrap().clone()
    }

    /// Asserts that of each key the numbers 0 to `count` came in order; of a repeated one the last place counts. Returns how many came again.
    pub(crate) fn assert_clean(&self, keys: usize, count: usize) -> usize {
        let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for message in self.messages() {
            by_key.entry(text(message.key.as_ref())).or_default().push(text(message.payload.as_ref()).parse().unwrap());
        }
        assert_eq!(by_key.len(), keys);
        let mut repeated = 0;
        for (key, numbers) in by_key {
            let mut next = 0;
            for number in numbers {
                assert!(number <= next, "{key}: {number} came before {next}");
                repeated += usize::from(number < next);
                next = number + 1;
            }
            assert_eq!(next, count, "{key}: the last ones are lost");
        }
        repeated
    }
}

pub(crate) struct Service {
    ledger: Ledger,
    takes: Duration,
}

impl Consume for Service {
    type Item = Message;
    type Fatal = Infallible;

    fn read(&self, message: Message) -> (Vec<Key>, Message) {
        let key = message.key.as_ref().map(|key| Key::new(String::from_utf8_lossy(key)));
        (key.into_iter().collect(), message)
    }

    fn weight(&self, _item: &Message) -> usize {
        0 // it is the message
    }

    fn again(&self, item: &mut Message, attempt: u32) {
        item.attempt = attempt;
    }

    async fn step(&self, batch: Vec<Message>) -> Result<Vec<Settlement>, Infallible> {
        sleep(self.takes).await;
        let settlements = vec![Settlement::Done(Outcome::Applied); batch.len()];
        self.ledger.0.lock().unwrap().extend(batch);
        Ok(settlements)
    }

    async fn bug(&self, _message: Message) -> Settlement {
        Settlement::DeadLettered("bug")
    }
}

/// A running member.
pub(crate) struct Running {
    pub(crate) progress: Progress,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    stop: oneshot::Sender<()>,
    run: JoinSet<Result<(), PartsError>>,
}

impl Running {
    pub(crate) fn start(settings: &Settings, group: &Group, ledger: &Ledger, takes: Duration) -> Self {
        let source = Consumer::new(settings, group).unwrap();
        let service = Arc::new(Service { ledger: ledger.clone(), takes });
        let wiring = Wiring {
            limits: Limits::from(settings),
            metrics: Metrics::new(),
            clock: Clock::system(),
            store: Dependency::new("store", |_, _| {}),
            progress: Progress::default(),
        };
        let (progress, metrics) = (wiring.progress.clone(), wiring.metrics.clone());
        let (stop, told) = oneshot::channel();
        let mut parts = Parts::new(async { told.await.unwrap_or_default() });
        parts.spawn("kafka", Duration::from_secs(8), |part| consume(source, service, wiring, part));
        let health = parts.health();
        let mut run = JoinSet::new();
        run.spawn(parts.run());
        Self { progress, health, metrics, stop, run }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.send(()).unwrap();
        self.run.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn outgoing(topic: &str, key: &str, payload: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        topic: topic.into(),
        key: Some(key.to_owned().into()),
        payload: Some(payload.into()),
        headers: Vec::new(),
    }
}

/// Sends the numbers `from` to `to` for each of `keys` keys, one window per number.
pub(crate) async fn send_numbers(
    producer: &kafka::Producer,
    topic: &str,
    keys: usize,
    numbers: std::ops::Range<usize>,
) {
    for number in numbers {
        let window = (0..keys).map(|key| outgoing(topic, &format!("key-{key}"), number.to_string())).collect();
        for sent in producer.send(window).await {
            sent.unwrap();
        }
    }
}

/// Waits until the group has committed all that the topic holds.
pub(crate) async fn until_committed(topics: &TestTopics, group: &Group) {
    let begun = Instant::now();
    let topic = &group.topics[0];
    loop {
        let committed: Vec<i64> =
            topics.committed(&group.id, topic).await.unwrap().into_iter().map(Option::unwrap_or_default).collect();
        let ends = topics.end_offsets(topic).await.unwrap();
        if committed == ends {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "committed {committed:?} of {ends:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
