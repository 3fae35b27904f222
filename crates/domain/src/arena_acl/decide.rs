//! The rule of one change, whoever handles it.

use chrono::{NaiveDateTime, TimeDelta};
use uuid::Uuid;

use super::{
    answers::{Answers, Question},
    course,
    effect::{Effect, Mark, RowWrite},
    failure::{Backoff, Failure, FailureClass, Pass},
    held::{Held, HeldRow},
    history, participant,
    record::{Change, IngestStatus, ParticipantId, Row, Table},
};
use crate::delivery::{Outcome, Settlement};

/// What counts beside the change itself: who handles it and when, ids to use if new ones are needed, and settings.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Who handles the change.
    pub pass: Pass,
    /// Wall clock of Europe/Oslo; "today" is its date.
    pub now: NaiveDateTime,
    /// The UUID of the participant if it has none yet; random.
    pub amt_id: Uuid,
    /// The id of the message if one is published; random.
    pub transaction: Uuid,
    /// How many failed attempts a row has before it is FAILED; inclusive.
    pub max_attempts: u32,
    /// How many failed attempts a delete waits for its history row (4.8).
    pub delete_wait: u32,
    /// How long a technical failure waits for its next try.
    pub backoff: Backoff,
    /// Whether a history row waits when its participation is not known downstream yet, or has no UUID, rather than be
    /// invalid for good (4.9 steps 7a and 7b).
    pub unknown_match_waits: bool,
    /// Whether a HANDLED record that comes again is handled again, for a deliberate re-read (IMP-02).
    pub reprocess: bool,
}

/// What becomes of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It cannot be decided before this is answered.
    Ask(Question),
    /// It is decided.
    Do(Box<Effect>),
}

