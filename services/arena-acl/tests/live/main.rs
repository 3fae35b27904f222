//! The built binary against a real Kafka and a real Postgres, with stub neighbours.
//!
//! The consumer group has one fixed name (docs/spec/arena-acl.md 2.11), so these tests run one after another, whatever libtest is told:
//! two at once would be members of one group.
#![cfg(test)]

mod account;
mod backfill;
mod broker;
mod canary;
mod commands;
mod database;
mod dead_letters;
mod feed;
mod jobs;
mod memory;
mod metrics;
mod neighbours;
mod records;
mod spacing;
mod start;
mod stop;
mod takeover;
mod traces;
mod world;
