//! Messages that the service sends.

use std::future::Future;

use bytes::Bytes;

use crate::deliveries::QueueError;

/// A message on its way out; its content type is `application/json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// JSON.
    pub body: Bytes,
    /// The run that it belongs to: header `x-sync-run-id`.
    pub run: Option<String>,
}

/// Where messages go.
pub trait Signals: Send + Sync + 'static {
    /// Sends messages in order and returns once each is confirmed and none came back as unroutable.
    ///
    /// # Errors
    /// As [`QueueError`] says: some may have been sent.
    fn publish(&self, messages: &[Outgoing]) -> impl Future<Output = Result<(), QueueError>> + Send;
}
