//! What the store holds about the keys of a batch.

use std::collections::HashMap;

use chrono::{NaiveDate, NaiveDateTime};
use uuid::Uuid;

use super::record::{CourseId, IngestStatus, Operation, ParticipantId, PersonId, Position, Table};

/// A stored change, without its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// What happened.
    pub operation: Operation,
    /// When, in Arena's order.
    pub position: Position,
    /// How far it has come.
    pub status: IngestStatus,
    /// Failed attempts by the jobs.
    pub attempts: u32,
    /// When message processing last set the status: of a row in RETRY, when the record came.
    pub ingested: Option<NaiveDateTime>,
}

/// A course as it is known (3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCourse {
    /// Arena's measure code.
    pub measure: String,
    /// Whether its row is complete (4.3).
    pub valid: bool,
    /// Its UUID; `None` until it is known.
    pub id: Option<Uuid>,
}

/// The UUID of a participant (3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldId {
    /// The participant's UUID.
    pub amt_id: Uuid,
    /// Whether a history row has this UUID (3.3): the participation was historised.
    pub historised: bool,
}

/// A last known participant that a history row may be of (4.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its Arena id.
    pub participant: ParticipantId,
    /// `dato_fra`.
    pub start: Option<NaiveDate>,
    /// `dato_til`.
    pub end: Option<NaiveDate>,
    /// `dato_statusendring`.
    pub status_changed: Option<NaiveDateTime>,
    /// Its UUID (3.2).
    pub amt_id: Option<Uuid>,
    /// Whether it was published as registered by mistake (4.8 step 3).
    pub misregistered: bool,
}

/// All that the rules read of the store for a batch, one read per table.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Courses by Arena id.
    pub courses: HashMap<CourseId, HeldCourse>,
    /// The stored changes of the batch's objects that count, in no order: those not older than the change in the batch, and those that
    /// are unhandled.
    pub rows: HashMap<(Table, i64), Vec<HeldRow>>,
    /// UUIDs by participant id (3.2).
    pub ids: HashMap<i64, HeldId>,
    /// Which Arena id an external id belongs to (3.2), by external id. Older rows may hold a text that is no number.
    pub owners: HashMap<Uuid, String>,
    /// UUIDs by history id (3.3).
    pub hist_ids: HashMap<i64, Uuid>,
    /// Which history id a UUID belongs to (3.3): of the external ids of history changes, and of the candidates.
    pub hist_owners: HashMap<Uuid, String>,
    /// Last known participants of the persons and courses of history changes (3.4).
    pub candidates: HashMap<(PersonId, CourseId), Vec<Candidate>>,
}

impl Held {
    /// The stored changes of one object that count.
    #[must_use]
    pub fn rows_of(&self, table: Table, arena_id: i64) -> &[HeldRow] {
        self.rows.get(&(table, arena_id)).map_or(&[], Vec::as_slice)
    }

    /// The stored change with exactly this operation and position text, if there is one.
    #[must_use]
    pub fn row(&self, table: Table, arena_id: i64, operation: Operation, position: &Position) -> Option<&HeldRow> {
        self.rows_of(table, arena_id)
            .iter()
            .find(|row| row.operation == operation && row.position.as_str() == position.as_str())
    }
}
