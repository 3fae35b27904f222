//! One queue that is read, over a channel of its own.

use std::{
    collections::{BTreeSet, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use chrono::DateTime;
use futures::Stream as _;
use lapin::{
    Channel, Consumer,
    message::Delivery as Incoming,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::{sync::Notify, time::timeout};
use tracing::info;

use super::{
    CALL, Receipt, Settings,
    connection::Link,
    errors::{late, problem},
    unsettled::{Call, Unsettled},
};
use crate::deliveries::{Delivery, Queue, QueueError, Settled};

/// The code of an orderly end.
const DONE: u16 = 200;

pub(super) struct Intake {
    queue: Queue,
    name: String,
    prefetch: u16,
    budget: usize,
    openings: AtomicU64,
    open: tokio::sync::Mutex<Option<Arc<Open>>>,
}

/// A channel while it is open.
struct Open {
    opening: u64,
    channel: Channel,
    state: Mutex<State>,
    /// Something was settled, or taken from the consumer by somebody else.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// `None` while more than the budget is held.
    consumer: Option<Consumer>,
    /// The consumer ends once what had been sent to it is here.
    pausing: bool,
    waiting: VecDeque<Delivery<Receipt>>,
    unsettled: Unsettled,
}

impl Intake {
    pub(super) fn new(queue: Queue, name: &str, settings: &Settings) -> Self {
        Self {
            queue,
            name: name.to_owned(),
            prefetch: settings.prefetch_of(queue),
            budget: settings.budget_bytes.get(),
            openings: AtomicU64::new(1),
            open: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn receive(&self, link: &Link, limit: usize) -> Result<Vec<Delivery<Receipt>>, QueueError> {
        let open = self.opened(link).await?;
        loop {
            open.steer(&self.name, self.budget).await.or_else(|error| self.end(&open, error))?;
            let changed = open.changed.notified();
            let taken = tokio::select! {
                taken = poll_fn(|context| open.poll(context, self.queue, limit)) => taken,
                () = changed => continue,
            };
            return taken.or_else(|error| self.end(&open, error));
        }
    }

    pub(super) async fn settle(&self, settled: &[(Receipt, Settled)]) -> Result<(), QueueError> {
        let open = self.open.lock().await.clone();
        let Some(open) = open else { return Ok(()) };
        let tags = |how| {
            let of_this =
                settled.iter().filter(|(receipt, settled)| receipt.opening == open.opening && *settled == how);
            of_this.map(|(receipt, _)| receipt.tag).collect::<BTreeSet<_>>()
        };
        let calls = open.state().unsettled.settle(&tags(Settled::Done), &tags(Settled::DeadLettered));
        for call in calls {
            let told = timeout(CALL, open.tell(call)).await.map_err(late).and_then(|told| told);
            told.or_else(|error| self.end(&open, error))?;
        }
        open.changed.notify_one();
        Ok(())
    }

    /// How many messages are not settled, and how many consumers of the queue are ours.
    pub(super) async fn held(&self) -> (u64, u64) {
        let open = self.open.lock().await.clone();
        let Some(open) = open else { return (0, 0) };
        // what has arrived and nobody asked for counts too
        poll_fn(|context| {
            open.fill(context, self.queue).unwrap_or_default(); // whoever receives meets the same error
            Poll::Ready(())
        })
        .await;
        open.changed.notify_one();
        let state = open.state();
        (state.unsettled.len() as u64, u64::from(state.consumer.is_some()))
    }

    /// Closes the channel: the broker gives what is not settled to others.
    pub(super) async fn leave(&self) {
        let open = self.open.lock().await.take();
        if let Some(open) = open {
            open.state().consumer = None;
            let closed = timeout(CALL, open.channel.close(DONE, "leaves".into())).await;
            if !matches!(closed, Ok(Ok(()))) {
                info!(source = self.queue.name(), "the channel was gone before it could be closed");
            }
            open.changed.notify_one(); // whoever still waits is told that the channel is closed
        }
    }

    async fn opened(&self, link: &Link) -> Result<Arc<Open>, QueueError> {
        let mut kept = self.open.lock().await;
        if let Some(open) = kept.as_ref().filter(|open| open.channel.status().connected()) {
            return Ok(Arc::clone(open));
        }
        *kept = None;
        let channel = link.channel().await?;
        let prepared = async {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(self.name.as_str().into(), passive, FieldTable::default()).await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await
        };
        timeout(CALL, prepared).await.map_err(late)?.map_err(|error| problem(&error))?;
        let opening = self.openings.fetch_add(1, Ordering::Relaxed);
        let open = Arc::new(Open { opening, channel, state: Mutex::default(), changed: Notify::new() });
        info!(source = self.queue.name(), "reading from {}", self.name);
        *kept = Some(Arc::clone(&open));
        Ok(open)
    }

    /// The channel is of no more use: the next call opens another one.
    fn end<T>(&self, open: &Arc<Open>, error: QueueError) -> Result<T, QueueError> {
        if let Ok(mut kept) = self.open.try_lock()
            && kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, open))
        {
            *kept = None;
        }
        Err(error)
    }
}

impl Open {
    /// Begins to consume, or to pause, as the budget says. What had been sent before a pause comes all the same, at most the prefetch.
    async fn steer(&self, name: &str, budget: usize) -> Result<(), QueueError> {
        let (tag, bytes) = {
            let mut state = self.state();
            let bytes = state.unsettled.bytes();
            let pauses = bytes >= budget && !state.pausing;
            let tag = state.consumer.as_ref().map(|consumer| consumer.tag());
            state.pausing |= pauses && tag.is_some();
            if tag.is_some() && !pauses {
                return Ok(());
            }
            (tag, bytes)
        };
        let told = async {
            match tag {
                // not by dropping it: what has arrived would be lost on our side, and acknowledged with what came after it
                Some(tag) => self.channel.basic_cancel(tag, BasicCancelOptions::default()).await,
                None if bytes > budget / 2 => Ok(()),
                None => {
                    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
                    let consumer = self.channel.basic_consume(name.into(), "".into(), options, arguments).await?;
                    self.state().consumer = Some(consumer);
                    Ok(())
                }
            }
        };
        timeout(CALL, told).await.map_err(late)?.map_err(|error| problem(&error))
    }

    /// At most `limit` deliveries, as soon as there is one.
    fn poll(
        &self,
        context: &mut Context<'_>,
        queue: Queue,
        limit: usize,
    ) -> Poll<Result<Vec<Delivery<Receipt>>, QueueError>> {
        let filled = self.fill(context, queue);
        let mut state = self.state();
        if !state.waiting.is_empty() {
            let count = limit.min(state.waiting.len());
            return Poll::Ready(Ok(state.waiting.drain(..count).collect()));
        }
        match filled {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Takes in what has arrived.
    fn fill(&self, context: &mut Context<'_>, queue: Queue) -> Result<(), QueueError> {
        let mut state = self.state();
        let State { consumer: Some(consumer), pausing, waiting, unsettled } = &mut *state else { return Ok(()) };
        loop {
            match Pin::new(&mut *consumer).poll_next(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(incoming))) => {
                    unsettled.add(incoming.delivery_tag, incoming.data.len());
                    waiting.push_back(delivery(queue, self.opening, incoming));
                }
                Poll::Ready(Some(Err(error))) => return Err(problem(&error)),
                Poll::Ready(None) if *pausing => {
                    (state.consumer, state.pausing) = (None, false);
                    return Ok(());
                }
                Poll::Ready(None) => return Err(QueueError::Unavailable("the queue was taken away".to_owned())),
            }
        }
    }

    async fn tell(&self, call: Call) -> Result<(), QueueError> {
        let told = match call {
            Call::AckUpTo(tag) => self.channel.basic_ack(tag, BasicAckOptions { multiple: true }).await,
            Call::Ack(tag) => self.channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
            Call::Reject(tag) => self.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await,
        };
        told.map_err(|error| problem(&error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delivery(queue: Queue, opening: u64, incoming: Incoming) -> Delivery<Receipt> {
    let headers = incoming.properties.headers().iter().flat_map(FieldTable::inner);
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        AMQPValue::ShortString(text) => Some(Bytes::copy_from_slice(text.as_str().as_bytes())),
        _ => None,
    };
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let seconds = incoming.properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
    Delivery {
        receipt: Receipt { opening, tag: incoming.delivery_tag },
        queue,
        body: Bytes::from(incoming.data),
        headers,
        redelivered: incoming.redelivered,
        sent_at: seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
    }
}
