//! Messages on their way into the outbox.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::{Batch, changes::ChangeIds};
use crate::{
    inbox::{NewMessage, StoreError},
    postgres::errors::during,
};

/// A message, and the row of the change that caused it where there is one.
pub(in crate::postgres) type NewRow<'m> = (&'m NewMessage, Option<i64>);

impl Batch<'_> {
    pub(super) async fn insert_messages(
        &self,
        connection: &mut PgConnection,
        changes: &ChangeIds,
    ) -> Result<Vec<Added>, StoreError> {
        let rows: Vec<NewRow<'_>> =
            self.decided.iter().filter_map(|(item, write)| Some((write.message.as_ref()?, changes.of(item)))).collect();
        insert(connection, &rows, self.now).await
    }
}

/// A message in the outbox, and whether an older one of its key waits there. That holds for who keeps others from adding messages of that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::postgres) struct Added {
    pub(in crate::postgres) id: i64,
    pub(in crate::postgres) waits: bool,
}

/// Adds `rows`; their ids ascend in their order, which is also that of the answer.
pub(in crate::postgres) async fn insert(
    connection: &mut PgConnection,
    rows: &[NewRow<'_>],
    now: NaiveDateTime,
) -> Result<Vec<Added>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut added: Vec<(i64, bool)> = sqlx::query_as(
        "INSERT INTO outbox (topic, message_key, payload, transaction_id, arena_data_id, created_at, traceparent) \
         SELECT new.topic, new.message_key, new.payload, new.transaction_id, new.cause, $6, new.traceparent \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $7::text[]) WITH ORDINALITY \
             AS new (topic, message_key, payload, transaction_id, cause, traceparent, place) \
         ORDER BY new.place \
         RETURNING id, EXISTS (SELECT FROM outbox AS older WHERE older.published_at IS NULL AND older.message_key = outbox.message_key)",
    )
    .bind(rows.iter().map(|(message, _)| &*message.topic).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(message, _)| message.key.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(message, _)| message.payload.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(message, _)| message.transaction_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, cause)| *cause).collect::<Vec<_>>())
    .bind(now)
    .bind(rows.iter().map(|(message, _)| message.trace.map(|trace| trace.to_string())).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(during("writing messages"))?;
    added.sort_unstable();
    Ok(added.into_iter().map(|(id, waits)| Added { id, waits }).collect())
}
