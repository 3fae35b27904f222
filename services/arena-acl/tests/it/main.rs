//! Behaviour of the service, one module each.
#![cfg(test)]

mod jobs;
mod leader;
mod publisher;
mod service;
mod store;
mod store_contract;
mod store_live;
mod vectors;
mod wake;
