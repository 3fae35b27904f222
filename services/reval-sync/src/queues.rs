//! The queues of RabbitMQ and of SQS as one.

use std::{convert::Infallible, time::Duration};

use chassis::parts::Parts;

use crate::{
    deliveries::{Deliveries, Delivery, Depth, Queue, QueueError, Settled},
    rabbit::{self, Rabbit},
    signals::{Outgoing, Signals},
    sqs::Sqs,
};

/// The queues of RabbitMQ and of SQS. A queue that both carry is read from SQS.
#[derive(Debug)]
pub struct Queues {
    rabbit: Rabbit,
    sqs: Sqs,
}

/// By what a queue of either knows a delivery again.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Receipt {
    Rabbit(rabbit::Receipt),
    Sqs(sqs::Receipt),
}

impl Queues {
    /// Those of `rabbit` and of `sqs`.
    #[must_use]
    pub fn new(rabbit: Rabbit, sqs: Sqs) -> Self {
        Self { rabbit, sqs }
    }

    /// Starts the readers of SQS as parts of the process, without which nothing comes of its queues.
    pub fn spawn(&self, parts: &mut Parts, drain: Duration) {
        for (queue, reader) in self.sqs.readers() {
            parts.spawn(queue.name(), drain, |part| async move {
                reader.run(part).await;
                Ok::<_, Infallible>(())
            });
        }
    }

    fn is_of_sqs(&self, queue: Queue) -> bool {
        self.sqs.queues().contains(&queue)
    }
}

impl Deliveries for Queues {
    type Receipt = Receipt;

    fn queues(&self) -> Vec<Queue> {
        let mut queues = [self.rabbit.queues(), self.sqs.queues()].concat();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Delivery<Receipt>>, QueueError> {
        Ok(if self.is_of_sqs(queue) {
            wrapped(self.sqs.receive(queue, limit).await?, Receipt::Sqs)
        } else {
            wrapped(self.rabbit.receive(queue, limit).await?, Receipt::Rabbit)
        })
    }

    async fn settle(&self, queue: Queue, settled: &[(Receipt, Settled)]) -> Result<(), QueueError> {
        if self.is_of_sqs(queue) {
            let receipt = |receipt: &Receipt| match receipt {
                Receipt::Sqs(receipt) => Some(receipt.clone()),
                Receipt::Rabbit(_) => None,
            };
            self.sqs.settle(queue, &unwrapped(settled, receipt)).await
        } else {
            let receipt = |receipt: &Receipt| match receipt {
                Receipt::Rabbit(receipt) => Some(*receipt),
                Receipt::Sqs(_) => None,
            };
            self.rabbit.settle(queue, &unwrapped(settled, receipt)).await
        }
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, QueueError> {
        if self.is_of_sqs(queue) { self.sqs.depth(queue).await } else { self.rabbit.depth(queue).await }
    }

    async fn leave(&self) {
        tokio::join!(self.rabbit.leave(), self.sqs.leave());
    }
}

impl Signals for Queues {
    async fn publish(&self, messages: &[Outgoing]) -> Result<(), QueueError> {
        self.rabbit.publish(messages).await
    }
}

fn wrapped<R>(deliveries: Vec<Delivery<R>>, receipt: impl Fn(R) -> Receipt) -> Vec<Delivery<Receipt>> {
    let wrap = |Delivery { receipt: own, queue, body, headers, redelivered, sent_at }| Delivery {
        receipt: receipt(own),
        queue,
        body,
        headers,
        redelivered,
        sent_at,
    };
    deliveries.into_iter().map(wrap).collect()
}

fn unwrapped<R>(settled: &[(Receipt, Settled)], receipt: impl Fn(&Receipt) -> Option<R>) -> Vec<(R, Settled)> {
    settled.iter().filter_map(|(own, how)| Some((receipt(own)?, *how))).collect()
}
