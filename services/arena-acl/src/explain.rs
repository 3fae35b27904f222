//! What happened to an object, and what would happen next: one timeline from the store alone (architecture section 4).
//!
//! Arena's ids, codes, positions and times are told, and our own notes; of the rows nothing else.

pub(crate) mod shown;
mod told;
mod words;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, future::Future, sync::Arc};

use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{Change, CourseId, Held, HeldCourse, IngestStatus, Moment, Operation, Position, Row, Table};
use uuid::Uuid;

pub use self::told::{ChangeTold, CourseTold, Explanation, KnownTold, MessageTold};
use crate::{
    inbox::{Inbox, StoreError, StoredChange},
    wire,
};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// An object of Arena.
    Object(Object),
    /// A UUID of ours.
    Uuid(Uuid),
}

/// A row of Arena, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// The table.
    pub table: Table,
    /// Arena's id.
    pub id: i64,
}

/// The words of the command line for the tables.
const WORDS: [(&str, Table); 3] =
    [("deltaker", Table::Participants), ("hist", Table::History), ("gjennomforing", Table::Courses)];

impl Object {
    /// The object that `word` and `id` name on the command line.
    #[must_use]
    pub fn named(word: &str, id: i64) -> Option<Self> {
        WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, table)| Self { table, id })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.into_iter().find(|(_, table)| *table == self.table).map_or("", |(word, _)| word);
        write!(f, "{word} {}", self.id)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Uuid(id) => id.fmt(f),
        }
    }
}

/// A stored change, and what became of it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Order of arrival.
    pub id: i64,
    /// The object.
    pub object: Object,
    /// What happened.
    pub operation: Operation,
    /// As stored: rows of the old service may hold what is no position.
    pub position: String,
    /// When, on Arena's wall clock.
    pub timestamp: NaiveDateTime,
    /// How far it has come.
    pub status: IngestStatus,
    /// Failed attempts by the jobs.
    pub attempts: u32,
    /// What became of it, for people.
    pub note: Option<String>,
    /// When message processing last set the status.
    pub ingested: Option<NaiveDateTime>,
    /// The last failed attempt by a job.
    pub last_attempted: Option<NaiveDateTime>,
    /// When a change in RETRY may be tried before the next run of the retry job (IMP-17).
    pub retry_at: Option<NaiveDateTime>,
    /// The row before, a JSON text.
    pub before: Option<Arc<str>>,
    /// The row after, a JSON text.
    pub after: Option<Arc<str>>,
}

impl Recorded {
    /// When it is tried before the next run of the retry job; what is not in RETRY may hold an older time.
    pub(crate) fn due(&self) -> Option<NaiveDateTime> {
        self.retry_at.filter(|_| self.status == IngestStatus::Retry)
    }

    /// The change as the rules see it; `None` where its position is none.
    pub(crate) fn change(&self) -> Option<Change> {
        let stored = StoredChange {
            id: self.id,
            table: self.object.table,
            arena_id: self.object.id.to_string(),
            operation: self.operation,
            position: Position::new(&self.position)?,
            timestamp: self.timestamp,
            before: self.before.clone(),
            after: self.after.clone(),
            retry_at: self.retry_at,
        };
        Some(Arc::unwrap_or_clone(wire::stored(&stored).change))
    }
}

/// Changes of some objects, by arrival.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// How many there are.
    pub total: u64,
    /// Some of them.
    pub some: Vec<Recorded>,
}

/// The mappings that name some object or UUID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// 3.2: UUID, Arena's table and id.
    pub participants: Vec<(Uuid, String, String)>,
    /// 3.3: UUID, history id, and the participant id that the UUID had.
    pub histories: Vec<(Uuid, String, Option<String>)>,
}

