//! What moves while the turn is held: one loop reads and sends, another one awaits reports and marks, so that neither waits for the other.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chassis::{
    failpoints,
    trace::{Context, Kind, Span},
};
use chrono::NaiveDateTime;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use kafka::{Outgoing, Publish, Report, SendError};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tracing::{error, warn};

use super::{
    PublishError, Publisher, TURN_IS_GOOD_FOR,
    holds::{Answer, Flight, Holds, Reason},
};
use crate::{
    OSLO,
    fresh::{Handed, Open},
    inbox::{Head, Outbox, OutboxMessage},
};

/// The most keys of one page.
const PAGE: u32 = 500;
/// The shortest time between two laps that nothing but a passing hold asked for.
const LAP_EVERY: Duration = Duration::from_millis(20);
/// How long what another process added may wait unseen.
const READ_EVERY: Duration = Duration::from_millis(250);
/// How long reports are gathered before a mark: marking a few costs the database as much as marking hundreds.
const GATHER: Duration = Duration::from_millis(5);
/// How long the end of a lap over keys that all wait may be put off: reading them again must not become what the database does.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The publisher at work.
pub(super) struct Flow<'p, O, P> {
    publisher: &'p Publisher<O, P>,
    holds: Mutex<Holds>,
    /// Told when a key or room became free.
    freed: Notify,
    /// Whether something in the outbox is known to be free since the last lap.
    again: AtomicBool,
    /// When the turn was checked last.
    checked: watch::Receiver<Option<Instant>>,
}

/// A way once through the keys, page by page.
struct Lap {
    begun: Instant,
    /// The key to go on after; `None` before the first page.
    after: Option<String>,
    /// Whether the last key was reached.
    over: bool,
    sent: usize,
    /// Whether it met a key of which a message that was read is on its way.
    under_way: bool,
    /// When the first of the keys that wait may leave.
    next: Option<Instant>,
    waiting: HashMap<Reason, u64>,
}

type Sent = (Flight, Leaving, Report);
type Reported = (Flight, Leaving, Result<(), SendError>);

/// What is told of a message once its report is here.
struct Leaving {
    span: Span,
    added_at: NaiveDateTime,
}

impl<'p, O: Outbox, P: Publish> Flow<'p, O, P> {
    pub(super) fn new(publisher: &'p Publisher<O, P>, checked: watch::Receiver<Option<Instant>>) -> Self {
        let holds = Mutex::new(Holds::new(publisher.spacing, publisher.jitter.clone()));
        Self { publisher, holds, freed: Notify::new(), again: AtomicBool::new(false), checked }
    }

    /// Publishes until the stop; what is on its way by then is awaited and marked.
    pub(super) async fn run(&self) -> Result<(), PublishError> {
        // bounded by what the holds let on its way
        let (sent, reports) = mpsc::unbounded_channel();
        tokio::try_join!(self.send(sent), self.settle(reports)).map(drop)
    }

    async fn send(&self, sent: mpsc::UnboundedSender<Sent>) -> Result<(), PublishError> {
        let Publisher { part, spacing, outbox, .. } = self.publisher;
        let fresh = outbox.fresh().open(); // before the first lap: what it does not see is handed over
        tokio::select! {
            () = part.stopping() => return Ok(()),
            // what the holder before sent last is not known here
            () = sleep(*spacing) => {}
        }
        let (mut lap, mut pace) = (Lap::begin(), Pace::new());
        while !part.is_stopping() {
            if !self.holds().has_room(PAGE as usize, Instant::now()) {
                tokio::select! {
                    () = part.stopping() => return Ok(()),
                    () = self.freed.notified() => {}
                    () = sleep(LAP_EVERY) => {} // a distance that is over frees its key without a word
                }
                continue;
            }
            let handed = self.choose_handed(fresh.take(PAGE as usize), &mut pace);
            self.leave(handed, &sent).await;
            if !lap.over {
                let page = tokio::select! {
                    biased;
                    () = part.stopping() => return Ok(()),
                    page = self.page(&mut lap, &fresh) => page?,
                };
                self.leave(page, &sent).await;
                if !lap.over {
                    continue;
                }
                self.tell(&lap);
                pace.end(&lap);
            }
            if pace.is_due() {
                lap = Lap::begin();
                continue;
            }
            tokio::select! {
                () = part.stopping() => return Ok(()),
                () = fresh.ready() => {}
                () = self.freed.notified() => if pace.walks || self.again.swap(false, Ordering::Relaxed) { pace.soon() },
                () = outbox.changed() => pace.soon(),
                () = sleep_until(pace.due) => {}
            }
        }
        Ok(())
    }

