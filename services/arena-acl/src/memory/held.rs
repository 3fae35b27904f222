//! What is held of the objects of a batch.

use std::collections::{HashMap, HashSet};

use domain::arena_acl::{
    Candidate, Change, CourseId, Held, HeldCourse, HeldId, HeldRow, ParticipantId, ParticipantStatus, PersonId,
    Position, Table,
};
use uuid::Uuid;

use super::State;
use crate::inbox::{external_id, person_on_course};

pub(super) fn read(state: &State, changes: &[&Change]) -> Held {
    Held {
        courses: courses(state, changes),
        rows: rows(state, changes),
        ids: ids(state, changes),
        owners: owners(state, changes),
        hist_ids: hist_ids(state, changes),
        hist_owners: state.hist_id_translation.iter().map(|row| (row.amt_id, row.arena_hist_id.clone())).collect(),
        candidates: candidates(state, changes),
    }
}

fn courses(state: &State, changes: &[&Change]) -> HashMap<CourseId, HeldCourse> {
    let wanted: HashMap<String, CourseId> =
        changes.iter().filter_map(|change| change.course()).map(|id| (id.to_string(), id)).collect();
    state
        .gjennomforing
        .iter()
        .filter_map(|row| {
            let course = HeldCourse { measure: row.tiltak_kode.clone(), valid: row.is_valid, id: row.id };
            Some((*wanted.get(&row.arena_id)?, course))
        })
        .collect()
}

fn rows(state: &State, changes: &[&Change]) -> HashMap<(Table, i64), Vec<HeldRow>> {
    let mut wanted: HashMap<(Table, i64), &Position> = HashMap::new();
    for change in changes {
        let oldest = wanted.entry((change.table, change.arena_id)).or_insert(&change.position);
        *oldest = (*oldest).min(&change.position);
    }
    let mut rows: HashMap<(Table, i64), Vec<HeldRow>> = HashMap::new();
    for row in &state.arena_data {
        let Ok(arena_id) = row.arena_id.parse() else { continue };
        let object = (row.arena_table_name, arena_id);
        let counts = |position: &&Position| row.ingest_status.is_unhandled() || row.operation_pos >= **position;
        if wanted.get(&object).is_some_and(counts) {
            rows.entry(object).or_default().push(HeldRow {
                operation: row.operation_type,
                position: row.operation_pos.clone(),
                status: row.ingest_status,
                attempts: row.ingest_attempts,
                ingested: row.ingested_timestamp,
            });
        }
    }
    rows
}

fn ids(state: &State, changes: &[&Change]) -> HashMap<i64, HeldId> {
    let wanted: HashSet<i64> =
        changes.iter().filter(|change| change.table == Table::Participants).map(|change| change.arena_id).collect();
    state
        .id_translation
        .iter()
        .filter(|row| row.arena_table_name == Table::Participants.name())
        .filter_map(|row| {
            let participant = row.arena_id.parse().ok().filter(|id| wanted.contains(id))?;
            let historised = state.hist_id_translation.iter().any(|hist| hist.amt_id == row.amt_id);
            Some((participant, HeldId { amt_id: row.amt_id, historised }))
        })
        .collect()
}

fn owners(state: &State, changes: &[&Change]) -> HashMap<Uuid, String> {
    let wanted: HashSet<Uuid> = changes.iter().filter_map(|change| external_id(change)).collect();
    state
        .id_translation
        .iter()
        .filter(|row| wanted.contains(&row.amt_id))
        .map(|row| (row.amt_id, row.arena_id.clone()))
        .collect()
}

fn hist_ids(state: &State, changes: &[&Change]) -> HashMap<i64, Uuid> {
    let wanted: HashSet<i64> =
        changes.iter().filter(|change| change.table == Table::History).map(|change| change.arena_id).collect();
    let rows = state.hist_id_translation.iter();
    rows.filter_map(|row| Some((row.arena_hist_id.parse().ok().filter(|id| wanted.contains(id))?, row.amt_id)))
        .collect()
}

fn candidates(state: &State, changes: &[&Change]) -> HashMap<(PersonId, CourseId), Vec<Candidate>> {
    let wanted: HashSet<(PersonId, CourseId)> = changes.iter().filter_map(|change| person_on_course(change)).collect();
    let table = Table::Participants.name();
    let mut candidates: HashMap<(PersonId, CourseId), Vec<Candidate>> = HashMap::new();
    for row in state.deltaker.iter().filter(|row| row.arena_source_table == table) {
        let pair = (PersonId(row.person_id), CourseId(row.gjennomforing_id));
        if wanted.contains(&pair) {
            let arena_id = row.arena_id.to_string();
            let id = state.id_translation.iter().find(|id| id.arena_table_name == table && id.arena_id == arena_id);
            candidates.entry(pair).or_default().push(Candidate {
                participant: ParticipantId(row.arena_id),
                start: row.dato_fra,
                end: row.dato_til,
                status_changed: row.dato_statusendring,
                amt_id: id.map(|id| id.amt_id),
                misregistered: row.status == ParticipantStatus::Feilregistrert.name(),
            });
        }
    }
    candidates
}
