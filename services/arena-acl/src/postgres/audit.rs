//! The whole store, page by page.

use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{CourseId, IngestStatus, LastKnown, ParticipantId, PersonId, Table};
use uuid::Uuid;

use super::{
    Postgres,
    chronicle::{Message, Stored, recorded},
    errors::{during, unknown},
};
use crate::{
    explain::{Recorded, Sent},
    inbox::{Cursor, StoreError},
    verify::{Audit, Kept, Order, Window},
};

/// A participant with what is kept of it; of the change and of the last known row either everything that must be there, or nothing.
#[derive(sqlx::FromRow)]
struct Row {
    object: String,
    has_uuid: bool,
    person_id: Option<i64>,
    gjennomforing_id: Option<i64>,
    dato_fra: Option<NaiveDate>,
    dato_til: Option<NaiveDate>,
    reg_dato: Option<NaiveDateTime>,
    mod_dato: Option<NaiveDateTime>,
    status: Option<String>,
    dato_statusendring: Option<NaiveDateTime>,
    ekstern_id: Option<Uuid>,
    id: Option<i64>,
    operation_type: Option<String>,
    operation_pos: Option<String>,
    operation_timestamp: Option<NaiveDateTime>,
    ingest_status: Option<String>,
    ingest_attempts: Option<i32>,
    note: Option<String>,
    ingested_timestamp: Option<NaiveDateTime>,
    last_attempted: Option<NaiveDateTime>,
    retry_at: Option<NaiveDateTime>,
    before: Option<String>,
    after: Option<String>,
}

impl Audit for Postgres {
    async fn size(&self) -> Result<u64, StoreError> {
        let about: f32 = sqlx::query_scalar("SELECT reltuples FROM pg_class WHERE oid = to_regclass('arena_data')")
            .fetch_one(&self.looking)
            .await
            .map_err(during("asking how many changes there are"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess, -1 where there is none")]
        Ok(about.max(0.0) as u64)
    }

    async fn order(&self, table: Table, after: &str, limit: u32) -> Result<Vec<Order>, StoreError> {
        let rows: Vec<(String, i64, Option<i64>, Option<i64>)> = sqlx::query_as(
            "WITH object AS MATERIALIZED ( \
                 SELECT DISTINCT arena_id FROM arena_data WHERE arena_table_name = $1 AND arena_id > $2 \
                 ORDER BY arena_id LIMIT $3) \
             SELECT arena_id, count(*), max(row.id) FILTER (WHERE row.ingest_status = 'HANDLED'), \
                    (array_agg(row.id ORDER BY row.ingested_timestamp DESC NULLS FIRST, row.id DESC) \
                        FILTER (WHERE row.ingest_status = 'HANDLED'))[1] \
             FROM object JOIN arena_data AS row USING (arena_id) WHERE row.arena_table_name = $1 \
             GROUP BY arena_id ORDER BY arena_id",
        )
        .bind(table.name())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading the order of changes"))?;
        let order = |(arena_id, changes, newest, last): (String, i64, _, _)| {
            let changes = u64::try_from(changes).unwrap_or_default();
            Order { arena_id, changes, newest, last }
        };
        Ok(rows.into_iter().map(order).collect())
    }

    async fn kept(&self, after: &str, limit: u32) -> Result<Vec<Kept>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "WITH object AS MATERIALIZED ( \
                 SELECT DISTINCT arena_id FROM arena_data WHERE arena_table_name = $1 AND arena_id > $2 \
                 ORDER BY arena_id LIMIT $3) \
             SELECT object.arena_id AS object, mapping.amt_id IS NOT NULL AS has_uuid, \
                    known.person_id, known.gjennomforing_id, known.dato_fra, known.dato_til, known.reg_dato, known.mod_dato, \
                    known.status, known.dato_statusendring, known.ekstern_id, \
                    change.id, change.operation_type, change.operation_pos, change.operation_timestamp, change.ingest_status, \
                    change.ingest_attempts, change.note, change.ingested_timestamp, change.last_attempted, \
                    change.retry_at, change.before::text, change.after::text \
             FROM object \
             LEFT JOIN LATERAL ( \
                 SELECT * FROM arena_data AS row \
                 WHERE row.arena_table_name = $1 AND row.arena_id = object.arena_id \
                   AND row.ingest_status NOT IN ('INVALID', 'IGNORED', 'EXTERNAL_SOURCE') \
                 ORDER BY arena_position(row.operation_pos) DESC NULLS LAST, row.id DESC LIMIT 1) AS change ON true \
             LEFT JOIN arena_data_id_translation AS mapping \
                 ON mapping.arena_table_name = $1 AND mapping.arena_id = object.arena_id \
             LEFT JOIN deltaker AS known ON known.arena_source_table = $1 \
                 AND known.arena_id = CASE WHEN object.arena_id ~ '^-?[0-9]{1,18}$' THEN object.arena_id::bigint END \
             ORDER BY object.arena_id",
        )
        .bind(Table::Participants.name())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading what is kept of participants"))?;
        rows.into_iter().map(kept).collect()
    }