    /// Hands what was chosen to the producer, once it is sure that the turn is still ours.
    async fn leave(&self, page: Vec<(Head, OutboxMessage)>, sent: &mpsc::UnboundedSender<Sent>) {
        if page.is_empty() {
            return;
        }
        let mut checked = self.checked.clone();
        // an error says that nobody checks any more: then this ends too
        drop(checked.wait_for(|at| at.is_some_and(|at| at.elapsed() < TURN_IS_GOOD_FOR)).await);
        failpoints::hit("arena-acl.publish.before-send");
        for (head, message) in page {
            let leaving = Leaving::begin(&message);
            let report = self.publisher.producer.hand_over(outgoing(message));
            let flight = Flight { head, since: Instant::now() };
            drop(sent.send((flight, leaving, report))); // the other loop ends after this one, or both do
        }
        failpoints::hit("arena-acl.publish.after-send");
    }

    /// Of what was handed over, that which may leave now. The rest is found in the outbox, when it may.
    fn choose_handed(&self, handed: Vec<Handed>, pace: &mut Pace) -> Vec<(Head, OutboxMessage)> {
        let now = Instant::now();
        let mut holds = self.holds();
        let mut chosen = Vec::with_capacity(handed.len());
        for handed in handed {
            match handed {
                Handed::Message(message) => {
                    let head = message.head();
                    match holds.ask(&head, true, now) {
                        Answer::Free => chosen.push((head, message)),
                        Answer::Later(at, _) => pace.not_after(at),
                        Answer::UnderWay { .. } if holds.follow(&head.key) => {}
                        Answer::UnderWay { .. } | Answer::AfterTheProbe | Answer::Full => pace.walk(),
                    }
                }
                Handed::Left(key) if holds.follow(&key) => {}
                Handed::Left(_) => pace.soon(),
                Handed::Unknown => pace.walk(),
            }
        }
        chosen
    }

    /// What may leave of the next page, and the right to send it.
    async fn page(&self, lap: &mut Lap, fresh: &Open<'_>) -> Result<Vec<(Head, OutboxMessage)>, PublishError> {
        let outbox = &self.publisher.outbox;
        let heads = outbox.heads(lap.after.as_deref(), PAGE).await.map_err(PublishError::Store)?;
        let mut chosen = self.choose(heads, lap, fresh);
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = chosen.keys().copied().collect();
        let messages = outbox.unpublished(&ids).await.map_err(PublishError::Store)?;
        let page: Vec<_> =
            messages.into_iter().filter_map(|message| Some((chosen.remove(&message.id)?, message))).collect();
        for head in chosen.values() {
            self.holds().stayed(head); // it was marked while the heads were read
        }
        lap.sent += page.len();
        Ok(page)
    }

    /// Of the keys read, those that may leave now, by id; the lap goes on after the last one that was looked at.
    fn choose(&self, heads: Vec<Head>, lap: &mut Lap, fresh: &Open<'_>) -> HashMap<i64, Head> {
        let now = Instant::now();
        let mut holds = self.holds();
        let mut chosen = HashMap::new();
        lap.over = heads.len() < PAGE as usize;
        for head in heads {
            if fresh.is_promised(head.id) {
                lap.after = Some(head.key);
                continue;
            }
            match holds.ask(&head, false, now) {
                Answer::Full => {
                    lap.over = false;
                    break;
                }
                // who is handed a message is told what follows it; behind one that was read there may be more
                Answer::UnderWay { fresh } => lap.under_way |= !fresh,
                Answer::AfterTheProbe => lap.waits(Reason::Unconfirmed, None),
                Answer::Later(at, reason) => lap.waits(reason, Some(at)),
                Answer::Free => {
                    lap.after = Some(head.key.clone());
                    chosen.insert(head.id, head);
                    continue;
                }
            }
            lap.after = Some(head.key);
        }
        chosen
    }

    /// How many keys wait, and for what.
    fn tell(&self, lap: &Lap) {
        for reason in Reason::ALL {
            let keys = lap.waiting.get(&reason).copied().unwrap_or_default();
            self.publisher.metrics.waiting("outbox", reason.name(), keys);
        }
        self.holds().forget(Instant::now());
    }

    /// Awaits reports and marks what arrived, until nothing more is sent and all is settled.
    async fn settle(&self, mut sent: mpsc::UnboundedReceiver<Sent>) -> Result<(), PublishError> {
        let mut under_way = FuturesUnordered::new();
        let mut fresh = Vec::new();
        loop {
            let first = tokio::select! {
                1.. = sent.recv_many(&mut fresh, PAGE as usize) => None,
                Some(reported) = under_way.next() => Some(reported),
                else => return Ok(()),
            };
            let awaited = |(flight, leaving, report): Sent| report.map(|result| (flight, leaving, result));
            under_way.extend(fresh.drain(..).map(awaited));
            let Some(first) = first else { continue };
            let mut reported = vec![first];
            sleep(GATHER).await;
            while let Some(Some(more)) = under_way.next().now_or_never() {
                reported.push(more);
            }
            self.settle_all(reported).await?;
        }
    }

