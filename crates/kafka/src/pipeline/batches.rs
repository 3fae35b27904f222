//! The batches that form and run, and what is left of them when a step panics.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use chassis::{
    lanes::Ticket,
    trace::{self, Kind, Span},
};
use domain::delivery::Settlement;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::error;

use super::{Consume, ConsumeError, Limits, work::Work};

/// This many panics of single messages …
pub(super) const PANICS: usize = 5;
/// … within this time say that the service itself is broken.
pub(super) const PANICS_WITHIN: Duration = Duration::from_secs(60);

/// A message taken from its lanes.
pub(super) type Taken<I> = (Ticket, Work<I>);

/// How a task of this module ended: with what the service said, or with a panic.
type Ended<F> = Result<(Id, Result<Vec<Settlement>, F>), JoinError>;

/// A batch that ended with a settlement for each message.
pub(super) struct Settled<I> {
    pub(super) works: Vec<(Taken<I>, Settlement)>,
    pub(super) took: Duration,
}

pub(super) struct Batches<C: Consume> {
    consumer: Arc<C>,
    forming: Forming<C::Item>,
    /// To be run each alone, before anything else.
    singles: VecDeque<Taken<C::Item>>,
    running: JoinSet<Result<Vec<Settlement>, C::Fatal>>,
    works: HashMap<Id, Running<C::Item>>,
    panics: VecDeque<Instant>,
}

struct Running<I> {
    works: Vec<Taken<I>>,
    since: Instant,
}

struct Forming<I> {
    works: Vec<Taken<I>>,
    bytes: usize,
    since: Option<Instant>,
}

impl<I> Default for Forming<I> {
    fn default() -> Self {
        Self { works: Vec::new(), bytes: 0, since: None }
    }
}

impl<C: Consume> Batches<C> {
    pub(super) fn new(consumer: Arc<C>) -> Self {
        Self {
            consumer,
            forming: Forming::default(),
            singles: VecDeque::new(),
            running: JoinSet::new(),
            works: HashMap::new(),
            panics: VecDeque::new(),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether nothing forms, waits or runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.singles.is_empty() && self.forming.works.is_empty()
    }

    /// How many items and bytes the batch that forms has room for; none of either when it is full.
    pub(super) fn room(&self, limits: &Limits) -> Option<(usize, usize)> {
        let items = limits.batch_items.get().saturating_sub(self.forming.works.len());
        let bytes = limits.batch_bytes.saturating_sub(self.forming.bytes);
        (items > 0 && bytes > 0).then_some((items, bytes))
    }

    pub(super) fn is_forming(&self) -> bool {
        !self.forming.works.is_empty()
    }

    /// When the batch that forms is closed, if it is not full before.
    pub(super) fn closes(&self, limits: &Limits) -> Option<Instant> {
        self.forming.since.map(|since| since + limits.batch_wait)
    }

    pub(super) fn add(&mut self, taken: Vec<Taken<C::Item>>) {
        if !taken.is_empty() {
            self.forming.since.get_or_insert_with(Instant::now);
            self.forming.bytes += taken.iter().map(|(_, work)| work.size).sum::<usize>();
            self.forming.works.extend(taken);
        }
    }

    /// Starts a message that is to run alone, if there is one.
    pub(super) fn start_single(&mut self) -> bool {
        let single = self.singles.pop_front();
        single.map(|single| self.start(vec![single])).is_some()
    }

    /// Starts the batch that forms.
    pub(super) fn start_formed(&mut self) {
        let (known, bugs): (Vec<_>, Vec<_>) =
            mem::take(&mut self.forming).works.into_iter().partition(|(_, work)| work.item.is_some());
        for bug in bugs {
            self.start(vec![bug]);
        }
        if !known.is_empty() {
            self.start(known);
        }
    }

    fn start(&mut self, mut works: Vec<Taken<C::Item>>) {
        let consumer = Arc::clone(&self.consumer);
        let batch = self.trace(&mut works);
        let items: Vec<_> = works.iter().filter_map(|(_, work)| work.item.clone()).collect();
        let handle = match works.first() {
            Some((_, bug)) if items.is_empty() => {
                let message = bug.message.clone();
                self.running.spawn(within(batch, async move { Ok(vec![consumer.bug(message).await]) }))
            }
            _ => self.running.spawn(within(batch, async move { consumer.step(items).await })),
        };
        self.works.insert(handle.id(), Running { works, since: Instant::now() });
    }

    /// Begins the spans of a try, one for each message, and the one of the batch, which is that of the message where it is alone.
    /// What is asked of others is asked once for all: it belongs to the batch.
    fn trace(&self, works: &mut [Taken<C::Item>]) -> Span {
        for (_, work) in works.iter_mut() {
            work.traced.begin(&work.message);
            if let (Some(item), Some(context)) = (&mut work.item, work.traced.span.context()) {
                self.consumer.trace(item, context);
            }
        }
        if let [(_, work)] = works {
            return Span::passed(work.traced.span.context());
        }
        let batch = Span::over(
            Kind::Consumer,
            || "process batch",
            works.iter().filter_map(|(_, work)| work.traced.span.context()),
        );
        works.iter_mut().for_each(|(_, work)| work.traced.span.link(batch.context()));
        batch
    }

    /// Waits for the next batch to end, for ever if none runs. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Ended<C::Fatal> {
        match self.running.join_next_with_id().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// What a batch that ended gives: its settlements, or nothing when it panicked and is repeated.
    pub(super) fn ended(&mut self, ended: Ended<C::Fatal>) -> Result<Option<Settled<C::Item>>, ConsumeError<C::Fatal>> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(Running { works, since }) = self.works.remove(&id) else { return Ok(None) };
        match ended {
            Ok((_, Ok(settlements))) if settlements.len() == works.len() => {
                Ok(Some(Settled { works: works.into_iter().zip(settlements).collect(), took: since.elapsed() }))
            }
            Ok((_, Ok(settlements))) => {
                Err(ConsumeError::Miscounted { settlements: settlements.len(), items: works.len() })
            }
            Ok((_, Err(fatal))) => Err(ConsumeError::Fatal(fatal)),
            Err(_) => self.panicked(works).map(|()| None),
        }
    }

    /// Repeats a batch that panicked one by one. A message that panics alone is a bug.
    fn panicked(&mut self, mut works: Vec<Taken<C::Item>>) -> Result<(), ConsumeError<C::Fatal>> {
        if let [(_, work)] = works.as_mut_slice() {
            error!(source = %work.message.source, position = work.message.position(), "a message panicked alone: it is a bug");
            work.item = None;
            self.count_panic()?;
        } else {
            error!("a batch of {} messages panicked: they are repeated one by one", works.len());
        }
        self.singles.extend(works);
        Ok(())
    }

    /// Counts a panic of a single message.
    pub(super) fn count_panic(&mut self) -> Result<(), ConsumeError<C::Fatal>> {
        let now = Instant::now();
        self.panics.retain(|at| now.duration_since(*at) < PANICS_WITHIN);
        self.panics.push_back(now);
        if self.panics.len() < PANICS { Ok(()) } else { Err(ConsumeError::Panics) }
    }
}

/// Does `work` inside `span`.
async fn within<T>(span: Span, work: impl Future<Output = T>) -> T {
    trace::within(span.context(), work).await
}
