//! SQS: a reader that holds what it received until it is settled, sending in batches, and queues in memory as their twin.
//!
//! A [`Queue`] is one queue of the service: [`Sqs`] on the real one, [`memory::Memory`] in its place. A [`Reader`] takes messages from it ahead
//! of whoever asks, within bounds, and keeps them hidden from others while they are worked on. SQS gives a message at least once and, in a
//! FIFO queue, none of a group while an earlier one of that group is held; order beyond that is up to whoever handles the messages.

mod client;
pub mod memory;
pub mod message;
pub mod queue;
pub mod reader;
pub mod settings;

pub use client::{Client, Sqs};
pub use message::{Outgoing, Receipt, Received};
pub use queue::{Depth, Error, Queue};
pub use reader::{Limits, Reader, Settled};
pub use settings::Settings;
