//! What can go wrong with a call, without address, query, body or token.

use std::sync::Arc;

use super::{tokens::TokenError, transport::TransportError};

/// A call that brought no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("call to {host} failed")]
pub struct CallError {
    /// The host that was called.
    pub host: Arc<str>,
    /// What happened.
    #[source]
    pub problem: Problem,
}

impl CallError {
    /// The status, when the host answered with one other than 2xx.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.problem {
            Problem::Status(status) => Some(status),
            Problem::Timeout
            | Problem::Connection(_)
            | Problem::TooLarge(_)
            | Problem::Unreadable { .. }
            | Problem::Unsendable
            | Problem::Token(_) => None,
        }
    }
}

/// What happened to a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Problem {
    /// The answer did not come in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("no connection: {0}")]
    Connection(String),
    /// The answer is larger than this many bytes.
    #[error("answer of more than {0} bytes")]
    TooLarge(usize),
    /// A status other than 2xx; redirects are not followed, so they end here.
    #[error("answered {0}")]
    Status(u16),
    /// The answer is not the JSON that was expected; where it ceased to be.
    #[error("answer cannot be read, line {line}, column {column}")]
    Unreadable {
        /// From 1; 0 when the text is right and its meaning is not.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The call cannot be put into an HTTP request; nothing was sent.
    #[error("the request cannot be built")]
    Unsendable,
    /// No access token could be had; nothing was sent to this host.
    #[error("no access token")]
    Token(#[source] Box<TokenError>),
}

impl Problem {
    /// serde_json's own text quotes values.
    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unreadable { line: error.line(), column: error.column() }
    }
}

impl From<TransportError> for Problem {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Timeout => Self::Timeout,
            TransportError::Connection(detail) => Self::Connection(detail),
            TransportError::TooLarge(limit) => Self::TooLarge(limit),
        }
    }
}
