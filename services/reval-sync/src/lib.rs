//! reval-sync: rebuilds the index of trainee doctors beside the live one, swaps it in one step, and keeps it true.

mod active;
pub mod board;
pub mod deliveries;
mod doctors;
mod exporter;
pub mod halts;
pub mod handling;
pub mod http;
pub mod index;
pub mod intake;
pub mod letters;
pub mod live;
pub mod memory;
pub mod merge;
pub mod mongo;
pub mod queues;
pub mod rabbit;
pub mod record;
pub mod run_store;
mod runner;
pub mod service;
pub mod shared;
pub mod signals;
pub mod sources;
pub mod sqs;
pub mod trouble;
pub mod wire;
