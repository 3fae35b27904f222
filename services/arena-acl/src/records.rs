//! The use case: a batch of changes meets the rules and becomes durable.

mod backfill;

use std::{
    collections::{BTreeSet, HashMap},
    iter::zip,
    num::NonZeroU32,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
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
use futures::{FutureExt as _, StreamExt as _, stream};
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

/// How many locks one transaction takes at most: the database has one table of locks for all (architecture 8.4). A whole batch of
/// participants fits, with their courses.
const MAX_LOCKS: usize = 600;
/// How many transactions' worth of one call are under way at once: while one is in the database, another asks third parties.
const AT_ONCE: usize = 2;

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
        let gone = OnceLock::new(); // what ends one chunk ends all: nobody waits for it once more
        for table in Table::ALL {
            let chunks = stream::iter(chunks(table, items)).map(|chunk| self.handle_chunk(chunk, pass, &gone));
            let mut handled = chunks.buffer_unordered(AT_ONCE);
            while let Some(chunk) = handled.next().await {
                for (place, result) in chunk {
                    if let (Ok(Some(Settlement::Done(Outcome::Applied))), Some(item)) = (&result, items.get(place)) {
                        self.metrics.handled(item);
                    }
                    if let Some(slot) = ended.get_mut(place) {
                        *slot = Some(result);
                    }
                }
            }
        }
        // every place is in exactly one chunk
        ended.into_iter().flatten().collect()
    }

    async fn handle_chunk(&self, chunk: Chunk, pass: Pass, gone: &OnceLock<StoreError>) -> Vec<(usize, Ended)> {
        let Chunk { places, items } = chunk;
        let all = |error: &StoreError| items.iter().map(|_| Err(error.clone())).collect();
        let handled: Vec<Ended> = match gone.get() {
            Some(error) => all(error),
            None => match self.ask_and_apply(&self.batch(&items, pass)).await {
                Ok(ended) => ended.into_iter().map(Ok).collect(),
                Err(error) if error.ends_all() => all(gone.get_or_init(|| error)),
                Err(_) => {
                    let mut ended = Vec::with_capacity(items.len());
                    for item in &items {
                        ended.push(self.handle_alone(item, pass).await);
                    }
                    ended
                }
            },
        };
        zip(places, handled).collect()
    }

    async fn handle_alone(&self, item: &Item, pass: Pass) -> Ended {
        match self.ask_and_apply(&self.batch(std::slice::from_ref(item), pass)).await {
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

    async fn ask_and_apply(&self, batch: &Batch) -> Result<Vec<Option<Settlement>>, StoreError> {
        let changes: Vec<&Change> = batch.items.iter().map(|item| &*item.change).collect();
        let held = self.inbox.read(&changes).await?;
        // nothing makes a HANDLED row open again, so what a plain read says of it is the last word, and no lock is needed for it
        let done: Vec<bool> = changes.iter().map(|change| batch.is_duplicate(change, &held)).collect();
        let mut open: Vec<Item> =
            zip(&batch.items, &done).filter(|(_, done)| !**done).map(|(item, _)| item.clone()).collect();
        let mut ended = Vec::new();
        if !open.is_empty() {
            let answers = self.ask(batch, &open, &held).await;
            if let Some(first) = open.first_mut() {
                // the locks of a transaction are one set, whichever item names them
                first.also = answers.locked.iter().map(|participant| Lock::Participant(participant.0)).collect();
            }
            let write = |item: &Item, held: &Held| self.write(batch, item, held, &answers);
            ended = self.inbox.apply(&open, batch.now, write).await?;
        }
        let mut ended = ended.into_iter();
        Ok(done.into_iter().map(|done| if done { Some(DUPLICATE) } else { ended.next().flatten() }).collect())
    }

    /// What third parties know of `items`, asked concurrently and outside any transaction, until the rules have no
    /// further question.
    async fn ask(&self, batch: &Batch, items: &[Item], held: &Held) -> Answers {
        let mut answers = Answers::default();
        let mut open: Vec<&Change> = items.iter().map(|item| &*item.change).collect();
        loop {
            let mut questions = BTreeSet::new();
            // what is decided stays so: more answers are to questions that it did not ask
            open.retain(|change| match batch.moment(change).map(|moment| decide(change, held, &answers, moment)) {
                Some(Decision::Ask(question)) => {
                    questions.insert(question);
                    true
                }
                Some(Decision::Do(_)) | None => false,
            });
            if questions.is_empty() {
                return answers;
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

    fn is_duplicate(&self, change: &Change, held: &Held) -> bool {
        self.moment(change).is_some_and(|moment| is_duplicate(change, held, moment))
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

/// What one transaction handles, and where it stands in the whole.
#[derive(Default)]
struct Chunk {
    places: Vec<usize>,
    items: Vec<Item>,
}

/// The `items` of `table`, cut where a transaction would take more than [`MAX_LOCKS`] locks.
fn chunks(table: Table, items: &[Item]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut chunk = Chunk::default();
    let mut locks = BTreeSet::new();
    let mut unnamed = 0;
    for (place, item) in items.iter().enumerate().filter(|(_, item)| item.change.table == table) {
        let own = item.change.locks();
        // a history row may have one lock more than its change says
        let more = usize::from(table == Table::History);
        let new = own.iter().filter(|lock| !locks.contains(*lock)).count();
        if locks.len() + unnamed + new + more > MAX_LOCKS {
            chunks.push(std::mem::take(&mut chunk));
            locks.clear();
            unnamed = 0;
        }
        locks.extend(own);
        unnamed += more;
        chunk.places.push(place);
        chunk.items.push(item.clone());
    }
    if !chunk.items.is_empty() {
        chunks.push(chunk);
    }
    chunks
}
