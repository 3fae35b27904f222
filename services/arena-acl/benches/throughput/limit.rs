//! The limit of what is published: the rows that the full path leaves, written by `unnest` alone.

use std::collections::HashMap;

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    feed::Change,
    load::Load,
    run::{Measured, Run},
};

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
    modified: Vec<String>,
    operations: Vec<&'static str>,
    positions: Vec<String>,
    before: Vec<Option<String>>,
    after: Vec<String>,
    /// Of the participants that are new.
    new_uuids: Vec<Uuid>,
    new_ids: Vec<String>,
    keys: Vec<String>,
    messages: Vec<String>,
    transactions: Vec<Uuid>,
}

/// How long the writes take. Everything is made before the clock starts.
pub(crate) async fn measure(run: &Run, load: &Load) -> Measured {
    run.settle().await;
    write(run, load).await
}

/// The same where the changes are in the inbox already and wait for their course.
pub(crate) async fn of_waiting(run: &Run, load: &Load) -> Measured {
    run.settle().await;
    for changes in load.changes.chunks(BATCH) {
        insert_waiting(&run.pool, changes).await;
    }
    sqlx::query("CHECKPOINT").execute(&run.pool).await.unwrap();
    write(run, load).await
}

async fn write(run: &Run, load: &Load) -> Measured {
    let mut uuids = HashMap::new();
    let mut of_writer: [Vec<Rows>; WRITERS] = Default::default();
    for (number, changes) in load.changes.chunks(BATCH).enumerate() {
        // each participant has one writer, as it has one lane in the service
        let place = number * BATCH % load.participants;
        of_writer[place * WRITERS / load.participants].push(Rows::of(changes, &mut uuids));
    }
    let [one, other] = &of_writer;
    let measured =
        run.measure(None, async { tokio::join!(write_all(&run.pool, one), write_all(&run.pool, other)) }).await;
    run.assert_published(load).await;
    measured
}

async fn write_all(pool: &PgPool, batches: &[Rows]) {
    for rows in batches {
        rows.write(pool).await.unwrap();
    }
}

async fn insert_waiting(pool: &PgPool, changes: &[Change]) {
    sqlx::query(
        "INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
             ingested_timestamp, after, note) \
         SELECT 'SIAMO.TILTAKDELTAKER', new.arena_id, 'CREATED', new.pos, '2025-03-10 11:59:58', 'RETRY', localtimestamp, \
             new.after::jsonb, 'course ' || new.course || ' has not been read yet' \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS new (arena_id, pos, after, course)",
    )
    .bind(changes.iter().map(|change| change.participant.to_string()).collect::<Vec<_>>())
    .bind(changes.iter().map(Change::position_text).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.after().to_string()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.course).collect::<Vec<_>>())
    .execute(pool)
    .await
    .unwrap();
}

impl Rows {
    fn of(changes: &[Change], uuids: &mut HashMap<i64, Uuid>) -> Self {
        let mut rows = Self::default();
        for change in changes {
            let (uuid, transaction) = (*uuids.entry(change.participant).or_insert_with(Uuid::new_v4), Uuid::new_v4());
            let is_new = change.operation == "I";
            let operation = if is_new { "CREATED" } else { "MODIFIED" };
            let message = json!({
                "transactionId": transaction, "source": "AMT_ARENA_ACL", "type": "DELTAKER",
                "timestamp": "2025-03-10T12:00:01.204518", "operation": operation, "payload": change.message(uuid),
            });
            let before = change.before();
            rows.arena_ids.push(change.participant.to_string());
            rows.numbers.push(change.participant);
            rows.persons.push(change.person());
            rows.courses.push(change.course);
            rows.modified.push(change.modified());
            rows.operations.push(operation);
            rows.positions.push(change.position_text());
            rows.before.push((!before.is_null()).then(|| before.to_string()));
            rows.after.push(change.after().to_string());
            if is_new {
                rows.new_uuids.push(uuid);
                rows.new_ids.push(change.participant.to_string());
            }
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
                 ingest_status, ingested_timestamp, before, after) \
             SELECT 'SIAMO.TILTAKDELTAKER', new.arena_id, new.operation, new.pos, '2025-03-10 11:59:58', 'HANDLED', localtimestamp, \
                 new.before::jsonb, new.after::jsonb \
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (arena_id, operation, pos, before, after) \
             ON CONFLICT (arena_table_name, operation_type, operation_pos) DO UPDATE SET \
                 ingest_status = excluded.ingest_status, ingested_timestamp = excluded.ingested_timestamp, note = NULL",
        )
        .bind(&self.arena_ids)
        .bind(&self.operations)
        .bind(&self.positions)
        .bind(&self.before)
        .bind(&self.after)
        .execute(&mut *transaction)
        .await?;
        if !self.new_ids.is_empty() {
            sqlx::query(
                "INSERT INTO arena_data_id_translation (amt_id, arena_table_name, arena_id) \
                 SELECT new.amt_id, 'SIAMO.TILTAKDELTAKER', new.arena_id FROM unnest($1::uuid[], $2::text[]) AS new (amt_id, arena_id) \
                 ON CONFLICT (arena_table_name, arena_id) DO NOTHING",
            )
            .bind(&self.new_uuids)
            .bind(&self.new_ids)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "INSERT INTO deltaker AS row (id, arena_source_table, arena_id, person_id, gjennomforing_id, dato_fra, reg_dato, \
                 mod_dato, status, dato_statusendring) \
             SELECT gen_random_uuid(), 'SIAMO.TILTAKDELTAKER', new.arena_id, new.person_id, new.course_id, '2025-04-01', \
                 '2025-02-20 08:00:00', new.modified::timestamp, 'GJENN', '2025-03-01 09:15:00' \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS new (arena_id, person_id, course_id, modified) \
             ON CONFLICT (arena_id, arena_source_table) DO UPDATE SET status = excluded.status, mod_dato = excluded.mod_dato",
        )
        .bind(&self.numbers)
        .bind(&self.persons)
        .bind(&self.courses)
        .bind(&self.modified)
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
