//! The consumer, the producer and the loop against a real broker.

#![cfg(test)]

mod member;
mod producer;
mod rebalance;
mod unreachable;
mod world;
