//! SQS: change events of the stores, and doctors of the transport of 2022 (2.5, 2.8).

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use chassis::settings::{Slot, Table};
use sqs::{Client, Limits, Reader, Received};

use crate::{
    deliveries::{Deliveries, Delivery, Depth, Queue, QueueError, Settled},
    sources::Collection,
};

/// The settings of SQS.
#[derive(Debug, Clone)]
pub struct Settings {
    client: sqs::Settings,
    /// Name or URL of each queue that is read.
    queues: BTreeMap<Queue, String>,
    max_in_flight: NonZeroUsize,
    visibility_extension: Duration,
}

impl Settings {
    /// Declares them.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let client = sqs::Settings::declare(table);
        let mut queue = |name, doc| table.value::<String>(name, doc).optional();
        let doctor = queue("SQS_CDC_DOCTOR_QUEUE", "SQS queue, name or URL, of changes of doctors; absent: off");
        let recommendation = queue("SQS_CDC_RECOMMENDATION_QUEUE", "the same of recommendations");
        let connection = queue("SQS_CDC_CONNECTION_QUEUE", "the same of connection logs");
        let hidden = queue("SQS_CDC_HIDDEN_DISCREPANCY_QUEUE", "the same of hidden discrepancies");
        let gmc = queue("SQS_SYNC_GMC_QUEUE", "the same of exported doctors, in place of RabbitMQ");
        let max_in_flight =
            table.value("REVAL_SYNC_SQS_MAX_IN_FLIGHT", "messages of an SQS queue held at once").or("200");
        let visibility_extension = table
            .seconds(
                "REVAL_SYNC_SQS_VISIBILITY_EXTENSION_SECONDS",
                "SQS messages are hidden for so long, again and again",
            )
            .or("60");
        table.rule(
            visibility_extension.get(),
            |hidden| (2..=43_200).contains(&hidden.as_secs()),
            "REVAL_SYNC_SQS_VISIBILITY_EXTENSION_SECONDS is from 2 to 43200",
        );
        table.all(|ok| {
            let named = [
                (Queue::Changes(Collection::Doctors), ok.take(doctor)),
                (Queue::Changes(Collection::Recommendations), ok.take(recommendation)),
                (Queue::Changes(Collection::ConnectionLogs), ok.take(connection)),
                (Queue::Changes(Collection::HiddenDiscrepancies), ok.take(hidden)),
                (Queue::GmcData, ok.take(gmc)),
            ];
            Self {
                client: ok.take(client),
                queues: named.into_iter().filter_map(|(queue, name)| Some((queue, name?))).collect(),
                max_in_flight: ok.take(max_in_flight),
                visibility_extension: ok.take(visibility_extension),
            }
        })
    }

    /// The queues that SQS carries.
    pub fn queues(&self) -> impl Iterator<Item = Queue> {
        self.queues.keys().copied()
    }
}

/// The queues of SQS: `Q` is [`sqs::Sqs`], or its twin in memory.
#[derive(Debug)]
pub struct Sqs<Q = sqs::Sqs>(BTreeMap<Queue, Arc<Reader<Q>>>);

impl Sqs {
    /// Those of the queues `read` that `settings` name. Connects when it is used.
    pub async fn new(settings: &Settings, read: &[Queue]) -> Self {
        let client = Client::new(&settings.client).await;
        let limits =
            Limits { messages: settings.max_in_flight, hidden: settings.visibility_extension, ..Limits::default() };
        let wanted = settings.queues.iter().filter(|(queue, _)| read.contains(queue));
        Self::over(wanted.map(|(queue, name)| (*queue, client.queue(name))), &limits)
    }
}

impl<Q: sqs::Queue> Sqs<Q> {
    /// These queues.
    pub fn over(queues: impl IntoIterator<Item = (Queue, Q)>, limits: &Limits) -> Self {
        let reader = |(queue, over)| (queue, Arc::new(Reader::new(over, limits.clone())));
        Self(queues.into_iter().map(reader).collect())
    }

    /// The reader of each queue. Each [runs](Reader::run) as a part of the process, or nothing comes of its queue.
    pub fn readers(&self) -> impl Iterator<Item = (Queue, Arc<Reader<Q>>)> {
        self.0.iter().map(|(queue, reader)| (*queue, Arc::clone(reader)))
    }

