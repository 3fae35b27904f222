//! The limit: the rows that the full path leaves, written by `unnest` alone.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{feed::Change, run::Run};

/// As many rows as the service takes into one batch.
pub(crate) const BATCH: usize = 500;
/// As many writers as the service has workers.
pub(crate) const WRITERS: usize = 2;

/// The rows of one batch, column by column.
#[derive(Default)]
struct Rows {
    arena_ids: Vec<String>,
    numbers: Vec<i64>,
    persons: Vec<i64>,
    courses: Vec<i64>,
    positions: Vec<String>,
    images: Vec<String>,
    uuids: Vec<Uuid>,
    keys: Vec<String>,
    messages: Vec<String>,
    transactions: Vec<Uuid>,
}

/// How long the writes take. Everything is made before the clock starts.
pub(crate) async fn measure(run: &Run, changes: &[Change]) -> Duration {
    run.settle().await;
    let batches: Vec<Rows> = changes.chunks(BATCH).map(Rows::of).collect();
    let (one, other) = batches.split_at(batches.len() / WRITERS);
    let begin = Instant::now();
    tokio::join!(write_all(&run.pool, one), write_all(&run.pool, other));
    let time = begin.elapsed();
    run.assert_complete(changes.len()).await;
    time
}

async fn write_all(pool: &PgPool, batches: &[Rows]) {
    for rows in batches {
        rows.write(pool).await.unwrap();
    }
}

impl Rows {
    fn of(changes: &[Change]) -> Self {
        let mut rows = Self::default();
        for change in changes {
            let (uuid, transaction) = (Uuid::new_v4(), Uuid::new_v4());
            let message = json!({
                "transactionId": transaction, "source": "AMT_ARENA_ACL", "type": "DELTAKER",
                "timestamp": "2025-03-10T12:00:01.204518", "operation": "CREATED", "payload": change.message(uuid),
            });
            rows.arena_ids.push(change.participant.to_string());
            rows.numbers.push(change.participant);
            rows.persons.push(change.person());
            rows.courses.push(change.course);
            rows.positions.push(change.position_text());
            rows.images.push(change.after().to_string());
            rows.uuids.push(uuid);
            rows.keys.push(uuid.to_string());
            rows.messages.push(message.to_string());
            rows.transactions.push(transaction);
        }
        rows
    }

    /// One transaction with one statement per table, then the mark, as the publisher sets it.
    async fn write(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut transaction = pool.begin().await?;
        sqlx::query(
            "INSERT INTO arena_data AS row (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, \
                 ingest_status, ingested_timestamp, after) \
             SELECT 'SIAMO.TILTAKDELTAKER', new.arena_id, 'CREATED', new.pos, '2025-03-10 11:59:58', 'HANDLED', localtimestamp, \
                 new.after::jsonb \
             FROM unnest($1::text[], $2::text[], $3::text[]) AS new (arena_id, pos, after) \
             ON CONFLICT (arena_table_name, operation_type, operation_pos) DO UPDATE SET ingest_status = excluded.ingest_status",
        )
        .bind(&self.arena_ids)
        .bind(&self.positions)
        .bind(&self.images)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO arena_data_id_translation (amt_id, arena_table_name, arena_id) \
             SELECT new.amt_id, 'SIAMO.TILTAKDELTAKER', new.arena_id FROM unnest($1::uuid[], $2::text[]) AS new (amt_id, arena_id) \
             ON CONFLICT (arena_table_name, arena_id) DO NOTHING",
        )
        .bind(&self.uuids)
        .bind(&self.arena_ids)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO deltaker AS row (id, arena_source_table, arena_id, person_id, gjennomforing_id, dato_fra, reg_dato, \
                 mod_dato, status, dato_statusendring) \
             SELECT gen_random_uuid(), 'SIAMO.TILTAKDELTAKER', new.arena_id, new.person_id, new.course_id, '2025-04-01', \
                 '2025-02-20 08:00:00', '2025-03-01 09:15:00', 'GJENN', '2025-03-01 09:15:00' \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (arena_id, person_id, course_id) \
             ON CONFLICT (arena_id, arena_source_table) DO UPDATE SET status = excluded.status",
        )
        .bind(&self.numbers)
        .bind(&self.persons)
        .bind(&self.courses)
        .execute(&mut *transaction)
        .await?;
        let ids: Vec<i64> = sqlx::query_scalar(
            "INSERT INTO outbox (topic, message_key, payload, transaction_id, created_at) \
             SELECT 'amt', new.message_key, new.payload, new.transaction_id, localtimestamp \
             FROM unnest($1::text[], $2::text[], $3::uuid[]) AS new (message_key, payload, transaction_id) RETURNING id",
        )
        .bind(&self.keys)
        .bind(&self.messages)
        .bind(&self.transactions)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        sqlx::query("UPDATE outbox SET published_at = localtimestamp, payload = NULL WHERE id = ANY($1)")
            .bind(ids)
            .execute(pool)
            .await
            .map(drop)
    }
}
