//! Named places where a test can have the process killed, as a power cut would.
//!
//! They are there only with the cargo feature `failpoints`, which shipped builds do not have. `TRUECOPY_FAILPOINT=name` kills the process the
//! first time it comes to [`hit`]`("name")`; `TRUECOPY_FAILPOINT=name:n` the nth time, counted from 1.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use self::armed::hit;

/// A place to be killed at; without the feature `failpoints` nothing.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn hit(_name: &'static str) {}
