//! What the service itself remembers, in collections of its own: `syncControl`, `syncRuns`, `syncLog`, `syncTokens`, `syncDeadLetters`
//! and `syncDeadLetterParts`.

mod control;
mod letters;
mod logs;
mod tokens;

use std::time::Duration;

use mongodb::{
    Client, Collection, Database, IndexModel,
    bson::{Document, doc},
    options::{Acknowledgment, CollectionOptions, IndexOptions, ReadPreference, SelectionCriteria, WriteConcern},
};

use super::{Settings, call, errors::of_writes};
use crate::sources::StoreError;

/// Change events stay up to 14 days in their queue.
const TOKENS_KEPT: Duration = Duration::from_secs(15 * 24 * 3_600);
/// Writes of one command.
const WRITES: usize = 500;
/// Bytes of one command, about; a server takes 48 MB.
const WRITE_BYTES: usize = 8 * 1024 * 1024;

/// What the service itself remembers.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// The collections in the run store's database.
    #[must_use]
    pub fn new(client: &Client, settings: &Settings) -> Self {
        Self { database: client.database(&settings.run_store) }
    }

    /// Makes what is not made by the first write: tokens of long ago are forgotten. Twice is the same as once.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let options = IndexOptions::builder().name("old".to_owned()).expire_after(TOKENS_KEPT).build();
        let index = IndexModel::builder().keys(doc! { "at": 1 }).options(options).build();
        call(self.collection("syncTokens").create_index(index).into_future()).await.map(drop)
    }

    /// Written by a majority and to disk; read from the primary.
    fn collection(&self, name: &str) -> Collection<Document> {
        let options = CollectionOptions::builder()
            .write_concern(concern())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        self.database.collection_with_options(name, options)
    }

    /// Updates many documents by one command each for a bounded number and size. Each is a filter, an update and about its bytes.
    async fn upsert(&self, collection: &str, updates: Vec<(Document, Document, usize)>) -> Result<(), StoreError> {
        let mut statements = Vec::new();
        let mut bytes = 0;
        for (filter, update, size) in updates {
            if statements.len() == WRITES || (bytes + size > WRITE_BYTES && bytes > 0) {
                self.send(collection, std::mem::take(&mut statements)).await?;
                bytes = 0;
            }
            statements.push(doc! { "q": filter, "u": update, "upsert": true });
            bytes += size;
        }
        if statements.is_empty() { Ok(()) } else { self.send(collection, statements).await }
    }

    async fn send(&self, collection: &str, statements: Vec<Document>) -> Result<(), StoreError> {
        let command = doc! {
            "update": collection,
            "updates": statements,
            "ordered": false,
            "writeConcern": { "w": "majority", "j": true },
        };
        of_writes(&call(self.database.run_command(command).into_future()).await?)
    }
}

fn concern() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// A document of ours that somebody else has changed by hand, or an older version wrote.
fn unreadable(what: &str) -> StoreError {
    StoreError::Refused(format!("{what} cannot be read"))
}
