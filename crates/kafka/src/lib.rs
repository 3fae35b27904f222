//! Kafka: the loop around a service's step, the consumer and the producer over librdkafka, and a memory broker as their twin.
//!
//! A service implements [`Consume`] and hands it to [`consume`] with a [`Source`]: a [`Consumer`] of a real group, or a group of the
//! memory [`memory::Broker`]. Effects come first, offsets after: an offset is committed when its message and all before it in its
//! partition are settled. What leaves goes through [`Publish`].

pub mod consumer;
pub mod epoch;
mod log;
pub mod memory;
mod orphan;
pub mod pipeline;
pub mod probe;
pub mod producer;
pub mod reread;
pub mod settings;
pub mod source;
pub mod tracker;

pub use consumer::{Consumer, Group};
pub use pipeline::{Consume, ConsumeError, Limits, Progress, Wiring, consume};
pub use producer::{Outgoing, Producer, Publish, Report, SendError};
pub use settings::Settings;
pub use source::Source;
