//! reval-sync: rebuilds the index of trainee doctors beside the live one, swaps it in one step, and keeps it true.

pub mod deliveries;
pub mod mongo;
pub mod queues;
pub mod rabbit;
pub mod run_store;
pub mod signals;
pub mod sources;
pub mod sqs;
