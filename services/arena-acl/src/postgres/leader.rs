//! The row of the leader in `shedlock` (6.6).
//!
//! The old service writes it with ShedLock's `JdbcTemplateLockProvider` using database time, whose statements for PostgreSQL
//! (`PostgresSqlServerTimeStatementsSource`) keep UTC in these columns without zone: `timezone('utc', CURRENT_TIMESTAMP)`. So do these, and
//! old and new keep each other out whatever the zone of a session is.

use std::time::Duration;

use chrono::NaiveDateTime;

use super::{Postgres, errors::during};
use crate::{
    inbox::StoreError,
    leader::{Leadership, Taken, Term},
};

/// The name of the row.
const NAME: &str = "leader-election";

impl Leadership for Postgres {
    async fn take(&self, holder: &str, term: Duration) -> Result<Taken, StoreError> {
        let failed = during("taking the row of the leader");
        let since: Option<NaiveDateTime> = sqlx::query_scalar(
            "INSERT INTO shedlock AS row (name, lock_until, locked_at, locked_by) \
             VALUES ($1, timezone('utc', CURRENT_TIMESTAMP) + make_interval(secs => $3), timezone('utc', CURRENT_TIMESTAMP), $2) \
             ON CONFLICT (name) DO UPDATE SET \
                 lock_until = excluded.lock_until, locked_at = excluded.locked_at, locked_by = excluded.locked_by \
             WHERE row.lock_until <= timezone('utc', CURRENT_TIMESTAMP) \
             RETURNING locked_at",
        )
        .bind(NAME)
        .bind(holder)
        .bind(term.as_secs_f64())
        .fetch_optional(&self.pool)
        .await
        .map_err(&failed)?;
        if let Some(since) = since {
            return Ok(Taken::Ours(Term { holder: holder.to_owned(), since }));
        }
        let left: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM lock_until - timezone('utc', CURRENT_TIMESTAMP))::float8 FROM shedlock WHERE name = $1",
        )
        .bind(NAME)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        Ok(Taken::Theirs(left.and_then(|left| Duration::try_from_secs_f64(left).ok()).unwrap_or_default()))
    }

    async fn extend(&self, held: &Term, term: Duration) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE shedlock SET lock_until = timezone('utc', CURRENT_TIMESTAMP) + make_interval(secs => $4) \
             WHERE name = $1 AND locked_by = $2 AND locked_at = $3 AND lock_until > timezone('utc', CURRENT_TIMESTAMP)",
        )
        .bind(NAME)
        .bind(&held.holder)
        .bind(held.since)
        .bind(term.as_secs_f64())
        .execute(&self.pool)
        .await;
        done.map(|done| done.rows_affected() > 0).map_err(during("extending the term of the leader"))
    }

    async fn holds(&self, held: &Term) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM shedlock \
             WHERE name = $1 AND locked_by = $2 AND locked_at = $3 AND lock_until > timezone('utc', CURRENT_TIMESTAMP))",
        )
        .bind(NAME)
        .bind(&held.holder)
        .bind(held.since)
        .fetch_one(&self.pool)
        .await
        .map_err(during("reading the row of the leader"))
    }

    async fn release(&self, held: &Term, at_least: Duration) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE shedlock \
             SET lock_until = greatest(locked_at + make_interval(secs => $4), timezone('utc', CURRENT_TIMESTAMP)) \
             WHERE name = $1 AND locked_by = $2 AND locked_at = $3",
        )
        .bind(NAME)
        .bind(&held.holder)
        .bind(held.since)
        .bind(at_least.as_secs_f64())
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(during("giving back the row of the leader"))
    }
}
