//! What the store holds, in the columns of `docs/spec/arena-acl.md` section 3.

use std::{collections::BTreeSet, sync::Arc};

use chassis::{dead_letters::DeadLetter, trace};
use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{IngestStatus, Operation, Position, Table};
use uuid::Uuid;

/// Everything the store holds, each table in the order in which its rows were inserted.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// 3.1.
    pub arena_data: Vec<ArenaData>,
    /// 3.2.
    pub id_translation: Vec<IdTranslation>,
    /// 3.3.
    pub hist_id_translation: Vec<HistIdTranslation>,
    /// 3.4.
    pub deltaker: Vec<Deltaker>,
    /// 3.5.
    pub gjennomforing: Vec<Gjennomforing>,
    /// 3.8: unpublished messages, and those published in the last days.
    pub outbox: Vec<Outgoing>,
    /// 3.8; the place of a record, from 1, is its id.
    pub quarantine: Vec<DeadLetter>,
    /// The ids of the quarantined records that are no dead letters any more.
    pub resolved: BTreeSet<i64>,
    /// The highest id that the outbox has given.
    pub last_outbox_id: i64,
}

/// A row of `arena_data`.
#[derive(Debug, Clone)]
pub struct ArenaData {
    /// Order of arrival.
    pub id: i64,
    /// The table of the change.
    pub arena_table_name: Table,
    /// The object's Arena id.
    pub arena_id: String,
    /// What happened.
    pub operation_type: Operation,
    /// `pos` as received.
    pub operation_pos: Position,
    /// `op_ts`.
    pub operation_timestamp: NaiveDateTime,
    /// How far it has come.
    pub ingest_status: IngestStatus,
    /// When message processing last set the status.
    pub ingested_timestamp: Option<NaiveDateTime>,
    /// Failed attempts by the jobs.
    pub ingest_attempts: u32,
    /// The last of them.
    pub last_attempted: Option<NaiveDateTime>,
    /// The row before, a JSON text.
    pub before: Option<Arc<str>>,
    /// The row after, a JSON text.
    pub after: Option<Arc<str>>,
    /// What became of it, for people.
    pub note: Option<String>,
    /// When it may be tried before the next run of the retry job (IMP-17).
    pub retry_at: Option<NaiveDateTime>,
    /// How often an operator sent it to RETRY.
    pub replay_count: u32,
    /// When an operator took it off the list of dead letters.
    pub dropped_at: Option<NaiveDateTime>,
}

/// A row of `arena_data_id_translation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTranslation {
    /// The participant's UUID; unique.
    pub amt_id: Uuid,
    /// Unique together with `arena_id`; older rows may hold any name.
    pub arena_table_name: String,
    /// Arena's participant id.
    pub arena_id: String,
}

/// A row of `arena_data_hist_id_translation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistIdTranslation {
    /// The participant's UUID; unique.
    pub amt_id: Uuid,
    /// The id in Arena's history table; unique.
    pub arena_hist_id: String,
    /// The participant id that the UUID had.
    pub arena_id: Option<String>,
}

/// A row of `deltaker`, without the columns that the store makes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deltaker {
    /// Unique together with `arena_source_table`.
    pub arena_id: i64,
    /// Arena's person id.
    pub person_id: i64,
    /// Arena's course id.
    pub gjennomforing_id: i64,
    /// Start.
    pub dato_fra: Option<NaiveDate>,
    /// End.
    pub dato_til: Option<NaiveDate>,
    /// Registered.
    pub reg_dato: NaiveDateTime,
    /// Modified.
    pub mod_dato: NaiveDateTime,
    /// Arena's status, or `FEILREGISTRERT`.
    pub status: String,
    /// When the status changed.
    pub dato_statusendring: Option<NaiveDateTime>,
    /// The UUID that the owning system gave.
    pub ekstern_id: Option<Uuid>,
    /// The table that the row is from.
    pub arena_source_table: String,
}

/// A row of `gjennomforing`, without its creation time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gjennomforing {
    /// Arena's course id; unique.
    pub arena_id: String,
    /// Arena's measure code.
    pub tiltak_kode: String,
    /// Whether the course is complete.
    pub is_valid: bool,
    /// The course's UUID.
    pub id: Option<Uuid>,
}

/// A row of `outbox`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place.
    pub id: i64,
    /// The topic.
    pub topic: Arc<str>,
    /// The key.
    pub message_key: String,
    /// The value; none for a tombstone, and once it is published.
    pub payload: Option<String>,
    /// The id inside the value.
    pub transaction_id: Option<Uuid>,
    /// The row whose change caused it.
    pub arena_data_id: Option<i64>,
    /// When it was added.
    pub created_at: NaiveDateTime,
    /// When it left.
    pub published_at: Option<NaiveDateTime>,
    /// What in a trace caused it.
    pub trace: Option<trace::Context>,
}
