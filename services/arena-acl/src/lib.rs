//! The service arena-acl, as a library for its binary and its tests.

pub mod app;
pub mod auth;
pub mod backfill;
pub mod census;
pub mod cli;
pub mod commands;
mod duration;
pub mod eval;
pub mod explain;
pub mod fresh;
pub mod http;
pub mod inbox;
pub mod jobs;
pub mod kafka;
pub mod leader;
pub mod letters;
pub mod memory;
pub mod metrics;
pub mod neighbours;
pub mod operations;
pub mod postgres;
pub mod publisher;
pub mod records;
mod schedule;
pub mod scripted;
pub mod service;
pub mod settings;
pub mod standalone;
mod terminal;
mod test_mode;
pub mod verify;
pub mod wake;
mod waves;
pub mod wire;

/// The zone of all local times (docs/spec/arena-acl.md, its first page); the zone of the process does not count.
pub const OSLO: chrono_tz::Tz = chrono_tz::Europe::Oslo;
