//! What a queue promises, in memory and on a real server.

#![cfg(test)]

mod contract;
mod reading;
mod unreachable;
