//! What is held of the objects of a batch.

use std::collections::{HashMap, HashSet};

use domain::arena_acl::{Change, CourseId, Held, HeldCourse, HeldId, HeldRow, Table};
use uuid::Uuid;

use super::State;
use crate::inbox::external_id;

pub(super) fn read(state: &State, changes: &[&Change]) -> Held {
    Held {
        courses: courses(state, changes),
        rows: rows(state, changes),
        ids: ids(state, changes),
        owners: owners(state, changes),
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
    let wanted: HashSet<(Table, i64)> = changes.iter().map(|change| (change.table, change.arena_id)).collect();
    let mut rows: HashMap<(Table, i64), Vec<HeldRow>> = HashMap::new();
    for row in &state.arena_data {
        let Ok(arena_id) = row.arena_id.parse() else { continue };
        let object = (row.arena_table_name, arena_id);
        if wanted.contains(&object) {
            rows.entry(object).or_default().push(HeldRow {
                operation: row.operation_type,
                position: row.operation_pos.clone(),
                status: row.ingest_status,
                attempts: row.ingest_attempts,
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
