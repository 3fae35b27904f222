//! What `explain` tells, as programs get it. Member names are stable; times are wall clock of Europe/Oslo.

use chrono::NaiveDateTime;
use domain::arena_acl::{Change, CourseId, Held, HeldCourse, HeldRow, Moment, Position, codes::Measure, outlook, rule};
use serde::Serialize;
use uuid::Uuid;

use super::{Known, Recorded, Sent, words};

/// What is told of a key.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// What was asked about.
    pub key: String,
    /// 3.2.
    pub participant_ids: Vec<ParticipantId>,
    /// 3.3.
    pub history_ids: Vec<HistoryId>,
    /// The courses that the changes name.
    pub courses: Vec<CourseTold>,
    /// 3.4.
    pub last_known: Vec<KnownTold>,
    /// How many changes are stored.
    pub changes_in_all: u64,
    /// Changes by arrival, oldest first.
    pub changes: Vec<ChangeTold>,
    /// Messages of the same key whose change is not among the changes: tombstones, or a change that is not shown.
    pub other_messages: Vec<MessageTold>,
}

/// A row of 3.2.
#[derive(Debug, Serialize)]
pub struct ParticipantId {
    /// The UUID.
    pub amt_id: Uuid,
    /// Arena's table, as stored.
    pub arena_table: String,
    /// Arena's id.
    pub arena_id: String,
}

impl ParticipantId {
    pub(super) fn new((amt_id, table, arena_id): &(Uuid, String, String)) -> Self {
        Self { amt_id: *amt_id, arena_table: table.clone(), arena_id: arena_id.clone() }
    }
}

/// A row of 3.3.
#[derive(Debug, Serialize)]
pub struct HistoryId {
    /// The UUID.
    pub amt_id: Uuid,
    /// The id in Arena's history table.
    pub arena_hist_id: String,
    /// The participant id that the UUID had.
    pub arena_id: Option<String>,
}

impl HistoryId {
    pub(super) fn new((amt_id, hist, arena_id): &(Uuid, String, Option<String>)) -> Self {
        Self { amt_id: *amt_id, arena_hist_id: hist.clone(), arena_id: arena_id.clone() }
    }
}

/// A course.
#[derive(Debug, Serialize)]
pub struct CourseTold {
    /// Arena's id.
    pub arena_id: i64,
    /// Whether it has been read.
    pub known: bool,
    /// Arena's measure code.
    pub measure: Option<String>,
    /// Whether the measure is one of ours.
    pub supported: Option<bool>,
    /// Whether its row is complete.
    pub valid: Option<bool>,
    /// Its UUID.
    pub id: Option<Uuid>,
    /// How many changes are WAITING for it; told where the course itself was asked about.
    pub waiting: Option<u64>,
}

impl CourseTold {
    pub(super) fn new(id: CourseId, held: Option<&HeldCourse>, waiting: Option<u64>) -> Self {
        Self {
            arena_id: id.0,
            known: held.is_some(),
            measure: held.map(|course| course.measure.clone()),
            supported: held.map(|course| Measure::supported(&course.measure)),
            valid: held.map(|course| course.valid),
            id: held.and_then(|course| course.id),
            waiting,
        }
    }
}

/// A last known row.
#[derive(Debug, Serialize)]
pub struct KnownTold {
    /// Arena's id.
    pub arena_id: i64,
    /// Its course.
    pub course: i64,
    /// Arena's status, or `FEILREGISTRERT`.
    pub status: String,
    /// When the status changed.
    pub status_changed: Option<NaiveDateTime>,
    /// Start.
    pub start: Option<chrono::NaiveDate>,
    /// End.
    pub end: Option<chrono::NaiveDate>,
    /// Registered.
    pub registered: NaiveDateTime,
    /// Modified.
    pub modified: NaiveDateTime,
}

impl KnownTold {
    pub(super) fn new(known: &Known) -> Self {
        let Known { arena_id, course, start, end, registered, modified, status, status_changed } = known.clone();
        Self { arena_id, course: course.0, status, status_changed, start, end, registered, modified }
    }
}

