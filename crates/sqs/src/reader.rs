//! Receiving ahead within bounds, and holding what was received until it is settled.
//!
//! ```text
//! queue ──long poll──> waiting ──receive──> in the hands of whoever handles it ──settle──> deleted, or back in the queue
//!                      └────── held: hidden from others, again and again, until settled ──────┘
//! ```

mod held;

#[cfg(test)]
mod tests;

use std::{
    num::NonZeroUsize,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{
    backoff::{self, Jitter},
    parts::Part,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tracing::{info, warn};

use self::held::Held;
use crate::{
    message::{Receipt, Received},
    queue::{BATCH, Depth, Error, Queue},
};

/// Tries of one settlement before its failure is told.
const TRIES: u32 = 4;

/// How much at once, and how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// No more is received while so many messages are held …
    pub messages: NonZeroUsize,
    /// … or so many bytes of them; the last ten may exceed it.
    pub bytes: usize,
    /// What is held is hidden for this long from its delivery on, and again each time that half of it is over; whole seconds, at least two.
    pub hidden: Duration,
    /// An empty queue is waited at for so long per call.
    pub wait: Duration,
    /// At a stop, what is held is waited for so long before it goes back.
    pub settle_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: NonZeroUsize::MIN.saturating_add(199),
            bytes: 8 * 1024 * 1024,
            hidden: Duration::from_secs(60),
            wait: Duration::from_secs(20),
            settle_within: Duration::from_secs(5),
        }
    }
}

/// How the handling of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Its effect, or its dead letter in our own store, is durable: it is deleted.
    Done,
    /// It comes again after this time, with all of its group that stands behind it.
    Again(Duration),
}

/// The messages of one queue, on their way to whoever handles them.
///
/// [`run`](Self::run) does the work, as a part of the process; the other methods ask it, and wait for ever without it.
#[derive(Debug)]
pub struct Reader<Q> {
    queue: Q,
    limits: Limits,
    held: Mutex<Held>,
    /// Something is to be done: room, a wish to read, a stop.
    wake: Notify,
    /// Something has come for [`receive`](Self::receive).
    came: Notify,
}

/// A call that waits for messages: for which epoch, and what came.
type Poll<'a> = Pin<Box<dyn Future<Output = (u64, Result<Vec<Received>, Error>)> + Send + 'a>>;

impl<Q: Queue> Reader<Q> {
    /// A reader of `queue` that holds nothing. It begins to read with the first [`receive`](Self::receive).
    #[must_use]
    pub fn new(queue: Q, limits: Limits) -> Self {
        Self { queue, limits, held: Mutex::default(), wake: Notify::new(), came: Notify::new() }
    }

    /// The queue.
    pub fn queue(&self) -> &Q {
        &self.queue
    }

    /// Waits for messages and gives at least one and at most `limit`, in order of arrival. May be dropped: what it did not give comes with a
    /// later call. One call at a time.
    ///
    /// # Errors
    /// Reading failed since the last call, and goes on, with a pause; or somebody called [`leave`](Self::leave) meanwhile.
    pub async fn receive(&self, limit: NonZeroUsize) -> Result<Vec<Received>, Error> {
        let epoch = self.held().begin();
        self.wake.notify_one();
        loop {
            let came = self.came.notified();
            {
                let mut held = self.held();
                if !held.reads_in(epoch) {
                    return Err(Error::Unavailable("left".to_owned()));
                }
                let given = held.give(limit.get(), Instant::now());
                if !given.is_empty() {
                    return Ok(given);
                }
                if let Some(error) = held.failure.take() {
                    return Err(error);
                }
            }
            came.await;
        }
    }

    /// Settles messages. One that is no longer ours is left to whoever has it, without an error. Twice is the same as once.
    ///
    /// # Errors
    /// Some are not settled, after several tries: they stay held, and this may be called again; if it is not, they come again some time.
    pub async fn settle(&self, settled: &[(Receipt, Settled)]) -> Result<(), Error> {
        // those of one kind together, in the order in which they were given
        let mut kinds: Vec<(Settled, Vec<Receipt>)> = Vec::new();
        for (receipt, how) in settled {
            let mut receipts = vec![receipt.clone()];
            if let Settled::Again(_) = how {
                receipts.append(&mut self.held().withdraw_behind(receipt));
            }
            match kinds.iter_mut().find(|(kind, _)| kind == how) {
                Some((_, known)) => known.append(&mut receipts),
                None => kinds.push((*how, receipts)),
            }
        }
        let mut outcome = Ok(());
        for (how, receipts) in kinds {
            outcome = outcome.and(self.until_told(receipts, how).await);
        }
        self.wake.notify_one();
        outcome
    }

