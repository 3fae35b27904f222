//! What the binary does beside `serve`: one file per command, with its arguments and what it prints. A command works on any
//! [`Store`](crate::service::Store) and prints its result, and nothing else, on standard output; `app` gives it the real one.

pub mod job;
