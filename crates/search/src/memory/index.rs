//! One index: its documents as they were written, and as searches see them.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{mapping::Mapping, query::View, settings};
use crate::engine::{Document, Operation, Outcome, Query, Source, Version};

/// Which documents are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight {
    Refreshed,
    Written,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    mapping: Mapping,
    pub(super) write_blocked: bool,
    written: BTreeMap<String, Arc<Document>>,
    refreshed: BTreeMap<String, Arc<Document>>,
    next: u64,
}

impl Held {
    /// An empty index, from the body that it is created with.
    pub(super) fn create(body: &Value) -> Self {
        let mut held = Self { mapping: Mapping::of(body), ..Self::default() };
        held.set(&body["settings"]);
        held
    }

    /// A copy under another name: all documents, nothing blocked.
    pub(super) fn copy(&self) -> Self {
        Self { write_blocked: false, refreshed: self.written.clone(), ..self.clone() }
    }

    pub(super) fn set(&mut self, settings: &Value) {
        if let Some(blocked) = settings::write_block(settings) {
            self.write_blocked = blocked;
        }
    }

    pub(super) fn refresh(&mut self) {
        self.refreshed = self.written.clone();
    }

    pub(super) fn get(&self, id: &str) -> Option<Document> {
        self.written.get(id).map(|document| Document::clone(document))
    }

    /// The documents that an alias with `filter` shows and for which `query` holds, by id.
    pub(super) fn found<'a>(
        &'a self,
        sight: Sight,
        filter: Option<&'a Query>,
        query: &'a Query,
    ) -> impl Iterator<Item = &'a Arc<Document>> {
        let documents = match sight {
            Sight::Refreshed => &self.refreshed,
            Sight::Written => &self.written,
        };
        documents.values().filter(move |document| {
            let view = self.view(&document.source);
            filter.is_none_or(|filter| view.holds(filter)) && view.holds(query)
        })
    }

    pub(super) fn view<'a>(&'a self, source: &'a Source) -> View<'a> {
        View::of(&self.mapping, source)
    }

    pub(super) fn apply(&mut self, operation: &Operation) -> Outcome {
        if self.write_blocked {
            return Outcome::Later;
        }
        match operation {
            Operation::Index { id, source } => self.write(id, source, true),
            Operation::Create { id, source } => self.write(id, source, !self.written.contains_key(id)),
            Operation::Replace { id, version, source } => self.write(id, source, self.is_at(id, *version)),
            Operation::Delete { id, version: Some(version) } if !self.is_at(id, *version) => Outcome::Conflict,
            Operation::Delete { id, .. } => {
                self.next += 1; // a deletion is a write of its own
                self.written.remove(id);
                Outcome::Done
            }
        }
    }

    /// What cannot be read is refused before it is asked whether it is as `expected`, as the engine has it.
    fn write(&mut self, id: &str, source: &Source, expected: bool) -> Outcome {
        if let Some(reason) = self.mapping.refuses(source) {
            return Outcome::Refused { status: 400, reason: reason.to_owned() };
        }
        if !expected {
            return Outcome::Conflict;
        }
        let version = Version { seq_no: self.next, primary_term: 1 };
        self.next += 1;
        let document = Document { id: id.to_owned(), version, source: source.clone() };
        self.written.insert(id.to_owned(), Arc::new(document));
        Outcome::Done
    }

    fn is_at(&self, id: &str, version: Version) -> bool {
        self.written.get(id).is_some_and(|document| document.version == version)
    }
}
