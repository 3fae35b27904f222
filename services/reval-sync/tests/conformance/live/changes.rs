//! SQS beside the service: the queues of change events.

use std::collections::BTreeMap;

use bytes::Bytes;
use chassis::settings;
use reval_sync::{deliveries::Queue, sources::Collection, sqs::Settings};
use sqs::{Client, Outgoing, Queue as _};
use testkit::{
    servers::{self, TestQueues},
    vectors::BadCase,
};

use super::watched::MESSAGE;

/// What a killed process held is hidden for so long.
const HIDDEN_SECONDS: &str = "3";

/// The queues of a case, which is the only one that uses them. Dropped, they are deleted.
pub(super) struct Changes {
    queues: TestQueues,
    names: BTreeMap<Queue, (&'static str, String)>,
    client: Client,
}

impl Changes {
    /// Queues of one's own.
    pub(super) async fn fresh() -> Result<Self, BadCase> {
        let queues = servers::sqs();
        let mut names = BTreeMap::new();
        for (collection, setting, name) in [
            (Collection::Doctors, "SQS_CDC_DOCTOR_QUEUE", "doctor"),
            (Collection::Recommendations, "SQS_CDC_RECOMMENDATION_QUEUE", "recommendation"),
            (Collection::ConnectionLogs, "SQS_CDC_CONNECTION_QUEUE", "connectionlog"),
            (Collection::HiddenDiscrepancies, "SQS_CDC_HIDDEN_DISCREPANCY_QUEUE", "hiddendiscrepancy.fifo"),
        ] {
            let name = queues.create(name).await.map_err(|error| BadCase::because("a queue", &error))?;
            names.insert(Queue::Changes(collection), (setting, name));
        }
        let pairs = [("AWS_ENDPOINT_URL_SQS", queues.endpoint())];
        let read = settings::read(pairs, sqs::Settings::declare);
        let client = Client::new(&read.map_err(|error| BadCase::because("settings", &error))?).await;
        Ok(Self { queues, names, client })
    }

    /// How the service reaches them.
    pub(super) fn settings(&self) -> Result<Settings, BadCase> {
        let more = [
            ("AWS_ENDPOINT_URL_SQS", self.queues.endpoint()),
            ("REVAL_SYNC_SQS_VISIBILITY_EXTENSION_SECONDS", HIDDEN_SECONDS),
        ];
        let names = self.names.values().map(|(setting, name)| (*setting, name.as_str()));
        settings::read(names.chain(more), Settings::declare).map_err(|error| BadCase::because("settings", &error))
    }

    /// Puts a message into a queue.
    pub(super) async fn put(&self, queue: Queue, body: &Bytes, message: u64) -> Result<(), BadCase> {
        let (_, name) = self.names.get(&queue).ok_or_else(|| BadCase::new("nobody carries that queue"))?;
        let is_fifo = name.ends_with(".fifo");
        let message = message.to_string();
        let outgoing = Outgoing {
            body: String::from_utf8_lossy(body).into_owned(),
            attributes: vec![(MESSAGE.to_owned(), message.clone())],
            group: is_fifo.then(|| "all".to_owned()),
            deduplication: is_fifo.then_some(message),
        };
        let sent = self.client.queue(name).send(&[outgoing]).await;
        sent.into_iter().find_map(Result::err).map_or(Ok(()), |error| Err(BadCase::because("SQS", &error)))
    }
}
