//! Rows of the vectors into the memory store, and back.

use std::sync::Arc;

use arena_acl::memory::{ArenaData, Deltaker, Gjennomforing, HistIdTranslation, IdTranslation, State};
use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{IngestStatus, Operation, Position, Table};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use testkit::vectors::BadCase;
use uuid::Uuid;

use crate::observed::Tables;

/// A store with the rows of `given`.
pub(super) fn state(tables: &Map<String, Value>) -> Result<State, BadCase> {
    Ok(State {
        arena_data: rows(tables, "arena_data", GivenChange::into_row)?,
        id_translation: rows(tables, "arena_data_id_translation", |row: GivenId| {
            Ok(IdTranslation { amt_id: row.amt_id, arena_table_name: row.arena_table_name, arena_id: row.arena_id })
        })?,
        hist_id_translation: rows(tables, "arena_data_hist_id_translation", |row: GivenHistId| {
            Ok(HistIdTranslation { amt_id: row.amt_id, arena_hist_id: row.arena_hist_id, arena_id: row.arena_id })
        })?,
        deltaker: rows(tables, "deltaker", |row: GivenParticipant| Ok(row.into_row()))?,
        gjennomforing: rows(tables, "gjennomforing", |row: GivenCourse| {
            Ok(Gjennomforing {
                arena_id: row.arena_id,
                tiltak_kode: row.tiltak_kode,
                is_valid: row.is_valid,
                id: row.id,
            })
        })?,
        ..State::default()
    })
}

fn rows<G: DeserializeOwned, R>(
    tables: &Map<String, Value>,
    name: &str,
    into_row: impl Fn(G) -> Result<R, BadCase>,
) -> Result<Vec<R>, BadCase> {
    let given: Vec<G> = match tables.get(name) {
        Some(rows) => Vec::deserialize(rows).map_err(|error| BadCase::because(name, &error))?,
        None => Vec::new(),
    };
    given.into_iter().map(into_row).collect()
}

#[derive(Deserialize)]
struct GivenChange {
    id: i64,
    arena_table_name: String,
    arena_id: String,
    operation_type: String,
    operation_pos: String,
    operation_timestamp: NaiveDateTime,
    ingest_status: String,
    ingested_timestamp: Option<NaiveDateTime>,
    ingest_attempts: u32,
    last_attempted: Option<NaiveDateTime>,
    before: Option<Value>,
    after: Option<Value>,
    note: Option<String>,
}

impl GivenChange {
    fn into_row(self) -> Result<ArenaData, BadCase> {
        let unknown = |what| move || BadCase::new(format!("given.tables.arena_data has an unknown {what}"));
        Ok(ArenaData {
            id: self.id,
            arena_table_name: Table::named(&self.arena_table_name).ok_or_else(unknown("arena_table_name"))?,
            arena_id: self.arena_id,
            operation_type: Operation::named(&self.operation_type).ok_or_else(unknown("operation_type"))?,
            operation_pos: Position::new(&self.operation_pos).ok_or_else(unknown("operation_pos"))?,
            operation_timestamp: self.operation_timestamp,
            ingest_status: IngestStatus::named(&self.ingest_status).ok_or_else(unknown("ingest_status"))?,
            ingested_timestamp: self.ingested_timestamp,
            ingest_attempts: self.ingest_attempts,
            last_attempted: self.last_attempted,
            before: self.before.map(|image| image.to_string().into()),
            after: self.after.map(|image| image.to_string().into()),
            note: self.note,
            retry_at: None,
            replay_count: 0,
            dropped_at: None,
        })
    }
}

#[derive(Deserialize)]
struct GivenId {
    amt_id: Uuid,
    arena_table_name: String,
    arena_id: String,
}

#[derive(Deserialize)]
struct GivenHistId {
    amt_id: Uuid,
    arena_hist_id: String,
    arena_id: Option<String>,
}

#[derive(Deserialize)]
struct GivenCourse {
    arena_id: String,
    tiltak_kode: String,
    is_valid: bool,
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct GivenParticipant {
    arena_id: i64,
    person_id: i64,
    gjennomforing_id: i64,
    dato_fra: Option<NaiveDate>,
    dato_til: Option<NaiveDate>,
    reg_dato: NaiveDateTime,
    mod_dato: NaiveDateTime,
    status: String,
    dato_statusendring: Option<NaiveDateTime>,
    ekstern_id: Option<Uuid>,
    arena_source_table: String,
}

impl GivenParticipant {
    fn into_row(self) -> Deltaker {
        Deltaker {
            arena_id: self.arena_id,
            person_id: self.person_id,
            gjennomforing_id: self.gjennomforing_id,
            dato_fra: self.dato_fra,
            dato_til: self.dato_til,
            reg_dato: self.reg_dato,
            mod_dato: self.mod_dato,
            status: self.status,
            dato_statusendring: self.dato_statusendring,
            ekstern_id: self.ekstern_id,
            arena_source_table: self.arena_source_table,
        }
    }
}

/// The rows that a store holds.
pub(super) fn tables(state: &State) -> Tables {
    Tables {
        arena_data: state.arena_data.iter().map(change).collect(),
        gjennomforing: state.gjennomforing.iter().map(course).collect(),
        deltaker: state.deltaker.iter().map(participant).collect(),
        id_translation: state
            .id_translation
            .iter()
            .map(
                |row| json!({"amt_id": row.amt_id, "arena_table_name": row.arena_table_name, "arena_id": row.arena_id}),
            )
            .collect(),
        hist_id_translation: state
            .hist_id_translation
            .iter()
            .map(|row| json!({"amt_id": row.amt_id, "arena_hist_id": row.arena_hist_id, "arena_id": row.arena_id}))
            .collect(),
        quarantine: state
            .quarantine
            .iter()
            .map(|letter| json!({"topic": letter.source, "reason": letter.reason}))
            .collect(),
    }
}

fn change(row: &ArenaData) -> Value {
    json!({
        "arena_table_name": row.arena_table_name.name(),
        "arena_id": row.arena_id,
        "operation_type": row.operation_type.name(),
        "operation_pos": row.operation_pos.as_str(),
        "ingest_status": row.ingest_status.name(),
        "ingest_attempts": row.ingest_attempts,
        "before": image(row.before.as_ref()),
        "after": image(row.after.as_ref()),
        "note": row.note,
    })
}

/// An image that is no JSON is shown as the text it is.
fn image(text: Option<&Arc<str>>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| json!(text.as_ref())))
}

fn course(row: &Gjennomforing) -> Value {
    json!({"arena_id": row.arena_id, "tiltak_kode": row.tiltak_kode, "is_valid": row.is_valid, "id": row.id})
}

fn participant(row: &Deltaker) -> Value {
    json!({
        "arena_id": row.arena_id,
        "person_id": row.person_id,
        "gjennomforing_id": row.gjennomforing_id,
        "dato_fra": row.dato_fra,
        "dato_til": row.dato_til,
        "reg_dato": row.reg_dato,
        "mod_dato": row.mod_dato,
        "status": row.status,
        "dato_statusendring": row.dato_statusendring,
        "ekstern_id": row.ekstern_id,
        "arena_source_table": row.arena_source_table,
    })
}
