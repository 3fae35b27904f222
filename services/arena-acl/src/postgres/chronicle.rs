//! What is held of single objects, for people.

use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{CourseId, HeldCourse, IngestStatus, Operation, Table};
use uuid::Uuid;

use super::{
    Postgres,
    errors::{during, unknown},
};
use crate::{
    explain::{Changes, Chronicle, Ids, Known, Object, Recorded, Sent},
    inbox::StoreError,
};

/// A row of `arena_data`.
#[derive(sqlx::FromRow)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) arena_table_name: String,
    pub(super) arena_id: String,
    pub(super) operation_type: String,
    pub(super) operation_pos: String,
    pub(super) operation_timestamp: NaiveDateTime,
    pub(super) ingest_status: String,
    pub(super) ingest_attempts: i32,
    pub(super) note: Option<String>,
    pub(super) ingested_timestamp: Option<NaiveDateTime>,
    pub(super) last_attempted: Option<NaiveDateTime>,
    pub(super) retry_at: Option<NaiveDateTime>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// One of several.
#[derive(sqlx::FromRow)]
struct Counted {
    total: i64,
    #[sqlx(flatten)]
    stored: Stored,
}

/// A row of `outbox`, without key and payload.
#[derive(sqlx::FromRow)]
pub(super) struct Message {
    id: i64,
    topic: String,
    transaction_id: Option<Uuid>,
    arena_data_id: Option<i64>,
    created_at: NaiveDateTime,
    published_at: Option<NaiveDateTime>,
}

impl From<Message> for Sent {
    fn from(row: Message) -> Self {
        Self {
            id: row.id,
            topic: row.topic,
            transaction_id: row.transaction_id,
            change: row.arena_data_id,
            created: row.created_at,
            published: row.published_at,
        }
    }
}

/// A last known row, by column.
type Last =
    (i64, i64, Option<NaiveDate>, Option<NaiveDate>, NaiveDateTime, NaiveDateTime, String, Option<NaiveDateTime>);

impl Chronicle for Postgres {
    async fn changes(&self, objects: &[Object], limit: u32) -> Result<Changes, StoreError> {
        let (tables, ids) = named(objects);
        let rows: Vec<Counted> = sqlx::query_as(
            "WITH own AS MATERIALIZED ( \
                 SELECT row.id, row.ingest_status IN ('RETRY', 'FAILED', 'WAITING') AS unhandled, \
                        arena_position(row.operation_pos) AS position \
                 FROM unnest($1::text[], $2::text[]) AS wanted (arena_table_name, arena_id) \
                 JOIN arena_data AS row USING (arena_table_name, arena_id)), \
             shown AS ( \
                 (SELECT id FROM own ORDER BY id DESC LIMIT $3) UNION \
                 (SELECT id FROM own WHERE unhandled ORDER BY position, id LIMIT $3)) \
             SELECT id, arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
                    ingest_attempts, note, ingested_timestamp, last_attempted, retry_at, before::text, after::text, \
                    (SELECT count(*) FROM own) AS total \
             FROM shown JOIN arena_data USING (id) ORDER BY id",
        )
        .bind(tables)
        .bind(ids)
        .bind(i64::from(limit))
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading the changes of an object"))?;
        let total = rows.first().map_or(0, |row| u64::try_from(row.total).unwrap_or_default());
        let some = rows.into_iter().map(|row| recorded(row.stored)).collect::<Result<_, _>>()?;
        Ok(Changes { total, some })
    }

    async fn ids(&self, objects: &[Object], uuids: &[Uuid]) -> Result<Ids, StoreError> {
        let of = |table| -> Vec<String> {
            objects.iter().filter(|object| object.table == table).map(|object| object.id.to_string()).collect()
        };
        let failed = during("reading the ids of an object");
        let participants = sqlx::query_as(
            "SELECT amt_id, arena_table_name, arena_id FROM arena_data_id_translation \
             WHERE arena_table_name = $1 AND arena_id = ANY($2) OR amt_id = ANY($3) ORDER BY amt_id",
        )
        .bind(Table::Participants.name())
        .bind(of(Table::Participants))
        .bind(uuids)
        .fetch_all(&self.looking)
        .await
        .map_err(&failed)?;
        let histories = sqlx::query_as(
            "SELECT amt_id, arena_hist_id, arena_id FROM arena_data_hist_id_translation \
             WHERE arena_hist_id = ANY($1) OR amt_id = ANY($2) ORDER BY amt_id",
        )
        .bind(of(Table::History))
        .bind(uuids)
        .fetch_all(&self.looking)
        .await
        .map_err(failed)?;
        Ok(Ids { participants, histories })
    }