    async fn open(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let rows: Vec<Stored> = sqlx::query_as(
            "SELECT id, arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
                    ingest_attempts, note, ingested_timestamp, last_attempted, retry_at, before::text, after::text \
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
        // planned anew each time, as the pages of the jobs are
        .persistent(false)
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading what waits"))?;
        rows.into_iter().map(recorded).collect()
    }

    async fn unsent(&self, since: NaiveDateTime, after: i64, limit: u32) -> Result<Vec<Sent>, StoreError> {
        let rows: Vec<Message> = sqlx::query_as(
            "SELECT id, topic, transaction_id, arena_data_id, created_at, published_at FROM outbox \
             WHERE published_at IS NULL AND id > $1 AND created_at < $2 ORDER BY id LIMIT $3",
        )
        .bind(after)
        .bind(since)
        .bind(i64::from(limit))
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading messages that wait"))?;
        Ok(rows.into_iter().map(Sent::from).collect())
    }

    async fn window(&self, after: i64, limit: u32) -> Result<Window, StoreError> {
        type Odd = (Option<i64>, i64, Option<i64>, Option<String>, Option<String>, Option<String>);
        let rows: Vec<Odd> = sqlx::query_as(
            "WITH page AS MATERIALIZED ( \
                 SELECT id, arena_table_name, arena_id, ingest_status, operation_pos FROM arena_data \
                 WHERE id > $1 ORDER BY id LIMIT $2) \
             SELECT edge.last, edge.seen, odd.id, odd.arena_table_name, odd.arena_id, odd.ingest_status \
             FROM (SELECT max(id) AS last, count(*) AS seen FROM page) AS edge \
             LEFT JOIN page AS odd ON arena_position(odd.operation_pos) IS NULL AND odd.ingest_status <> 'INVALID' \
             ORDER BY odd.id",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading positions"))?;
        let Some((last, seen, ..)) = rows.first() else { return Ok(Window::default()) };
        let (last, seen) = (*last, u64::try_from(*seen).unwrap_or_default());
        let odd =
            rows.into_iter().filter_map(|(_, _, id, table, arena_id, status)| Some((id?, table?, arena_id?, status?)));
        let odd = odd.map(|(id, table, arena_id, status)| {
            let unknown = |column| unknown("reading positions", column);
            let table = Table::named(&table).ok_or_else(|| unknown("arena_table_name"))?;
            Ok((id, table, arena_id, IngestStatus::named(&status).ok_or_else(|| unknown("ingest_status"))?))
        });
        Ok(Window { last, seen, odd: odd.collect::<Result<_, StoreError>>()? })
    }

    async fn queue(&self, changes: &[(i64, IngestStatus)], now: NaiveDateTime) -> Result<u64, StoreError> {
        let (ids, statuses): (Vec<i64>, Vec<&str>) = changes.iter().map(|(id, status)| (*id, status.name())).unzip();
        let done = sqlx::query(
            "UPDATE arena_data AS row SET ingest_status = 'RETRY', ingest_attempts = 0, last_attempted = NULL, \
                 retry_at = $3 \
             FROM unnest($1::bigint[], $2::text[]) AS wanted (id, status) \
             WHERE row.id = wanted.id AND row.ingest_status = wanted.status",
        )
        .bind(ids)
        .bind(statuses)
        .bind(now)
        .execute(&self.pool)
        .await;
        done.map(|done| done.rows_affected()).map_err(during("queueing changes"))
    }
}

fn kept(row: Row) -> Result<Kept, StoreError> {
    let (known, newest) = (row.known(), row.newest().map(recorded).transpose()?);
    Ok(Kept { arena_id: row.object, newest, has_uuid: row.has_uuid, known })
}

impl Row {
    fn known(&self) -> Option<LastKnown> {
        Some(LastKnown {
            id: ParticipantId(self.object.parse().ok()?),
            person: PersonId(self.person_id?),
            course: CourseId(self.gjennomforing_id?),
            start: self.dato_fra,
            end: self.dato_til,
            registered: self.reg_dato?,
            modified: self.mod_dato?,
            status: self.status.clone()?,
            status_changed: self.dato_statusendring,
            external_id: self.ekstern_id,
        })
    }

    fn newest(&self) -> Option<Stored> {
        Some(Stored {
            id: self.id?,
            arena_table_name: Table::Participants.name().to_owned(),
            arena_id: self.object.clone(),
            operation_type: self.operation_type.clone()?,
            operation_pos: self.operation_pos.clone()?,
            operation_timestamp: self.operation_timestamp?,
            ingest_status: self.ingest_status.clone()?,
            ingest_attempts: self.ingest_attempts?,
            note: self.note.clone(),
            ingested_timestamp: self.ingested_timestamp,
            last_attempted: self.last_attempted,
            retry_at: self.retry_at,
            before: self.before.clone(),
            after: self.after.clone(),
        })
    }
}
