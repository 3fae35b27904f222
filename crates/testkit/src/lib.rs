//! What tests and benches need: the vector runner, comparison, contracts for twins, real servers, stubs, the kill harness.
//!
//! Shipped code never depends on this crate.

mod contract;
pub mod http1;
pub mod ledger;
pub mod process;
pub mod proxy;
pub mod servers;
pub mod stub;
pub mod vectors;
