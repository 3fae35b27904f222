//! Dead letters as one list: the quarantine, and the rows in INVALID and FAILED.

use std::sync::Arc;

use chassis::dead_letters::{Contents, Filter, LetterId, OpenLetter, Show};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::arena_acl::{IngestStatus, Operation, Position, Table};
use sqlx::{FromRow, PgConnection};

use super::{
    Postgres,
    errors::{during, unknown},
};
use crate::{
    OSLO,
    inbox::{StoreError, StoredChange},
    letters::{DeadRow, LetterStore, QUARANTINED, ROW, first_after, numbers, record, row},
    wire::Unreadable,
};

const READING: &str = "reading dead letters";

impl LetterStore for Postgres {
    async fn open_letters(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> Result<Vec<OpenLetter>, StoreError> {
        let mut connection = self.long.acquire().await.map_err(during(READING))?;
        let mut letters = quarantined(&mut connection, filter, first_after(after, QUARANTINED), limit, show).await?;
        let left = limit.saturating_sub(u32::try_from(letters.len()).unwrap_or(u32::MAX));
        letters.extend(dead_rows(&mut connection, filter, first_after(after, ROW), left, show).await?);
        Ok(letters)
    }

    async fn requeue(&self, rows: &[i64], now: NaiveDateTime) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar(
            "UPDATE arena_data SET ingest_status = 'RETRY', ingest_attempts = 0, last_attempted = NULL, retry_at = $2, \
                 replay_count = replay_count + 1, dropped_at = NULL \
             WHERE id = ANY($1) AND ingest_status IN ('INVALID', 'FAILED') RETURNING id",
        )
        .bind(rows)
        .bind(now)
        .fetch_all(&self.long)
        .await
        .map_err(during("requeueing dead letters"))
    }

    async fn resolve(&self, records: &[i64], now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query("UPDATE quarantine SET resolved_at = $2 WHERE id = ANY($1) AND resolved_at IS NULL")
            .bind(records)
            .bind(now)
            .execute(&self.long)
            .await
            .map(drop)
            .map_err(during("resolving dead letters"))
    }

    async fn failed_again(&self, records: &[(i64, Unreadable)], now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE quarantine AS kept SET replay_count = replay_count + 1, attempts = attempts + 1, reason = new.reason, \
                 class = 'permanent', detail = new.detail, received_at = $4 \
             FROM unnest($1::bigint[], $2::text[], $3::text[]) AS new (id, reason, detail) WHERE kept.id = new.id",
        )
        .bind(records.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(records.iter().map(|(_, why)| why.reason).collect::<Vec<_>>())
        .bind(records.iter().map(|(_, why)| why.detail.replace('\0', "")).collect::<Vec<_>>())
        .bind(now)
        .execute(&self.long)
        .await
        .map(drop)
        .map_err(during("counting a replay"))
    }

