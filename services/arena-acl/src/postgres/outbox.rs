//! The outbox: messages that are durable and have not left yet.

use std::{sync::Arc, time::Duration};

use chrono::NaiveDateTime;

use super::{
    Postgres,
    errors::during,
    turn::PublisherTurn,
    write::{NewRow, insert_messages},
};
use crate::inbox::{NewMessage, Outbox, OutboxMessage, StoreError};

/// How long a message that another process added may wait unseen.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Outbox for Postgres {
    type Turn = PublisherTurn;

    async fn turn(&self) -> Result<PublisherTurn, StoreError> {
        PublisherTurn::wait(&self.settings).await
    }

    async fn due(&self, limit: u32) -> Result<Vec<OutboxMessage>, StoreError> {
        // the head of a key is looked up for each message, so the cost follows what is returned, not what waits
        let rows: Vec<(i64, String, String, Option<String>)> = sqlx::query_as(
            "SELECT id, topic, message_key, payload FROM outbox AS message \
             WHERE published_at IS NULL AND id = ( \
                 SELECT min(head.id) FROM outbox AS head \
                 WHERE head.published_at IS NULL AND head.message_key = message.message_key) \
             ORDER BY id LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(during("reading the outbox"))?;
        let mut topic: Arc<str> = Arc::from("");
        Ok(rows
            .into_iter()
            .map(|(id, name, key, payload)| {
                if *topic != *name {
                    topic = name.into();
                }
                OutboxMessage { id, topic: topic.clone(), key, payload }
            })
            .collect())
    }

    async fn published(&self, ids: &[i64], now: NaiveDateTime) -> Result<(), StoreError> {
        // what left long ago is deleted in passing, a bounded number at a time
        sqlx::query(
            "WITH marked AS ( \
                 UPDATE outbox SET published_at = $2, payload = NULL WHERE id = ANY($1) AND published_at IS NULL) \
             DELETE FROM outbox WHERE id IN ( \
                 SELECT id FROM outbox WHERE published_at < $2 - make_interval(days => $3) LIMIT 1000)",
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
        let rows: Vec<NewRow<'_>> = messages.iter().map(|message| (message, None)).collect();
        let mut connection = self.pool.acquire().await.map_err(during("writing messages"))?;
        insert_messages(&mut connection, &rows, now).await?;
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
