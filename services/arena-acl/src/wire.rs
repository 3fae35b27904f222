//! Arena's records and our messages as the wire has them, and their way into and out of the domain.
//!
//! Bytes in, values out, and back: no I/O, no clock. Errors name columns and places, never what stood there.

mod clean;
pub mod envelope;
mod image;
mod member;
pub mod message;
mod number;
mod row;

pub use clean::{TooDeep, clean};
pub use envelope::{Unreadable, read, rebuilt, stored};
pub use row::{RowError, period, row};
