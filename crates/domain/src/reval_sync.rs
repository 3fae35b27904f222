//! The rules of reval-sync: how what several systems know about a doctor becomes one document.
//!
//! A [`Slots`] holds documents; each source has one file with what its messages do to them: the [trainee] extract and trainee updates, [doctor]
//! summaries and doctor events, the outcome of [recommendation]s, [connection] logs, [hidden] discrepancies. A run applies all of them to slots that
//! hold everything; a change event is applied, by the same functions, to slots that hold what it can touch. The way of a [run] through its stages
//! is a state machine of its own. Rule numbers in this module are
//! those of `docs/spec/reval-sync.md`; null and absent are the same everywhere (R-WIRE-4).

pub mod connection;
pub mod doctor;
mod document;
pub mod hidden;
mod number;
pub mod recommendation;
pub mod run;
mod slots;
pub mod trainee;

pub use document::{Document, Gmc, Tis, body};
pub use number::GmcNumber;
pub use slots::{Slot, Slots};

/// Text of a document. Blank text stays what it is, but for bodies ([`body`]).
pub type Text = Box<str>;

/// Why a message or an item of a batch can never be applied; it becomes a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub &'static str);
