//! The collections of other teams: projected cursors, two at a time, on secondaries where there are any (chapter 6, 14.5 no. 20).

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Settings, call, errors::problem};
use crate::sources::{self, Collection, StoreError};

/// Documents that one call of a cursor gives.
const GIVEN: usize = 500;
/// The server gives up a question after this time.
const LONGEST: Duration = Duration::from_secs(60);
/// Numbers that one question names.
const NUMBERS: usize = 1_000;

/// The collections of other teams. Only reads.
#[derive(Debug, Clone)]
pub struct Sources {
    database: Database,
    settings: Arc<Settings>,
    /// One permit for each cursor that may be open.
    reads: Arc<Semaphore>,
}

impl Sources {
    /// The collections in the database that `settings` name.
    #[must_use]
    pub fn new(client: &Client, settings: &Settings) -> Self {
        let reads = usize::try_from(settings.concurrent_reads.get()).unwrap_or(1);
        Self {
            database: client.database(&settings.database),
            settings: Arc::new(settings.clone()),
            reads: Arc::new(Semaphore::new(reads)),
        }
    }

    async fn find(&self, collection: Collection, filter: Document) -> Result<Cursor, StoreError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await;
        let permit = permit.map_err(|closed| StoreError::Unavailable(closed.to_string()))?;
        let wanted = self.database.collection::<Document>(collection.name());
        let mut find = wanted
            .find(filter)
            .projection(
                collection.fields().iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect::<Document>(),
            )
            .batch_size(self.settings.batch_size.get())
            .max_time(LONGEST)
            .selection_criteria(self.settings.read_preference.criteria());
        if collection.is_ordered() {
            find = find.sort(doc! { "_id": 1 });
        }
        Ok(Cursor { documents: call(find.into_future()).await?, _permit: permit })
    }
}

/// A collection while it is read.
#[derive(Debug)]
pub struct Cursor {
    documents: mongodb::Cursor<Document>,
    /// Free again once this is dropped.
    _permit: OwnedSemaphorePermit,
}

impl sources::Cursor for Cursor {
    async fn next(&mut self) -> Result<Vec<Value>, StoreError> {
        let mut given = Vec::new();
        while given.len() < GIVEN {
            let more = timeout(LONGEST, self.documents.advance()).await;
            let more = more.map_err(|elapsed| StoreError::Unavailable(elapsed.to_string()))?;
            if !more.map_err(|error| problem(&error))? {
                break;
            }
            let document = self.documents.deserialize_current().map_err(|error| problem(&error))?;
            given.push(Bson::Document(document).into_relaxed_extjson());
        }
        Ok(given)
    }
}

impl sources::Sources for Sources {
    type Cursor = Cursor;

    async fn read(&self, collection: Collection) -> Result<Cursor, StoreError> {
        self.find(collection, doc! {}).await
    }

    async fn count(&self, collection: Collection) -> Result<u64, StoreError> {
        let counted = self.database.collection::<Document>(collection.name());
        let count = counted.estimated_document_count().selection_criteria(self.settings.read_preference.criteria());
        call(count.into_future()).await
    }

    async fn of_numbers(&self, collection: Collection, numbers: &[String]) -> Result<Vec<Value>, StoreError> {
        let mut found = Vec::new();
        for numbers in numbers.chunks(NUMBERS) {
            let those = doc! { "$in": numbers.to_vec() };
            let filter = match collection.number_field() {
                "_id" => doc! { "_id": those },
                field => doc! { "$or": [{ field: those.clone() }, { "_id": those }] },
            };
            let mut cursor = self.find(collection, filter).await?;
            loop {
                let documents = sources::Cursor::next(&mut cursor).await?;
                if documents.is_empty() {
                    break;
                }
                found.extend(documents);
            }
        }
        Ok(found)
    }
}
