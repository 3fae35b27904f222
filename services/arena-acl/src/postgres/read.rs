//! What is held of the objects of a batch: one read per table.

mod history;

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDateTime;
use domain::arena_acl::{
    Change, CourseId, Held, HeldCourse, HeldId, HeldRow, IngestStatus, Operation, Position, Table,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::errors::{during, unknown};
use crate::inbox::{StoreError, external_id};

/// Table, Arena id, operation, position, status, attempts, ingested.
type ChangeRow = (String, String, String, String, String, i32, Option<NaiveDateTime>);

/// Reads what is held of the objects of `changes`.
pub(super) async fn held(connection: &mut PgConnection, changes: &[&Change]) -> Result<Held, StoreError> {
    let (ids, owners) = participants(connection, changes).await?;
    let candidates = history::candidates(connection, changes).await?;
    let (hist_ids, hist_owners) = history::ids(connection, changes, &candidates).await?;
    let (courses, rows) = (courses(connection, changes).await?, rows(connection, changes).await?);
    Ok(Held { courses, rows, ids, owners, hist_ids, hist_owners, candidates })
}

async fn courses(
    connection: &mut PgConnection,
    changes: &[&Change],
) -> Result<HashMap<CourseId, HeldCourse>, StoreError> {
    let wanted: BTreeSet<CourseId> = changes.iter().filter_map(|change| change.course()).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let found: Vec<(String, String, bool, Option<Uuid>)> =
        sqlx::query_as("SELECT arena_id, tiltak_kode, is_valid, id FROM gjennomforing WHERE arena_id = ANY($1)")
            .bind(wanted)
            .fetch_all(connection)
            .await
            .map_err(during("reading courses"))?;
    found
        .into_iter()
        .map(|(arena_id, measure, valid, id)| {
            let arena_id = arena_id.parse().map_err(|_not_asked_for| unknown("reading courses", "arena_id"))?;
            Ok((CourseId(arena_id), HeldCourse { measure, valid, id }))
        })
        .collect()
}

async fn rows(
    connection: &mut PgConnection,
    changes: &[&Change],
) -> Result<HashMap<(Table, i64), Vec<HeldRow>>, StoreError> {
    let wanted: BTreeSet<(Table, i64)> = changes.iter().map(|change| (change.table, change.arena_id)).collect();
    let tables: Vec<&str> = wanted.iter().map(|(table, _)| table.name()).collect();
    let ids: Vec<String> = wanted.iter().map(|(_, id)| id.to_string()).collect();
    let found: Vec<ChangeRow> = sqlx::query_as(
        "SELECT row.arena_table_name, row.arena_id, row.operation_type, row.operation_pos, row.ingest_status, row.ingest_attempts, \
             row.ingested_timestamp \
         FROM unnest($1::text[], $2::text[]) AS wanted (arena_table_name, arena_id) \
         JOIN arena_data AS row USING (arena_table_name, arena_id)",
    )
    .bind(tables)
    .bind(ids)
    .fetch_all(connection)
    .await
    .map_err(during("reading changes"))?;
    let mut rows: HashMap<(Table, i64), Vec<HeldRow>> = HashMap::new();
    for (table, arena_id, operation, position, status, attempts, ingested) in found {
        // only INVALID rows have such positions: a migration saw to that, and they count for nothing
        let Some(position) = Position::new(&position) else { continue };
        let unknown = |column| unknown("reading changes", column);
        let table = Table::named(&table).ok_or_else(|| unknown("arena_table_name"))?;
        let arena_id = arena_id.parse().map_err(|_not_asked_for| unknown("arena_id"))?;
        rows.entry((table, arena_id)).or_default().push(HeldRow {
            operation: Operation::named(&operation).ok_or_else(|| unknown("operation_type"))?,
            position,
            status: IngestStatus::named(&status).ok_or_else(|| unknown("ingest_status"))?,
            attempts: u32::try_from(attempts).unwrap_or_default(),
            ingested,
        });
    }
    Ok(rows)
}

/// UUIDs of the batch's participants, and owners of the external ids it names: both are in 3.2.
async fn participants(
    connection: &mut PgConnection,
    changes: &[&Change],
) -> Result<(HashMap<i64, HeldId>, HashMap<Uuid, String>), StoreError> {
    let participants: BTreeSet<i64> =
        changes.iter().filter(|change| change.table == Table::Participants).map(|change| change.arena_id).collect();
    let external: BTreeSet<Uuid> = changes.iter().filter_map(|change| external_id(change)).collect();
    if participants.is_empty() && external.is_empty() {
        return Ok((HashMap::new(), HashMap::new()));
    }
    let wanted: Vec<String> = participants.iter().map(ToString::to_string).collect();
    let found: Vec<(Uuid, String, String, bool)> = sqlx::query_as(
        "SELECT id.amt_id, id.arena_table_name, id.arena_id, hist.amt_id IS NOT NULL \
         FROM arena_data_id_translation AS id \
         LEFT JOIN arena_data_hist_id_translation AS hist ON hist.amt_id = id.amt_id \
         WHERE id.arena_table_name = $1 AND id.arena_id = ANY($2) OR id.amt_id = ANY($3)",
    )
    .bind(Table::Participants.name())
    .bind(wanted)
    .bind(external.iter().copied().collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(during("reading participant ids"))?;
    let mut ids = HashMap::new();
    let mut owners = HashMap::new();
    for (amt_id, table, arena_id, historised) in found {
        if table == Table::Participants.name()
            && let Some(participant) = arena_id.parse().ok().filter(|id| participants.contains(id))
        {
            ids.insert(participant, HeldId { amt_id, historised });
        }
        if external.contains(&amt_id) {
            owners.insert(amt_id, arena_id);
        }
    }
    Ok((ids, owners))
}
