//! Adapters in memory, for tests and standalone mode: everything is lost with the process.

mod queues;
mod sources;
mod store;

pub use self::{queues::Queues, sources::Sources, store::Store};

/// A service of memory alone.
#[derive(Debug)]
pub struct Memory;

impl crate::shared::Ports for Memory {
    type Engine = search::memory::Memory;
    type Store = Store;
    type Queues = Queues;
    type Sources = Sources;
}
