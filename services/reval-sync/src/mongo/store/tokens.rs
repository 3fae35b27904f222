//! The greatest token of each key; old ones leave by an index (`prepare`).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use mongodb::bson::{DateTime as BsonTime, Document, doc};

use super::{Store, call, unreadable};
use crate::{run_store::Tokens, sources::StoreError};

const TOKENS: &str = "syncTokens";
/// Keys that one question names.
const KEYS: usize = 1_000;

impl Tokens for Store {
    async fn of(&self, keys: &[String]) -> Result<HashMap<String, String>, StoreError> {
        let mut known = HashMap::new();
        for keys in keys.chunks(KEYS) {
            let collection = self.collection(TOKENS);
            let find = collection.find(doc! { "_id": { "$in": keys.to_vec() } });
            let found: Vec<Document> = call(async { find.await?.try_collect().await }).await?;
            for token in found {
                let (Ok(key), Ok(text)) = (token.get_str("_id"), token.get_str("token")) else {
                    return Err(unreadable("a token"));
                };
                known.insert(key.to_owned(), text.to_owned());
            }
        }
        Ok(known)
    }

    async fn remember(&self, tokens: &HashMap<String, String>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let at = BsonTime::from_millis(now.timestamp_millis());
        let update = |(key, token): (&String, &String)| {
            (doc! { "_id": key }, doc! { "$max": { "token": token, "at": at } }, key.len() + token.len())
        };
        self.upsert(TOKENS, tokens.iter().map(update).collect()).await
    }
}