/// Why a handler stopped before its end.
pub(super) enum Stop {
    Ask(Question),
    Fail(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

/// What the handlers see.
pub(super) struct Case<'a> {
    pub(super) change: &'a Change,
    pub(super) held: &'a Held,
    pub(super) answers: &'a Answers,
    pub(super) moment: &'a Moment,
}

/// What becomes of `change`, given what is `held` and what was answered so far (4.1–4.8).
///
/// The same function says what to ask (with a plain read of the store) and what to write (under locks), so the two
/// cannot drift apart: if what is held has changed in between and another question comes up, the answer is again
/// [`Decision::Ask`], and the change is left to the next pass.
#[must_use]
pub fn decide(change: &Change, held: &Held, answers: &Answers, moment: &Moment) -> Decision {
    if is_duplicate(change, held, moment) {
        return Decision::Do(Box::new(Effect::nothing(DUPLICATE)));
    }
    // what a handler has found out before it stops stays: the course's UUID, the participant's UUID
    let mut effect = Effect::nothing(Settlement::Done(Outcome::Applied));
    let mut effect = match handle(&Case { change, held, answers, moment }, &mut effect) {
        Ok(()) => effect,
        Err(Stop::Ask(question)) => return Decision::Ask(question),
        Err(Stop::Fail(failure)) => fail(effect, failure, held, change, moment),
    };
    effect.wake = wakes(change, held, &effect);
    Decision::Do(Box::new(effect))
}

/// The participant for whose rows in RETRY something has come: their older change is out of the way, or the history row that a delete waits
/// for (4.8) is here.
fn wakes(change: &Change, held: &Held, effect: &Effect) -> Option<ParticipantId> {
    if let Some(mapping) = &effect.hist_mapping {
        return mapping.participant.as_deref()?.parse().ok().map(ParticipantId);
    }
    let unblocks = effect.row.as_ref().is_some_and(|row| !row.status.is_unhandled());
    if change.table != Table::Participants || !unblocks {
        return None;
    }
    // those behind an older or a FAILED or WAITING change are still blocked
    let others = held.rows_of(change.table, change.arena_id).iter().filter(|row| row.status.is_unhandled());
    let next = others.filter(|row| row.position != change.position).min_by_key(|row| &row.position)?;
    let follows = next.position > change.position && next.status == IngestStatus::Retry;
    follows.then_some(ParticipantId(change.arena_id))
}

/// The handler of the change's table.
pub(super) fn handle(case: &Case<'_>, effect: &mut Effect) -> Result<(), Stop> {
    match (&case.change.row, case.change.table) {
        (Row::Course(row), Table::Courses) => course::handle(case, row, effect),
        (Row::Participant(row), Table::Participants) => participant::handle(case, row, effect),
        (Row::Participant(row), Table::History) => history::handle(case, row, effect),
        _ => Err(Failure::validation("the stored row has no usable data section").into()),
    }
}

/// What the note of a suppressed stale change begins with; stable (4.2).
pub(super) const SUPERSEDED_NOTE: &str = "Superseded";
/// How a record ends that is HANDLED already.
pub const DUPLICATE: Settlement = Settlement::Done(Outcome::Ignored("duplicate"));
/// How a record ends after which a newer one is HANDLED already.
pub const SUPERSEDED: Settlement = Settlement::Done(Outcome::Ignored("superseded"));

/// Whether `change` was received and HANDLED before (4.1 step 3). Jobs choose their rows by another status.
#[must_use]
pub fn is_duplicate(change: &Change, held: &Held, moment: &Moment) -> bool {
    let row = held.row(change.table, change.arena_id, change.operation, &change.position);
    moment.pass == Pass::Live && !moment.reprocess && row.is_some_and(|row| row.status == IngestStatus::Handled)
}

/// The effect of a failure that lies outside the rules (a refused write, a panic, a question that came up too late):
/// only the row of the change is written.
#[must_use]
pub fn failed(change: &Change, held: &Held, failure: Failure, moment: &Moment) -> Effect {
    fail(Effect::nothing(Settlement::Done(Outcome::Applied)), failure, held, change, moment)
}

fn fail(mut effect: Effect, failure: Failure, held: &Held, change: &Change, moment: &Moment) -> Effect {
    let Failure { class, note, need: _ } = failure;
    let before = held.row(change.table, change.arena_id, change.operation, &change.position);
    let attempts = before.map_or(0, |row| row.attempts).saturating_add(1);
    let status = class.status(moment.pass, attempts, moment.max_attempts);
    effect.settlement = match status {
        IngestStatus::Invalid => Settlement::DeadLettered("INVALID"),
        IngestStatus::Failed => Settlement::DeadLettered("FAILED"),
        IngestStatus::Waiting => Settlement::Done(Outcome::Waiting("WAITING")),
        IngestStatus::Ignored => Settlement::Done(Outcome::Ignored("IGNORED")),
        IngestStatus::ExternalSource => Settlement::Done(Outcome::Ignored("EXTERNAL_SOURCE")),
        IngestStatus::Retry | IngestStatus::New | IngestStatus::Handled => Settlement::Done(Outcome::Waiting("RETRY")),
    };
    let mark = match moment.pass {
        Pass::Live => Mark::Ingested,
        Pass::Wake if status == IngestStatus::Retry => Mark::Kept,
        Pass::Retry | Pass::Failed | Pass::Wake => Mark::Attempted,
    };
    // what something else must come for is woken by that; a technical failure may be over by itself
    let retry_at = (status == IngestStatus::Retry && class == FailureClass::Other).then(|| {
        let first = before.and_then(|row| row.ingested).filter(|_| moment.pass != Pass::Live);
        moment.now + moment.backoff.wait(first.map_or(TimeDelta::zero(), |first| moment.now - first))
    });
    effect.row = Some(RowWrite { status, note: Some(note), mark, retry_at });
    effect
}

/// The older unhandled changes of the same object, in no order (4.12 rule 2).
pub fn older_unhandled<'h>(change: &Change, held: &'h Held) -> impl Iterator<Item = &'h HeldRow> {
    let rows = held.rows_of(change.table, change.arena_id).iter();
    rows.filter(|row| row.position < change.position && row.status.is_unhandled())
}

impl Case<'_> {
    /// Failed attempts of the change's own row, 0 where there is none.
    pub(super) fn attempts(&self) -> u32 {
        let Change { table, arena_id, operation, position, .. } = self.change;
        self.held.row(*table, *arena_id, *operation, position).map_or(0, |row| row.attempts)
    }

    /// Whether an older change of the same object is unhandled (4.12 rule 2).
    pub(super) fn older_is_unhandled(&self) -> bool {
        older_unhandled(self.change, self.held).next().is_some()
    }

    /// Whether a newer change of the same object is HANDLED (4.12 rule 7); then this one is done, superseded.
    pub(super) fn superseded(&self, effect: &mut Effect) -> bool {
        let rows = self.held.rows_of(self.change.table, self.change.arena_id);
        let newer = rows.iter().filter(|row| row.status == IngestStatus::Handled).map(|row| &row.position).max();
        let Some(newer) = newer.filter(|newer| **newer > self.change.position) else { return false };
        effect.settlement = SUPERSEDED;
        effect.row = Some(handled(Some(format!("{SUPERSEDED_NOTE} by position {newer}"))));
        true
    }
}

/// The row of a change that is done.
pub(super) fn handled(note: Option<String>) -> RowWrite {
    RowWrite { status: IngestStatus::Handled, note, mark: Mark::Ingested, retry_at: None }
}
