//! The use case: a batch of changes meets the rules and becomes durable.

mod backfill;

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use chassis::{clock::Clock, trace};
use chrono::NaiveDateTime;
use domain::{
    arena_acl::{
        Answers, Backoff, Change, DUPLICATE, Decision, EXTERNAL_ID_TAKEN, Effect, Failure, Held, IngestStatus, Lock,
        Moment, ParticipantId, Pass, Publication, Question, Table, Topic, decide, failed, is_duplicate,
    },
    delivery::{Class, Outcome, Settlement},
};
use futures::FutureExt as _;
use tracing::error;
use uuid::Uuid;

pub use self::backfill::Backfilled;
use crate::{
    OSLO,
    inbox::{Inbox, Item, NewMessage, StoreError, Write},
    metrics::Metrics,
    neighbours::Neighbours,
    wire,
};

/// How many locks one transaction takes at most: the database has one table of locks for all (architecture 8.4).
const MAX_LOCKS: usize = 500;

/// Settings of the rules.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Failed attempts before a row is FAILED; inclusive.
    pub max_attempts: NonZeroU32,
    /// Failed attempts that a delete waits for its history row.
    pub delete_wait: u32,
    /// How long a technical failure waits for its next try.
    pub backoff: Backoff,
    /// Whether a history row waits while downstream does not know its participation.
    pub unknown_match_waits: bool,
    /// Whether HANDLED records that come again are handled again.
    pub reprocess: bool,
    /// The name of the topic for group measures.
    pub group_topic: Arc<str>,
    /// The name of the topic for single-place measures.
    pub single_place_topic: Arc<str>,
}

/// How one change ended; `None` where it was left as it was.
pub type Ended = Result<Option<Settlement>, StoreError>;

/// Handles changes, from wherever they come.
pub struct Records<I> {
    inbox: Arc<I>,
    neighbours: Neighbours,
    clock: Clock,
    rules: Rules,
    metrics: Metrics,
}

impl<I: Inbox> Records<I> {
    /// A handler over a store and the neighbours.
    pub fn new(inbox: Arc<I>, neighbours: Neighbours, clock: Clock, rules: Rules, metrics: Metrics) -> Self {
        Self { inbox, neighbours, clock, rules, metrics }
    }

    /// The settings of the rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Makes `items` durable and says how each ended, in order. No two items share an exclusive lock.
    ///
    /// `None` is a row that a job leaves as it was: it has changed since the job chose it, or what third parties were
    /// asked no longer fits. Course changes go first and never share a transaction with others. A refused batch is
    /// repeated one by one; an item refused alone is stored with that failure (class *other*).
    ///
    /// # Errors
    /// In the place of each item that could not be stored: an outage, or a row that the store refuses whatever it says.
    pub async fn handle(&self, items: &[Item], pass: Pass) -> Vec<Ended> {
        let mut ended: Vec<Option<Ended>> = items.iter().map(|_| None).collect();
        let mut gone = None; // what ends one chunk ends all: nobody waits for it once more
        for chunk in chunks(items) {
            let batch: Vec<Item> = chunk.iter().filter_map(|place| items.get(*place).cloned()).collect();
            let results = match &gone {
                Some(error) => batch.iter().map(|_| Err(StoreError::clone(error))).collect(),
                None => self.handle_chunk(&batch, pass).await,
            };
            gone = gone
                .or(results.iter().find_map(|result| result.as_ref().err().filter(|error| error.ends_all()).cloned()));
            for (place, result) in chunk.into_iter().zip(results) {
                if let (Ok(Some(Settlement::Done(Outcome::Applied))), Some(item)) = (&result, items.get(place)) {
                    self.metrics.handled(item);
                }
                if let Some(slot) = ended.get_mut(place) {
                    *slot = Some(result);
                }
            }
        }
        // every place is in exactly one chunk
        ended.into_iter().flatten().collect()
    }

    async fn handle_chunk(&self, items: &[Item], pass: Pass) -> Vec<Ended> {
        let mut batch = self.batch(items, pass);
        let error = match self.ask_and_apply(&mut batch).await {
            Ok(ended) => return ended.into_iter().map(Ok).collect(),
            Err(error) => error,
        };
        if error.ends_all() {
            return items.iter().map(|_| Err(error.clone())).collect();
        }
        let mut ended = Vec::with_capacity(items.len());
        for item in items {
            ended.push(self.handle_alone(item, pass).await);
        }
        ended
    }