    fn reader(&self, queue: Queue) -> Result<&Reader<Q>, QueueError> {
        let unknown = || QueueError::Refused(format!("{} is not read from SQS", queue.name()));
        self.0.get(&queue).map(AsRef::as_ref).ok_or_else(unknown)
    }
}

impl<Q: sqs::Queue> Deliveries for Sqs<Q> {
    type Receipt = sqs::Receipt;

    fn queues(&self) -> Vec<Queue> {
        self.0.keys().copied().collect()
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Delivery<sqs::Receipt>>, QueueError> {
        let limit = NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
        let received = self.reader(queue)?.receive(limit).await.map_err(problem)?;
        Ok(received.into_iter().map(|message| delivery(queue, message)).collect())
    }

    async fn settle(&self, queue: Queue, settled: &[(sqs::Receipt, Settled)]) -> Result<(), QueueError> {
        // both are durable on our side, so both are deleted
        let done: Vec<_> = settled.iter().map(|(receipt, _)| (receipt.clone(), sqs::Settled::Done)).collect();
        self.reader(queue)?.settle(&done).await.map_err(problem)
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, QueueError> {
        let depth = self.reader(queue)?.depth().await.map_err(problem)?;
        let ready = depth.visible.saturating_add(depth.delayed);
        Ok(Depth { ready, unsettled: depth.in_flight, strangers: 0, approximate: true })
    }

    async fn leave(&self) {
        for reader in self.0.values() {
            reader.leave().await;
        }
    }
}

fn delivery(queue: Queue, message: Received) -> Delivery<sqs::Receipt> {
    Delivery {
        receipt: message.receipt,
        queue,
        body: message.body,
        headers: message.attributes,
        redelivered: message.deliveries > 1,
        sent_at: message.sent_at,
    }
}

fn problem(error: sqs::Error) -> QueueError {
    match error {
        sqs::Error::Unavailable(text) => QueueError::Unavailable(text),
        sqs::Error::Refused(text) => QueueError::Refused(text),
        gone @ sqs::Error::Gone => QueueError::Refused(gone.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use chassis::{clock::Clock, parts::Parts, settings};
    use sqs::{Outgoing, memory::Memory};
    use tokio::{sync::oneshot, task::JoinSet};

    use super::*;

    const DOCTORS: Queue = Queue::Changes(Collection::Doctors);

    #[test]
    fn a_queue_without_a_name_is_off() {
        let read = settings::read(
            [("SQS_CDC_DOCTOR_QUEUE", "doctor"), ("SQS_SYNC_GMC_QUEUE", "http://x/0/gmc")],
            Settings::declare,
        );
        assert_eq!(read.unwrap().queues().collect::<Vec<_>>(), [Queue::GmcData, DOCTORS]);
        assert!(settings::read([("REVAL_SYNC_SQS_VISIBILITY_EXTENSION_SECONDS", "1")], Settings::declare).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_received_settled_and_gone() {
        let memory = Memory::new("doctor", Clock::starting_at(chrono::DateTime::UNIX_EPOCH));
        let queues = Sqs::over([(DOCTORS, memory.clone())], &Limits::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let mut parts = Parts::new(async move {
            stopped.await.ok();
        });
        for (queue, reader) in queues.readers() {
            parts.spawn(queue.name(), Duration::from_secs(8), |part| async move {
                reader.run(part).await;
                Ok::<(), std::io::Error>(())
            });
        }
        let mut running = JoinSet::new();
        running.spawn(parts.run());

        sqs::Queue::send(&memory, &[Outgoing::new("{}"), Outgoing::new("[]")]).await;
        let got = queues.receive(DOCTORS, 10).await.unwrap();
        let depth = Depth { ready: 0, unsettled: 2, strangers: 0, approximate: true };
        assert_eq!((got.len(), queues.depth(DOCTORS).await.unwrap()), (2, depth));
        let settled = [(got[0].receipt.clone(), Settled::Done), (got[1].receipt.clone(), Settled::DeadLettered)];
        queues.settle(DOCTORS, &settled).await.unwrap();
        assert_eq!(queues.depth(DOCTORS).await.unwrap().unsettled, 0);
        assert!(queues.receive(Queue::TcsData, 1).await.is_err());
        stop.send(()).unwrap();
        running.join_next().await.unwrap().unwrap().unwrap();
    }
}
