//! Behaviour of the service, one module each.
#![cfg(test)]

mod publisher;
mod store;
mod store_contract;
mod store_live;
mod vectors;
