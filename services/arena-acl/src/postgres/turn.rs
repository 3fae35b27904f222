//! The right to send (architecture section 8.7): a lock on a connection of its own, and a flag that says how the last holder ended.

use std::{io, time::Duration};

use kafka::producer::MESSAGE_TIMEOUT;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use super::{connection::Settings, errors::during, locks};
use crate::inbox::{StoreError, Turn};

/// After this silence the server ends the session, and with it the lock of a holder that froze. Longer than a window of deliveries takes,
/// during which a holder may not ask.
const SILENCE: &str = "10s";
/// How long messages of a holder that did not end cleanly may still be under way: the producer gives them up after its message time-out, and
/// it was given the last of them at most a second after the holder's last check.
const UNDER_WAY: Duration = Duration::from_secs(MESSAGE_TIMEOUT.as_secs() + 1);
/// How often one that waits asks again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// The right to send. Dropped, it is given back, and the next holder waits until nothing of this one can be under way.
#[derive(Debug)]
pub struct PublisherTurn {
    connection: PgConnection,
    lost: bool,
}

impl PublisherTurn {
    pub(super) async fn wait(settings: &Settings) -> Result<Self, StoreError> {
        let failed = during("waiting for the right to send");
        let options = settings.options([("statement_timeout", "15s"), ("idle_session_timeout", SILENCE)]);
        let mut connection = answered(PgConnection::connect_with(&options)).await.map_err(&failed)?;
        while !answered(
            sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
                .bind(locks::PUBLISHER)
                .fetch_one(&mut connection),
        )
        .await
        .map_err(&failed)?
        {
            sleep(ASK_AGAIN).await;
        }
        let clean = sqlx::query_scalar("SELECT clean FROM publisher").fetch_one(&mut connection);
        let clean: bool = answered(clean).await.map_err(&failed)?;
        if !clean {
            let over = Instant::now() + UNDER_WAY;
            while Instant::now() < over {
                sleep(ASK_AGAIN).await;
                answered(connection.ping()).await.map_err(&failed)?; // the session must not fall silent
            }
        }
        // written in any case: whoever has the turn has a store that takes writes
        let begin = sqlx::query("UPDATE publisher SET clean = false").execute(&mut connection);
        answered(begin).await.map_err(&failed)?;
        Ok(Self { connection, lost: false })
    }
}

/// An answer within its limit. The limits of the server say nothing where it cannot be heard.
async fn answered<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

impl Turn for PublisherTurn {
    async fn holds(&mut self) -> bool {
        // the lock lives as long as its session, so a session that answers has it
        if !self.lost {
            self.lost = answered(self.connection.ping()).await.is_err();
        }
        !self.lost
    }

    async fn end(mut self) -> Result<(), StoreError> {
        let failed = during("giving back the right to send");
        if self.lost {
            return Err(failed(sqlx::Error::WorkerCrashed));
        }
        let end = sqlx::query("UPDATE publisher SET clean = true").execute(&mut self.connection);
        answered(end).await.map_err(&failed)?;
        answered(self.connection.close()).await.map_err(failed)
    }
}
