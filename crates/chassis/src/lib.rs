//! What every process of the workspace has around its work: settings, time, parts that start and stop together, telemetry, listeners,
//! lanes, dependencies and outgoing HTTP.
//!
//! Nothing in this crate knows a service, a queue or a store.

pub mod admin;
pub mod backoff;
pub mod clock;
pub mod dead_letters;
pub mod dependency;
pub mod exit;
pub mod failpoints;
pub mod http;
pub mod lanes;
pub mod listener;
pub mod metrics;
pub mod parts;
pub mod progress;
pub mod settings;
pub mod telemetry;
pub mod trace;

#[cfg(test)]
mod child;
