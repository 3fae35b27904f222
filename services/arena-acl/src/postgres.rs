//! The store of arena-acl in PostgreSQL: the inbox, the outbox, the right to send and the quarantine.
//!
//! Its schema is in `migrations/`; what the tables mean is in `docs/spec/arena-acl.md` section 3. Every statement takes a whole batch as
//! arrays, so a batch costs the same number of statements whatever its size. Texts are static, values are bound.

mod apply;
mod audit;
mod census;
mod chronicle;
mod connection;
mod errors;
mod examine;
mod jdbc;
mod jobs;
mod leader;
mod letters;
mod locks;
mod migrate;
mod operations;
mod outbox;
mod quarantine;
mod read;
mod takeover;
mod turn;
mod wake;
mod write;

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;

use self::errors::during;
pub use self::{connection::Settings, examine::Examined, turn::PublisherTurn};
use crate::{fresh::Fresh, inbox::StoreError};

/// The store. A clone is the same store.
#[derive(Clone)]
pub struct Postgres {
    pool: PgPool,
    /// For what operators do to whole tables: its statements may take their time.
    long: PgPool,
    /// One connection for what is counted: its statements may take long and must not keep others waiting.
    counting: PgPool,
    /// For what people look at: reads only, each statement bounded.
    looking: PgPool,
    settings: Settings,
    /// Hears of messages that this process added and does not hand over.
    added: Arc<Notify>,
    fresh: Arc<Fresh>,
    /// Hears of each commit of this process after which changes may be due before the next run of the retry job.
    woke: Arc<Notify>,
}

impl Postgres {
    /// A store that connects when it is first used. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            pool: settings.pool(),
            long: settings.long_pool(),
            counting: settings.counting_pool(),
            looking: settings.looking_pool(),
            settings: settings.clone(),
            added: Arc::default(),
            fresh: Arc::default(),
            woke: Arc::default(),
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(during("asking the database"))
    }

    /// Empties the tables of data, for the test mode; migrations, the leader's lock and the publisher's flag stay.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn truncate(&self) -> Result<(), StoreError> {
        sqlx::query(
            "TRUNCATE arena_data, arena_data_id_translation, arena_data_hist_id_translation, deltaker, gjennomforing, \
             outbox, quarantine",
        )
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(during("emptying the tables"))
    }
}
