//! What went wrong, in our words. The broker's own texts name queues and virtual hosts, never a message.

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};
use tokio::time::error::Elapsed;

use crate::deliveries::QueueError;

pub(super) fn problem(error: &Error) -> QueueError {
    match error.kind() {
        ErrorKind::ProtocolError(said) => {
            let text = said.to_string();
            match said.kind() {
                AMQPErrorKind::Soft(
                    AMQPSoftError::ACCESSREFUSED | AMQPSoftError::NOTFOUND | AMQPSoftError::PRECONDITIONFAILED,
                )
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => QueueError::Refused(text),
                _ => QueueError::Unavailable(text),
            }
        }
        ErrorKind::IOError(error) => QueueError::Unavailable(error.kind().to_string()),
        other => QueueError::Unavailable(format!("{other:?}").chars().take_while(|c| c.is_alphanumeric()).collect()),
    }
}

pub(super) fn late(_elapsed: Elapsed) -> QueueError {
    QueueError::Unavailable("no answer in time".to_owned())
}
