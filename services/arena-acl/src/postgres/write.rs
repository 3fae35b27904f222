//! What a decided batch writes: one statement per table, in key order, and only where something changes.

mod changes;
mod courses;
mod messages;
mod participants;
mod waiting;

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use crate::inbox::{Item, StoreError, Write};

pub(super) use self::messages::{NewRow, insert as insert_messages};

/// A batch after its decisions; what `decide` left alone is not in it.
pub(super) struct Batch<'b> {
    decided: Vec<(&'b Item, &'b Write)>,
    now: NaiveDateTime,
}

impl<'b> Batch<'b> {
    pub(super) fn new(decided: Vec<(&'b Item, &'b Write)>, now: NaiveDateTime) -> Self {
        Self { decided, now }
    }

    /// Whether the batch puts anything into the outbox.
    pub(super) fn has_messages(&self) -> bool {
        self.decided.iter().any(|(_, write)| write.message.is_some())
    }

    /// Whether changes may be due once the batch is durable.
    pub(super) fn wakes_any(&self) -> bool {
        self.decided.iter().any(|(_, write)| write.wakes(self.now))
    }

    /// Writes all of it. A course comes before what it releases, a change before those it wakes and the message that names its row.
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
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
