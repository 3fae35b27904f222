//! The use case: a batch of changes meets the rules and becomes durable.

mod backfill;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter::zip,
    num::NonZeroU32,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
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
/// How often a change may ask before it waits: the rules have four kinds of questions, and a lock.
const ASKED: usize = 6;

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

    /// Read, decide and write are one transaction. What the rules ask of third parties meanwhile is answered from what is remembered; what is
    /// not remembered is asked once the transaction is over, and the changes that asked go through another one.
    async fn ask_and_apply(&self, batch: &Batch) -> Result<Vec<Option<Settlement>>, StoreError> {
        let mut ended = vec![None; batch.items.len()];
        let mut open: Vec<usize> = (0..batch.items.len()).collect();
        let mut answers = Answers::default();
        for may_ask in (0..ASKED).map(|_| true).chain([false]) {
            let mut items: Vec<Item> = open.iter().filter_map(|at| batch.items.get(*at)).cloned().collect();
            if let Some(first) = items.first_mut() {
                // the locks of a transaction are one set, whichever item names them
                first.also = answers.locked.iter().map(|participant| Lock::Participant(participant.0)).collect();
            }
            let asking = Asking { may_ask, answers: Mutex::new(answers), open: Mutex::default() };
            let write = |item: &Item, held: &Held| self.write(batch, item, held, &asking);
            let settled = self.inbox.apply(&items, batch.now, write).await?;
            let asked;
            (answers, asked) = asking.end();
            open = zip(zip(open, &items), settled)
                .filter_map(|((at, item), settlement)| {
                    if asked.contains_key(&place(&item.change)) {
                        return Some(at);
                    }
                    if let Some(slot) = ended.get_mut(at) {
                        *slot = settlement;
                    }
                    None
                })
                .collect();
            if open.is_empty() {
                break;
            }
            // locks are taken with those of the next transaction; what is left is for third parties
            let (locks, questions): (BTreeSet<Question>, _) =
                asked.into_values().partition(|question| matches!(question, Question::Lock(_)));
            answers.locked.extend(locks.iter().filter_map(participant));
            self.neighbours.answer(questions, &mut answers).await;
        }
        Ok(ended)
    }

    fn write(&self, batch: &Batch, item: &Item, held: &Held, asking: &Asking) -> Option<Write> {
        let change = &item.change;
        let moment = batch.moment(change)?;
        if !chosen(change, held, batch.pass) {
            return None;
        }
        let effect = match self.decide(change, held, asking, moment) {
            Decision::Do(effect) => *effect,
            Decision::Ask(question) if asking.may_ask => {
                unpoisoned(&asking.open).insert(place(change), question);
                return None;
            }
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

    /// What the rules say, as far as what is remembered of third parties answers them.
    fn decide(&self, change: &Change, held: &Held, asking: &Asking, moment: &Moment) -> Decision {
        let mut answers = unpoisoned(&asking.answers);
        loop {
            match decide(change, held, &answers, moment) {
                Decision::Ask(question) if self.neighbours.recall(question, &mut answers) => {}
                decision => return decision,
            }
        }
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

/// What is known and what is still asked while a transaction decides.
struct Asking {
    /// Whether what is not known may be asked, and the item tried again.
    may_ask: bool,
    answers: Mutex<Answers>,
    /// The question of each item that could not be decided, by its [`place`].
    open: Mutex<BTreeMap<Lock, Question>>,
}

impl Asking {
    fn end(self) -> (Answers, BTreeMap<Lock, Question>) {
        let Self { answers, open, .. } = self;
        (
            answers.into_inner().unwrap_or_else(PoisonError::into_inner),
            open.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
