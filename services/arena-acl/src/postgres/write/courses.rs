//! Courses (3.5).

use std::collections::BTreeMap;

use domain::arena_acl::{CourseId, CourseWrite};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Batch;
use crate::{inbox::StoreError, postgres::errors::during};

impl Batch<'_> {
    /// Courses of course changes, with their UUID where it became known.
    pub(super) async fn upsert_courses(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let courses: BTreeMap<CourseId, &CourseWrite> = self
            .decided
            .iter()
            .filter_map(|(_, write)| write.effect.course.as_ref())
            .map(|course| (course.id, course))
            .collect();
        if courses.is_empty() {
            return Ok(());
        }
        let uuids = self.course_uuids();
        let ids: Vec<String> = courses.keys().map(ToString::to_string).collect();
        let measures: Vec<&str> = courses.values().map(|course| course.measure.as_str()).collect();
        let valid: Vec<bool> = courses.values().map(|course| course.valid).collect();
        let named: Vec<Option<Uuid>> = courses.keys().map(|id| uuids.get(id).copied()).collect();
        sqlx::query(
            "INSERT INTO gjennomforing AS course (arena_id, tiltak_kode, is_valid, id) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::uuid[]) \
             ON CONFLICT (arena_id) DO UPDATE \
             SET tiltak_kode = excluded.tiltak_kode, is_valid = excluded.is_valid, id = coalesce(excluded.id, course.id) \
             WHERE (course.tiltak_kode, course.is_valid, course.id) IS DISTINCT FROM \
                   (excluded.tiltak_kode, excluded.is_valid, coalesce(excluded.id, course.id))",
        )
        .bind(ids)
        .bind(measures)
        .bind(valid)
        .bind(named)
        .execute(connection)
        .await
        .map(drop)
        .map_err(during("writing courses"))
    }

    /// UUIDs that became known while participants were handled. Two transactions may write the same course: they lock it in one order.
    pub(super) async fn name_courses(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut uuids = self.course_uuids();
        for course in self.decided.iter().filter_map(|(_, write)| write.effect.course.as_ref()) {
            uuids.remove(&course.id); // its upsert wrote it
        }
        if uuids.is_empty() {
            return Ok(());
        }
        let (ids, uuids): (Vec<String>, Vec<Uuid>) = uuids.into_iter().map(|(id, uuid)| (id.to_string(), uuid)).unzip();
        sqlx::query(
            "WITH known AS (SELECT * FROM unnest($1::text[], $2::uuid[]) AS known (arena_id, id)), \
             locked AS ( \
                 SELECT course.arena_id, known.id FROM gjennomforing AS course JOIN known USING (arena_id) \
                 WHERE course.id IS DISTINCT FROM known.id \
                 ORDER BY course.arena_id FOR NO KEY UPDATE OF course) \
             UPDATE gjennomforing AS course SET id = locked.id FROM locked WHERE course.arena_id = locked.arena_id",
        )
        .bind(ids)
        .bind(uuids)
        .execute(connection)
        .await
        .map(drop)
        .map_err(during("writing course ids"))
    }

    /// UUIDs by course; several items may name the same one, the last counts.
    fn course_uuids(&self) -> BTreeMap<CourseId, Uuid> {
        self.decided.iter().filter_map(|(_, write)| write.effect.course_uuid).collect()
    }
}
