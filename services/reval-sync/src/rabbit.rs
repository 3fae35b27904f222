//! RabbitMQ: the queues of chapter 2.2, and what is sent.
//!
//! One connection, made when it is needed and made anew after it is lost; the next call tries. Each queue that is read has a channel of its
//! own: when it is lost, what was not settled comes again from the broker, and receipts of before settle nothing.

mod connection;
mod errors;
mod intake;
mod publisher;
mod settings;
mod topology;
mod unsettled;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio::{sync::Mutex, time::timeout};

pub use self::settings::{Keys, Queues, Settings};
use self::{
    connection::Link,
    errors::{late, problem},
    intake::Intake,
};
use crate::{
    deliveries::{Deliveries, Delivery, Depth, Queue, QueueError, Settled},
    signals::{Outgoing, Signals},
};

/// Bound of one question to the broker.
const CALL: Duration = Duration::from_secs(10);

/// By what a channel knows a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which opening of the channel; those of an earlier one count no more.
    opening: u64,
    tag: u64,
}

/// The queues of RabbitMQ. One for the whole process.
pub struct Rabbit {
    link: Link,
    settings: Arc<Settings>,
    intakes: BTreeMap<Queue, Intake>,
    /// Asks for depths. A question about a queue that is not there closes it.
    asking: Mutex<Option<Channel>>,
    /// Sends, with confirms.
    sending: Mutex<Option<Channel>>,
}

impl Rabbit {
    /// The queues `read`, those of them that RabbitMQ carries. Connects when it is used.
    #[must_use]
    pub fn new(settings: Settings, read: &[Queue]) -> Self {
        let settings = Arc::new(settings);
        let intake = |queue: &Queue| settings.queue(*queue).map(|name| (*queue, Intake::new(*queue, name, &settings)));
        let intakes = read.iter().filter_map(intake).collect();
        Self { link: Link::new(&settings), settings, intakes, asking: Mutex::default(), sending: Mutex::default() }
    }

    fn intake(&self, queue: Queue) -> Result<&Intake, QueueError> {
        let unknown = || QueueError::Refused(format!("{} is not read from RabbitMQ", queue.name()));
        self.intakes.get(&queue).ok_or_else(unknown)
    }

    /// Messages and consumers of a queue, as the broker tells.
    async fn count(&self, name: &str) -> Result<(u64, u64), QueueError> {
        let mut asking = self.asking.lock().await;
        let channel = match asking.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.link.channel().await?,
        };
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(name.into(), passive, FieldTable::default());
        let counted = timeout(CALL, asked).await.map_err(late)?.map_err(|error| problem(&error))?;
        *asking = Some(channel);
        Ok((counted.message_count().into(), counted.consumer_count().into()))
    }
}

impl Deliveries for Rabbit {
    type Receipt = Receipt;

    fn queues(&self) -> Vec<Queue> {
        self.intakes.keys().copied().collect()
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Delivery<Receipt>>, QueueError> {
        self.intake(queue)?.receive(&self.link, limit).await
    }

    async fn settle(&self, queue: Queue, settled: &[(Receipt, Settled)]) -> Result<(), QueueError> {
        self.intake(queue)?.settle(settled).await
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, QueueError> {
        let intake = self.intake(queue)?;
        let (ready, consumers) = self.count(intake.name()).await?;
        // after the count: what the broker gave away before it is on our side by now, or will be taken for unsettled here
        let (unsettled, ours) = intake.held().await;
        Ok(Depth { ready, unsettled, strangers: consumers.saturating_sub(ours), approximate: false })
    }

    async fn leave(&self) {
        for intake in self.intakes.values() {
            intake.leave().await;
        }
    }
}

impl Signals for Rabbit {
    async fn publish(&self, messages: &[Outgoing]) -> Result<(), QueueError> {
        let mut sending = self.sending.lock().await;
        let channel = match sending.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => publisher::open(&self.link).await?,
        };
        // kept only when all went well: what is on its way at a failure must not be confirmed to the next call
        publisher::send(&channel, messages).await?;
        *sending = Some(channel);
        Ok(())
    }
}

impl std::fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rabbit")
            .field("host", &self.settings.host)
            .field("queues", &self.queues())
            .finish_non_exhaustive()
    }
}
