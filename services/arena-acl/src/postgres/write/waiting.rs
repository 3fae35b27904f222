//! The changes that wait for what a batch brings (4.3 step 6, IMP-17). What is due already is not written again.

use std::collections::BTreeSet;

use domain::arena_acl::{CourseId, ParticipantId, Table};
use sqlx::PgConnection;

use super::Batch;
use crate::{inbox::StoreError, postgres::errors::during};

impl Batch<'_> {
    /// What waits for a course that became valid is for the retry job again, and due at once like what is there already.
    pub(super) async fn release(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let courses: BTreeSet<CourseId> = self.decided.iter().filter_map(|(_, write)| write.effect.release).collect();
        if courses.is_empty() {
            return Ok(());
        }
        let failed = during("releasing what waits for a course");
        // a course that comes late may have a hundred thousand rows waiting, and a timeout would come again at every try
        sqlx::query("SET LOCAL statement_timeout = '60s'").execute(&mut *connection).await.map_err(&failed)?;
        sqlx::query(
            // the table is asked for outside, or its index would be taken to be as good as those over the course
            "WITH waiting AS ( \
                 SELECT id, arena_table_name FROM arena_data \
                 WHERE ingest_status IN ('WAITING', 'RETRY') \
                   AND (arena_course_id(before) = ANY($2) OR arena_course_id(after) = ANY($2)) \
                   AND (ingest_status = 'WAITING' OR retry_at IS NULL OR retry_at > $3) \
                 ORDER BY arena_table_name, operation_type, operation_pos FOR NO KEY UPDATE) \
             UPDATE arena_data AS row SET ingest_status = 'RETRY', retry_at = $3, \
                 ingest_attempts = CASE row.ingest_status WHEN 'WAITING' THEN 0 ELSE row.ingest_attempts END \
             FROM waiting WHERE row.id = waiting.id AND waiting.arena_table_name = ANY($1)",
        )
        .bind(vec![Table::Participants.name(), Table::History.name()])
        .bind(courses.into_iter().map(|course| course.0).collect::<Vec<_>>())
        .bind(self.now)
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed)
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
