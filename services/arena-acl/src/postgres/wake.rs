//! What is due before the next run of the retry job (IMP-17).

use std::time::Duration;

use chrono::NaiveDateTime;
use domain::arena_acl::{CourseId, Table};

use super::{
    Postgres,
    errors::during,
    jobs::{Row, stored},
    write::release_page,
};
use crate::{
    inbox::{StoreError, StoredChange},
    wake::Woken,
};

/// How long what another process woke, or what time made due, may wait unseen.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Woken for Postgres {
    async fn woken(
        &self,
        table: Table,
        now: NaiveDateTime,
        last: Option<&StoredChange>,
        limit: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, arena_id, operation_type, operation_pos, operation_timestamp, before::text, after::text, retry_at \
             FROM arena_data \
             WHERE arena_table_name = $1 AND ingest_status = 'RETRY' AND retry_at <= $2 \
               AND (retry_at, arena_position(operation_pos), id) \
                   > (coalesce($3, '-infinity'::timestamp), coalesce(arena_position($4), -1), coalesce($5, 0)) \
             ORDER BY retry_at, arena_position(operation_pos), id LIMIT $6",
        )
        .bind(table.name())
        .bind(now)
        .bind(last.and_then(|last| last.retry_at))
        .bind(last.map(|last| last.position.as_str()))
        .bind(last.map(|last| last.id))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(during("reading what is due"))?;
        rows.into_iter().map(|row| stored(table, row)).collect()
    }

    async fn release_more(&self, now: NaiveDateTime) -> Result<bool, StoreError> {
        let releasing = during("releasing what waits for a course");
        let mut transaction = self.pool.begin().await.map_err(&releasing)?;
        // a change of a course locks its row before it releases, so none can ask for another page between the last one and its note
        let courses: Vec<String> = sqlx::query_scalar(
            "SELECT arena_id FROM gjennomforing WHERE releases ORDER BY arena_id LIMIT 50 FOR NO KEY UPDATE",
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(&releasing)?;
        if courses.is_empty() {
            return Ok(false);
        }
        let ids: Vec<CourseId> = courses.iter().filter_map(|id| id.parse().ok()).map(CourseId).collect();
        if !release_page(&mut transaction, &ids, now).await? {
            sqlx::query("UPDATE gjennomforing SET releases = false WHERE arena_id = ANY($1)")
                .bind(courses)
                .execute(&mut *transaction)
                .await
                .map_err(&releasing)?;
        }
        transaction.commit().await.map_err(releasing)?;
        Ok(true)
    }

    async fn any_woken(&self, now: NaiveDateTime) -> Result<bool, StoreError> {
        // in the order of the index: a plan for any one row might read the whole table in the hope of meeting it soon
        sqlx::query_scalar(
            "SELECT count(*) > 0 FROM unnest($1::text[]) AS name CROSS JOIN LATERAL ( \
                 SELECT FROM arena_data \
                 WHERE arena_table_name = name AND ingest_status = 'RETRY' AND retry_at <= $2 \
                 ORDER BY retry_at, arena_position(operation_pos), id LIMIT 1) AS due \
             UNION ALL SELECT true WHERE EXISTS (SELECT FROM gjennomforing WHERE releases) \
             ORDER BY 1 DESC LIMIT 1",
        )
        .bind(Table::ALL.map(Table::name).to_vec())
        .bind(now)
        .fetch_one(&self.pool)
        .await
        .map_err(during("looking for what is due"))
    }

    async fn wakes(&self) {
        drop(tokio::time::timeout(LOOK_AGAIN, self.woke.notified()).await);
    }
}
