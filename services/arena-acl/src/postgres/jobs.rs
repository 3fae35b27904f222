//! Stored changes, page by page, for the jobs (6.2).

use std::sync::Arc;

use chrono::NaiveDateTime;
use domain::arena_acl::{IngestStatus, Operation, Position, Table};

use super::{
    Postgres,
    errors::{during, unknown},
};
use crate::inbox::{Cursor, StoreError, StoredChange};

/// Id, Arena id, operation, position, time, before, after, due.
pub(super) type Row =
    (i64, String, String, String, NaiveDateTime, Option<String>, Option<String>, Option<NaiveDateTime>);

impl Postgres {
    pub(super) async fn page_of(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, arena_id, operation_type, operation_pos, operation_timestamp, before::text, after::text, retry_at \
             FROM arena_data \
             WHERE arena_table_name = $1 AND ingest_status = $2 \
               AND (arena_position(operation_pos), id) > (coalesce(arena_position($3), -1), coalesce($4, 0)) \
             ORDER BY arena_position(operation_pos), id LIMIT $5",
        )
        .bind(table.name())
        .bind(status.name())
        .bind(cursor.map(|cursor| cursor.position.as_str()))
        .bind(cursor.map(|cursor| cursor.id))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(during("reading a page of changes"))?;
        rows.into_iter().map(|row| stored(table, row)).collect()
    }
}

pub(super) fn stored(table: Table, row: Row) -> Result<StoredChange, StoreError> {
    let (id, arena_id, operation, position, timestamp, before, after, retry_at) = row;
    let unknown = |column| unknown("reading a page of changes", column);
    Ok(StoredChange {
        id,
        table,
        arena_id,
        operation: Operation::named(&operation).ok_or_else(|| unknown("operation_type"))?,
        position: Position::new(&position).ok_or_else(|| unknown("operation_pos"))?,
        timestamp,
        before: before.map(Arc::from),
        after: after.map(Arc::from),
        retry_at,
    })
}