    async fn handle_alone(&self, item: &Item, pass: Pass) -> Ended {
        let mut batch = self.batch(std::slice::from_ref(item), pass);
        match self.ask_and_apply(&mut batch).await {
            Ok(ended) => Ok(ended.into_iter().next().flatten()),
            Err(error) if error.outage || !matches!(error.class, Class::Permanent(_)) => Err(error),
            Err(error) => self.fail(item, pass, Failure::other(format!("the store refused it: {error}"))).await,
        }
    }

    /// The same as [`handle`](Self::handle); a panic is the failed attempt (class *other*) of the change that panics alone.
    ///
    /// # Errors
    /// As those of `handle`.
    pub async fn handle_each(&self, items: &[Item], pass: Pass) -> Vec<Ended> {
        if let Some(ended) = self.caught(items, pass).await {
            return ended;
        }
        let mut ended = Vec::with_capacity(items.len());
        for item in items {
            ended.push(match self.caught(std::slice::from_ref(item), pass).await {
                Some(ended) => ended.into_iter().next().unwrap_or(Ok(None)),
                None => {
                    let failure = Failure::other("handling it panicked; the log of that time has the place");
                    self.fail(item, pass, failure).await
                }
            });
        }
        ended
    }

    /// What became of `items`; `None` when handling them panicked.
    async fn caught(&self, items: &[Item], pass: Pass) -> Option<Vec<Ended>> {
        AssertUnwindSafe(self.handle(items, pass)).catch_unwind().await.ok()
    }

    /// Stores `item` with a failure that lies outside the rules: a refused write, a panic.
    ///
    /// # Errors
    /// As the store says; a permanent one means that the row cannot be stored at all.
    pub async fn fail(&self, item: &Item, pass: Pass, failure: Failure) -> Ended {
        let batch = self.batch(std::slice::from_ref(item), pass);
        let ended = self
            .inbox
            .apply(&batch.items, batch.now, |item, held| {
                let moment = batch.moment(&item.change)?;
                if is_duplicate(&item.change, held, moment) {
                    return Some(Write { effect: Effect::nothing(DUPLICATE), message: None });
                }
                chosen(&item.change, held, pass)
                    .then(|| Write { effect: failed(&item.change, held, failure.clone(), moment), message: None })
            })
            .await?;
        Ok(ended.into_iter().next().flatten())
    }

    async fn ask_and_apply(&self, batch: &mut Batch) -> Result<Vec<Option<Settlement>>, StoreError> {
        let answers = self.ask(batch).await?;
        if let Some(first) = batch.items.first_mut() {
            // the locks of a transaction are one set, whichever item names them
            first.also = answers.locked.iter().map(|participant| Lock::Participant(participant.0)).collect();
        }
        let batch = &*batch;
        self.inbox.apply(&batch.items, batch.now, |item, held| self.write(batch, item, held, &answers)).await
    }

    /// What third parties know of the batch, asked concurrently and outside any transaction, until the rules have no
    /// further question.
    async fn ask(&self, batch: &Batch) -> Result<Answers, StoreError> {
        let changes: Vec<&Change> = batch.items.iter().map(|item| &item.change).collect();
        let held = self.inbox.read(&changes).await?;
        let mut answers = Answers::default();
        loop {
            let questions: BTreeSet<Question> = changes
                .iter()
                .filter_map(|change| match decide(change, &held, &answers, batch.moment(change)?) {
                    Decision::Ask(question) => Some(question),
                    Decision::Do(_) => None,
                })
                .collect();
            if questions.is_empty() {
                return Ok(answers);
            }
            // locks are taken with those of the batch; what is left is for third parties
            let (locks, questions): (BTreeSet<Question>, _) =
                questions.into_iter().partition(|question| matches!(question, Question::Lock(_)));
            answers.locked.extend(locks.iter().filter_map(participant));
            self.neighbours.answer(questions, &mut answers).await;
        }
    }

