//! The rules of arena-acl: what becomes of one change of an Arena row.
//!
//! A [`Change`] meets what the store holds ([`Held`]) and what third parties said ([`Answers`]); [`decide`] turns the
//! three into an [`Effect`], or says which [`Question`] must be answered first. Section numbers in this module are
//! those of `docs/spec/arena-acl.md`. Norwegian words are explained there, in section 11.1.

mod answers;
mod backfill;
pub mod codes;
mod course;
mod decide;
mod effect;
mod explain;
mod failure;
mod held;
mod history;
mod left;
mod need;
mod participant;
mod reason;
mod record;
mod status;
pub mod time;
mod validate;

pub use answers::{Answers, CourseDetails, NationalId, Participation, Question, Unanswered};
pub use backfill::{Backfill, backfill};
pub use course::is_valid as course_is_valid;
pub use decide::{DUPLICATE, Decision, Moment, SUPERSEDED, decide, failed, is_duplicate, older_unhandled};
pub use effect::{
    CourseWrite, DeltakerWrite, Effect, HistMapping, IfTaken, LastKnown, Mapping, Mark, Publication,
    PublishedOperation, PublishedParticipant, RowWrite, Topic,
};
pub use explain::{Next, Outlook, Rule, Then, outlook, rule};
pub use failure::{Backoff, Failure, FailureClass, Pass};
pub use held::{Candidate, Held, HeldCourse, HeldId, HeldRow};
pub use left::{Left, left_behind};
pub use need::Need;
pub use participant::EXTERNAL_ID_TAKEN;
pub use reason::{Reason, reason};
pub use record::{
    Change, CourseId, CourseRow, IngestStatus, Lock, Operation, ParticipantId, ParticipantRow, PersonId, Position, Row,
    Table, long_uuid,
};
pub use status::{CourseState, ParticipantStatus, StatusInput, status};
