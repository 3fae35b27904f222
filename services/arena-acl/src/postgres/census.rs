//! How much of what is held, on a connection that nothing else waits for.

use chrono::NaiveDateTime;
use domain::arena_acl::{IngestStatus, Operation, Table};

use super::{Postgres, errors::during};
use crate::{
    census::{Census, Open, Rows},
    inbox::StoreError,
};

/// Table, status, number, since when.
type Counted = (String, String, i64, Option<NaiveDateTime>);

impl Census for Postgres {
    async fn open(&self) -> Result<Open, StoreError> {
        let failed = during("counting what is not finished");
        // each is answered by an index that holds only what is counted
        let mut changes: Vec<Counted> = sqlx::query_as(
            "SELECT arena_table_name, ingest_status, count(*), min(ingested_timestamp) FROM arena_data \
             WHERE ingest_status IN ('RETRY', 'FAILED', 'WAITING') GROUP BY arena_table_name, ingest_status",
        )
        .fetch_all(&self.counting)
        .await
        .map_err(&failed)?;
        // all columns of the index of the old service, so it is entered at these places and not read as a whole
        let invalid: Vec<Counted> = sqlx::query_as(
            "SELECT arena_table_name, ingest_status, count(*), NULL FROM arena_data \
             WHERE arena_table_name = ANY($1) AND operation_type = ANY($2) AND ingest_status = 'INVALID' \
             GROUP BY arena_table_name, ingest_status",
        )
        .bind(Table::ALL.map(Table::name).as_slice())
        .bind([Operation::Created, Operation::Modified, Operation::Deleted].map(Operation::name).as_slice())
        .fetch_all(&self.counting)
        .await
        .map_err(&failed)?;
        changes.extend(invalid);
        let quarantine: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT topic, reason, count(*) FROM quarantine WHERE resolved_at IS NULL GROUP BY topic, reason",
        )
        .fetch_all(&self.counting)
        .await
        .map_err(&failed)?;
        let (outbox, outbox_since): (i64, Option<NaiveDateTime>) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL), \
                    (SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1)",
        )
        .fetch_one(&self.counting)
        .await
        .map_err(&failed)?;
        Ok(Open {
            changes: rows(changes),
            quarantine: quarantine
                .into_iter()
                .map(|(topic, reason, letters)| (topic, reason, number(letters)))
                .collect(),
            outbox: number(outbox),
            outbox_since,
        })
    }

    async fn finished(&self) -> Result<Vec<Rows>, StoreError> {
        sqlx::query_as(
            "SELECT arena_table_name, ingest_status, count(*), NULL FROM arena_data \
             WHERE ingest_status IN ('NEW', 'HANDLED', 'IGNORED', 'EXTERNAL_SOURCE') \
             GROUP BY arena_table_name, ingest_status",
        )
        .fetch_all(&self.counting)
        .await
        .map(rows)
        .map_err(during("counting what is finished"))
    }
}

fn rows(counted: Vec<Counted>) -> Vec<Rows> {
    let row = |(table, status, rows, since): Counted| {
        Some(Rows { table: Table::named(&table)?, status: IngestStatus::named(&status)?, rows: number(rows), since })
    };
    counted.into_iter().filter_map(row).collect()
}

fn number(count: i64) -> u64 {
    count.try_into().unwrap_or_default()
}
