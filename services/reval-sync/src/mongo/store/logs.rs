//! Logs: one document for each page. Its key is the name of the log and its place, as text that sorts by place.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use mongodb::bson::{Binary, Bson, DateTime as BsonTime, Document, doc, spec::BinarySubtype};

use super::{Store, call, unreadable};
use crate::{
    mongo::errors::is_duplicate,
    run_store::{Logs, Page},
    sources::StoreError,
};

const LOG: &str = "syncLog";

/// The key of a page. A name of a log has no `#`.
fn key(log: &str, sequence: u64) -> String {
    format!("{log}#{sequence:020}")
}

/// The keys of a log from `from` on; `$` is what comes after `#`.
fn from(log: &str, from: u64) -> Document {
    doc! { "$gte": key(log, from), "$lt": format!("{log}$") }
}

impl Store {
    /// The place of the first page, or with `-1` of the last, that the filter lets through.
    async fn place(&self, filter: Document, direction: i32) -> Result<Option<u64>, StoreError> {
        let collection = self.collection(LOG);
        let find = collection.find_one(filter).sort(doc! { "_id": direction }).projection(doc! { "_id": 1 });
        call(find.into_future()).await?.as_ref().map(sequence).transpose()
    }
}

impl Logs for Store {
    async fn append(&self, log: &str, page: &Page) -> Result<bool, StoreError> {
        let binary = |entry: &Bytes| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: entry.to_vec() });
        let entries: Vec<_> = page.entries.iter().map(binary).collect();
        let at = BsonTime::from_millis(page.at.timestamp_millis());
        let document = doc! { "_id": key(log, page.sequence), "at": at, "entries": entries };
        let collection = self.collection(LOG);
        let insert = async {
            match collection.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        call(insert).await
    }

    async fn pages(&self, log: &str, first: u64, limit: usize) -> Result<Vec<Page>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if limit == 0 {
            return Ok(Vec::new()); // to the server zero is no limit
        }
        let collection = self.collection(LOG);
        let find = collection.find(doc! { "_id": from(log, first) }).sort(doc! { "_id": 1 }).limit(limit);
        let pages: Vec<Document> = call(async { find.await?.try_collect().await }).await?;
        pages.into_iter().map(page).collect()
    }

    async fn end(&self, log: &str) -> Result<u64, StoreError> {
        let last = self.place(doc! { "_id": from(log, 0) }, -1).await?;
        Ok(last.map_or(0, |last| last.saturating_add(1)))
    }

    async fn since(&self, log: &str, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let at = BsonTime::from_millis(at.timestamp_millis());
        match self.place(doc! { "_id": from(log, 0), "at": { "$gte": at } }, 1).await? {
            Some(first) => Ok(first),
            None => self.end(log).await,
        }
    }

    async fn forget(&self, log: &str, before: u64) -> Result<(), StoreError> {
        let Some(last) = self.end(log).await?.checked_sub(1) else { return Ok(()) };
        let range = doc! { "$gte": key(log, 0), "$lt": key(log, before.min(last)) };
        call(self.collection(LOG).delete_many(doc! { "_id": range }).into_future()).await.map(drop)
    }

    async fn remove(&self, log: &str) -> Result<(), StoreError> {
        call(self.collection(LOG).delete_many(doc! { "_id": from(log, 0) }).into_future()).await.map(drop)
    }
}

fn sequence(document: &Document) -> Result<u64, StoreError> {
    let key = document.get_str("_id").ok().and_then(|key| key.rsplit_once('#'));
    key.and_then(|(_, sequence)| sequence.parse().ok()).ok_or_else(|| unreadable("a page of a log"))
}

fn page(mut document: Document) -> Result<Page, StoreError> {
    let sequence = sequence(&document)?;
    let at = document.get_datetime("at").ok().and_then(|at| DateTime::from_timestamp_millis(at.timestamp_millis()));
    let Some(Bson::Array(entries)) = document.remove("entries") else { return Err(unreadable("a page of a log")) };
    let entries = entries.into_iter().map(|entry| match entry {
        Bson::Binary(binary) => Ok(Bytes::from(binary.bytes)),
        _ => Err(unreadable("an entry of a log")),
    });
    Ok(Page {
        sequence,
        at: at.ok_or_else(|| unreadable("a page of a log"))?,
        entries: entries.collect::<Result<_, _>>()?,
    })
}
