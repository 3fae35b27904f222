//! The one publisher: it moves what is in the outbox to Kafka, in order per key (architecture section 8.7).

mod flow;
mod holds;
mod topics;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chassis::{
    backoff::{self, Jitter},
    clock::Clock,
    dependency::Dependency,
    metrics::Metrics,
    parts::Part,
    telemetry::Quiet,
};
use domain::delivery::Class;
use kafka::{Publish, SendError};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use self::flow::Flow;
use crate::inbox::{Outbox, StoreError, Turn};

/// How long a check of the turn may be relied on.
const TURN_IS_GOOD_FOR: Duration = Duration::from_secs(1);
/// How often the turn is checked.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How long a store counts as lost before one that waits for its turn asks it.
const ASK_AFTER: Duration = Duration::from_secs(1);
/// The same where the store did not take marks: longer than a turn is waited for that no other process holds.
const ASK_A_STORE_WITHOUT_MARKS_AFTER: Duration = Duration::from_secs(15);
/// How long the end waits for what the producer still holds.
const FLUSH: Duration = Duration::from_secs(5);

/// What ends the process.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store does not know us or our schema.
    #[error("the outbox failed")]
    Store(#[source] StoreError),
    /// The same, where published messages are marked.
    #[error("marking published messages failed")]
    Mark(#[source] StoreError),
    /// The producer has failed for good.
    #[error("the producer failed")]
    Producer(#[source] SendError),
}

/// Publishes while its part runs. A store or broker that is away is waited for; messages stay where they are.
pub struct Publisher<O, P> {
    outbox: Arc<O>,
    producer: P,
    store: Dependency,
    clock: Clock,
    metrics: Metrics,
    spacing: Duration,
    part: Part,
    jitter: Jitter,
    quiet: Quiet,
    /// Whether messages were marked since this was looked at.
    marked: AtomicBool,
}

impl<O: Outbox, P: Publish> Publisher<O, P> {
    /// A publisher from `outbox` into `producer`. Of a key no message leaves sooner than `spacing` after the report of the one before it;
    /// zero is no distance. `store` is told how the store does.
    pub fn new(
        outbox: Arc<O>,
        producer: P,
        store: Dependency,
        clock: Clock,
        metrics: Metrics,
        spacing: Duration,
        part: Part,
    ) -> Self {
        let (jitter, quiet, marked) = (Jitter::random(), Quiet::default(), AtomicBool::new(false));
        Self { outbox, producer, store, clock, metrics, spacing, part, jitter, quiet, marked }
    }

    /// The same with pauses that can be repeated.
    #[must_use]
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// Publishes until the stop.
    ///
    /// # Errors
    /// [`PublishError`], when a new process has to take over.
    pub async fn run(&self) -> Result<(), PublishError> {
        let mut patience = Patience { failures: 0, jitter: self.jitter.clone() };
        // a store that could be read and did not take the marks is told to be up again by a mark only
        let mut unmarked = false;
        self.part.ready(); // it waits for the store and the broker by itself, and the consumer says whether they are there
        while !self.part.is_stopping() {
            let turn = tokio::select! {
                biased;
                () = self.part.stopping() => return Ok(()),
                turn = self.outbox.turn() => turn,
                never = self.ask_the_store(if unmarked { ASK_A_STORE_WITHOUT_MARKS_AFTER } else { ASK_AFTER }) => match never {},
            };
            let led = match turn {
                Ok(turn) => {
                    info!("this process publishes");
                    if !unmarked {
                        self.store.succeeded();
                        patience.restore();
                    }
                    self.lead(turn).await
                }
                Err(error) => Err(PublishError::Store(error)),
            };
            if self.marked.swap(false, Ordering::Relaxed) {
                unmarked = false;
                patience.restore();
            }
            unmarked |= matches!(led, Err(PublishError::Mark(_)));
            match led {
                Ok(()) => {}
                Err(PublishError::Store(error) | PublishError::Mark(error)) if error.class != Class::Fatal => {
                    if error.outage {
                        self.store.lost();
                    }
                    warn!(%error, "publishing waits for the store");
                    patience.wait(&self.part).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks a store that counts as lost whether it is back, while another process has the turn. Nothing else may: a consumer that has
    /// nothing queued has paused its intake, and no message to ask with.
    async fn ask_the_store(&self, after: Duration) -> Infallible {
        loop {
            self.store.until_down().await;
            sleep(after).await;
            if self.outbox.waiting().await.is_ok() {
                self.store.succeeded();
            }
        }
    }

    /// Publishes until the stop, or until another process may hold the turn.
    async fn lead(&self, mut turn: O::Turn) -> Result<(), PublishError> {
        let (checks, checked) = watch::channel(None);
        let flow = Flow::new(self, checked);
        let ended = tokio::select! {
            ended = flow.run() => Some(ended),
            () = until_lost(&mut turn, &checks) => None,
        };
        match ended {
            Some(Ok(())) => self.end(turn).await,
            Some(Err(error)) => {
                self.producer.purge();
                return Err(error);
            }
            None => {
                // another process may hold it by now; its connection is gone, so the store counts as lost until it answers again
                warn!("this process no longer publishes");
                self.producer.purge();
                self.store.lost();
            }
        }
        Ok(())
    }

    /// Gives the turn back. Nothing is under way: every report was awaited.
    async fn end(&self, turn: O::Turn) {
        if !self.producer.flush(FLUSH).await {
            return; // the next holder waits until nothing of ours can arrive any more
        }
        if let Err(error) = turn.end().await {
            warn!(%error, "the turn to publish was not given back");
        }
    }
}

/// Checks the turn as long as it holds, and tells when it did.
async fn until_lost(turn: &mut impl Turn, checks: &watch::Sender<Option<Instant>>) {
    loop {
        let asked = Instant::now();
        if !turn.holds().await {
            return;
        }
        checks.send_replace(Some(asked));
        sleep(CHECK_EVERY).await;
    }
}

/// How long to wait after failures in a row.
struct Patience {
    failures: u32,
    jitter: Jitter,
}

impl Patience {
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
