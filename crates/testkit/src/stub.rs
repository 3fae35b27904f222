//! Stub HTTP neighbours on loopback, for tests with real sockets. In memory, HTTP is scripted at the transport instead.

mod collector;
mod issuer;
mod keys;
mod server;

pub use self::{
    collector::{Collector, Span},
    issuer::Issuer,
    server::{Answer, Request, Script, Stub},
};
