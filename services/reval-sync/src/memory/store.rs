//! What the service remembers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chassis::dead_letters::{Filter, LetterId, Note, OpenLetter, Show};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    run_store::{Control, Letter, Letters, Logs, Page, Runs, Tokens},
    sources::StoreError,
};

/// What the service remembers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Store(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    control: Option<(u64, Value)>,
    runs: BTreeMap<String, Value>,
    logs: HashMap<String, BTreeMap<u64, Page>>,
    tokens: HashMap<String, String>,
    letters: BTreeMap<LetterId, Kept>,
    unavailable: bool,
}

#[derive(Debug)]
struct Kept {
    letter: Letter,
    open: bool,
    attempts: u32,
    replays: u32,
    last_at: DateTime<Utc>,
    note: Option<Note>,
}

impl Store {
    /// From now on every call fails, or, with `false`, no longer.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// How many letters are open.
    #[must_use]
    pub fn open_letters(&self) -> usize {
        self.lock().letters.values().filter(|kept| kept.open).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        if state.unavailable {
            return Err(StoreError::Unavailable("switched off".to_owned()));
        }
        Ok(state)
    }
}

impl Control for Store {
    async fn read(&self) -> Result<Option<(u64, Value)>, StoreError> {
        Ok(self.state()?.control.clone())
    }

    async fn replace(&self, expected: Option<u64>, document: &Value) -> Result<bool, StoreError> {
        let mut state = self.state()?;
        let found = state.control.as_ref().map(|(version, _)| *version);
        if found != expected {
            return Ok(false);
        }
        state.control = Some((found.map_or(0, |version| version + 1), document.clone()));
        Ok(true)
    }
}

impl Runs for Store {
    async fn keep(&self, id: &str, run: &Value) -> Result<(), StoreError> {
        self.state()?.runs.insert(id.to_owned(), run.clone());
        Ok(())
    }

    async fn newest(&self, limit: usize) -> Result<Vec<Value>, StoreError> {
        Ok(self.state()?.runs.values().rev().take(limit).cloned().collect())
    }

    async fn run(&self, id: &str) -> Result<Option<Value>, StoreError> {
        Ok(self.state()?.runs.get(id).cloned())
    }
}

impl Logs for Store {
    async fn append(&self, log: &str, page: &Page) -> Result<bool, StoreError> {
        let mut state = self.state()?;
        let log = state.logs.entry(log.to_owned()).or_default();
        if log.contains_key(&page.sequence) {
            return Ok(false);
        }
        log.insert(page.sequence, page.clone());
        Ok(true)
    }

    async fn pages(&self, log: &str, from: u64, limit: usize) -> Result<Vec<Page>, StoreError> {
        let state = self.state()?;
        let log = state.logs.get(log).into_iter().flat_map(|log| log.range(from..));
        Ok(log.take(limit).map(|(_, page)| page.clone()).collect())
    }

    async fn end(&self, log: &str) -> Result<u64, StoreError> {
        let state = self.state()?;
        let last = state.logs.get(log).and_then(BTreeMap::last_key_value);
        Ok(last.map_or(0, |(sequence, _)| sequence + 1))
    }

    async fn since(&self, log: &str, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let state = self.state()?;
        let Some(log) = state.logs.get(log) else { return Ok(0) };
        let first = log.values().find(|page| page.at >= at).map(|page| page.sequence);
        Ok(first.or_else(|| log.last_key_value().map(|(sequence, _)| sequence + 1)).unwrap_or(0))
    }

    async fn forget(&self, log: &str, before: u64) -> Result<(), StoreError> {
        let mut state = self.state()?;
        if let Some(log) = state.logs.get_mut(log) {
            let last = log.last_key_value().map_or(0, |(sequence, _)| *sequence);
            *log = log.split_off(&before.min(last));
        }
        Ok(())
    }

    async fn remove(&self, log: &str) -> Result<(), StoreError> {
        self.state()?.logs.remove(log);
        Ok(())
    }
}

impl Tokens for Store {
    async fn of(&self, keys: &[String]) -> Result<HashMap<String, String>, StoreError> {
        let state = self.state()?;
        let of = |key: &String| Some((key.clone(), state.tokens.get(key)?.clone()));
        Ok(keys.iter().filter_map(of).collect())
    }

    async fn remember(&self, tokens: &HashMap<String, String>, _now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut state = self.state()?;
        for (key, token) in tokens {
            let known = state.tokens.entry(key.clone()).or_default();
            if *known < *token {
                known.clone_from(token);
            }
        }
        Ok(())
    }
}

impl Letters for Store {
    async fn put(&self, letters: &[Letter]) -> Result<(), StoreError> {
        let mut state = self.state()?;
        for letter in letters {
            let fresh =
                Kept { letter: letter.clone(), open: true, attempts: 1, replays: 0, last_at: letter.at, note: None };
            state.letters.entry(letter.id).and_modify(|kept| kept.open = true).or_insert(fresh);
        }
        Ok(())
    }

    async fn open(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: usize,
        show: Show,
    ) -> Result<Vec<OpenLetter>, StoreError> {
        let state = self.state()?;
        let wanted = |kept: &&Kept| {
            let Letter { id, source, reason, .. } = &kept.letter;
            kept.open
                && Some(*id) > after
                && (filter.ids.is_empty() || filter.ids.contains(id))
                && filter.reason.as_ref().is_none_or(|wanted| wanted == reason)
                && filter.source.as_ref().is_none_or(|wanted| wanted == source)
                && filter.since.is_none_or(|since| kept.last_at >= since)
        };
        let shown = |kept: &Kept| kept.letter.shown(kept.attempts, kept.replays, kept.last_at, show);
        Ok(state.letters.values().filter(wanted).take(limit).map(shown).collect())
    }

    async fn settled(&self, ids: &[LetterId], _now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut state = self.state()?;
        for id in ids {
            if let Some(kept) = state.letters.get_mut(id) {
                kept.open = false;
            }
        }
        Ok(())
    }

    async fn failed_again(
        &self,
        id: LetterId,
        reason: &str,
        detail: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if let Some(kept) = self.state()?.letters.get_mut(&id) {
            (kept.attempts, kept.replays, kept.last_at) = (kept.attempts + 1, kept.replays + 1, now);
            (kept.letter.reason, kept.letter.detail) = (reason.to_owned(), detail.to_owned());
        }
        Ok(())
    }

    async fn drop_letters(
        &self,
        ids: &[LetterId],
        note: &Note,
        _now: DateTime<Utc>,
    ) -> Result<Vec<LetterId>, StoreError> {
        let mut state = self.state()?;
        let mut dropped = Vec::new();
        for id in ids {
            if let Some(kept) = state.letters.get_mut(id).filter(|kept| kept.open) {
                (kept.open, kept.note) = (false, Some(note.clone()));
                dropped.push(*id);
            }
        }
        Ok(dropped)
    }
}
