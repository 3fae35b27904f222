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
    ) -> Result<(), StoreError> {
        let rows: Vec<NewRow<'_>> =
            self.decided.iter().filter_map(|(item, write)| Some((write.message.as_ref()?, changes.of(item)))).collect();
        insert(connection, &rows, self.now).await
    }
}

/// Adds `rows`; their ids ascend in their order.
pub(in crate::postgres) async fn insert(
    connection: &mut PgConnection,
    rows: &[NewRow<'_>],
    now: NaiveDateTime,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO outbox (topic, message_key, payload, transaction_id, arena_data_id, created_at, traceparent) \
         SELECT new.topic, new.message_key, new.payload, new.transaction_id, new.cause, $6, new.traceparent \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $7::text[]) WITH ORDINALITY \
             AS new (topic, message_key, payload, transaction_id, cause, traceparent, place) \
         ORDER BY new.place",
    )
    .bind(rows.iter().map(|(message, _)| &*message.topic).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(message, _)| message.key.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(message, _)| message.payload.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(message, _)| message.transaction_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, cause)| *cause).collect::<Vec<_>>())
    .bind(now)
    .bind(rows.iter().map(|(message, _)| message.trace.map(|trace| trace.to_string())).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(during("writing messages"))
}
