//! The control document, and the runs that people ask about.

use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, deserialize_from_bson, doc, serialize_to_bson};
use serde_json::Value;

use super::{Store, call, unreadable};
use crate::{
    mongo::errors::{is_duplicate, problem},
    run_store::{Control, Runs},
    sources::StoreError,
};

const CONTROL: &str = "syncControl";
const RUNS: &str = "syncRuns";
/// The key of the only document of its collection.
const ONLY: &str = "control";

impl Control for Store {
    async fn read(&self) -> Result<Option<(u64, Value)>, StoreError> {
        let found = call(self.collection(CONTROL).find_one(doc! { "_id": ONLY }).into_future()).await?;
        let Some(found) = found else { return Ok(None) };
        let version = found.get_i64("version").ok().and_then(|version| u64::try_from(version).ok());
        let version = version.ok_or_else(|| unreadable("the control document"))?;
        Ok(Some((version, held(&found)?)))
    }

    async fn replace(&self, expected: Option<u64>, document: &Value) -> Result<bool, StoreError> {
        let held = kept(document)?;
        let collection = self.collection(CONTROL);
        let Some(expected) = expected else {
            let first = doc! { "_id": ONLY, "version": 0_i64, "held": held };
            let insert = async { collection.insert_one(first).await.map(|_| true).or_else(duplicate) };
            return call(insert).await;
        };
        let version = i64::try_from(expected).map_err(|_out_of_range| unreadable("the version"))?;
        let filter = doc! { "_id": ONLY, "version": version };
        let update = doc! { "$set": { "version": version.saturating_add(1), "held": held } };
        call(collection.find_one_and_update(filter, update).into_future()).await.map(|found| found.is_some())
    }
}

impl Runs for Store {
    async fn keep(&self, id: &str, run: &Value) -> Result<(), StoreError> {
        let update = doc! { "$set": { "held": kept(run)? } };
        self.upsert(RUNS, vec![(doc! { "_id": id }, update, 0)]).await
    }

    async fn newest(&self, limit: usize) -> Result<Vec<Value>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if limit == 0 {
            return Ok(Vec::new()); // to the server zero is no limit
        }
        let collection = self.collection(RUNS);
        let find = collection.find(doc! {}).sort(doc! { "_id": -1 }).limit(limit);
        let runs: Vec<Document> = call(async { find.await?.try_collect().await }).await?;
        runs.iter().map(held).collect()
    }

    async fn run(&self, id: &str) -> Result<Option<Value>, StoreError> {
        let found = call(self.collection(RUNS).find_one(doc! { "_id": id }).into_future()).await?;
        found.as_ref().map(held).transpose()
    }
}

fn duplicate(error: mongodb::error::Error) -> mongodb::error::Result<bool> {
    if is_duplicate(&error) { Ok(false) } else { Err(error) }
}

fn kept(value: &Value) -> Result<Bson, StoreError> {
    serialize_to_bson(value).map_err(|error| problem(&error.into()))
}

fn held(document: &Document) -> Result<Value, StoreError> {
    let held = document.get("held").cloned().ok_or_else(|| unreadable("a document of the run store"))?;
    deserialize_from_bson(held).map_err(|error| problem(&error.into()))
}
