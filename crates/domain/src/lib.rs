//! What the five services know, without how they talk: pure rules and the words of delivery.
//!
//! Nothing in this crate reads a clock, does I/O, is async or knows a wire format. What counts is an argument.

pub mod delivery;

pub mod arena_acl;
pub mod reval_sync;
