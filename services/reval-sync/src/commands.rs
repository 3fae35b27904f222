//! What the commands do that are more than the service itself.

pub mod check;
pub mod explain;
pub mod sync;
pub mod verify;
