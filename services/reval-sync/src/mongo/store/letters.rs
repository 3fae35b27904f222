//! Dead letters. A body that is larger than a document may be lies in parts beside its letter.

use bytes::{Bytes, BytesMut};
use chassis::dead_letters::{Filter, LetterId, Note, OpenLetter, Show};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use mongodb::bson::{Binary, Bson, DateTime as BsonTime, Document, doc, spec::BinarySubtype};

use super::{Store, call, unreadable};
use crate::{
    run_store::{Letter, Letters},
    sources::StoreError,
};

const LETTERS: &str = "syncDeadLetters";
const PARTS: &str = "syncDeadLetterParts";
/// The most bytes of a body in one document; a document holds 16 MB.
const PART_BYTES: usize = 4 * 1024 * 1024;

/// The key of a letter: text that sorts like ids.
fn key(id: LetterId) -> String {
    format!("{}{:020}", id.kind, id.number)
}

/// The key of a part of its body.
fn part(id: LetterId, number: usize) -> String {
    format!("{}/{number:06}", key(id))
}

fn time(at: DateTime<Utc>) -> BsonTime {
    BsonTime::from_millis(at.timestamp_millis())
}

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

impl Store {
    async fn body(&self, id: LetterId) -> Result<Bytes, StoreError> {
        let range = doc! { "$gte": part(id, 0), "$lt": format!("{}0", key(id)) }; // `0` is what comes after `/`
        let collection = self.collection(PARTS);
        let find = collection.find(doc! { "_id": range }).sort(doc! { "_id": 1 });
        let parts: Vec<Document> = call(async { find.await?.try_collect().await }).await?;
        let mut body = BytesMut::new();
        for part in &parts {
            body.extend_from_slice(
                part.get_binary_generic("bytes").map_err(|_absent| unreadable("a part of a letter"))?,
            );
        }
        Ok(body.freeze())
    }
}

impl Letters for Store {
    async fn put(&self, letters: &[Letter]) -> Result<(), StoreError> {
        // the parts first: a letter that is there is whole
        let mut parts = Vec::new();
        let mut updates = Vec::with_capacity(letters.len());
        for letter in letters {
            let body = if letter.body.len() > PART_BYTES {
                let chunks = letter.body.chunks(PART_BYTES).enumerate();
                parts.extend(chunks.map(|(number, bytes)| {
                    let update = doc! { "$setOnInsert": { "bytes": binary(bytes) } };
                    (doc! { "_id": part(letter.id, number) }, update, bytes.len())
                }));
                Bson::Null
            } else {
                binary(&letter.body)
            };
            let fresh = doc! {
                "source": &letter.source,
                "reason": &letter.reason,
                "detail": &letter.detail,
                "run": letter.run.as_deref(),
                "at": time(letter.at),
                "lastAt": time(letter.at),
                "attempts": 1_i64,
                "replays": 0_i64,
                "body": body,
            };
            let update = doc! { "$setOnInsert": fresh, "$set": { "open": true } };
            updates.push((doc! { "_id": key(letter.id) }, update, letter.body.len().min(PART_BYTES)));
        }
        self.upsert(PARTS, parts).await?;
        self.upsert(LETTERS, updates).await
    }

    async fn open(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: usize,
        show: Show,
    ) -> Result<Vec<OpenLetter>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if limit == 0 {
            return Ok(Vec::new()); // to the server zero is no limit
        }
        let mut wanted = doc! { "open": true };
        let mut ids = Document::new();
        if let Some(after) = after {
            ids.insert("$gt", key(after));
        }
        if !filter.ids.is_empty() {
            ids.insert("$in", filter.ids.iter().map(|id| key(*id)).collect::<Vec<_>>());
        }
        if !ids.is_empty() {
            wanted.insert("_id", ids);
        }
        if let Some(reason) = &filter.reason {
            wanted.insert("reason", reason);
        }
        if let Some(source) = &filter.source {
            wanted.insert("source", source);
        }
        if let Some(since) = filter.since {
            wanted.insert("lastAt", doc! { "$gte": time(since) });
        }
        let collection = self.collection(LETTERS);
        let mut find = collection.find(wanted).sort(doc! { "_id": 1 }).limit(limit);
        if show == Show::Summary {
            find = find.projection(doc! { "body": 0 });
        }
        let found: Vec<Document> = call(async { find.await?.try_collect().await }).await?;
        let mut letters = Vec::with_capacity(found.len());
        for document in &found {
            let mut kept = kept(document).ok_or_else(|| unreadable("a dead letter"))?;
            if show == Show::Contents {
                kept.letter.body = match document.get_binary_generic("body") {
                    Ok(body) => Bytes::copy_from_slice(body),
                    Err(_in_parts) => self.body(kept.letter.id).await?,
                };
            }
            letters.push(kept.letter.shown(kept.attempts, kept.replays, kept.last_at, show));
        }
        Ok(letters)
    }

    async fn settled(&self, ids: &[LetterId], now: DateTime<Utc>) -> Result<(), StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| key(*id)).collect();
        let update = doc! { "$set": { "open": false, "settledAt": time(now) } };
        let collection = self.collection(LETTERS);
        call(collection.update_many(doc! { "_id": { "$in": ids } }, update).into_future()).await.map(drop)
    }

    async fn failed_again(
        &self,
        id: LetterId,
        reason: &str,
        detail: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let update = doc! {
            "$inc": { "attempts": 1_i64, "replays": 1_i64 },
            "$set": { "reason": reason, "detail": detail, "lastAt": time(now) },
        };
        call(self.collection(LETTERS).update_one(doc! { "_id": key(id) }, update).into_future()).await.map(drop)
    }

    async fn drop_letters(
        &self,
        ids: &[LetterId],
        note: &Note,
        now: DateTime<Utc>,
    ) -> Result<Vec<LetterId>, StoreError> {
        let collection = self.collection(LETTERS);
        let mut dropped = Vec::new();
        for id in ids {
            let note = doc! { "by": &note.by, "why": &note.why, "at": time(now) };
            let update = doc! { "$set": { "open": false, "note": note } };
            let found = collection.find_one_and_update(doc! { "_id": key(*id), "open": true }, update);
            if call(found.projection(doc! { "_id": 1 }).into_future()).await?.is_some() {
                dropped.push(*id);
            }
        }
        Ok(dropped)
    }
}

/// A letter without its bytes, and what was counted of it.
struct Kept {
    letter: Letter,
    attempts: u32,
    replays: u32,
    last_at: DateTime<Utc>,
}

/// `None` where one of ours would have what is not there.
fn kept(document: &Document) -> Option<Kept> {
    let text = |name| document.get_str(name).ok().map(str::to_owned);
    let count = |name| document.get_i64(name).ok().and_then(|count| u32::try_from(count).ok());
    let at = |name| {
        let at = document.get_datetime(name).ok()?;
        DateTime::from_timestamp_millis(at.timestamp_millis())
    };
    let key = document.get_str("_id").ok()?;
    let kind = key.chars().next()?;
    let number = key.get(kind.len_utf8()..)?.parse().ok()?;
    let letter = Letter {
        id: LetterId { kind, number },
        source: text("source")?,
        reason: text("reason")?,
        detail: text("detail")?,
        run: text("run"),
        at: at("at")?,
        body: Bytes::new(),
    };
    Some(Kept { letter, attempts: count("attempts")?, replays: count("replays")?, last_at: at("lastAt")? })
}
