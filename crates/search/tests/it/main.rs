//! What an engine promises, for the twin in memory and for a real one.
#![cfg(test)]

mod aliases;
mod contract;
mod indices;
mod queries;
mod reindexing;
mod twin;
mod world;
mod writes;
