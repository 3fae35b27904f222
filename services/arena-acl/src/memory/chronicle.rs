//! What is held of single objects, for people.

use std::collections::BTreeSet;

use domain::arena_acl::{CourseId, HeldCourse, IngestStatus, Table};
use uuid::Uuid;

use super::{ArenaData, Deltaker, Memory, wake};
use crate::{
    explain::{Changes, Chronicle, Ids, Known, Object, Recorded, Sent},
    inbox::StoreError,
};

impl Chronicle for Memory {
    async fn changes(&self, objects: &[Object], limit: u32) -> Result<Changes, StoreError> {
        let state = self.lock();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut own: Vec<Recorded> =
            state.arena_data.iter().filter_map(recorded).filter(|row| objects.contains(&row.object)).collect();
        own.sort_by_key(|row| row.id);
        let total = u64::try_from(own.len()).unwrap_or(u64::MAX);
        let mut shown: BTreeSet<i64> = own.iter().rev().take(limit).map(|row| row.id).collect();
        let mut unhandled: Vec<&ArenaData> = state
            .arena_data
            .iter()
            .filter(|row| row.ingest_status.is_unhandled() && own.iter().any(|own| own.id == row.id))
            .collect();
        unhandled.sort_by_key(|row| (&row.operation_pos, row.id));
        shown.extend(unhandled.iter().take(limit).map(|row| row.id));
        own.retain(|row| shown.contains(&row.id));
        Ok(Changes { total, some: own })
    }

    async fn ids(&self, objects: &[Object], uuids: &[Uuid]) -> Result<Ids, StoreError> {
        let state = self.lock();
        let named = |table, id: &str| objects.iter().any(|object| object.table == table && object.id.to_string() == id);
        let mut participants: Vec<_> = state
            .id_translation
            .iter()
            .filter(|row| {
                uuids.contains(&row.amt_id)
                    || row.arena_table_name == Table::Participants.name() && named(Table::Participants, &row.arena_id)
            })
            .map(|row| (row.amt_id, row.arena_table_name.clone(), row.arena_id.clone()))
            .collect();
        participants.sort();
        let mut histories: Vec<_> = state
            .hist_id_translation
            .iter()
            .filter(|row| uuids.contains(&row.amt_id) || named(Table::History, &row.arena_hist_id))
            .map(|row| (row.amt_id, row.arena_hist_id.clone(), row.arena_id.clone()))
            .collect();
        histories.sort();
        Ok(Ids { participants, histories })
    }

    async fn known(&self, participants: &[i64]) -> Result<Vec<Known>, StoreError> {
        let state = self.lock();
        let table = Table::Participants.name();
        let own = |row: &&Deltaker| row.arena_source_table == table && participants.contains(&row.arena_id);
        let mut known: Vec<Known> = state.deltaker.iter().filter(own).map(known).collect();
        known.sort_by_key(|row| row.arena_id);
        Ok(known)
    }

    async fn courses(&self, ids: &[CourseId], uuids: &[Uuid]) -> Result<Vec<(CourseId, HeldCourse)>, StoreError> {
        let state = self.lock();
        let mut courses: Vec<_> = state
            .gjennomforing
            .iter()
            .filter_map(|row| Some((CourseId(row.arena_id.parse().ok()?), row)))
            .filter(|(id, row)| ids.contains(id) || row.id.is_some_and(|id| uuids.contains(&id)))
            .map(|(id, row)| (id, HeldCourse { measure: row.tiltak_kode.clone(), valid: row.is_valid, id: row.id }))
            .collect();
        courses.sort_by_key(|(id, _)| id.to_string());
        Ok(courses)
    }

    async fn waiting_for(&self, course: CourseId) -> Result<u64, StoreError> {
        let state = self.lock();
        let waits = |row: &&ArenaData| row.ingest_status == IngestStatus::Waiting && wake::names(row, course);
        let waiting = state.arena_data.iter().filter(waits);
        Ok(u64::try_from(waiting.count()).unwrap_or(u64::MAX))
    }

    async fn messages(&self, keys: &[Uuid], limit: u32) -> Result<Vec<Sent>, StoreError> {
        let state = self.lock();
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let own = state.outbox.iter().filter(|row| keys.contains(&row.message_key));
        let mut sent: Vec<Sent> = own
            .map(|row| Sent {
                id: row.id,
                topic: row.topic.to_string(),
                transaction_id: row.transaction_id,
                change: row.arena_data_id,
                created: row.created_at,
                published: row.published_at,
            })
            .collect();
        sent.sort_by_key(|row| row.id);
        let before = sent.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(sent.split_off(before))
    }
}

/// `None` for what no object can be.
pub(super) fn recorded(row: &ArenaData) -> Option<Recorded> {
    Some(Recorded {
        id: row.id,
        object: Object { table: row.arena_table_name, id: row.arena_id.parse().ok()? },
        operation: row.operation_type,
        position: row.operation_pos.as_str().to_owned(),
        timestamp: row.operation_timestamp,
        status: row.ingest_status,
        attempts: row.ingest_attempts,
        note: row.note.clone(),
        ingested: row.ingested_timestamp,
        last_attempted: row.last_attempted,
        retry_at: row.retry_at,
        before: row.before.clone(),
        after: row.after.clone(),
    })
}

fn known(row: &Deltaker) -> Known {
    Known {
        arena_id: row.arena_id,
        course: CourseId(row.gjennomforing_id),
        start: row.dato_fra,
        end: row.dato_til,
        registered: row.reg_dato,
        modified: row.mod_dato,
        status: row.status.clone(),
        status_changed: row.dato_statusendring,
    }
}
