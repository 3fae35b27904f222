//! What can go wrong around the work. All of it lies in the moment but for the lost lease: the same again may succeed.

use chassis::backoff::{self, Jitter};
use std::time::Duration;

use crate::{board::BoardError, deliveries::QueueError, sources::StoreError};

/// Why something could not be done now.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The search engine.
    #[error("the search engine failed")]
    Engine(#[from] search::engine::Error),
    /// The run store or the collections of others.
    #[error("a store failed")]
    Store(#[from] StoreError),
    /// The broker.
    #[error("a queue failed")]
    Queue(#[from] QueueError),
    /// A document was changed by others five times while we changed it (R-RUN-10).
    #[error("a document is changed by others all the time")]
    Conflict,
    /// There is no live index, or no longer.
    #[error("there is no live index")]
    NoLive,
    /// Another instance works now: nothing is settled, everything is given up.
    #[error("the lease is lost")]
    Lost,
}

impl From<BoardError> for Trouble {
    fn from(error: BoardError) -> Self {
        match error {
            BoardError::Store(error) => Self::Store(error),
            BoardError::Lost => Self::Lost,
        }
    }
}

/// The pauses between tries of the same: from 200 ms, twice as long each time, at most 30 s, with jitter (2.9).
#[derive(Debug)]
pub struct Patience {
    tries: u32,
    jitter: Jitter,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 0, jitter: Jitter::random() }
    }
}

impl Patience {
    /// How long to wait before the next try.
    pub fn pause(&mut self) -> Duration {
        self.tries = self.tries.saturating_add(1);
        backoff::pause(self.tries.saturating_add(1), None, &mut self.jitter).max(Duration::from_millis(50))
    }
}