    async fn drop_letters(
        &self,
        ids: &[LetterId],
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<LetterId>, StoreError> {
        let failed = during("dropping dead letters");
        let mut transaction = self.long.begin().await.map_err(&failed)?;
        let records: Vec<i64> = sqlx::query_scalar(
            "UPDATE quarantine SET resolved_at = $2, detail = concat_ws('; ', detail, $3::text) \
             WHERE id = ANY($1) AND resolved_at IS NULL RETURNING id",
        )
        .bind(numbers(ids, QUARANTINED))
        .bind(now)
        .bind(note)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let rows: Vec<i64> = sqlx::query_scalar(
            "UPDATE arena_data SET ingest_status = 'INVALID', dropped_at = $2, note = concat_ws('; ', note, $3::text) \
             WHERE id = ANY($1) AND (ingest_status = 'FAILED' OR (ingest_status = 'INVALID' AND dropped_at IS NULL)) \
             RETURNING id",
        )
        .bind(numbers(ids, ROW))
        .bind(now.with_timezone(&OSLO).naive_local())
        .bind(note)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(records.into_iter().map(record).chain(rows.into_iter().map(row)).collect())
    }
}

#[derive(FromRow)]
struct Quarantined {
    id: i64,
    topic: String,
    partition: i32,
    record_offset: i64,
    reason: String,
    class: String,
    detail: String,
    attempts: i32,
    replay_count: i32,
    first_at: DateTime<Utc>,
    received_at: DateTime<Utc>,
    record_key: Option<Vec<u8>>,
    record_value: Option<Vec<u8>>,
    header_names: Option<Vec<Vec<u8>>>,
    header_values: Option<Vec<Vec<u8>>>,
}

/// The quarantined records with an id above `after`.
async fn quarantined(
    connection: &mut PgConnection,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
    show: Show,
) -> Result<Vec<OpenLetter>, StoreError> {
    let Some(after) = after else { return Ok(Vec::new()) };
    let found: Vec<Quarantined> = sqlx::query_as(
        "SELECT id, topic, partition, record_offset, reason, class, detail, attempts, replay_count, first_at, received_at, \
             CASE WHEN $1 THEN record_key END AS record_key, CASE WHEN $1 THEN record_value END AS record_value, \
             CASE WHEN $1 THEN header_names END AS header_names, CASE WHEN $1 THEN header_values END AS header_values \
         FROM quarantine \
         WHERE resolved_at IS NULL AND id > $2 AND ($3 OR id = ANY($4)) AND ($5::text IS NULL OR reason = $5) \
           AND ($6::text IS NULL OR topic = $6) AND ($7::timestamptz IS NULL OR received_at >= $7) \
         ORDER BY id LIMIT $8",
    )
    .bind(show == Show::Contents)
    .bind(after)
    .bind(filter.ids.is_empty())
    .bind(numbers(&filter.ids, QUARANTINED))
    .bind(&filter.reason)
    .bind(&filter.source)
    .bind(filter.since)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(during(READING))?;
    Ok(found.into_iter().map(|found| found.letter(show)).collect())
}

impl Quarantined {
    fn letter(self, show: Show) -> OpenLetter {
        let names = self.header_names.unwrap_or_default().into_iter();
        let names = names.map(|name| String::from_utf8_lossy(&name).into_owned());
        let values = self.header_values.unwrap_or_default().into_iter().map(Into::into);
        OpenLetter {
            id: record(self.id),
            source: self.topic,
            position: Some(format!("{}/{}", self.partition, self.record_offset)),
            about: None,
            reason: self.reason,
            class: self.class,
            attempts: count(self.attempts),
            first_at: Some(self.first_at),
            last_at: Some(self.received_at),
            replay_count: count(self.replay_count),
            detail: self.detail,
            contents: (show == Show::Contents).then(|| Contents {
                key: self.record_key.map(Into::into),
                headers: names.zip(values).collect(),
                payload: self.record_value.map(Into::into),
            }),
        }
    }
}

#[derive(FromRow)]
struct Dead {
    id: i64,
    arena_table_name: String,
    arena_id: String,
    operation_type: String,
    operation_pos: String,
    operation_timestamp: NaiveDateTime,
    ingest_status: String,
    ingested_timestamp: Option<NaiveDateTime>,
    ingest_attempts: i32,
    last_attempted: Option<NaiveDateTime>,
    replay_count: i32,
    note: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

/// The rows in INVALID and FAILED with an id above `after`.
async fn dead_rows(
    connection: &mut PgConnection,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
    show: Show,
) -> Result<Vec<OpenLetter>, StoreError> {
    let Some(after) = after.filter(|_| limit > 0) else { return Ok(Vec::new()) };
    let found: Vec<Dead> = sqlx::query_as(
        "SELECT id, arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
             ingested_timestamp, ingest_attempts, last_attempted, replay_count, note, \
             CASE WHEN $1 THEN before::text END AS before, CASE WHEN $1 THEN after::text END AS after \
         FROM arena_data \
         WHERE (ingest_status = 'FAILED' OR (ingest_status = 'INVALID' AND dropped_at IS NULL)) \
           AND id > $2 AND ($3 OR id = ANY($4)) AND ($5::text IS NULL OR ingest_status = $5) \
           AND ($6::text IS NULL OR arena_table_name = $6) \
           AND ($7::timestamp IS NULL OR coalesce(greatest(last_attempted, ingested_timestamp) >= $7, true)) \
         ORDER BY id LIMIT $8",
    )
    .bind(show == Show::Contents)
    .bind(after)
    .bind(filter.ids.is_empty())
    .bind(numbers(&filter.ids, ROW))
    .bind(&filter.reason)
    .bind(&filter.source)
    .bind(filter.since.map(|since| since.with_timezone(&OSLO).naive_local()))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(during(READING))?;
    found.into_iter().map(|found| found.letter(show)).collect()
}

impl Dead {
    fn letter(self, show: Show) -> Result<OpenLetter, StoreError> {
        let unknown = |column| unknown(READING, column);
        let change = StoredChange {
            retry_at: None,
            id: self.id,
            table: Table::named(&self.arena_table_name).ok_or_else(|| unknown("arena_table_name"))?,
            arena_id: self.arena_id,
            operation: Operation::named(&self.operation_type).ok_or_else(|| unknown("operation_type"))?,
            position: Position::new(&self.operation_pos).ok_or_else(|| unknown("operation_pos"))?,
            timestamp: self.operation_timestamp,
            before: self.before.map(Arc::from),
            after: self.after.map(Arc::from),
        };
        let row = DeadRow {
            status: IngestStatus::named(&self.ingest_status).ok_or_else(|| unknown("ingest_status"))?,
            attempts: count(self.ingest_attempts),
            ingested: self.ingested_timestamp,
            last_attempted: self.last_attempted,
            replay_count: count(self.replay_count),
            note: self.note,
        };
        Ok(row.letter(&change, show))
    }
}

fn count(n: i32) -> u32 {
    u32::try_from(n).unwrap_or_default()
}