    async fn settle_all(&self, reported: Vec<Reported>) -> Result<(), PublishError> {
        let Publisher { outbox, clock, store, metrics, .. } = self.publisher;
        let (now, local) = (Instant::now(), clock.local(OSLO));
        let mut arrived = Vec::with_capacity(reported.len());
        for (flight, mut leaving, result) in reported {
            match result {
                Ok(()) => {
                    let time = (local - leaving.added_at).to_std().unwrap_or_default();
                    metrics.published(&flight.head.topic, time);
                    self.holds().arrived(&flight.head, now);
                    arrived.push(flight.head);
                }
                Err(error @ SendError::Fatal(_)) => return Err(PublishError::Producer(error)),
                Err(error) => {
                    leaving.span.fail("not_delivered");
                    self.failed(&flight, &error, now);
                }
            }
        }
        if !arrived.is_empty() {
            failpoints::hit("arena-acl.publish.before-mark");
            let ids: Vec<i64> = arrived.iter().map(|head| head.id).collect();
            outbox.published(&ids, local).await.map_err(PublishError::Mark)?;
            failpoints::hit("arena-acl.publish.after-mark");
            store.succeeded();
            self.publisher.marked.store(true, Ordering::Relaxed);
            for head in &arrived {
                if self.holds().marked(head, now) {
                    self.again.store(true, Ordering::Relaxed);
                }
            }
        }
        self.freed.notify_one();
        Ok(())
    }

    fn failed(&self, flight: &Flight, error: &SendError, now: Instant) {
        let Flight { head: Head { id, topic, .. }, .. } = flight;
        // it stays and holds back its own key: dropping it would lose the last word on a participant
        let reason = if matches!(error, SendError::Refused(_)) { Reason::Refused } else { Reason::Unconfirmed };
        self.holds().failed(flight, reason, now);
        self.again.store(true, Ordering::Relaxed); // it is in the outbox, and nowhere else
        let Some(count) = self.publisher.quiet.admit(topic, reason.name()) else { return };
        if reason == Reason::Refused {
            error!(outbox.id = id, %topic, count, %error, "the broker refuses messages, their keys wait");
        } else {
            warn!(outbox.id = id, %topic, count, %error, "publishing waits for the broker");
        }
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the outbox is read again.
struct Pace {
    due: Instant,
    /// No sooner than this.
    rested: Instant,
    /// Whether more may wait in the outbox than what was handed over: then each report is a reason to read.
    walks: bool,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self { due: now, rested: now, walks: true }
    }

    fn end(&mut self, lap: &Lap) {
        let now = Instant::now();
        self.walks = lap.sent > 0 || lap.under_way;
        let rest = if lap.sent == 0 { lap.begun.elapsed().min(LONGEST_REST) } else { Duration::ZERO };
        self.rested = now + rest;
        if !self.walks {
            self.rested = self.rested.max(lap.begun + LAP_EVERY);
        }
        let next = lap.next.map_or(now + READ_EVERY, |at| at.max(lap.begun + LAP_EVERY).min(now + READ_EVERY));
        self.due = next.max(self.rested);
    }

    fn soon(&mut self) {
        self.not_after(Instant::now());
    }

    fn not_after(&mut self, at: Instant) {
        self.due = self.due.min(at.max(self.rested));
    }

    fn walk(&mut self) {
        self.walks = true;
        self.soon();
    }

    fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }
}

impl Lap {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            after: None,
            over: false,
            sent: 0,
            under_way: false,
            next: None,
            waiting: HashMap::new(),
        }
    }

    fn waits(&mut self, reason: Reason, until: Option<Instant>) {
        *self.waiting.entry(reason).or_default() += 1;
        self.next = self.next.into_iter().chain(until).min();
    }
}

fn outgoing(message: OutboxMessage) -> Outgoing {
    let OutboxMessage { topic, key, payload, trace, .. } = message;
    // stored with the message, so the same in each sending
    let headers = trace.iter().map(Context::header).collect();
    Outgoing { topic, key: Some(Bytes::from(key)), payload: payload.map(Bytes::from), headers }
}

impl Leaving {
    /// One sending begins; without a trace to belong to it has no span.
    fn begin(message: &OutboxMessage) -> Self {
        let OutboxMessage { id, topic, trace, added_at, .. } = message;
        let begin = |trace| Span::begin(Kind::Producer, || format!("send {topic}"), Some(trace));
        let mut span = trace.map(begin).unwrap_or_default();
        if span.is_recorded() {
            span.set("messaging.system", "kafka");
            span.set("messaging.destination.name", topic.to_string());
            span.set("truecopy.outbox.id", *id);
        }
        Self { span, added_at: *added_at }
    }
}
