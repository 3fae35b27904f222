//! The outbox: messages that are durable and have not left yet.

use std::{sync::Arc, time::Duration};

use chrono::NaiveDateTime;

use super::{
    Postgres,
    errors::during,
    turn::PublisherTurn,
    write::{NewRow, insert_messages},
};
use crate::{
    fresh::Fresh,
    inbox::{Head, NewMessage, Outbox, OutboxMessage, StoreError},
};

/// How long a message that another process added may wait unseen.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

type Row = (i64, String, String, Option<String>, Option<String>, NaiveDateTime);

impl Outbox for Postgres {
    type Turn = PublisherTurn;

    fn fresh(&self) -> &Fresh {
        &self.fresh
    }

    async fn turn(&self) -> Result<PublisherTurn, StoreError> {
        PublisherTurn::wait(&self.settings).await
    }

    async fn heads(&self, after: Option<&str>, limit: u32) -> Result<Vec<Head>, StoreError> {
        // from key to key through the index: one probe for each, however many messages of it wait
        let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
            "WITH RECURSIVE head AS ( \
                 (SELECT message_key, id FROM outbox \
                  WHERE published_at IS NULL AND ($1::text IS NULL OR message_key > $1) \
                  ORDER BY message_key, id LIMIT 1) \
                 UNION ALL \
                 SELECT next.message_key, next.id FROM head CROSS JOIN LATERAL ( \
                     SELECT message_key, id FROM outbox \
                     WHERE published_at IS NULL AND message_key > head.message_key \
                     ORDER BY message_key, id LIMIT 1) AS next) \
             SELECT head.id, message.topic, head.message_key, coalesce(octet_length(message.payload), 0)::bigint \
             FROM (SELECT message_key, id FROM head LIMIT $2) AS head JOIN outbox AS message USING (id) \
             ORDER BY head.message_key",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(during("reading the outbox"))?;
        let mut topics = Topics::default();
        Ok(rows
            .into_iter()
            .map(|(id, topic, key, bytes)| Head {
                id,
                topic: topics.named(&topic),
                key,
                bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            })
            .collect())
    }

    async fn unpublished(&self, ids: &[i64]) -> Result<Vec<OutboxMessage>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, topic, message_key, payload, traceparent, created_at \
             FROM outbox WHERE id = ANY($1) AND published_at IS NULL ORDER BY id",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await
        .map_err(during("reading messages"))?;
        let mut topics = Topics::default();
        Ok(rows
            .into_iter()
            .map(|(id, topic, key, payload, traceparent, added_at)| OutboxMessage {
                id,
                topic: topics.named(&topic),
                key,
                payload,
                trace: traceparent.and_then(|trace| trace.parse().ok()),
                added_at,
            })
            .collect())
    }

    async fn published(&self, ids: &[i64], now: NaiveDateTime) -> Result<(), StoreError> {
        // what left long ago is deleted in passing, a bounded number at a time. An array and an order: without the one the planner may join with
        // the whole table, without the other read it in search of the few
        sqlx::query(
            "WITH marked AS ( \
                 UPDATE outbox SET published_at = $2, payload = NULL WHERE id = ANY($1) AND published_at IS NULL) \
             DELETE FROM outbox WHERE id = ANY (ARRAY ( \
                 SELECT id FROM outbox WHERE published_at < $2 - make_interval(days => $3) \
                 ORDER BY published_at LIMIT 1000))",
        )
        .bind(ids)
        .bind(now)
        .bind(self.settings.retention_days)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(during("marking messages as published"))
    }

    async fn enqueue(&self, messages: &[NewMessage], now: NaiveDateTime) -> Result<(), StoreError> {
        // by nobody who holds its key: it takes its place behind what is there, and is read
        let rows: Vec<NewRow<'_>> = messages.iter().map(|message| (message, None)).collect();
        let mut connection = self.pool.acquire().await.map_err(during("writing messages"))?;
        insert_messages(&mut connection, &rows, now).await.map(drop)?;
        self.added.notify_one();
        Ok(())
    }

    async fn waiting(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            .fetch_one(&self.pool)
            .await
            .map_err(during("counting the outbox"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn changed(&self) {
        // elapsed is as good as notified
        drop(tokio::time::timeout(LOOK_AGAIN, self.added.notified()).await);
    }
}

/// The topics of a page: few names, each kept once.
#[derive(Default)]
struct Topics(Vec<Arc<str>>);

impl Topics {
    fn named(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return known.clone();
        }
        let topic: Arc<str> = name.into();
        self.0.push(topic.clone());
        topic
    }
}
