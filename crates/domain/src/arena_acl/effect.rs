//! What a decided change does: to its own row, to what is known, and to the world.

use chrono::{NaiveDate, NaiveDateTime};
use uuid::Uuid;

use super::{
    answers::NationalId,
    reason::Reason,
    record::{CourseId, IngestStatus, ParticipantId, PersonId},
    status::ParticipantStatus,
};
use crate::delivery::Settlement;

/// Everything that one change does, written in one transaction (4.13).
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// How the message ends; for a job, how the row would be counted.
    pub settlement: Settlement,
    /// The change's own row; `None` when nothing of it is stored or changed.
    pub row: Option<RowWrite>,
    /// The course's row, of a course change.
    pub course: Option<CourseWrite>,
    /// A course's UUID that has become known: overwrites.
    pub course_uuid: Option<(CourseId, Uuid)>,
    /// Whether rows that wait for this course become RETRY with 0 attempts (4.3 step 6). They, and those in RETRY that name it, may be tried at
    /// once (IMP-17).
    pub release: Option<CourseId>,
    /// The participant whose rows in RETRY may be tried at once (IMP-17): what they waited for is here.
    pub wake: Option<ParticipantId>,
    /// A participant's UUID (3.2). On conflict of the Arena id nothing; on conflict of the UUID the change fails.
    pub mapping: Option<Mapping>,
    /// A historised participant's UUID (3.3). On conflict of the UUID nothing; on conflict of the history id the change fails.
    pub hist_mapping: Option<HistMapping>,
    /// The last known row of the participant (3.4).
    pub deltaker: Option<DeltakerWrite>,
    /// What is published.
    pub publication: Option<Publication>,
}

impl Effect {
    /// An effect that ends the message and touches nothing.
    #[must_use]
    pub fn nothing(settlement: Settlement) -> Self {
        Self {
            settlement,
            row: None,
            course: None,
            course_uuid: None,
            release: None,
            wake: None,
            mapping: None,
            hist_mapping: None,
            deltaker: None,
            publication: None,
        }
    }
}

/// How the row of a change is marked (3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowWrite {
    /// The new status.
    pub status: IngestStatus,
    /// The new note; `None` empties it.
    pub note: Option<String>,
    /// Which columns of time and count move.
    pub mark: Mark,
    /// When a row in RETRY may be tried before the next scheduled run, wall clock of Europe/Oslo; `None`: not before.
    pub retry_at: Option<NaiveDateTime>,
}

/// What besides status and note changes in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `ingested_timestamp` = now: live for any outcome, jobs on success.
    Ingested,
    /// `ingest_attempts` + 1 and `last_attempted` = now: a job that failed.
    Attempted,
    /// None of them: a wake-up that came too early.
    Kept,
}

/// A course row to upsert (4.3 step 3); its UUID stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourseWrite {
    /// Arena id.
    pub id: CourseId,
    /// Arena's measure code.
    pub measure: String,
    /// Whether the row is complete.
    pub valid: bool,
}

/// A participant UUID to insert in 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// The UUID.
    pub amt_id: Uuid,
    /// The Arena id.
    pub participant: ParticipantId,
}

/// A historised participant's UUID to insert in 3.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistMapping {
    /// The UUID.
    pub amt_id: Uuid,
    /// The id in the history table.
    pub history: i64,
    /// The participant id that the UUID has in 3.2, as stored there.
    pub participant: Option<String>,
    /// What happens when the UUID has another history id by now.
    pub if_taken: IfTaken,
}

/// What happens to an insert when what it inserts has another owner by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfTaken {
    /// The owner keeps it, in silence (3.3).
    Kept,
    /// The write is refused, so that the change is decided anew: two systems disagree (4.5 step 3).
    Refused,
}

/// What happens to the last known participant row (3.4).
#[derive(Debug, Clone, PartialEq)]
pub enum DeltakerWrite {
    /// It is inserted, or every column but id and creation time is changed.
    Keep(LastKnown),
    /// Its status becomes `FEILREGISTRERT`; where there is no row nothing happens (4.8).
    Misregistered(ParticipantId),
}

/// The last known row of a participant, in Arena's values. Wall-clock times of Europe/Oslo.
#[derive(Debug, Clone, PartialEq)]
pub struct LastKnown {
    /// `arena_id`.
    pub id: ParticipantId,
    /// `person_id`.
    pub person: PersonId,
    /// `gjennomforing_id`.
    pub course: CourseId,
    /// `dato_fra`.
    pub start: Option<NaiveDate>,
    /// `dato_til`.
    pub end: Option<NaiveDate>,
    /// `reg_dato`.
    pub registered: NaiveDateTime,
    /// `mod_dato`.
    pub modified: NaiveDateTime,
    /// `status`, Arena's code.
    pub status: String,
    /// `dato_statusendring`.
    pub status_changed: Option<NaiveDateTime>,
    /// `ekstern_id`.
    pub external_id: Option<Uuid>,
}

/// Which of the two output topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Participants of group measures, in a wrapper (2.9).
    Group,
    /// Participants of single-place measures, bare (2.10).
    SinglePlace,
}

/// The operation that a wrapper names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedOperation {
    /// `CREATED`.
    Created,
    /// `MODIFIED`.
    Modified,
}

/// One message that leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Where to.
    pub topic: Topic,
    /// What the wrapper names.
    pub operation: PublishedOperation,
    /// Unique per message, the same when it is sent again.
    pub transaction: Uuid,
    /// When it was made, wall clock of Europe/Oslo.
    pub at: NaiveDateTime,
    /// The participant.
    pub participant: PublishedParticipant,
}

/// The participant object of 2.9.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedParticipant {
    /// `id`, also the message key.
    pub id: Uuid,
    /// `gjennomforingId`.
    pub course: Uuid,
    /// `personIdent`.
    pub national_id: NationalId,
    /// `startDato`.
    pub start: Option<NaiveDate>,
    /// `sluttDato`.
    pub end: Option<NaiveDate>,
    /// `status`.
    pub status: ParticipantStatus,
    /// `statusAarsak`.
    pub reason: Option<Reason>,
    /// `dagerPerUke`.
    pub days_per_week: Option<f32>,
    /// `prosentDeltid`.
    pub part_time_percent: Option<f32>,
    /// `registrertDato`.
    pub registered: NaiveDateTime,
    /// `statusEndretDato`.
    pub status_changed: Option<NaiveDateTime>,
    /// `innsokBegrunnelse`.
    pub order_text: Option<String>,
}
