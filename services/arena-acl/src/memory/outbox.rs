//! The outbox, and the right to send, which one process alone needs no flag for.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use chrono::{NaiveDateTime, TimeDelta};
use tokio::sync::OwnedMutexGuard;

use super::{Memory, write};
use crate::{
    fresh::Fresh,
    inbox::{Head, NewMessage, Outbox, OutboxMessage, StoreError, Turn},
};

/// For how long a published message is kept, without its payload.
const RETENTION: TimeDelta = TimeDelta::days(7);

/// The right to send; dropped, it is given back.
#[derive(Debug)]
pub struct MemoryTurn(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

impl Outbox for Memory {
    type Turn = MemoryTurn;

    fn fresh(&self) -> &Fresh {
        &self.fresh
    }

    async fn turn(&self) -> Result<MemoryTurn, StoreError> {
        Ok(MemoryTurn(self.turn.clone().lock_owned().await))
    }

    async fn heads(&self, after: Option<&str>, limit: u32) -> Result<Vec<Head>, StoreError> {
        let state = self.lock();
        let mut heads = BTreeMap::new();
        for message in state.outbox.iter().filter(|message| message.published_at.is_none()) {
            if after.is_none_or(|after| message.message_key.as_str() > after) {
                heads.entry(message.message_key.as_str()).or_insert(message);
            }
        }
        let heads = heads.into_values().take(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(heads
            .map(|message| Head {
                id: message.id,
                topic: message.topic.clone(),
                key: message.message_key.clone(),
                bytes: message.payload.as_ref().map_or(0, String::len),
            })
            .collect())
    }

    async fn unpublished(&self, ids: &[i64]) -> Result<Vec<OutboxMessage>, StoreError> {
        let state = self.lock();
        Ok(state
            .outbox
            .iter()
            .filter(|message| message.published_at.is_none() && ids.contains(&message.id))
            .map(|message| OutboxMessage {
                id: message.id,
                topic: message.topic.clone(),
                key: message.message_key.clone(),
                payload: message.payload.clone(),
                trace: message.trace,
                added_at: message.created_at,
            })
            .collect())
    }

    async fn published(&self, ids: &[i64], now: NaiveDateTime) -> Result<(), StoreError> {
        let ids: HashSet<i64> = ids.iter().copied().collect();
        let mut state = self.lock();
        for message in state.outbox.iter_mut().filter(|message| ids.contains(&message.id)) {
            message.published_at.get_or_insert(now);
            message.payload = None;
        }
        state.outbox.retain(|message| message.published_at.is_none_or(|at| at >= now - RETENTION));
        Ok(())
    }

    async fn enqueue(&self, messages: &[NewMessage], now: NaiveDateTime) -> Result<(), StoreError> {
        let mut state = self.lock();
        let mut added = write::Added::default();
        for message in messages {
            write::add(&mut state, message, None, now, &mut added);
        }
        self.fresh.promise(added.fresh, added.left).keep();
        self.added.notify_one();
        Ok(())
    }

    async fn waiting(&self) -> Result<u64, StoreError> {
        let waiting = self.lock().outbox.iter().filter(|message| message.published_at.is_none()).count();
        Ok(u64::try_from(waiting).unwrap_or(u64::MAX))
    }

    async fn changed(&self) {
        // bounded as the port says, although nobody else adds here
        drop(tokio::time::timeout(Duration::from_millis(250), self.added.notified()).await);
    }
}

impl Turn for MemoryTurn {
    async fn holds(&mut self) -> bool {
        true
    }

    async fn end(self) -> Result<(), StoreError> {
        Ok(())
    }
}
