//! An engine in memory, for tests and standalone mode.
//!
//! It loses everything with the process. Searches see what was refreshed, and nothing refreshes by itself. Of a mapping it knows what
//! decides whether a query finds a document: analysed text or exact values, nested lists, fields that are not mapped; and it refuses
//! a document whose number, boolean or date is none.

mod aliases;
mod engine;
mod index;
mod mapping;
mod query;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::{
    aliases::Aliases,
    index::{Held, Sight},
};
use crate::engine::{Document, Error, Query, TaskState};

/// The engine. Clones share its indices.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    indices: BTreeMap<String, Held>,
    aliases: Aliases,
    tasks: Vec<TaskState>,
    unavailable: bool,
}

impl Memory {
    /// From now on every request fails as if the engine could not be reached, or, with `false`, no longer.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// What a reader finds under the name of an index or alias, as of the last refresh, by id; `None` if nothing has that name.
    /// It answers also while the engine is unavailable.
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<Vec<Document>> {
        self.lock().documents(name, Sight::Refreshed)
    }

    /// What a reader would find after a refresh, by id. It refreshes nothing.
    #[must_use]
    pub fn shown_now(&self, name: &str) -> Option<Vec<Document>> {
        self.lock().documents(name, Sight::Written)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for a request.
    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.lock();
        if state.unavailable {
            return Err(Error::Unavailable("switched off".to_owned()));
        }
        Ok(state)
    }
}

impl State {
    fn taken(&self, name: &str) -> bool {
        self.indices.contains_key(name) || self.aliases.contains(name)
    }

    fn index(&self, name: &str) -> Result<&Held, Error> {
        self.indices.get(name).ok_or_else(|| Error::NoIndex(name.to_owned()))
    }

    fn index_mut(&mut self, name: &str) -> Result<&mut Held, Error> {
        self.indices.get_mut(name).ok_or_else(|| Error::NoIndex(name.to_owned()))
    }

    /// The indices that a name means, each with what the alias shows of it.
    fn meant(&self, name: &str) -> Result<Vec<(&Held, Option<&Query>)>, Error> {
        if let Some(held) = self.indices.get(name) {
            return Ok(vec![(held, None)]);
        }
        let meant: Vec<_> =
            self.aliases.of(name).filter_map(|(index, filter)| Some((self.indices.get(index)?, filter))).collect();
        if meant.is_empty() { Err(Error::NoIndex(name.to_owned())) } else { Ok(meant) }
    }

    fn documents(&self, name: &str, sight: Sight) -> Option<Vec<Document>> {
        let mut documents = Vec::new();
        for (held, filter) in self.meant(name).ok()? {
            documents.extend(held.found(sight, filter, &Query::All).map(|found| Document::clone(found)));
        }
        documents.sort_by(|one, other| one.id.cmp(&other.id));
        Some(documents)
    }
}
