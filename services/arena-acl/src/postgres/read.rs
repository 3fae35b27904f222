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

/// Place of its change in the batch, from 1; operation, position, status, attempts, ingested.
type ChangeRow = (i64, String, String, String, i32, Option<NaiveDateTime>);

/// Reads what is held of the objects of `changes`.
pub(super) async fn held(connection: &mut PgConnection, changes: &[&Change]) -> Result<Held, StoreError> {
    of(connection, changes, participants_of(changes)).await
}

/// The same without the UUIDs of participants, which no question depends on.
pub(super) async fn asked(connection: &mut PgConnection, changes: &[&Change]) -> Result<Held, StoreError> {
    of(connection, changes, BTreeSet::new()).await
}

async fn of(
    connection: &mut PgConnection,
    changes: &[&Change],
    participants: BTreeSet<i64>,
) -> Result<Held, StoreError> {
    let (ids, owners) = participant_ids(connection, changes, participants).await?;
    let candidates = history::candidates(connection, changes).await?;
    let (hist_ids, hist_owners) = history::ids(connection, changes, &candidates).await?;
    let (courses, rows) = (courses(connection, changes).await?, rows(connection, changes).await?);
    Ok(Held { courses, rows, ids, owners, hist_ids, hist_owners, candidates })
}

fn participants_of(changes: &[&Change]) -> BTreeSet<i64> {
    changes.iter().filter(|change| change.table == Table::Participants).map(|change| change.arena_id).collect()
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

/// Rows that count for the change of their object: those that are not older than it, and those that are unhandled. What was handled
/// before it says nothing more, and there is ever more of that.
async fn rows(
    connection: &mut PgConnection,
    changes: &[&Change],
) -> Result<HashMap<(Table, i64), Vec<HeldRow>>, StoreError> {
    let found: Vec<ChangeRow> = sqlx::query_as(
        // two halves, each with an index that has what it asks for and nothing else. The statuses are asked for in a form that no other index has:
        // one over all that is unhandled would be read from end to end for each row
        "SELECT wanted.place, row.* \
         FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted (arena_table_name, arena_id, pos, place) \
         CROSS JOIN LATERAL ( \
             SELECT operation_type, operation_pos, ingest_status, ingest_attempts, ingested_timestamp FROM arena_data AS row \
             WHERE row.arena_id = wanted.arena_id AND row.arena_table_name = wanted.arena_table_name \
               AND lpad(row.operation_pos, 20, '0') COLLATE \"C\" >= wanted.pos \
             UNION ALL \
             SELECT operation_type, operation_pos, ingest_status, ingest_attempts, ingested_timestamp FROM arena_data AS row \
             WHERE row.arena_id = wanted.arena_id AND row.arena_table_name = wanted.arena_table_name \
               AND row.ingest_status <> 'HANDLED' AND coalesce(row.ingest_status, '') IN ('RETRY', 'FAILED', 'WAITING') \
               AND lpad(row.operation_pos, 20, '0') COLLATE \"C\" < wanted.pos) AS row",
    )
    .bind(changes.iter().map(|change| change.table.name()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.arena_id.to_string()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| format!("{:0>20}", change.position.as_str())).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(during("reading changes"))?;
    let mut rows: HashMap<(Table, i64), Vec<HeldRow>> = HashMap::new();
    for (place, operation, position, status, attempts, ingested) in found {
        // only INVALID rows have such positions: a migration saw to that, and they count for nothing
        let Some(position) = Position::new(&position) else { continue };
        let unknown = |column| unknown("reading changes", column);
        let change = usize::try_from(place - 1).ok().and_then(|place| changes.get(place));
        let change = change.ok_or_else(|| unknown("place"))?;
        rows.entry((change.table, change.arena_id)).or_default().push(HeldRow {
            operation: Operation::named(&operation).ok_or_else(|| unknown("operation_type"))?,
            position,
            status: IngestStatus::named(&status).ok_or_else(|| unknown("ingest_status"))?,
            attempts: u32::try_from(attempts).unwrap_or_default(),
            ingested,
        });
    }
    Ok(rows)
}

/// UUIDs of `participants`, and owners of the external ids that `changes` name: both are in 3.2.
async fn participant_ids(
    connection: &mut PgConnection,
    changes: &[&Change],
    participants: BTreeSet<i64>,
) -> Result<(HashMap<i64, HeldId>, HashMap<Uuid, String>), StoreError> {
    let external: BTreeSet<Uuid> = changes.iter().filter_map(|change| external_id(change)).collect();
    if participants.is_empty() && external.is_empty() {
        return Ok((HashMap::new(), HashMap::new()));
    }
    let wanted: Vec<String> = participants.iter().map(ToString::to_string).collect();
    let found: Vec<(Uuid, String, String, bool)> = sqlx::query_as(
        // looked up one by one: where the planner may join, it may read a whole table
        "SELECT id.amt_id, id.arena_table_name, id.arena_id, \
             (SELECT true FROM arena_data_hist_id_translation AS hist WHERE hist.amt_id = id.amt_id) IS NOT NULL \
         FROM arena_data_id_translation AS id \
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