    async fn known(&self, participants: &[i64]) -> Result<Vec<Known>, StoreError> {
        let rows: Vec<Last> = sqlx::query_as(
            "SELECT arena_id, gjennomforing_id, dato_fra, dato_til, reg_dato, mod_dato, status, dato_statusendring \
             FROM deltaker WHERE arena_id = ANY($1) AND arena_source_table = $2 ORDER BY arena_id",
        )
        .bind(participants)
        .bind(Table::Participants.name())
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading last known participants"))?;
        let known = |(arena_id, course, start, end, registered, modified, status, status_changed)| Known {
            arena_id,
            course: CourseId(course),
            start,
            end,
            registered,
            modified,
            status,
            status_changed,
        };
        Ok(rows.into_iter().map(known).collect())
    }

    async fn courses(&self, ids: &[CourseId], uuids: &[Uuid]) -> Result<Vec<(CourseId, HeldCourse)>, StoreError> {
        let rows: Vec<(String, String, bool, Option<Uuid>)> = sqlx::query_as(
            "SELECT arena_id, tiltak_kode, is_valid, id FROM gjennomforing \
             WHERE arena_id = ANY($1) OR id = ANY($2) ORDER BY arena_id COLLATE \"C\"",
        )
        .bind(ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(uuids)
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading courses"))?;
        // what is no number is no course of ours
        let course = |(arena_id, measure, valid, id): (String, _, _, _)| {
            Some((CourseId(arena_id.parse().ok()?), HeldCourse { measure, valid, id }))
        };
        Ok(rows.into_iter().filter_map(course).collect())
    }

    async fn waiting_for(&self, course: CourseId) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM arena_data \
             WHERE ingest_status = 'WAITING' AND (arena_course_id(before) = $1 OR arena_course_id(after) = $1)",
        )
        .bind(course.0)
        .fetch_one(&self.looking)
        .await
        .map_err(during("counting what waits for a course"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn messages(&self, keys: &[Uuid], limit: u32) -> Result<Vec<Sent>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // published messages have no index by key: nobody but a person asks for them, and writing one costs every message
        let rows: Vec<Message> = sqlx::query_as(
            "SELECT * FROM ( \
                 SELECT id, topic, transaction_id, arena_data_id, created_at, published_at FROM outbox \
                 WHERE message_key = ANY($1) ORDER BY id DESC LIMIT $2) AS last \
             ORDER BY id",
        )
        .bind(keys.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(i64::from(limit))
        .fetch_all(&self.looking)
        .await
        .map_err(during("reading the messages of a key"))?;
        Ok(rows.into_iter().map(Sent::from).collect())
    }
}

fn named(objects: &[Object]) -> (Vec<&'static str>, Vec<String>) {
    objects.iter().map(|object| (object.table.name(), object.id.to_string())).unzip()
}

pub(super) fn recorded(row: Stored) -> Result<Recorded, StoreError> {
    let unknown = |column| unknown("reading changes", column);
    let table = Table::named(&row.arena_table_name).ok_or_else(|| unknown("arena_table_name"))?;
    Ok(Recorded {
        id: row.id,
        object: Object { table, id: row.arena_id.parse().map_err(|_not_asked_for| unknown("arena_id"))? },
        operation: Operation::named(&row.operation_type).ok_or_else(|| unknown("operation_type"))?,
        position: row.operation_pos,
        timestamp: row.operation_timestamp,
        status: IngestStatus::named(&row.ingest_status).ok_or_else(|| unknown("ingest_status"))?,
        attempts: u32::try_from(row.ingest_attempts).unwrap_or_default(),
        note: row.note,
        ingested: row.ingested_timestamp,
        last_attempted: row.last_attempted,
        retry_at: row.retry_at,
        before: row.before.map(Into::into),
        after: row.after.map(Into::into),
    })
}
