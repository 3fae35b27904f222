//! Dead letters as one list: the quarantine, and the rows in INVALID and FAILED.

use chassis::dead_letters::{Contents, DeadLetter, Filter, LetterId, OpenLetter, Show};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{arena_acl::IngestStatus, delivery::Class};

use super::{ArenaData, Memory, State, stored};
use crate::{
    OSLO,
    inbox::StoreError,
    letters::{DeadRow, LetterStore, QUARANTINED, class_name, numbers, record, row},
    wire::Unreadable,
};

impl LetterStore for Memory {
    async fn open_letters(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: u32,
        show: Show,
    ) -> Result<Vec<OpenLetter>, StoreError> {
        let state = self.lock();
        let records = open_records(&state).map(|(id, kept)| quarantined(id, kept, show));
        let rows = state.arena_data.iter().filter(|row| is_open(row)).map(|row| dead_row(row, show));
        let wanted = |letter: &OpenLetter| {
            Some(letter.id) > after
                && (filter.ids.is_empty() || filter.ids.contains(&letter.id))
                && filter.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
                && filter.source.as_ref().is_none_or(|source| *source == letter.source)
                && filter.since.zip(letter.last_at).is_none_or(|(since, last_at)| last_at >= since)
        };
        let mut letters: Vec<OpenLetter> = records.chain(rows).filter(wanted).collect();
        letters.sort_by_key(|letter| letter.id);
        letters.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(letters)
    }

    async fn requeue(&self, rows: &[i64], now: NaiveDateTime) -> Result<Vec<i64>, StoreError> {
        let mut requeued = Vec::new();
        for row in self.lock().arena_data.iter_mut().filter(|row| rows.contains(&row.id)) {
            if matches!(row.ingest_status, IngestStatus::Invalid | IngestStatus::Failed) {
                row.ingest_status = IngestStatus::Retry;
                (row.ingest_attempts, row.last_attempted) = (0, None);
                row.retry_at = Some(now);
                row.replay_count += 1;
                row.dropped_at = None;
                requeued.push(row.id);
            }
        }
        Ok(requeued)
    }

    async fn resolve(&self, records: &[i64], _now: DateTime<Utc>) -> Result<(), StoreError> {
        self.lock().resolved.extend(records);
        Ok(())
    }

    async fn failed_again(&self, records: &[(i64, Unreadable)], now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut state = self.lock();
        for (id, why) in records {
            let place = usize::try_from(id - 1).unwrap_or(usize::MAX);
            if let Some(kept) = state.quarantine.get_mut(place) {
                kept.replay_count += 1;
                kept.attempts += 1;
                (kept.reason, kept.class) = (why.reason, Class::Permanent(why.reason));
                kept.detail = why.detail.replace('\0', "");
                kept.last_at = now;
            }
        }
        Ok(())
    }

    async fn drop_letters(
        &self,
        ids: &[LetterId],
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<LetterId>, StoreError> {
        let mut state = self.lock();
        let records: Vec<i64> = numbers(ids, QUARANTINED)
            .into_iter()
            .filter(|id| open_records(&state).any(|(open, _)| open == *id))
            .collect();
        state.resolved.extend(&records);
        for id in &records {
            let place = usize::try_from(id - 1).unwrap_or(usize::MAX);
            if let Some(kept) = state.quarantine.get_mut(place) {
                kept.detail = format!("{}; {note}", kept.detail);
            }
        }
        let mut dropped: Vec<LetterId> = records.into_iter().map(record).collect();
        for change in state.arena_data.iter_mut().filter(|change| is_open(change) && ids.contains(&row(change.id))) {
            change.ingest_status = IngestStatus::Invalid;
            change.dropped_at = Some(now.with_timezone(&OSLO).naive_local());
            change.note = Some(change.note.iter().map(String::as_str).chain([note]).collect::<Vec<_>>().join("; "));
            dropped.push(row(change.id));
        }
        Ok(dropped)
    }
}

fn open_records(state: &State) -> impl Iterator<Item = (i64, &DeadLetter)> {
    (1..).zip(&state.quarantine).filter(|(id, _)| !state.resolved.contains(id))
}

fn is_open(row: &ArenaData) -> bool {
    match row.ingest_status {
        IngestStatus::Failed => true,
        IngestStatus::Invalid => row.dropped_at.is_none(),
        _ => false,
    }
}

fn quarantined(id: i64, kept: &DeadLetter, show: Show) -> OpenLetter {
    OpenLetter {
        id: record(id),
        source: kept.source.to_string(),
        position: Some(kept.position.to_string()),
        about: None,
        reason: kept.reason.to_owned(),
        class: class_name(kept.class).to_owned(),
        attempts: kept.attempts,
        first_at: Some(kept.first_at),
        last_at: Some(kept.last_at),
        replay_count: kept.replay_count,
        detail: kept.detail.clone(),
        contents: (show == Show::Contents).then(|| Contents {
            key: kept.key.clone(),
            headers: kept.headers.clone(),
            payload: kept.payload.clone(),
        }),
    }
}

fn dead_row(row: &ArenaData, show: Show) -> OpenLetter {
    let dead = DeadRow {
        status: row.ingest_status,
        attempts: row.ingest_attempts,
        ingested: row.ingested_timestamp,
        last_attempted: row.last_attempted,
        replay_count: row.replay_count,
        note: row.note.clone(),
    };
    dead.letter(&stored(row), show)
}