    /// How much is in the queue.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn depth(&self) -> Result<Depth, Error> {
        self.queue.depth().await
    }

    /// How many messages are held, and their bytes.
    pub fn in_flight(&self) -> (usize, usize) {
        self.held().size()
    }

    /// Stops reading and gives back all that is held, so that others may have it at once. The next [`receive`](Self::receive) begins again.
    pub async fn leave(&self) {
        let receipts = self.held().end();
        self.wake.notify_one();
        self.came.notify_waiters();
        self.give_back(&receipts).await;
    }

    /// Reads while somebody wants it, and keeps what is held hidden, until the part is stopped. Then nothing more is received, what is held is
    /// waited for, and the rest goes back.
    ///
    /// The part is ready while the queue can be reached.
    pub async fn run(&self, part: Part) {
        let mut jitter = Jitter::random();
        let mut poll: Option<Poll<'_>> = None;
        let (mut failures, mut poll_at) = (0_u32, Instant::now());
        part.ready();
        while !part.is_stopping() {
            if poll.is_none()
                && Instant::now() >= poll_at
                && let Some((epoch, room)) = self.held().room(&self.limits)
            {
                let polled = self.queue.receive(room.min(BATCH), self.limits.wait, self.limits.hidden);
                poll = Some(Box::pin(async move { (epoch, polled.await) }));
            }
            let extend_at = self.held().due(self.limits.hidden);
            let retry = (poll.is_none() && poll_at > Instant::now()).then_some(poll_at);
            tokio::select! {
                (epoch, polled) = ended(&mut poll) => {
                    poll = None;
                    match polled {
                        Ok(messages) => {
                            if failures > 0 {
                                info!(source = self.queue.name(), "SQS is reached again");
                                part.ready();
                            }
                            (failures, poll_at) = (0, Instant::now());
                            self.take_in(epoch, messages).await;
                        }
                        Err(error) => {
                            if failures == 0 {
                                warn!(source = self.queue.name(), "{error}; it is tried again");
                                part.not_ready("SQS cannot be reached");
                            }
                            failures = failures.saturating_add(1);
                            poll_at = Instant::now() + backoff::pause(failures, None, &mut jitter);
                            self.held().failure = Some(error);
                        }
                    }
                    self.came.notify_waiters();
                }
                () = until(extend_at) => self.extend().await,
                () = until(retry) => {}
                () = self.wake.notified() => {}
                () = part.stopping() => {}
            }
        }
        // a poll that waits is given up: what it may have received comes again when its time is over
        drop(poll);
        self.drain().await;
    }

    async fn take_in(&self, epoch: u64, messages: Vec<Received>) {
        let strays = self.held().take_in(epoch, messages, Instant::now() + self.limits.hidden);
        self.give_back(&strays).await;
    }

    /// Waits until what is held is settled, and hides it meanwhile.
    async fn drain(&self) {
        let waiting = self.held().stop();
        self.give_back(&waiting).await;
        let deadline = Instant::now() + self.limits.settle_within;
        while self.held().size().0 > 0 && Instant::now() < deadline {
            let extend_at = self.held().due(self.limits.hidden);
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = until(extend_at) => self.extend().await,
                () = self.wake.notified() => {}
            }
        }
        let rest = self.held().end();
        self.give_back(&rest).await;
    }

    /// Hides what is held for another time, where half of the last one is over.
    async fn extend(&self) {
        let hidden = self.limits.hidden;
        let (due, begun) = (self.held().take_due(hidden, Instant::now()), Instant::now());
        let results = self.queue.hide(&due, hidden).await;
        let lost = self.held().extended(due.into_iter().zip(results), begun + hidden, Instant::now());
        if lost > 0 {
            warn!(source = self.queue.name(), "{lost} messages are no longer ours: they come again");
        }
    }

    /// Tells the queue how the handling of messages ended, a few times, until each is done or no longer ours; those are held no more.
    async fn until_told(&self, mut left: Vec<Receipt>, how: Settled) -> Result<(), Error> {
        let mut jitter = Jitter::random();
        let mut failure = Ok(());
        for attempt in 1..=TRIES {
            if attempt > 1 {
                sleep(backoff::pause(attempt, None, &mut jitter)).await;
            }
            let results = match how {
                Settled::Done => self.queue.delete(&left).await,
                Settled::Again(after) => self.queue.hide(&left, after).await,
            };
            let mut held = self.held();
            let mut open = Vec::new();
            for (receipt, result) in left.into_iter().zip(results) {
                match result {
                    Ok(()) | Err(Error::Gone) => held.forget(&receipt),
                    Err(error) => {
                        failure = Err(error);
                        open.push(receipt);
                    }
                }
            }
            left = open;
            if left.is_empty() {
                return Ok(());
            }
        }
        failure
    }

    /// Best effort: what cannot be given back comes again when its time is over.
    async fn give_back(&self, receipts: &[Receipt]) {
        if receipts.is_empty() {
            return;
        }
        let results = self.queue.hide(receipts, Duration::ZERO).await;
        let failed = results.into_iter().filter(|result| matches!(result, Err(error) if *error != Error::Gone)).count();
        if failed > 0 {
            warn!(source = self.queue.name(), "{failed} messages could not be given back: they come again later");
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ended(poll: &mut Option<Poll<'_>>) -> (u64, Result<Vec<Received>, Error>) {
    match poll {
        Some(poll) => poll.await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