    fn write(&self, batch: &Batch, item: &Item, held: &Held, answers: &Answers) -> Option<Write> {
        let change = &item.change;
        let moment = batch.moment(change)?;
        if !chosen(change, held, batch.pass) {
            return None;
        }
        let effect = match decide(change, held, answers, moment) {
            Decision::Do(effect) => *effect,
            Decision::Ask(_) if batch.pass != Pass::Live => return None,
            Decision::Ask(_) => {
                let mut effect = failed(change, held, Failure::missing("what it depends on changed meanwhile"), moment);
                if let Some(row) = &mut effect.row {
                    row.retry_at = Some(moment.now); // it is here already, only not asked about
                }
                effect
            }
        };
        let note = effect.row.as_ref().and_then(|row| row.note.as_deref());
        if let Some(note) = note.filter(|note| note.starts_with(EXTERNAL_ID_TAKEN)) {
            error!(table = change.table.name(), arena.id = change.arena_id, "two systems disagree: {note}");
        }
        let message = effect.publication.as_ref().map(|publication| self.render(publication, item.trace));
        Some(Write { effect, message })
    }

    /// A change of a job has no trace of its own: it belongs to the job's.
    fn render(&self, publication: &Publication, trace: Option<trace::Context>) -> NewMessage {
        let (topic, transaction_id) = match publication.topic {
            Topic::Group => (&self.rules.group_topic, Some(publication.transaction)),
            Topic::SinglePlace => (&self.rules.single_place_topic, None),
        };
        NewMessage {
            topic: topic.clone(),
            key: publication.participant.id.to_string(),
            payload: Some(wire::message::render(publication)),
            transaction_id,
            trace: trace.or_else(trace::current),
        }
    }

    fn batch(&self, items: &[Item], pass: Pass) -> Batch {
        let now = self.clock.local(OSLO);
        let moments = items.iter().map(|item| (place(&item.change), self.moment(now, pass))).collect();
        Batch { items: items.to_vec(), moments, now, pass }
    }

    /// What counts beside a change itself, for one change.
    pub(crate) fn moment(&self, now: NaiveDateTime, pass: Pass) -> Moment {
        Moment {
            pass,
            now,
            amt_id: Uuid::new_v4(),
            transaction: Uuid::new_v4(),
            max_attempts: self.rules.max_attempts.get(),
            delete_wait: self.rules.delete_wait,
            backoff: self.rules.backoff,
            unknown_match_waits: self.rules.unknown_match_waits,
            reprocess: self.rules.reprocess,
        }
    }
}

/// Items that are handled together, each with its moment.
struct Batch {
    items: Vec<Item>,
    moments: HashMap<Lock, Moment>,
    now: NaiveDateTime,
    pass: Pass,
}

impl Batch {
    fn moment(&self, change: &Change) -> Option<&Moment> {
        self.moments.get(&place(change))
    }
}

/// What is its own for each item of a batch: the lock of its object.
fn place(change: &Change) -> Lock {
    match change.table {
        Table::Courses => Lock::Course(change.arena_id),
        Table::Participants => Lock::Participant(change.arena_id),
        Table::History => Lock::History(change.arena_id),
    }
}

fn participant(question: &Question) -> Option<ParticipantId> {
    match question {
        Question::Lock(participant) => Some(*participant),
        Question::CourseUuid(_)
        | Question::CourseDetails(_)
        | Question::NationalId(_)
        | Question::Participations(..) => None,
    }
}

/// Whether the row is still in the status by which a job chose it; live records are always chosen.
fn chosen(change: &Change, held: &Held, pass: Pass) -> bool {
    let status = || held.row(change.table, change.arena_id, change.operation, &change.position).map(|row| row.status);
    match pass {
        Pass::Live => true,
        Pass::Retry | Pass::Wake => status() == Some(IngestStatus::Retry),
        Pass::Failed => status() == Some(IngestStatus::Failed),
    }
}

/// The places of `items` in groups for one transaction each: one table in a group, courses first, at most
/// [`MAX_LOCKS`] locks.
fn chunks(items: &[Item]) -> Vec<Vec<usize>> {
    let mut chunks = Vec::new();
    for table in Table::ALL {
        let mut chunk = Vec::new();
        let mut locks = 0;
        for (place, item) in items.iter().enumerate().filter(|(_, item)| item.change.table == table) {
            // a history row may have one lock more than its change says
            let more = item.change.locks().len() + usize::from(table == Table::History);
            if locks + more > MAX_LOCKS {
                chunks.push(std::mem::take(&mut chunk));
                locks = 0;
            }
            locks += more;
            chunk.push(place);
        }
        if !chunk.is_empty() {
            chunks.push(chunk);
        }
    }
    chunks
}
