//! Messages on their way into the outbox.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::{Batch, changes::unique_key};
use crate::{
    inbox::{Item, NewMessage, StoreError},
    postgres::errors::during,
};

/// A message, and the change that caused it where there is one.
pub(in crate::postgres) type NewRow<'m> = (&'m NewMessage, Option<&'m Item>);

impl Batch<'_> {
    pub(super) async fn insert_messages(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows: Vec<NewRow<'_>> =
            self.decided.iter().filter_map(|(item, write)| Some((write.message.as_ref()?, Some(*item)))).collect();
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
    let causes: Vec<_> = rows.iter().map(|(_, item)| item.map(unique_key)).collect();
    // the cause is looked up for each message: a join is planned for a table of unknown shape, and may read all of it
    sqlx::query(
        "INSERT INTO outbox (topic, message_key, payload, transaction_id, arena_data_id, created_at) \
         SELECT new.topic, new.message_key, new.payload, new.transaction_id, \
             (SELECT cause.id FROM arena_data AS cause \
              WHERE (cause.arena_table_name, cause.operation_type, cause.operation_pos) \
                  = (new.arena_table_name, new.operation_type, new.operation_pos)), \
             $8 \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY \
             AS new (topic, message_key, payload, transaction_id, arena_table_name, operation_type, operation_pos, place) \
         ORDER BY new.place",
    )
    .bind(rows.iter().map(|(message, _)| &*message.topic).collect::<Vec<&str>>())
    .bind(rows.iter().map(|(message, _)| message.key.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(message, _)| message.payload.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(message, _)| message.transaction_id).collect::<Vec<_>>())
    .bind(causes.iter().map(|cause| cause.map(|(table, _, _)| table)).collect::<Vec<_>>())
    .bind(causes.iter().map(|cause| cause.map(|(_, operation, _)| operation)).collect::<Vec<_>>())
    .bind(causes.iter().map(|cause| cause.map(|(_, _, position)| position)).collect::<Vec<_>>())
    .bind(now)
    .execute(connection)
    .await
    .map(drop)
    .map_err(during("writing messages"))
}
