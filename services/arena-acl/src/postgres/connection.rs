//! The way to the database: its settings, the pool, and a connection that stands alone.

use std::{num::NonZeroU32, time::Duration};

use chassis::settings::{Slot, Table};
use secrecy::ExposeSecret as _;
use sqlx::{
    PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use tokio::time::error::Elapsed;

use super::{
    errors::silent,
    jdbc::{self, JdbcError},
};
use crate::inbox::StoreError;

/// How long a statement may take.
const STATEMENT_TIMEOUT: &str = "15s";
/// How long a count may take: the largest reads an index of tens of millions of entries.
const COUNTING_TIMEOUT: &str = "60s";
/// How long a statement of somebody who looks may take: a page of a large table, or all published messages once.
const LOOK_TIMEOUT: &str = "60s";
/// How long a transaction may stand still: a frozen process must not keep its locks.
const STANDSTILL_TIMEOUT: &str = "10s";
/// How long we wait for a batch of statements, each of which the server ends by itself: a link that died without a word ends nothing.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How long a connection of the pool is waited for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the database is and how it is used.
#[derive(Clone)]
pub struct Settings {
    /// The connection; its `Debug` would print the password, so these settings have none.
    pub(super) address: PgConnectOptions,
    /// Connections in the pool, beside the one that holds the right to send.
    pub(super) pool_size: u32,
    /// For how many days a published message is kept, without its payload.
    pub(super) retention_days: i32,
}

impl Settings {
    /// `DB_JDBC_URL`, `DB_POOL_SIZE`, `OUTBOX_RETENTION_DAYS`.
    #[expect(clippy::expect_used, reason = "the group is built only where its rule holds")]
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let url = table.secret("DB_JDBC_URL", "PostgreSQL as a JDBC URL, with user and password").required();
        let pool_size = table.value("DB_POOL_SIZE", "connections to the database, beside the publisher's").or("4");
        let retention_days =
            table.value("OUTBOX_RETENTION_DAYS", "days for which a published message is kept, without payload").or("7");
        let address = url.get().map(|url| jdbc::read(url.expose_secret()));
        let problem = address.as_ref().and_then(|address| address.as_ref().err());
        table.rule(address.as_ref(), Result::is_ok, problem.map_or("", JdbcError::text));
        table.all(|ok| {
            let pool_size: NonZeroU32 = ok.take(pool_size);
            let retention_days: u16 = ok.take(retention_days);
            let address = address.and_then(Result::ok).expect("an address that the rule above let through");
            Self { address, pool_size: pool_size.get(), retention_days: retention_days.into() }
        })
    }

    /// A connection of the pool, made when it is needed.
    pub(super) fn pool(&self) -> PgPool {
        let address = self.options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", STANDSTILL_TIMEOUT),
            // a plan that is kept from when a table was empty reads all of it once it has grown
            ("plan_cache_mode", "force_custom_plan"),
            // and what is asked here is asked by keys: to read all of a table that is still small only looks cheaper
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        PgPoolOptions::new().max_connections(self.pool_size).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(address)
    }

    /// Connections without a limit of time for their statements, made when they are needed: as many as there are things that operators do.
    pub(super) fn long_pool(&self) -> PgPool {
        // they sort millions of rows
        let address = self.options([("statement_timeout", "0"), ("work_mem", "64MB")]);
        PgPoolOptions::new().max_connections(4).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(address)
    }

    /// One connection for what is counted, given up while nothing is.
    pub(super) fn counting_pool(&self) -> PgPool {
        let address = self.options([("statement_timeout", COUNTING_TIMEOUT), ("plan_cache_mode", "force_custom_plan")]);
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(Duration::from_secs(10))
            .connect_lazy_with(address)
    }

    /// Connections for what people look at, made when they are needed.
    pub(super) fn looking_pool(&self) -> PgPool {
        let address = self.options([
            ("statement_timeout", LOOK_TIMEOUT),
            ("default_transaction_read_only", "on"),
            ("plan_cache_mode", "force_custom_plan"),
        ]);
        PgPoolOptions::new().max_connections(2).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(address)
    }

    /// The address with settings of the session.
    pub(super) fn options<const N: usize>(&self, session: [(&str, &str); N]) -> PgConnectOptions {
        // notices may quote what they are about
        self.address.clone().options([("client_min_messages", "warning")]).options(session)
    }
}

/// What was done on `connection` within [`ANSWER`]. One that gave no answer is closed without a word, as the link seems to be dead: in the
/// pool it would be waited for.
pub(super) fn in_time<T>(
    connection: PoolConnection<Postgres>,
    answer: Result<Result<T, StoreError>, Elapsed>,
) -> Result<T, StoreError> {
    answer.unwrap_or_else(|_elapsed| {
        drop(connection.detach());
        Err(silent())
    })
}
