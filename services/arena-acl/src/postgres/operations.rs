//! What operators do to stored changes as a whole (6.4, 6.7–6.9), each in one statement and so in one transaction.

use domain::arena_acl::{Table, codes::Measure};

use super::{Postgres, errors::during};
use crate::{
    inbox::StoreError,
    operations::{Mend, Mismatch, Newest, Operations},
};

impl Operations for Postgres {
    async fn purge(&self) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM arena_data WHERE ingest_status = 'IGNORED'").execute(&self.long).await;
        done.map(|done| done.rows_affected()).map_err(during("purging what was ignored"))
    }

    async fn requeue_latest(&self, table: Table, newest: Newest) -> Result<u64, StoreError> {
        // in the order of arrival, in which the rows lie: millions of them here and there take hours
        let statement = match newest {
            Newest::ByPosition => {
                "WITH newest AS ( \
                     SELECT DISTINCT ON (arena_id) id FROM arena_data \
                     WHERE arena_table_name = $1 AND ingest_status = 'HANDLED' \
                     ORDER BY arena_id, arena_position(operation_pos) DESC NULLS LAST, id DESC), \
                 chosen AS MATERIALIZED (SELECT id FROM newest ORDER BY id) \
                 UPDATE arena_data AS row SET ingest_status = 'RETRY', ingest_attempts = 0, last_attempted = NULL \
                 FROM chosen WHERE row.id = chosen.id"
            }
            Newest::ById => {
                "WITH chosen AS MATERIALIZED ( \
                     SELECT max(id) AS id FROM arena_data \
                     WHERE arena_table_name = $1 AND ingest_status = 'HANDLED' GROUP BY arena_id ORDER BY max(id)) \
                 UPDATE arena_data AS row SET ingest_status = 'RETRY', ingest_attempts = 0, last_attempted = NULL \
                 FROM chosen WHERE row.id = chosen.id"
            }
        };
        let done = sqlx::query(statement).bind(table.name()).execute(&self.long).await;
        done.map(|done| done.rows_affected()).map_err(during("requeueing the newest changes"))
    }

    async fn check_latest(&self, table: Table, mend: Mend) -> Result<Vec<Mismatch>, StoreError> {
        let found: Vec<(String, i64, i64)> = sqlx::query_as(
            "WITH handled AS ( \
                 SELECT arena_id, id, ingested_timestamp FROM arena_data \
                 WHERE arena_table_name = $1 AND ingest_status = 'HANDLED'), \
             newest AS (SELECT arena_id, max(id) AS id FROM handled GROUP BY arena_id), \
             last AS ( \
                 SELECT DISTINCT ON (arena_id) arena_id, id FROM handled \
                 ORDER BY arena_id, ingested_timestamp DESC NULLS FIRST, id DESC), \
             wrong AS ( \
                 SELECT newest.arena_id, newest.id AS newest, last.id AS last \
                 FROM newest JOIN last USING (arena_id) WHERE newest.id <> last.id), \
             mended AS ( \
                 UPDATE arena_data SET ingest_status = 'RETRY', ingest_attempts = 0, last_attempted = NULL \
                 WHERE $2 AND id IN (SELECT newest FROM wrong)) \
             SELECT arena_id, newest, last FROM wrong ORDER BY arena_id COLLATE \"C\"",
        )
        .bind(table.name())
        .bind(mend == Mend::Yes)
        .fetch_all(&self.long)
        .await
        .map_err(during("looking for what was handled out of order"))?;
        let mismatch =
            |(arena_id, siste_melding_id, siste_ingestet)| Mismatch { arena_id, siste_melding_id, siste_ingestet };
        Ok(found.into_iter().map(mismatch).collect())
    }

    async fn relast(&self, measure: Measure) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "UPDATE arena_data SET ingest_status = 'RETRY', ingest_attempts = 0, last_attempted = NULL WHERE id IN ( \
                 SELECT DISTINCT ON (change.arena_id) change.id \
                 FROM gjennomforing AS course \
                 JOIN deltaker AS known ON known.gjennomforing_id::text = course.arena_id AND known.arena_source_table = $1 \
                 JOIN arena_data AS change ON change.arena_id = known.arena_id::text AND change.arena_table_name = $1 \
                 WHERE course.tiltak_kode = $2 AND change.ingest_status IN ('HANDLED', 'NEW') \
                 ORDER BY change.arena_id, arena_position(change.operation_pos) DESC NULLS LAST, change.id DESC)",
        )
        .bind(Table::Participants.name())
        .bind(measure.code())
        .execute(&self.long)
        .await;
        done.map(|done| done.rows_affected()).map_err(during("loading a measure again"))
    }
}
