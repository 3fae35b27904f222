//! The whole store, page by page. Arena ids are in the order of their texts.

use std::{cmp::Reverse, collections::BTreeSet};

use chrono::NaiveDateTime;
use domain::arena_acl::{CourseId, IngestStatus, LastKnown, ParticipantId, PersonId, Table};

use super::{ArenaData, Deltaker, Memory, State, chronicle::recorded};
use crate::{
    explain::{Recorded, Sent},
    inbox::{Cursor, StoreError},
    verify::{Audit, Kept, Order, Window},
};

impl Audit for Memory {
    async fn size(&self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.lock().arena_data.len()).unwrap_or(u64::MAX))
    }

    async fn order(&self, table: Table, after: &str, limit: u32) -> Result<Vec<Order>, StoreError> {
        let state = self.lock();
        let order = |arena_id: String| {
            let rows =
                || state.arena_data.iter().filter(|row| row.arena_table_name == table && row.arena_id == arena_id);
            let handled = || rows().filter(|row| row.ingest_status == IngestStatus::Handled);
            Order {
                changes: u64::try_from(rows().count()).unwrap_or(u64::MAX),
                newest: handled().map(|row| row.id).max(),
                last: handled()
                    .max_by_key(|row| (Reverse(row.ingested_timestamp.is_some()), row.ingested_timestamp, row.id))
                    .map(|row| row.id),
                arena_id,
            }
        };
        Ok(objects(&state, table, after, limit).into_iter().map(order).collect())
    }

    async fn kept(&self, after: &str, limit: u32) -> Result<Vec<Kept>, StoreError> {
        let state = self.lock();
        let table = Table::Participants;
        let kept = |arena_id: String| {
            let own = |row: &&ArenaData| row.arena_table_name == table && row.arena_id == arena_id;
            let newest = state.arena_data.iter().filter(own).filter(|row| counts(row.ingest_status));
            let known =
                |row: &&Deltaker| row.arena_source_table == table.name() && row.arena_id.to_string() == arena_id;
            let mapping = |id: &super::IdTranslation| id.arena_table_name == table.name() && id.arena_id == arena_id;
            Kept {
                newest: newest.max_by_key(|row| (&row.operation_pos, row.id)).and_then(recorded),
                has_uuid: state.id_translation.iter().any(mapping),
                known: state.deltaker.iter().find(known).map(last_known),
                arena_id,
            }
        };
        Ok(objects(&state, table, after, limit).into_iter().map(kept).collect())
    }

    async fn open(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let state = self.lock();
        let after = cursor.map(|cursor| (&cursor.position, cursor.id));
        let mut rows: Vec<&ArenaData> = state
            .arena_data
            .iter()
            .filter(|row| row.arena_table_name == table && row.ingest_status == status)
            .filter(|row| Some((&row.operation_pos, row.id)) > after)
            .collect();
        rows.sort_by_key(|row| (&row.operation_pos, row.id));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows.into_iter().filter_map(recorded).collect())
    }

    async fn unsent(&self, since: NaiveDateTime, after: i64, limit: u32) -> Result<Vec<Sent>, StoreError> {
        let state = self.lock();
        let waits = state.outbox.iter().filter(|row| row.published_at.is_none() && row.created_at < since);
        let mut sent: Vec<Sent> = waits
            .filter(|row| row.id > after)
            .map(|row| Sent {
                id: row.id,
                topic: row.topic.to_string(),
                transaction_id: row.transaction_id,
                change: row.arena_data_id,
                created: row.created_at,
                published: None,
            })
            .collect();
        sent.sort_by_key(|row| row.id);
        sent.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(sent)
    }

    async fn window(&self, after: i64, limit: u32) -> Result<Window, StoreError> {
        let state = self.lock();
        let ids: BTreeSet<i64> = state.arena_data.iter().map(|row| row.id).filter(|id| *id > after).collect();
        let page: Vec<i64> = ids.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
        // a position is a number here by its type
        Ok(Window { last: page.last().copied(), seen: u64::try_from(page.len()).unwrap_or(u64::MAX), odd: Vec::new() })
    }

    async fn queue(&self, changes: &[(i64, IngestStatus)], now: NaiveDateTime) -> Result<u64, StoreError> {
        let mut queued = 0;
        for row in &mut self.lock().arena_data {
            if changes.contains(&(row.id, row.ingest_status)) {
                row.ingest_status = IngestStatus::Retry;
                row.ingest_attempts = 0;
                row.last_attempted = None;
                row.retry_at = Some(now);
                queued += 1;
            }
        }
        Ok(queued)
    }
}

fn objects(state: &State, table: Table, after: &str, limit: u32) -> Vec<String> {
    let rows = state.arena_data.iter().filter(|row| row.arena_table_name == table && row.arena_id.as_str() > after);
    let ids: BTreeSet<&String> = rows.map(|row| &row.arena_id).collect();
    ids.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
}

fn counts(status: IngestStatus) -> bool {
    !matches!(status, IngestStatus::Invalid | IngestStatus::Ignored | IngestStatus::ExternalSource)
}

fn last_known(row: &Deltaker) -> LastKnown {
    LastKnown {
        id: ParticipantId(row.arena_id),
        person: PersonId(row.person_id),
        course: CourseId(row.gjennomforing_id),
        start: row.dato_fra,
        end: row.dato_til,
        registered: row.reg_dato,
        modified: row.mod_dato,
        status: row.status.clone(),
        status_changed: row.dato_statusendring,
        external_id: row.ekstern_id,
    }
}
