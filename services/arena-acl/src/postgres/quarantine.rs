//! Records that could not be handled, unchanged (3.8).

use chassis::{
    dead_letters::{DeadLetter, DeadLetters, PutError},
    failpoints,
};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::{
    Postgres,
    connection::{ANSWER, in_time},
    errors::during,
};
use crate::{inbox::StoreError, letters::class_name};

impl DeadLetters for Postgres {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), PutError> {
        self.put_all(letters).await.map_err(|error| PutError {
            class: error.class,
            outage: error.outage,
            detail: error.what,
        })
    }
}

impl Postgres {
    async fn put_all(&self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(during("keeping a dead letter"))?;
        let kept = timeout(ANSWER, insert_all(&mut connection, letters)).await;
        in_time(connection, kept.map(|kept| kept.map_err(during("keeping a dead letter"))))
    }
}

async fn insert_all(connection: &mut PgConnection, letters: &[DeadLetter]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for letter in letters {
        // one by one: arrays of headers of different lengths make no array
        insert(&mut transaction, letter).await?;
    }
    failpoints::hit("arena-acl.quarantine.before-commit");
    transaction.commit().await?;
    failpoints::hit("arena-acl.quarantine.after-commit");
    Ok(())
}

async fn insert(connection: &mut PgConnection, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    let (names, values): (Vec<&[u8]>, Vec<&[u8]>) =
        letter.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_ref())).unzip();
    sqlx::query(
        "INSERT INTO quarantine (topic, partition, record_offset, record_key, record_value, header_names, header_values, \
             reason, class, detail, attempts, replay_count, first_at, received_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (topic, partition, record_offset) DO NOTHING",
    )
    .bind(&*letter.source)
    .bind(letter.position.partition)
    .bind(letter.position.offset)
    .bind(letter.key.as_deref())
    .bind(letter.payload.as_deref())
    .bind(names)
    .bind(values)
    .bind(letter.reason)
    .bind(class_name(letter.class))
    .bind(letter.detail.replace('\0', ""))
    .bind(count(letter.attempts))
    .bind(count(letter.replay_count))
    .bind(letter.first_at)
    .bind(letter.last_at)
    .execute(connection)
    .await
    .map(drop)
}

fn count(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
