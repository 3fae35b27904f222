//! Behaviour of the service, one module each.
#![cfg(test)]

mod backfill;
mod external;
mod help;
mod jobs;
mod leader;
mod operations_page;
mod plans;
mod publisher;
mod records;
mod redrive;
mod service;
mod store;
mod store_contract;
mod store_live;
mod vectors;
mod wake;
