//! How much of what is held.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use domain::arena_acl::{IngestStatus, Table};

use super::{Memory, State};
use crate::{
    census::{Census, OPEN, Open, Rows},
    inbox::StoreError,
};

impl Census for Memory {
    async fn open(&self) -> Result<Open, StoreError> {
        let state = self.lock();
        let mut quarantine: BTreeMap<(String, String), u64> = BTreeMap::new();
        for letter in &state.quarantine {
            *quarantine.entry((letter.source.to_string(), letter.reason.to_owned())).or_default() += 1;
        }
        let waiting = || state.outbox.iter().filter(|message| message.published_at.is_none());
        Ok(Open {
            changes: rows(&state, |status| OPEN.contains(&status)),
            quarantine: quarantine.into_iter().map(|((topic, reason), letters)| (topic, reason, letters)).collect(),
            outbox: waiting().fold(0, |count, _| count + 1),
            outbox_since: waiting().next().map(|message| message.created_at),
        })
    }

    async fn finished(&self) -> Result<Vec<Rows>, StoreError> {
        Ok(rows(&self.lock(), |status| !OPEN.contains(&status)))
    }
}

fn rows(state: &State, counted: impl Fn(IngestStatus) -> bool) -> Vec<Rows> {
    let mut found: BTreeMap<(Table, IngestStatus), (u64, Option<NaiveDateTime>)> = BTreeMap::new();
    for row in state.arena_data.iter().filter(|row| counted(row.ingest_status)) {
        let (rows, since) = found.entry((row.arena_table_name, row.ingest_status)).or_default();
        *rows += 1;
        let own = row.ingested_timestamp.filter(|_| row.ingest_status.is_unhandled());
        *since = since.iter().copied().chain(own).min();
    }
    found.into_iter().map(|((table, status), (rows, since))| Rows { table, status, rows, since }).collect()
}
