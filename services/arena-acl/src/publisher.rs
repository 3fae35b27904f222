//! The one publisher: it moves what is in the outbox to Kafka, in order per key (architecture section 8.7).

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::{
    backoff::{self, Jitter},
    clock::Clock,
    dependency::Dependency,
    failpoints,
    parts::Part,
};
use domain::delivery::Class;
use kafka::{Outgoing, Publish, SendError};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::{
    OSLO,
    inbox::{Outbox, OutboxMessage, StoreError, Turn},
};

/// How long a check of the turn may be relied on.
const TURN_IS_GOOD_FOR: Duration = Duration::from_secs(1);
/// How often the turn is checked while something else is waited for.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// The most messages of one window.
const WINDOW: u32 = 500;
/// How long the end waits for what the producer still holds.
const FLUSH: Duration = Duration::from_secs(5);

/// What ends the process.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store does not know us or our schema.
    #[error("the outbox failed")]
    Store(#[source] StoreError),
    /// The producer has failed for good.
    #[error("the producer failed")]
    Producer(#[source] SendError),
}

/// Publishes while the part runs. A store or broker that is away is waited for; messages stay where they are.
///
/// # Errors
/// [`PublishError`], when a new process has to take over.
pub async fn publish<O: Outbox, P: Publish>(
    outbox: Arc<O>,
    producer: P,
    store: Dependency,
    clock: Clock,
    part: Part,
) -> Result<(), PublishError> {
    let mut patience = Patience::new();
    part.ready(); // it waits for the store and the broker by itself, and the consumer says whether they are there
    while !part.is_stopping() {
        let turn = tokio::select! {
            biased;
            () = part.stopping() => return Ok(()),
            turn = outbox.turn() => turn,
        };
        let failed = match turn {
            Ok(turn) => {
                info!("this process publishes");
                patience.restore();
                lead(&*outbox, &producer, turn, &store, &clock, &part).await
            }
            Err(error) => Err(PublishError::Store(error)),
        };
        match failed {
            Ok(()) => {}
            Err(PublishError::Store(error)) if error.class != Class::Fatal => {
                if error.outage {
                    store.lost();
                }
                warn!(%error, "publishing waits for the store");
                patience.wait(&part).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Publishes until the stop, or until another process may hold the turn.
async fn lead<O: Outbox, P: Publish>(
    outbox: &O,
    producer: &P,
    mut turn: O::Turn,
    store: &Dependency,
    clock: &Clock,
    part: &Part,
) -> Result<(), PublishError> {
    let mut patience = Patience::new();
    loop {
        if part.is_stopping() {
            return end(producer, turn).await;
        }
        let checked = Instant::now();
        if !turn.holds().await {
            return lost(producer, store);
        }
        let Some(due) = while_held(&mut turn, outbox.due(WINDOW)).await else { return lost(producer, store) };
        let due = due.map_err(PublishError::Store)?;
        store.succeeded();
        if due.is_empty() {
            tokio::select! {
                () = part.stopping() => {}
                () = outbox.changed() => {}
            }
            continue;
        }
        if checked.elapsed() >= TURN_IS_GOOD_FOR && !turn.holds().await {
            return lost(producer, store);
        }
        let Some(sent) = while_held(&mut turn, send(outbox, producer, &due, clock)).await else {
            return lost(producer, store);
        };
        let Sent { arrived, failed } = sent?;
        match failed {
            // what failed keeps back its own key, which is due again at once; the others go on
            Some(error) if arrived == 0 => {
                warn!(%error, "publishing waits for the broker");
                if while_held(&mut turn, patience.wait(part)).await.is_none() {
                    return lost(producer, store);
                }
            }
            _ => patience.restore(),
        }
    }
}

/// Does `work` as long as the turn holds; `None` when it no longer does. What is asked of a store that fell silent has no end of its own.
async fn while_held<T>(turn: &mut impl Turn, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = sleep(CHECK_EVERY) => {}
        }
        if !turn.holds().await {
            return None;
        }
    }
}

/// Another process may hold the turn by now. Its connection is gone, so the store counts as lost until it answers again.
fn lost<P: Publish>(producer: &P, store: &Dependency) -> Result<(), PublishError> {
    warn!("this process no longer publishes");
    producer.purge();
    store.lost();
    Ok(())
}

/// What became of a window.
struct Sent {
    /// How many messages arrived.
    arrived: usize,
    /// The first failure of a message that did not.
    failed: Option<SendError>,
}

/// Sends one window and marks what arrived.
async fn send<O: Outbox, P: Publish>(
    outbox: &O,
    producer: &P,
    due: &[OutboxMessage],
    clock: &Clock,
) -> Result<Sent, PublishError> {
    failpoints::hit("arena-acl.publish.before-send");
    let reports = producer.send(due.iter().map(outgoing).collect()).await;
    failpoints::hit("arena-acl.publish.before-mark");
    let mut arrived = Vec::with_capacity(due.len());
    let mut failed = None;
    for (message, report) in due.iter().zip(reports) {
        match report {
            Ok(()) => arrived.push(message.id),
            Err(error @ SendError::Fatal(_)) => return Err(PublishError::Producer(error)),
            Err(error) => {
                if let SendError::Refused(_) = error {
                    // it stays and holds back its own key: dropping it would lose the last word on a participant
                    error!(outbox.id = message.id, %error, "the broker refuses a message");
                }
                failed = failed.or(Some(error));
            }
        }
    }
    if !arrived.is_empty() {
        outbox.published(&arrived, clock.local(OSLO)).await.map_err(PublishError::Store)?;
    }
    failpoints::hit("arena-acl.publish.after-mark");
    Ok(Sent { arrived: arrived.len(), failed })
}

fn outgoing(message: &OutboxMessage) -> Outgoing {
    Outgoing {
        topic: message.topic.clone(),
        key: Some(Bytes::from(message.key.clone())),
        payload: message.payload.clone().map(Bytes::from),
        headers: Vec::new(),
    }
}

/// Gives the turn back. Nothing is under way: every window was awaited.
async fn end<P: Publish>(producer: &P, turn: impl Turn) -> Result<(), PublishError> {
    if !producer.flush(FLUSH).await {
        return Ok(()); // the next holder waits until nothing of ours can arrive any more
    }
    if let Err(error) = turn.end().await {
        warn!(%error, "the turn to publish was not given back");
    }
    Ok(())
}

/// How long to wait after failures in a row.
struct Patience {
    failures: u32,
    jitter: Jitter,
}

impl Patience {
    fn new() -> Self {
        Self { failures: 0, jitter: Jitter::random() }
    }

    fn restore(&mut self) {
        self.failures = 0;
    }

    async fn wait(&mut self, part: &Part) {
        self.failures = self.failures.saturating_add(1);
        tokio::select! {
            () = part.stopping() => {}
            () = sleep(backoff::pause(self.failures, None, &mut self.jitter)) => {}
        }
    }
}
