//! One queue of SQS, as far as services here need it.

use std::{future::Future, time::Duration};

use crate::message::{Outgoing, Receipt, Received};

/// The most messages that one call takes or gives.
pub const BATCH: usize = 10;

/// Why a queue did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be reached, did not answer in time, or has no room for the call just now. Whether the call took effect is not known.
    #[error("SQS cannot be reached: {0}")]
    Unavailable(String),
    /// It refuses, and would again: login, a queue that is not there, a message that is too large.
    #[error("SQS refused: {0}")]
    Refused(String),
    /// The receipt counts no more: the message was deleted, or its time was over and it is another's, or nobody's.
    #[error("the message is no longer ours")]
    Gone,
}

/// How much is in a queue, about: SQS counts with a delay of up to a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that may be received.
    pub visible: u64,
    /// Messages that somebody has received and not settled.
    pub in_flight: u64,
    /// Messages whose time has not come.
    pub delayed: u64,
}

/// One queue.
pub trait Queue: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;

    /// Receives at most `limit` messages (at most [`BATCH`]) and hides them from others for the time `hidden`. Waits up to `wait`, at most 20 s,
    /// for the first; none may come. Dropped while it waits, it may have received messages that come again when `hidden` is over.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn receive(
        &self,
        limit: usize,
        wait: Duration,
        hidden: Duration,
    ) -> impl Future<Output = Result<Vec<Received>, Error>> + Send;

    /// Deletes messages for good. One result per receipt, in order; deleting twice is done, or [`Error::Gone`].
    fn delete(&self, receipts: &[Receipt]) -> impl Future<Output = Vec<Result<(), Error>>> + Send;

    /// Hides messages that were received for the time `hidden` from now on; zero gives them back at once. One result per receipt, in order.
    fn hide(&self, receipts: &[Receipt], hidden: Duration) -> impl Future<Output = Vec<Result<(), Error>>> + Send;

    /// Sends messages in batches, one after the other. One result per message, in order: its id. One that fails holds back none behind it.
    fn send(&self, messages: &[Outgoing]) -> impl Future<Output = Vec<Result<String, Error>>> + Send;

    /// How much is in it.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn depth(&self) -> impl Future<Output = Result<Depth, Error>> + Send;
}
