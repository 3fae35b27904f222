//! Collections of others.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    sources::{self, Collection, Cursor as _, StoreError},
    wire::key_text,
};

/// Documents that are given together.
const BATCH: usize = 100;

/// Collections of others. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Sources(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    collections: HashMap<Collection, Vec<Value>>,
    unavailable: bool,
}

impl Sources {
    /// Adds documents to a collection, as extended JSON.
    pub fn add(&self, collection: Collection, documents: impl IntoIterator<Item = Value>) {
        self.lock().collections.entry(collection).or_default().extend(documents);
    }

    /// From now on every call fails, or, with `false`, no longer.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents(&self, collection: Collection) -> Result<Vec<Value>, StoreError> {
        let state = self.lock();
        if state.unavailable {
            return Err(StoreError::Unavailable("switched off".to_owned()));
        }
        Ok(state.collections.get(&collection).cloned().unwrap_or_default())
    }
}

/// A collection while it is read, as it was when that began.
#[derive(Debug)]
pub struct Cursor {
    documents: VecDeque<Value>,
    sources: Sources,
    collection: Collection,
}

impl sources::Cursor for Cursor {
    async fn next(&mut self) -> Result<Vec<Value>, StoreError> {
        self.sources.documents(self.collection)?;
        Ok(self.documents.drain(..BATCH.min(self.documents.len())).collect())
    }
}

impl sources::Sources for Sources {
    type Cursor = Cursor;

    async fn read(&self, collection: Collection) -> Result<Cursor, StoreError> {
        let mut documents = self.documents(collection)?;
        let key = |document: &Value| document.get("_id").and_then(key_text);
        if collection.is_ordered() {
            documents.sort_by_key(key);
        } else {
            documents.reverse(); // any order is right; this one is not the one in which they came
        }
        let read = |document: Value| match document {
            Value::Object(members) => {
                let wanted = |name: &String| name == "_id" || collection.fields().contains(&name.as_str());
                Value::Object(members.into_iter().filter(|(name, _)| wanted(name)).collect())
            }
            other => other,
        };
        Ok(Cursor { documents: documents.into_iter().map(read).collect(), sources: self.clone(), collection })
    }

    async fn count(&self, collection: Collection) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.documents(collection)?.len()).unwrap_or(u64::MAX))
    }

    async fn of_numbers(&self, collection: Collection, numbers: &[String]) -> Result<Vec<Value>, StoreError> {
        let mut cursor = self.read(collection).await?;
        let mut found = Vec::new();
        let is =
            |value: Option<&Value>| value.and_then(key_text).is_some_and(|key| numbers.iter().any(|n| **n == *key));
        loop {
            let documents = cursor.next().await?;
            if documents.is_empty() {
                return Ok(found);
            }
            found.extend(
                documents
                    .into_iter()
                    .filter(|document| is(document.get(collection.number_field())) || is(document.get("_id"))),
            );
        }
    }
}
