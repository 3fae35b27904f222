//! What is due before the next run of the retry job (IMP-17).

use std::time::Duration;

use chrono::NaiveDateTime;
use domain::arena_acl::{CourseId, IngestStatus, ParticipantId, Table};

use super::{ArenaData, Memory, State, image, stored};
use crate::{
    inbox::{StoreError, StoredChange},
    wake::Woken,
};

impl Woken for Memory {
    async fn woken(
        &self,
        table: Table,
        now: NaiveDateTime,
        last: Option<&StoredChange>,
        limit: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
        let state = self.lock();
        let last = last.map(|last| (last.retry_at, &last.position, last.id));
        let mut rows: Vec<&ArenaData> = state
            .arena_data
            .iter()
            .filter(|row| row.arena_table_name == table && is_due(row, now))
            .filter(|row| Some(place(row)) > last)
            .collect();
        rows.sort_by(|one, other| place(one).cmp(&place(other)));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows.into_iter().map(stored).collect())
    }

    async fn release_more(&self, _now: NaiveDateTime) -> Result<bool, StoreError> {
        Ok(false) // all of it is released with the course
    }

    async fn any_woken(&self, now: NaiveDateTime) -> Result<bool, StoreError> {
        Ok(self.lock().arena_data.iter().any(|row| is_due(row, now)))
    }

    async fn wakes(&self) {
        drop(tokio::time::timeout(Duration::from_secs(1), self.woke.notified()).await);
    }
}

fn is_due(row: &ArenaData, now: NaiveDateTime) -> bool {
    row.ingest_status == IngestStatus::Retry && row.retry_at.is_some_and(|at| at <= now)
}

fn place(row: &ArenaData) -> (Option<NaiveDateTime>, &domain::arena_acl::Position, i64) {
    (row.retry_at, &row.operation_pos, row.id)
}

/// What waits for a course that became valid is for the retry job again, and due at once like what is there already (4.3 step 6).
pub(super) fn release(state: &mut State, course: CourseId, now: NaiveDateTime) {
    let waits = |row: &&mut ArenaData| row.arena_table_name != Table::Courses && names(row, course);
    for row in state.arena_data.iter_mut().filter(waits) {
        if row.ingest_status == IngestStatus::Waiting {
            row.ingest_status = IngestStatus::Retry;
            row.ingest_attempts = 0;
        }
        make_due(row, now);
    }
}

/// Whether an image of `row` names `course`.
pub(super) fn names(row: &ArenaData, course: CourseId) -> bool {
    [&row.before, &row.after].into_iter().any(|image| image.as_deref().and_then(image::course) == Some(course))
}

/// What of a participant is in RETRY is due at once.
pub(super) fn wake(state: &mut State, participant: ParticipantId, now: NaiveDateTime) {
    let arena_id = participant.to_string();
    let own = |row: &&mut ArenaData| row.arena_table_name == Table::Participants && row.arena_id == arena_id;
    for row in state.arena_data.iter_mut().filter(own) {
        make_due(row, now);
    }
}

fn make_due(row: &mut ArenaData, now: NaiveDateTime) {
    if row.ingest_status == IngestStatus::Retry && !is_due(row, now) {
        row.retry_at = Some(now);
    }
}
