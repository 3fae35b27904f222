//! Elasticsearch (7.4 and later) and OpenSearch (1 and later), as far as services here need them.

pub mod engine;
pub mod http;
pub mod memory;

pub use self::{engine::Engine, http::Http, memory::Memory};
