//! The rows of the changes themselves (3.1).

use std::collections::HashMap;

use chrono::NaiveDateTime;
use domain::arena_acl::{IngestStatus, Mark, RowWrite};
use sqlx::PgConnection;

use super::Batch;
use crate::{
    inbox::{Item, StoreError},
    postgres::errors::during,
};

impl Batch<'_> {
    /// A change that is stored keeps its images, its Arena id, its time and its arrival; status, note and what its mark says change. One that
    /// was ignored has no images to keep: if it comes again and is wanted, it gets those it comes with.
    ///
    /// Gives the ids of the rows that it wrote: to look them up by their unique key is a join, and the plan of one may read the whole
    /// table, since nothing but that key tells its rows apart.
    pub(super) async fn upsert_changes(&self, connection: &mut PgConnection) -> Result<ChangeIds, StoreError> {
        let mut rows: Vec<(&Item, &RowWrite)> =
            self.decided.iter().filter_map(|(item, write)| Some((*item, write.effect.row.as_ref()?))).collect();
        if rows.is_empty() {
            return Ok(ChangeIds::default());
        }
        rows.sort_by_key(|(item, _)| unique_key(item));
        let written: Vec<(String, String, String, i64)> = sqlx::query_as(
            "INSERT INTO arena_data AS row (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, \
                 ingest_status, ingested_timestamp, ingest_attempts, last_attempted, before, after, note, retry_at) \
             SELECT arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
                 CASE WHEN ingested THEN $13 END, attempted::integer, CASE WHEN attempted THEN $13 END, \
                 before::jsonb, after::jsonb, note, retry_at \
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamp[], $6::text[], $7::boolean[], \
                 $8::boolean[], $9::text[], $10::text[], $11::text[], $12::timestamp[]) \
                 AS new (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
                     ingested, attempted, before, after, note, retry_at) \
             ON CONFLICT (arena_table_name, operation_type, operation_pos) DO UPDATE SET \
                 ingest_status = excluded.ingest_status, \
                 ingested_timestamp = coalesce(excluded.ingested_timestamp, row.ingested_timestamp), \
                 ingest_attempts = row.ingest_attempts + excluded.ingest_attempts, \
                 last_attempted = coalesce(excluded.last_attempted, row.last_attempted), \
                 before = CASE 'IGNORED' WHEN excluded.ingest_status THEN NULL \
                     WHEN row.ingest_status THEN excluded.before ELSE row.before END, \
                 after = CASE 'IGNORED' WHEN excluded.ingest_status THEN NULL \
                     WHEN row.ingest_status THEN excluded.after ELSE row.after END, \
                 note = excluded.note, retry_at = excluded.retry_at \
             WHERE excluded.ingest_attempts > 0 \
                 OR (row.ingest_status, row.ingested_timestamp, row.note, row.retry_at) IS DISTINCT FROM \
                 (excluded.ingest_status, coalesce(excluded.ingested_timestamp, row.ingested_timestamp), excluded.note, \
                     excluded.retry_at) \
             RETURNING arena_table_name, operation_type, operation_pos, id",
        )
        .bind(rows.iter().map(|(item, _)| item.change.table.name()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(item, _)| item.change.arena_id.to_string()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(item, _)| item.change.operation.name()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(item, _)| item.change.position.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(item, _)| item.change.timestamp).collect::<Vec<NaiveDateTime>>())
        .bind(rows.iter().map(|(_, row)| row.status.name()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, row)| row.mark == Mark::Ingested).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, row)| row.mark == Mark::Attempted).collect::<Vec<_>>())
        .bind(rows.iter().map(|(item, row)| image(item.before.as_deref(), row)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(item, row)| image(item.after.as_deref(), row)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, row)| row.note.as_deref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, row)| row.retry_at).collect::<Vec<_>>())
        .bind(self.now)
        .fetch_all(connection)
        .await
        .map_err(during("writing changes"))?;
        Ok(ChangeIds(
            written.into_iter().map(|(table, operation, position, id)| ((table, operation, position), id)).collect(),
        ))
    }
}

/// Ids of stored changes, by what makes them unique.
#[derive(Debug, Default)]
pub(super) struct ChangeIds(HashMap<(String, String, String), i64>);

impl ChangeIds {
    /// The id of the row of `item`; `None` where it was not written.
    pub(super) fn of(&self, item: &Item) -> Option<i64> {
        let (table, operation, position) = unique_key(item);
        self.0.get(&(table.to_owned(), operation.to_owned(), position.to_owned())).copied()
    }
}

/// What makes a stored change unique (3.1), in the order in which rows are written.
fn unique_key(item: &Item) -> (&'static str, &'static str, &str) {
    (item.change.table.name(), item.change.operation.name(), item.change.position.as_str())
}

/// What is not wanted is stored without its images: they may hold what we have no right to keep (6.4).
fn image<'i>(image: Option<&'i str>, row: &RowWrite) -> Option<&'i str> {
    image.filter(|_| row.status != IngestStatus::Ignored)
}
