//! Where a stored change stands, by which rule, and what would become of it next.
//!
//! Nothing of this is a second version of a rule: the handlers themselves are run over what is held, with answers of
//! third parties as one would hope for them, and what they come to is told.

use super::{
    answers::{Answers, CourseDetails, NationalId, Participation, Question},
    codes::Measure,
    decide::{Case, Moment, SUPERSEDED_NOTE, Stop, handle},
    effect::{Effect, PublishedOperation, Topic},
    failure::{Failure, Pass},
    held::{Held, HeldRow},
    history::{MATCHED, UNMATCHED},
    need::Need,
    participant::HISTORISED,
    record::{Change, CourseId, IngestStatus, Operation, Table},
};
use crate::delivery::{Outcome, Settlement};

#[cfg(test)]
mod tests;

/// What would become of a stored change.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// What it waits for first, in the order in which the rule asks.
    pub need: Option<Need>,
    /// What third parties would be asked on the way, in order. Locks are not among them.
    pub asks: Vec<Question>,
    /// What comes next.
    pub next: Next,
}

impl Outlook {
    /// Whether nothing that the store knows of holds the change back, although it is not done.
    #[must_use]
    pub fn waits_for_nothing(&self) -> bool {
        let Next::Run { then, .. } = &self.next else { return matches!(self.next, Next::Forgotten) };
        self.need.is_none() && matches!(then, Then::Published(..) | Then::Handled(_))
    }
}

/// What comes next for a stored change.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing: it has come to its end.
    Nothing,
    /// Nothing by itself: a measure that is loaded again publishes it (6.9).
    Relast,
    /// Nothing by itself: an operator must act.
    Operator,
    /// It is deleted by the next purge (6.4).
    Purge,
    /// A change that makes the course valid sets it to RETRY (4.3 step 6).
    Release(CourseId),
    /// It is WAITING for a course that does not hold it back any more, and no job looks at it.
    Forgotten,
    /// The next run of a job handles it.
    Run {
        /// Which job.
        pass: Pass,
        /// What it comes to, if third parties answer as one would hope.
        then: Then,
    },
}

/// What a run of a job would come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Then {
    /// It is HANDLED, and a message leaves.
    Published(Topic, PublishedOperation),
    /// It is HANDLED, and nothing leaves; the note that says why.
    Handled(Option<String>),
    /// It stays, or gets, an other status, with this many failed attempts in all.
    Status {
        /// The status.
        status: IngestStatus,
        /// Failed attempts, this one included.
        attempts: u32,
        /// Why.
        note: String,
    },
}

/// What would become of `change`, which is stored as `row`, given what is `held`. The pass of `moment` does not count.
#[must_use]
pub fn outlook(change: &Change, row: &HeldRow, held: &Held, moment: &Moment) -> Outlook {
    let (pass, unhandled) = match row.status {
        IngestStatus::Handled | IngestStatus::ExternalSource => (None, Next::Nothing),
        IngestStatus::New => (None, Next::Relast),
        IngestStatus::Invalid => (None, Next::Operator),
        IngestStatus::Ignored => (None, Next::Purge),
        IngestStatus::Retry => (Some(Pass::Retry), Next::Nothing),
        IngestStatus::Failed => (Some(Pass::Failed), Next::Nothing),
        IngestStatus::Waiting => (Some(Pass::Retry), Next::Forgotten),
    };
    let Some(pass) = pass else { return Outlook { need: None, asks: Vec::new(), next: unhandled } };
    let (asks, end) = hoped(change, held, &Moment { pass, ..moment.clone() });
    let need = end.as_ref().err().and_then(|failure| failure.need);
    let next = match (row.status, need) {
        (IngestStatus::Waiting, Some(Need::ValidCourse(course))) => Next::Release(course),
        (IngestStatus::Waiting, _) => Next::Forgotten,
        _ => Next::Run { pass, then: then(end, row, pass, moment) },
    };
    Outlook { need, asks, next }
}

fn then(end: Result<Effect, Failure>, row: &HeldRow, pass: Pass, moment: &Moment) -> Then {
    match end {
        Ok(Effect { publication: Some(message), .. }) => Then::Published(message.topic, message.operation),
        Ok(effect) => Then::Handled(effect.row.and_then(|row| row.note)),
        Err(Failure { class, note, .. }) => {
            let attempts = row.attempts.saturating_add(1);
            Then::Status { status: class.status(pass, attempts, moment.max_attempts), attempts, note }
        }
    }
}

