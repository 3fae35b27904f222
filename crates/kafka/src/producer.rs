//! What leaves: the port, and the idempotent producer behind it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use bytes::Bytes;
use domain::delivery::Class;
use futures::future::{BoxFuture, FutureExt as _, join_all};
use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _, PurgeConfig},
    util::Timeout,
};
use tracing::warn;

use crate::{log, orphan::Orphan, settings::Settings, source::SourceError};

/// After this long without a delivery report a message is given up; it may be in its topic all the same.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic it goes to.
    pub topic: Arc<str>,
    /// Its key; messages with the same key go to the same partition.
    pub key: Option<Bytes>,
    /// Its value; `None` makes it a tombstone.
    pub payload: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Bytes)>,
}

/// What becomes of one message: whether its topic has it durably. The message is on its way whether or not this is awaited.
pub type Report = BoxFuture<'static, Result<(), SendError>>;

/// Where messages leave.
pub trait Publish: Send + Sync + 'static {
    /// Takes one message, which is on its way when this returns. Twice sends twice.
    ///
    /// The caller bounds what is on its way, and sees to it that of a key the next message follows the report of the one before: what
    /// failed may be in its topic all the same, and sending it again after a later one would reorder.
    fn hand_over(&self, message: Outgoing) -> Report;

    /// Sends `batch` and says of each message, in order, what [`hand_over`](Self::hand_over) says of one.
    fn send(&self, batch: Vec<Outgoing>) -> impl Future<Output = Vec<Result<(), SendError>>> + Send {
        join_all(batch.into_iter().map(|message| self.hand_over(message)))
    }

    /// Forgets what was taken and not sent; its senders hear [`SendError::Unconfirmed`]. It can be used on.
    fn purge(&self);

    /// Waits until nothing is on its way, at most `limit`; whether that is so.
    fn flush(&self, limit: Duration) -> impl Future<Output = bool> + Send;
}

/// A message was not sent, or nobody can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No delivery report came in time, or the message was purged: its topic may have it all the same.
    #[error("delivery is not confirmed: {0}")]
    Unconfirmed(String),
    /// The broker will never take this message: it is too large or not well-formed.
    #[error("message is refused: {0}")]
    Refused(String),
    /// The producer has failed for good.
    #[error("producer failed for good: {0}")]
    Fatal(String),
}

impl SendError {
    /// Where the failure lies.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unconfirmed(_) => Class::Transient { after: None },
            Self::Refused(_) => Class::Permanent("refused_by_broker"),
            Self::Fatal(_) => Class::Fatal,
        }
    }
}

impl From<KafkaError> for SendError {
    fn from(error: KafkaError) -> Self {
        let text = error.to_string();
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidMessageSize,
            ) => Self::Refused(text),
            Some(RDKafkaErrorCode::Fatal) => Self::Fatal(text),
            _ => Self::Unconfirmed(text),
        }
    }
}

/// The idempotent producer: `acks=all`, partitions by key as Java's producers choose them. Clones share it.
#[derive(Clone)]
pub struct Producer(Arc<Shared>);

struct Shared {
    config: ClientConfig,
    client: Mutex<Client>,
}

struct Client {
    producer: FutureProducer<Context>,
    orphan: Arc<Orphan>,
}

impl Client {
    fn new(config: &ClientConfig) -> Result<Self, SourceError> {
        let orphan = Arc::<Orphan>::default();
        let producer = config.create_with_context(Context { orphan: Arc::clone(&orphan) });
        Ok(Self { producer: producer.map_err(|error| SourceError(error.to_string()))?, orphan })
    }
}

impl Producer {
    /// A producer. It connects by itself; a broker that is away shows in the first window.
    ///
    /// # Errors
    /// librdkafka refuses the settings, for instance a certificate that cannot be read.
    pub fn new(settings: &Settings, client_id: &str) -> Result<Self, SourceError> {
        let mut config = settings.client(client_id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", MESSAGE_TIMEOUT.as_millis().to_string())
            // What leaves together is there at once; a pause for more to come would only delay it.
            .set("linger.ms", "2")
            // As Java's clients do it, so that a key stays in the partition that it has always been in.
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "1048576")
            .set("allow.auto.create.topics", "false")
            // They tell whether the client is an orphan.
            .set("statistics.interval.ms", "1000");
        let client = Client::new(&config)?;
        Ok(Self(Arc::new(Shared { config, client: Mutex::new(client) })))
    }

    /// The client; a new one if it can never reach a broker again. What the old one still holds is then unconfirmed.
    fn client(&self) -> FutureProducer<Context> {
        let mut client = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.orphan.is_certain() {
            match Client::new(&self.0.config) {
                Ok(successor) => {
                    warn!("the Kafka client has forgotten all brokers: a new producer takes its place");
                    let orphan = std::mem::replace(&mut *client, successor);
                    thread::spawn(move || drop(orphan)); // waits for its own threads
                }
                Err(error) => warn!("no successor for a producer that has forgotten all brokers: {error}"),
            }
        }
        client.producer.clone()
    }
}

impl Publish for Producer {
    fn hand_over(&self, message: Outgoing) -> Report {
        let taken = self.client().send_result(record(&message)).map_err(|(error, _)| error);
        async move {
            match taken?.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(error.into()),
                Err(_) => Err(SendError::Unconfirmed("producer is gone".to_owned())),
            }
        }
        .boxed()
    }

    fn purge(&self) {
        self.client().purge(PurgeConfig::default().queue().inflight());
    }

    async fn flush(&self, limit: Duration) -> bool {
        let producer = self.client();
        // librdkafka blocks the thread that flushes.
        tokio::task::spawn_blocking(move || producer.flush(Timeout::After(limit)).is_ok()).await.unwrap_or(false)
    }
}

fn record(message: &Outgoing) -> FutureRecord<'_, [u8], [u8]> {
    let headers = (!message.headers.is_empty()).then(|| {
        let room = OwnedHeaders::new_with_capacity(message.headers.len());
        message
            .headers
            .iter()
            .fold(room, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_ref()) }))
    });
    FutureRecord {
        topic: &message.topic,
        partition: None,
        payload: message.payload.as_deref(),
        key: message.key.as_deref(),
        timestamp: None,
        headers,
    }
}

struct Context {
    orphan: Arc<Orphan>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::line(level, facility, text);
    }

    fn stats(&self, statistics: Statistics) {
        self.orphan.look(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::error(&error, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_broker_will_never_take_is_permanent() {
        let class = |code| SendError::from(KafkaError::MessageProduction(code)).class();
        assert_eq!(class(RDKafkaErrorCode::MessageTimedOut), Class::Transient { after: None });
        assert_eq!(class(RDKafkaErrorCode::PurgeQueue), Class::Transient { after: None });
        assert_eq!(class(RDKafkaErrorCode::UnknownTopic), Class::Transient { after: None });
        assert_eq!(class(RDKafkaErrorCode::MessageSizeTooLarge), Class::Permanent("refused_by_broker"));
        assert_eq!(class(RDKafkaErrorCode::Fatal), Class::Fatal);
    }
}
