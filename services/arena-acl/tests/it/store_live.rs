//! What only the store in PostgreSQL has: other processes, its schema, its way to fail.

mod processes;
mod schema;
mod silence;
mod size;
mod takeover;