/// Where the handler comes to with answers as one would hope for them, and what it asked on the way.
fn hoped(change: &Change, held: &Held, moment: &Moment) -> (Vec<Question>, Result<Effect, Failure>) {
    let mut answers = Answers::default();
    let mut asked = Vec::new();
    loop {
        let mut effect = Effect::nothing(Settlement::Done(Outcome::Applied));
        let end = match handle(&Case { change, held, answers: &answers, moment }, &mut effect) {
            Ok(()) => Ok(effect),
            Err(Stop::Fail(failure)) => Err(failure),
            // a question that an answer does not settle would be asked for ever
            Err(Stop::Ask(question)) if asked.contains(&question) => Err(Failure::other("asked twice")),
            Err(Stop::Ask(question)) => {
                hope(question, change, held, &mut answers);
                asked.push(question);
                continue;
            }
        };
        asked.retain(|question| !matches!(question, Question::Lock(_)));
        return (asked, end);
    }
}

/// The answer that lets the change go on, as far as it may.
fn hope(question: Question, change: &Change, held: &Held, answers: &mut Answers) {
    match question {
        Question::CourseUuid(course) => {
            answers.course_uuids.insert(course, Ok(Some(uuid::Uuid::nil())));
        }
        Question::CourseDetails(id) => {
            let course = change.course().and_then(|course| held.courses.get(&course));
            // what is not supported has ended before this question
            let measure = course.and_then(|course| Measure::named(&course.measure)).unwrap_or(Measure::Indoppfag);
            answers.details.insert(id, Ok(CourseDetails { id, measure, common_start: false }));
        }
        Question::NationalId(person) => {
            answers.national_ids.insert(person, Ok(Some(NationalId::new(""))));
        }
        // what we published as registered by mistake is so downstream
        Question::Participations(person, participant, misregistered) => {
            let candidates = held.candidates.iter().filter(|((of, _), _)| *of == person).flat_map(|(_, found)| found);
            let known = candidates.filter_map(|candidate| {
                Some(Participation { id: candidate.amt_id?, misregistered: candidate.misregistered })
            });
            answers.participations.insert((person, participant, misregistered), Ok(known.collect()));
        }
        Question::Lock(participant) => {
            answers.locked.insert(participant);
        }
    }
}

/// A rule, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it says.
    pub words: &'static str,
    /// Where it says so.
    pub section: &'static str,
}

/// The rule by which a stored change is in its status, as far as status and stable notes tell (3.7, 4.2).
#[must_use]
pub fn rule(table: Table, operation: Operation, status: IngestStatus, note: Option<&str>) -> Rule {
    let rule = |words, section| Rule { words, section };
    match (status, note) {
        (IngestStatus::Handled, Some(note)) if note.starts_with(SUPERSEDED_NOTE) => {
            rule("done without effect: a newer change was handled before", "4.12 rule 7")
        }
        (IngestStatus::Handled, Some(HISTORISED)) => {
            rule("done, nothing published: the participation was moved to the history table", "4.8 step 2")
        }
        (IngestStatus::Handled, Some(MATCHED)) => {
            rule("done: the participation that it matches keeps its UUID", "4.9 step 7")
        }
        (IngestStatus::Handled, Some(UNMATCHED)) => {
            rule("done, published as a new participation: nothing matches", "4.9 step 6")
        }
        (IngestStatus::Handled, _) => match (table, operation) {
            (Table::Courses, _) => rule("done: the course is known as it says", "4.3"),
            (Table::Participants, Operation::Deleted) => rule("done, published as FEILREGISTRERT", "4.8 step 3"),
            (Table::Participants, _) => rule("done, published", "4.7 step 8"),
            (Table::History, _) => rule("done", "4.9"),
        },
        (IngestStatus::New, _) => rule("stored by the import and deliberately not published", "4.15"),
        (IngestStatus::Retry, _) => rule("could not be done yet", "4.2"),
        (IngestStatus::Failed, _) => rule("given up, blocks newer changes of the same participant", "3.7"),
        (IngestStatus::Waiting, _) => rule("its course is known and not valid", "4.4 step 3"),
        (IngestStatus::Invalid, _) => rule("unusable, never tried again by itself", "4.2"),
        (IngestStatus::Ignored, _) => rule("not wanted", "4.2"),
        (IngestStatus::ExternalSource, _) => rule("owned by another system, only its UUID is noted", "4.5"),
    }
}
