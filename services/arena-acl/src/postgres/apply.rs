//! The inbox: lock, read again, decide, write, in one transaction.

use chassis::failpoints;
use chrono::NaiveDateTime;
use domain::{
    arena_acl::{Change, Held, IngestStatus, Table},
    delivery::Settlement,
};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Postgres,
    connection::{ANSWER, in_time},
    errors::during,
    locks, read, write,
};
use crate::{
    fresh::Fresh,
    inbox::{Cursor, Inbox, Item, StoreError, StoredChange, Translation, Write},
};

impl Inbox for Postgres {
    async fn read(&self, changes: &[&Change]) -> Result<Held, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(during("reading what is held"))?;
        let held = timeout(ANSWER, read::asked(&mut connection, changes)).await;
        in_time(connection, held)
    }

    async fn held(&self, changes: &[&Change]) -> Result<Held, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(during("reading all that is held"))?;
        let held = timeout(ANSWER, read::held(&mut connection, changes)).await;
        in_time(connection, held)
    }

    async fn apply<D>(
        &self,
        items: &[Item],
        now: NaiveDateTime,
        decide: D,
    ) -> Result<Vec<Option<Settlement>>, StoreError>
    where
        D: Fn(&Item, &Held) -> Option<Write> + Send + Sync,
    {
        let mut connection = self.pool.acquire().await.map_err(during("beginning a transaction"))?;
        let applied = timeout(ANSWER, apply(&mut connection, items, now, decide, &self.fresh)).await;
        let Applied { settlements, wakes_any } = in_time(connection, applied)?;
        if wakes_any {
            self.woke.notify_one();
        }
        Ok(settlements)
    }

    async fn page(
        &self,
        table: Table,
        status: IngestStatus,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
        self.page_of(table, status, cursor, limit).await
    }

    async fn translation(&self, amt_id: Uuid) -> Result<Translation, StoreError> {
        let found: Option<(Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT arena_id, NULL FROM arena_data_id_translation WHERE amt_id = $1 \
             UNION ALL \
             SELECT NULL, arena_hist_id FROM arena_data_hist_id_translation WHERE amt_id = $1 \
             LIMIT 1", // the first of the two that has it
        )
        .bind(amt_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(during("reading a translation"))?;
        let (arena_id, arena_hist_id) = found.unwrap_or_default();
        Ok(Translation { arena_id, arena_hist_id })
    }
}

/// What a transaction that is durable did.
struct Applied {
    settlements: Vec<Option<Settlement>>,
    wakes_any: bool,
}

async fn apply<D>(
    connection: &mut PgConnection,
    items: &[Item],
    now: NaiveDateTime,
    decide: D,
    fresh: &Fresh,
) -> Result<Applied, StoreError>
where
    D: Fn(&Item, &Held) -> Option<Write> + Send + Sync,
{
    let changes: Vec<&Change> = items.iter().map(|item| &*item.change).collect();
    // each statement must see what was committed while an earlier one waited for its lock
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
    let mut transaction = connection.begin_with(begin).await.map_err(during("beginning a transaction"))?;
    locks::take(&mut transaction, items).await.map_err(during("locking"))?;
    let held = read::held(&mut transaction, &changes).await?;
    let writes: Vec<Option<Write>> = items.iter().map(|item| decide(item, &held)).collect();
    let decided = items.iter().zip(&writes).filter_map(|(item, write)| Some((item, write.as_ref()?))).collect();
    let batch = write::Batch::new(decided, now);
    let added = batch.write(&mut transaction).await?;
    let (messages, left) = if fresh.is_open() { batch.fresh(&added) } else { Default::default() };
    let promise = fresh.promise(messages, left);
    failpoints::hit("arena-acl.apply.before-commit");
    transaction.commit().await.map_err(during("committing"))?;
    promise.keep();
    failpoints::hit("arena-acl.apply.after-commit");
    let wakes_any = batch.wakes_any();
    let settlements = writes.into_iter().map(|write| write.map(|write| write.effect.settlement)).collect();
    Ok(Applied { settlements, wakes_any })
}
