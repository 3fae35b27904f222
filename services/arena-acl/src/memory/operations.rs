//! What operators do to stored changes as a whole (6.4, 6.7–6.9).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use domain::arena_acl::{IngestStatus, Table, codes::Measure};

use super::{ArenaData, Memory};
use crate::{
    inbox::StoreError,
    operations::{Mend, Mismatch, Newest, Operations},
};

impl Operations for Memory {
    async fn purge(&self) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let before = state.arena_data.len();
        state.arena_data.retain(|row| row.ingest_status != IngestStatus::Ignored);
        Ok(count(before - state.arena_data.len()))
    }

    async fn requeue_latest(&self, table: Table, newest: Newest) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let handled = || rows(&state.arena_data, table, &[IngestStatus::Handled]);
        let chosen = match newest {
            Newest::ByPosition => last(handled(), |row| (row.operation_pos.clone(), row.id)),
            Newest::ById => last(handled(), |row| row.id),
        };
        Ok(requeue(&mut state.arena_data, &chosen.into_values().collect()))
    }

    async fn check_latest(&self, table: Table, mend: Mend) -> Result<Vec<Mismatch>, StoreError> {
        let mut state = self.lock();
        let handled = || rows(&state.arena_data, table, &[IngestStatus::Handled]);
        // a time that is not known counts as the latest
        let ingested =
            last(handled(), |row| (Reverse(row.ingested_timestamp.is_some()), row.ingested_timestamp, row.id));
        let wrong: Vec<Mismatch> = last(handled(), |row| row.id)
            .into_iter()
            .filter_map(|(arena_id, siste_melding_id)| {
                let siste_ingestet = *ingested.get(&arena_id)?;
                (siste_ingestet != siste_melding_id).then_some(Mismatch { arena_id, siste_melding_id, siste_ingestet })
            })
            .collect();
        if mend == Mend::Yes {
            requeue(&mut state.arena_data, &wrong.iter().map(|mismatch| mismatch.siste_melding_id).collect());
        }
        Ok(wrong)
    }

    async fn relast(&self, measure: Measure) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let courses: BTreeSet<&str> = state
            .gjennomforing
            .iter()
            .filter(|course| course.tiltak_kode == measure.code())
            .map(|course| course.arena_id.as_str())
            .collect();
        let participants: BTreeSet<String> = state
            .deltaker
            .iter()
            .filter(|row| row.arena_source_table == Table::Participants.name())
            .filter(|row| courses.contains(row.gjennomforing_id.to_string().as_str()))
            .map(|row| row.arena_id.to_string())
            .collect();
        let wanted = rows(&state.arena_data, Table::Participants, &[IngestStatus::Handled, IngestStatus::New])
            .filter(|row| participants.contains(&row.arena_id));
        let chosen = last(wanted, |row| (row.operation_pos.clone(), row.id));
        Ok(requeue(&mut state.arena_data, &chosen.into_values().collect()))
    }
}

fn rows<'s>(
    all: &'s [ArenaData],
    table: Table,
    statuses: &'s [IngestStatus],
) -> impl Iterator<Item = &'s ArenaData> + 's {
    all.iter().filter(move |row| row.arena_table_name == table && statuses.contains(&row.ingest_status))
}

/// The id of the row of each object that is the last by `order`.
fn last<'s, K: Ord>(
    rows: impl Iterator<Item = &'s ArenaData>,
    order: impl Fn(&ArenaData) -> K,
) -> BTreeMap<String, i64> {
    let mut last: BTreeMap<String, (K, i64)> = BTreeMap::new();
    for row in rows {
        let place = order(row);
        if last.get(&row.arena_id).is_none_or(|(best, _)| *best < place) {
            last.insert(row.arena_id.clone(), (place, row.id));
        }
    }
    last.into_iter().map(|(arena_id, (_, id))| (arena_id, id)).collect()
}

fn requeue(all: &mut [ArenaData], ids: &BTreeSet<i64>) -> u64 {
    let mut requeued = 0;
    for row in all.iter_mut().filter(|row| ids.contains(&row.id)) {
        row.ingest_status = IngestStatus::Retry;
        row.ingest_attempts = 0;
        row.last_attempted = None;
        requeued += 1;
    }
    requeued
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
