//! The changes that wait for what a batch brings (4.3 step 6, IMP-17). What is due already is not written again.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use domain::arena_acl::{CourseId, ParticipantId, Table};
use sqlx::PgConnection;

use super::Batch;
use crate::{inbox::StoreError, postgres::errors::during};

impl Batch<'_> {
    /// What waits for a course that became valid is for the retry job again, and due at once like what is there already. Of more than a page
    /// the rest follows (see [`release_page`]).
    pub(super) async fn release(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let courses: BTreeSet<CourseId> = self.decided.iter().filter_map(|(_, write)| write.effect.release).collect();
        let courses: Vec<CourseId> = courses.into_iter().collect();
        if courses.is_empty() || !release_page(connection, &courses, self.now).await? {
            return Ok(());
        }
        sqlx::query("UPDATE gjennomforing SET releases = true WHERE arena_id = ANY($1)")
            .bind(courses.iter().map(ToString::to_string).collect::<Vec<_>>())
            .execute(connection)
            .await
            .map(drop)
            .map_err(during("keeping that a course goes on releasing"))
    }

    /// What of a participant is in RETRY is due at once.
    pub(super) async fn wake(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let participants: BTreeSet<ParticipantId> =
            self.decided.iter().filter_map(|(_, write)| write.effect.wake).collect();
        if participants.is_empty() {
            return Ok(());
        }
        sqlx::query(
            // looked up one by one (`OFFSET 0` sees to it), by participant alone: where the planner may choose and was never told of the rows, it
            // reads all of the table, or all in RETRY
            "WITH waiting AS ( \
                 SELECT id FROM arena_data \
                 WHERE id = ANY (ARRAY ( \
                     SELECT known.id FROM unnest($2::text[]) AS wanted (arena_id), LATERAL ( \
                         SELECT id FROM arena_data AS row \
                         WHERE row.arena_id = wanted.arena_id AND row.arena_table_name = $1 OFFSET 0) AS known)) \
                   AND ingest_status = 'RETRY' AND (retry_at IS NULL OR retry_at > $3) \
                 ORDER BY operation_type, operation_pos FOR NO KEY UPDATE) \
             UPDATE arena_data AS row SET retry_at = $3 FROM waiting WHERE row.id = waiting.id",
        )
        .bind(Table::Participants.name())
        .bind(participants.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(self.now)
        .execute(connection)
        .await
        .map(drop)
        .map_err(during("waking what waits for a participant"))
    }
}

/// How many rows are released at once, of all courses together.
const PAGE: usize = 5_000;

/// Releases the first page of what waits for `courses`, an equal share of each, by numeric position; whether there may be more.
pub(in crate::postgres) async fn release_page(
    connection: &mut PgConnection,
    courses: &[CourseId],
    now: NaiveDateTime,
) -> Result<bool, StoreError> {
    let share = i64::try_from(PAGE / courses.len().max(1)).unwrap_or(i64::MAX).max(1);
    let most: i64 = sqlx::query_scalar(
        // each half in the order of its index. What another one handled while its lock was waited for is left
        "WITH page AS ( \
             SELECT course.id AS course, found.id FROM unnest($2::bigint[]) AS course (id) CROSS JOIN LATERAL ( \
                 (SELECT arena_position(operation_pos) AS position, id FROM arena_data \
                  WHERE ingest_status <> 'HANDLED' AND coalesce(ingest_status, '') IN ('WAITING', 'RETRY') AND arena_course_id(before) = course.id \
                    AND arena_table_name = ANY($1) AND (ingest_status = 'WAITING' OR retry_at IS NULL OR retry_at > $3) \
                  ORDER BY arena_course_id(before), arena_position(operation_pos), id LIMIT $4) \
                 UNION \
                 (SELECT arena_position(operation_pos) AS position, id FROM arena_data \
                  WHERE ingest_status <> 'HANDLED' AND coalesce(ingest_status, '') IN ('WAITING', 'RETRY') AND arena_course_id(after) = course.id \
                    AND arena_table_name = ANY($1) AND (ingest_status = 'WAITING' OR retry_at IS NULL OR retry_at > $3) \
                  ORDER BY arena_course_id(after), arena_position(operation_pos), id LIMIT $4) \
                 ORDER BY position, id LIMIT $4) AS found), \
         waiting AS ( \
             SELECT id FROM arena_data \
             WHERE id = ANY (ARRAY (SELECT id FROM page)) AND ingest_status IN ('WAITING', 'RETRY') \
             ORDER BY arena_table_name, operation_type, operation_pos FOR NO KEY UPDATE), \
         released AS ( \
             UPDATE arena_data AS row SET ingest_status = 'RETRY', retry_at = $3, \
                 ingest_attempts = CASE row.ingest_status WHEN 'WAITING' THEN 0 ELSE row.ingest_attempts END \
             FROM waiting WHERE row.id = waiting.id) \
         SELECT coalesce(max(of_course.rows), 0) FROM (SELECT count(*) AS rows FROM page GROUP BY course) AS of_course",
    )
    .bind(vec![Table::Participants.name(), Table::History.name()])
    .bind(courses.iter().map(|course| course.0).collect::<Vec<_>>())
    .bind(now)
    .bind(share)
    .fetch_one(connection)
    .await
    .map_err(during("releasing what waits for a course"))?;
    Ok(most >= share)
}