/// The last known row of a participant (3.4), without the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The participant.
    pub arena_id: i64,
    /// Its course.
    pub course: CourseId,
    /// `dato_fra`.
    pub start: Option<NaiveDate>,
    /// `dato_til`.
    pub end: Option<NaiveDate>,
    /// `reg_dato`.
    pub registered: NaiveDateTime,
    /// `mod_dato`.
    pub modified: NaiveDateTime,
    /// Arena's code, or `FEILREGISTRERT`.
    pub status: String,
    /// `dato_statusendring`.
    pub status_changed: Option<NaiveDateTime>,
}

/// A message of the outbox, without key and payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its place.
    pub id: i64,
    /// The topic.
    pub topic: String,
    /// The id inside the value, where it has one.
    pub transaction_id: Option<Uuid>,
    /// The stored change that caused it.
    pub change: Option<i64>,
    /// When it was added.
    pub created: NaiveDateTime,
    /// When it left.
    pub published: Option<NaiveDateTime>,
}

/// What is held of single objects, for people. Only reads; what two calls say may be of two moments.
pub trait Chronicle: Send + Sync {
    /// Of the changes of `objects` the last `limit`, and the `limit` lowest positions among those that are unhandled, by arrival.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn changes(&self, objects: &[Object], limit: u32) -> impl Future<Output = Result<Changes, StoreError>> + Send;

    /// The mappings that name any of `objects` or `uuids`, by UUID.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn ids(&self, objects: &[Object], uuids: &[Uuid]) -> impl Future<Output = Result<Ids, StoreError>> + Send;

    /// The last known rows of `participants`, by Arena id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn known(&self, participants: &[i64]) -> impl Future<Output = Result<Vec<Known>, StoreError>> + Send;

    /// The courses with any of these Arena ids or UUIDs, by Arena id as text.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn courses(
        &self,
        ids: &[CourseId],
        uuids: &[Uuid],
    ) -> impl Future<Output = Result<Vec<(CourseId, HeldCourse)>, StoreError>> + Send;

    /// How many changes are WAITING for a course (4.3 step 6).
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn waiting_for(&self, course: CourseId) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The last `limit` messages of these keys, by place.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn messages(&self, keys: &[Uuid], limit: u32) -> impl Future<Output = Result<Vec<Sent>, StoreError>> + Send;
}

/// What came of the question.
#[derive(Debug)]
pub enum Explained {
    /// This is what happened.
    Told(Box<Explanation>),
    /// Nothing is held of it; what has the same number, or stands behind the UUID.
    Unknown(Vec<Key>),
}

/// What the store says of `key`, with at most `limit` changes, and what `moment` (its settings, not its pass) makes of them next.
///
/// # Errors
/// As [`StoreError`] says.
pub async fn explain<S: Inbox + Chronicle>(
    store: &S,
    key: Key,
    limit: u32,
    moment: &Moment,
) -> Result<Explained, StoreError> {
    let subject = Subject::of(store, key).await?;
    let objects: Vec<Object> = subject.objects.iter().copied().collect();
    let changes = store.changes(&objects, limit).await?;
    let participants = of(&objects, Table::Participants);
    let known = store.known(&participants).await?;
    let decoded: Vec<(&Recorded, Change)> =
        changes.some.iter().filter_map(|recorded| Some((recorded, recorded.change()?))).collect();
    let mut courses: BTreeSet<CourseId> = known.iter().map(|row| row.course).collect();
    courses.extend(of(&objects, Table::Courses).into_iter().map(CourseId));
    courses.extend(
        decoded
            .iter()
            .filter(|(_, change)| matches!(change.row, Row::Participant(_)))
            .filter_map(|(_, change)| change.course()),
    );
    let courses: Vec<CourseId> = courses.into_iter().collect();
    let held_courses = store.courses(&courses, &[]).await?;
    let keys: Vec<Uuid> = subject.uuids.iter().copied().collect();
    let messages = store.messages(&keys, limit).await?;
    let own = |table| objects.iter().any(|object| object.table == table);
    let nothing = changes.total == 0 && known.is_empty() && keys.is_empty() && messages.is_empty();
    let is_course = own(Table::Courses) && !held_courses.is_empty();
    if nothing && !is_course {
        return Ok(Explained::Unknown(near(store, key).await?));
    }
    // handled changes need no outlook, and an object may have thousands of them
    let open: Vec<&Change> =
        decoded.iter().filter(|(recorded, _)| !is_done(recorded.status)).map(|(_, change)| change).collect();
    let held = if open.is_empty() { Held::default() } else { store.held(&open).await? };
    let mut waiting = Vec::with_capacity(courses.len());
    for course in &courses {
        waiting.push(if own(Table::Courses) { Some(store.waiting_for(*course).await?) } else { None });
    }
    let courses = courses.iter().zip(waiting).map(|(id, waiting)| {
        let held = held_courses.iter().find(|(known, _)| known == id).map(|(_, course)| course);
        CourseTold::new(*id, held, waiting)
    });
    Ok(Explained::Told(Box::new(Explanation {
        key: key.to_string(),
        participant_ids: subject.ids.participants.iter().map(told::ParticipantId::new).collect(),
        history_ids: subject.ids.histories.iter().map(told::HistoryId::new).collect(),
        courses: courses.collect(),
        last_known: known.iter().map(KnownTold::new).collect(),
        changes_in_all: changes.total,
        changes: told::changes(&changes.some, &decoded, &held, &messages, moment),
        other_messages: told::others(&changes.some, &messages),
    })))
}

