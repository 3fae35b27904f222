//! What a decided batch writes: one statement per table, in key order, and only where something changes.

mod changes;
mod courses;
mod messages;
mod participants;
mod waiting;

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use crate::inbox::{Item, NewMessage, OutboxMessage, StoreError, Write};

pub(super) use self::{
    messages::{Added, NewRow, insert as insert_messages},
    waiting::release_page,
};

/// A batch after its decisions; what `decide` left alone is not in it.
pub(super) struct Batch<'b> {
    decided: Vec<(&'b Item, &'b Write)>,
    now: NaiveDateTime,
}

impl<'b> Batch<'b> {
    pub(super) fn new(decided: Vec<(&'b Item, &'b Write)>, now: NaiveDateTime) -> Self {
        Self { decided, now }
    }

    /// What `added` says can be sent at once, and the keys of the rest.
    pub(super) fn fresh(&self, added: &[Added]) -> (Vec<OutboxMessage>, Vec<String>) {
        let (mut fresh, mut left) = (Vec::with_capacity(added.len()), Vec::new());
        let messages = self.decided.iter().filter_map(|(_, write)| write.message.as_ref());
        for (message, Added { id, waits }) in messages.zip(added) {
            if *waits {
                left.push(message.key.clone());
            } else {
                let NewMessage { topic, key, payload, trace, .. } = message.clone();
                fresh.push(OutboxMessage { id: *id, topic, key, payload, trace, added_at: self.now });
            }
        }
        (fresh, left)
    }

    /// Whether changes may be due once the batch is durable.
    pub(super) fn wakes_any(&self) -> bool {
        self.decided.iter().any(|(_, write)| write.wakes(self.now))
    }

    /// Writes all of it. A course comes before what it releases, a change before those it wakes and the message that names its row.
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<Vec<Added>, StoreError> {
        self.upsert_courses(connection).await?;
        self.name_courses(connection).await?;
        self.release(connection).await?;
        let changes = self.upsert_changes(connection).await?;
        self.wake(connection).await?;
        self.insert_ids(connection).await?;
        self.insert_hist_ids(connection).await?;
        self.keep_participants(connection).await?;
        self.misregister_participants(connection).await?;
        self.insert_messages(connection, &changes).await
    }
}