/// A message of the outbox.
#[derive(Debug, Clone, Serialize)]
pub struct MessageTold {
    /// Its place in the outbox.
    pub id: i64,
    /// The topic.
    pub topic: String,
    /// The id inside the value, where it has one.
    pub transaction_id: Option<Uuid>,
    /// When it was made.
    pub created_at: NaiveDateTime,
    /// When it left; none: it waits to leave.
    pub published_at: Option<NaiveDateTime>,
}

impl MessageTold {
    fn new(sent: &Sent) -> Self {
        Self {
            id: sent.id,
            topic: sent.topic.clone(),
            transaction_id: sent.transaction_id,
            created_at: sent.created,
            published_at: sent.published,
        }
    }
}

/// A stored change.
#[derive(Debug, Serialize)]
pub struct ChangeTold {
    /// Its name for other commands: `r` and the order of arrival.
    pub row: String,
    /// The object.
    pub object: String,
    /// What happened.
    pub operation: &'static str,
    /// Arena's order.
    pub position: String,
    /// When, on Arena's wall clock.
    pub arena_time: NaiveDateTime,
    /// How far it has come.
    pub status: &'static str,
    /// Failed attempts by the jobs.
    pub attempts: u32,
    /// When processing last set the status.
    pub ingested_at: Option<NaiveDateTime>,
    /// The last failed attempt by a job.
    pub last_attempted_at: Option<NaiveDateTime>,
    /// When it is tried before the next retry run; none: not before, or it is not in RETRY.
    pub retry_at: Option<NaiveDateTime>,
    /// The stored note.
    pub note: Option<String>,
    /// The rule by which it stands there, in words.
    pub rule: &'static str,
    /// The section of `docs/spec/arena-acl.md` that says so.
    pub section: &'static str,
    /// What came of it in the outbox.
    pub messages: Vec<MessageTold>,
    /// What it waits for.
    pub waits_for: Option<String>,
    /// The section that asks for it.
    pub waits_for_section: Option<&'static str>,
    /// What would happen next; none where it has come to its end.
    pub next: Option<String>,
}

/// The changes, each with what it waits for and what comes next.
pub(super) fn changes(
    recorded: &[Recorded],
    decoded: &[(&Recorded, Change)],
    held: &Held,
    messages: &[Sent],
    moment: &Moment,
) -> Vec<ChangeTold> {
    recorded
        .iter()
        .map(|row| {
            let change = decoded.iter().find(|(other, _)| other.id == row.id).map(|(_, change)| change);
            let ahead = change.and_then(|change| {
                let position = Position::new(&row.position)?;
                let Recorded { operation, status, attempts, ingested, .. } = *row;
                let stored = HeldRow { operation, position, status, attempts, ingested };
                Some((change, outlook(change, &stored, held, moment)))
            });
            let need = ahead.as_ref().and_then(|(_, outlook)| outlook.need);
            let names = |position: &Position| {
                let same = |other: &&Recorded| other.object == row.object && other.position == position.as_str();
                recorded.iter().find(same).map(|other| other.id)
            };
            let told = ahead.map(|(change, outlook)| words::of(row, change, &outlook, held, moment, names));
            let told = told.unwrap_or_else(|| words::without_position(row.status));
            let rule = rule(row.object.table, row.operation, row.status, row.note.as_deref());
            ChangeTold {
                row: format!("r{}", row.id),
                object: row.object.to_string(),
                operation: row.operation.name(),
                position: row.position.clone(),
                arena_time: row.timestamp,
                status: row.status.name(),
                attempts: row.attempts,
                ingested_at: row.ingested,
                last_attempted_at: row.last_attempted,
                retry_at: row.due(),
                note: row.note.clone(),
                rule: rule.words,
                section: rule.section,
                messages: messages.iter().filter(|sent| sent.change == Some(row.id)).map(MessageTold::new).collect(),
                waits_for: told.waits_for,
                waits_for_section: need.map(|need| need.section()),
                next: told.next,
            }
        })
        .collect()
}

/// Messages that belong to none of the changes.
pub(super) fn others(recorded: &[Recorded], messages: &[Sent]) -> Vec<MessageTold> {
    let belongs = |sent: &&Sent| recorded.iter().any(|row| sent.change == Some(row.id));
    messages.iter().filter(|sent| !belongs(sent)).map(MessageTold::new).collect()
}
