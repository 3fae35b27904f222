//! The way of a request to its answer: the network, or a script.

mod observed;
mod reqwest;
mod scripted;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures::future::BoxFuture;

pub use self::{
    observed::Observed,
    reqwest::{BuildError, Limits, Reqwest},
    scripted::{Scripted, answer},
};

/// A request with its whole body.
pub type Request = http::Request<Bytes>;

/// An answer with its whole body.
pub type Response = http::Response<Bytes>;

/// Carries one request to the host it names and brings the answer back. Sends it once, follows nothing.
pub trait Transport: Send + Sync {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// [`TransportError`]: there is none; whether the request arrived is then unknown.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>>;
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// It did not come in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke. The text names no address.
    #[error("no connection: {0}")]
    Connection(String),
    /// It is larger than this many bytes; what came of it is dropped.
    #[error("answer of more than {0} bytes")]
    TooLarge(usize),
}