fn is_done(status: IngestStatus) -> bool {
    matches!(status, IngestStatus::Handled | IngestStatus::ExternalSource)
}

fn of(objects: &[Object], table: Table) -> Vec<i64> {
    objects.iter().filter(|object| object.table == table).map(|object| object.id).collect()
}

/// What belongs together: the rows of Arena behind one UUID, and the other way round.
#[derive(Default)]
struct Subject {
    objects: BTreeSet<Object>,
    uuids: BTreeSet<Uuid>,
    ids: Ids,
}

impl Subject {
    async fn of<S: Chronicle>(store: &S, key: Key) -> Result<Self, StoreError> {
        let mut subject = Self::default();
        let first = match key {
            Key::Object(object) => {
                subject.objects.insert(object);
                store.ids(&[object], &[]).await?
            }
            Key::Uuid(id) => store.ids(&[], &[id]).await?,
        };
        subject.uuids.extend(first.participants.iter().map(|(id, ..)| *id));
        subject.uuids.extend(first.histories.iter().map(|(id, ..)| *id));
        let uuids: Vec<Uuid> = subject.uuids.iter().copied().collect();
        subject.ids = if uuids.is_empty() { Ids::default() } else { store.ids(&[], &uuids).await? };
        let participants = subject.ids.participants.iter().map(|(_, _, id)| (Table::Participants, id));
        let histories = subject.ids.histories.iter().map(|(_, id, _)| (Table::History, id));
        let objects = participants.chain(histories);
        subject.objects.extend(objects.filter_map(|(table, id)| Some(Object { table, id: id.parse().ok()? })));
        Ok(subject)
    }
}

/// What may have been meant by a key of which nothing is held.
async fn near<S: Chronicle>(store: &S, key: Key) -> Result<Vec<Key>, StoreError> {
    match key {
        Key::Uuid(id) => {
            let courses = store.courses(&[], &[id]).await?;
            let course = |(id, _): &(CourseId, HeldCourse)| Key::Object(Object { table: Table::Courses, id: id.0 });
            Ok(courses.iter().map(course).collect())
        }
        Key::Object(asked) => {
            let mut near = Vec::new();
            for (_, table) in WORDS.into_iter().filter(|(_, table)| *table != asked.table) {
                let object = Object { table, id: asked.id };
                let changes = store.changes(&[object], 1).await?;
                let course = table == Table::Courses && !store.courses(&[CourseId(asked.id)], &[]).await?.is_empty();
                if changes.total > 0 || course {
                    near.push(Key::Object(object));
                }
            }
            Ok(near)
        }
    }
}
