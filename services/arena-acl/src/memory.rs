//! The store of arena-acl in memory: for tests, and for the demonstration without servers. The twin of [`crate::postgres`].

mod audit;
mod census;
mod chronicle;
mod held;
mod image;
mod leader;
mod letters;
mod operations;
mod outbox;
mod state;
mod wake;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chassis::{
    clock::Clock,
    dead_letters::{DeadLetter, DeadLetters, PutError},
};
use chrono::NaiveDateTime;
use domain::{
    arena_acl::{Change, Held, IngestStatus, Table},
    delivery::Settlement,
};
use tokio::sync::Notify;
use uuid::Uuid;

pub use self::{
    outbox::MemoryTurn,
    state::{ArenaData, Deltaker, Gjennomforing, HistIdTranslation, IdTranslation, Outgoing, State},
};
use crate::{
    fresh::Fresh,
    inbox::{Cursor, Inbox, Item, StoreError, StoredChange, Translation, Write},
    service::{SchemaError, Store},
};

/// The store. A clone is the same store.
#[derive(Debug, Clone)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    /// Hears of each message that is added.
    added: Arc<Notify>,
    fresh: Arc<Fresh>,
    /// Held by whoever may send.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Hears of what may be due before the next run of the retry job.
    woke: Arc<Notify>,
    /// The row of the leader; as in a database, it is no data.
    leader: Arc<Mutex<Option<leader::Row>>>,
    /// The time of the store, which is what the terms of leaders are measured by.
    clock: Clock,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            added: Arc::default(),
            fresh: Arc::default(),
            turn: Arc::default(),
            woke: Arc::default(),
            leader: Arc::default(),
            clock: Clock::system(),
        }
    }
}

impl Memory {
    /// A store that holds `state`, whose next ids follow the highest ones there.
    #[must_use]
    pub fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), ..Self::default() }
    }

    /// All that is held now.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // a rule that panics does so before anything is written
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Memory {
    async fn read(&self, changes: &[&Change]) -> Result<Held, StoreError> {
        // what no question depends on is left out, as the port says
        Ok(Held { ids: HashMap::new(), ..held::read(&self.lock(), changes) })
    }

    async fn held(&self, changes: &[&Change]) -> Result<Held, StoreError> {
        Ok(held::read(&self.lock(), changes))
    }

    async fn apply<D>(
        &self,
        items: &[Item],
        now: NaiveDateTime,
        decide: D,
    ) -> Result<Vec<Option<Settlement>>, StoreError>
    where
        D: Fn(&Item, &Held) -> Option<Write> + Send + Sync,
    {
        let changes: Vec<&Change> = items.iter().map(|item| &*item.change).collect();
        let mut state = self.lock();
        let held = held::read(&state, &changes);
        let writes: Vec<Option<Write>> = items.iter().map(|item| decide(item, &held)).collect();
        let decided: Vec<(&Item, &Write)> =
            items.iter().zip(&writes).filter_map(|(item, write)| Some((item, write.as_ref()?))).collect();
        let added = write::all(&mut state, &decided, now)?;
        self.fresh.promise(added.fresh, added.left).keep();
        if decided.iter().any(|(_, write)| write.wakes(now)) {
            self.woke.notify_one();
        }
        Ok(writes.into_iter().map(|write| write.map(|write| write.effect.settlement)).collect())
    }

    async fn page(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
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
        Ok(rows.into_iter().map(stored).collect())
    }

    async fn translation(&self, amt_id: Uuid) -> Result<Translation, StoreError> {
        let state = self.lock();
        let arena_id = state.id_translation.iter().find(|row| row.amt_id == amt_id).map(|row| row.arena_id.clone());
        let hist = || state.hist_id_translation.iter().find(|row| row.amt_id == amt_id);
        let arena_hist_id = if arena_id.is_none() { hist().map(|row| row.arena_hist_id.clone()) } else { None };
        Ok(Translation { arena_id, arena_hist_id })
    }
}

impl DeadLetters for Memory {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), PutError> {
        let mut state = self.lock();
        for letter in letters {
            let place = (&letter.source, letter.position);
            if !state.quarantine.iter().any(|kept| (&kept.source, kept.position) == place) {
                state.quarantine.push(letter.clone());
            }
        }
        Ok(())
    }
}

fn stored(row: &ArenaData) -> StoredChange {
    StoredChange {
        id: row.id,
        table: row.arena_table_name,
        arena_id: row.arena_id.clone(),
        operation: row.operation_type,
        position: row.operation_pos.clone(),
        timestamp: row.operation_timestamp,
        before: row.before.clone(),
        after: row.after.clone(),
        retry_at: row.retry_at,
    }
}

impl Store for Memory {
    async fn migrate(&self) -> Result<(), SchemaError> {
        Ok(())
    }
}
