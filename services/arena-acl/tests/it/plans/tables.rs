//! A database of the old service with many rows, and how it is filled.

use sqlx::{AssertSqlSafe, PgPool};

use crate::store::{OLD_INDEXES, OLD_TABLES};

/// One in twenty is a course, one in ten a history row; a participant has three changes. What was ignored came within the last hour.
const FILL: [&str; 5] = [
    "INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status,
         ingested_timestamp, before, after)
     SELECT CASE WHEN n % 20 = 0 THEN 'SIAMO.TILTAKGJENNOMFORING' WHEN n % 10 = 1 THEN 'SIAMO.HIST_TILTAKDELTAKER'
             ELSE 'SIAMO.TILTAKDELTAKER' END,
         CASE WHEN n % 20 = 0 THEN (n / 20 % $3 + 1)::text WHEN n % 10 = 1 THEN (n / 10 + 1)::text
             ELSE (n % $2 + 1)::text END,
         CASE WHEN n <= $2 THEN 'CREATED' WHEN n % 50 = 7 THEN 'DELETED' WHEN n % 10 = 1 THEN 'CREATED' ELSE 'MODIFIED' END,
         lpad(n::text, 20, '0'), timestamp '2025-01-01' + n * interval '1 second',
         CASE WHEN n % 20 = 0 THEN 'HANDLED' WHEN n > $1 * 99 / 100 AND hash < 30 THEN 'IGNORED' WHEN hash < 7 THEN 'EXTERNAL_SOURCE'
             WHEN hash < 9 THEN 'NEW' WHEN hash < 10 THEN 'INVALID' WHEN hash < 11 THEN 'WAITING'
             WHEN hash = 11 AND n % 2 = 0 THEN 'RETRY' WHEN hash = 11 THEN 'FAILED' ELSE 'HANDLED' END,
         timestamp '2025-01-01' + n * interval '1 second',
         CASE WHEN n % 50 = 7 THEN image END, CASE WHEN n % 50 <> 7 THEN image END
     FROM (SELECT n, abs(hashint8(n)) % 100 AS hash, jsonb_build_object('TILTAKDELTAKER_ID', n % $2 + 1,
             'TILTAKGJENNOMFORING_ID', n % $2 % $3 + 1) AS image
         FROM generate_series(1, $1) n) AS row",
    "INSERT INTO arena_data_id_translation
     SELECT md5('p' || n)::uuid, 'SIAMO.TILTAKDELTAKER', n::text FROM generate_series(1, $2) n WHERE $1 > 0 AND $3 > 0",
    "INSERT INTO arena_data_hist_id_translation
     SELECT md5('p' || n)::uuid, n::text, n::text FROM generate_series(1, $2) n WHERE $1 > 0 AND $3 > 0",
    "INSERT INTO gjennomforing (arena_id, tiltak_kode, is_valid, id)
     SELECT n::text, CASE WHEN n % 200 = 0 THEN 'ENKELAMO' WHEN n % 100 = 1 THEN 'ENKFAGYRKE' ELSE 'INDOPPFAG' END, n % 50 > 0,
         md5('c' || n)::uuid
     FROM generate_series(1, $3) n WHERE $1 > 0 AND $2 > 0",
    "INSERT INTO deltaker (id, arena_id, person_id, gjennomforing_id, dato_fra, reg_dato, mod_dato, status, dato_statusendring,
         arena_source_table)
     SELECT md5('d' || n)::uuid, n, n % ($2 * 3 / 4) + 1, (n - 1) % $3 + 1, '2025-01-06', '2025-01-01', '2025-01-02', 'GJENN',
         '2025-01-02', 'SIAMO.TILTAKDELTAKER'
     FROM generate_series(1, $2) n WHERE $1 > 0",
];

/// How large the tables are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Rows of `arena_data`.
    pub(crate) changes: i64,
    /// Participants: UUIDs, and rows of `deltaker`.
    pub(crate) participants: i64,
    /// Courses.
    pub(crate) courses: i64,
}

impl Size {
    pub(crate) fn of(changes: i64) -> Self {
        // the small tables are never so small that to read them whole would be wise
        Self { changes, participants: (changes * 85 / 300).max(50_000), courses: (changes / 200).max(20_000) }
    }
}

/// The tables of the old service, full, with the indexes it had. Nothing is ever analysed by itself.
pub(crate) async fn old_service(superuser: &PgPool, size: Size) {
    let mut transaction = superuser.begin().await.unwrap();
    sqlx::raw_sql(OLD_TABLES).execute(&mut *transaction).await.unwrap();
    for table in
        ["arena_data", "arena_data_id_translation", "arena_data_hist_id_translation", "gjennomforing", "deltaker"]
    {
        let off = AssertSqlSafe(format!("ALTER TABLE {table} SET (autovacuum_enabled = false)"));
        sqlx::raw_sql(off).execute(&mut *transaction).await.unwrap();
    }
    for fill in FILL {
        let fill = sqlx::query(fill).bind(size.changes).bind(size.participants).bind(size.courses);
        fill.execute(&mut *transaction).await.unwrap();
    }
    sqlx::raw_sql(OLD_INDEXES).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// What came since: messages, many of which left and few wait, some with the same key; changes that are due; a flood in quarantine.
pub(crate) async fn new_service(superuser: &PgPool, size: Size) {
    sqlx::query(
        "INSERT INTO outbox (topic, message_key, payload, created_at, published_at)
         SELECT 'amt', md5((n % $2)::text), CASE WHEN n > $1 THEN '{}' END, now(), CASE WHEN n <= $1 THEN now() END
         FROM generate_series(1, $1 + $2 * 2) n",
    )
    .bind((size.changes / 10).max(50_000))
    .bind((size.changes / 500).max(10_000))
    .execute(superuser)
    .await
    .unwrap();
    for more in [
        "UPDATE arena_data SET retry_at = '2025-03-10 07:00' WHERE ingest_status = 'RETRY' AND id % 4 = 0",
        "INSERT INTO quarantine (topic, partition, record_offset, record_value, header_names, header_values, reason, class, detail,
             attempts, replay_count, first_at, received_at)
         SELECT 'deltaker', 0, n, 'x', '{}', '{}', 'MALFORMED_JSON', 'permanent', 'line 1', 1, 0, now(), now()
         FROM generate_series(1, 50000) n",
        "ANALYZE outbox, quarantine",
    ] {
        sqlx::raw_sql(more).execute(superuser).await.unwrap();
    }
}

/// The planner knows nothing of the rows, as in a database that was never analysed. The outbox is analysed once a minute (migration 0010),
/// and the quarantine, empty at first, whenever it has grown.
pub(crate) async fn forget_statistics(superuser: &PgPool) {
    sqlx::raw_sql(
        "DELETE FROM pg_statistic USING pg_class AS relation
         WHERE starelid = relation.oid AND relnamespace = 'public'::regnamespace AND relname !~ '^(outbox|quarantine)';
         UPDATE pg_class SET reltuples = -1, relpages = 0
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname !~ '^(outbox|quarantine)'",
    )
    .execute(superuser)
    .await
    .unwrap();
}
