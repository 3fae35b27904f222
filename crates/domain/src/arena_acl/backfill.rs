//! The import of single-place participants that were read before single-place measures were supported (4.15).

use super::{
    answers::{Answers, Question},
    codes::Measure,
    decide::{Case, Moment, Stop},
    effect::{DeltakerWrite, Effect, Mark, RowWrite},
    failure::Failure,
    held::Held,
    participant::{last_known, national_id, participant_id},
    record::{Change, CourseId, IngestStatus, ParticipantRow, Row, Table},
    validate::validate,
};
use crate::delivery::{Outcome, Settlement};

/// What the import makes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Backfill {
    /// It cannot be decided before this is answered.
    Ask(Question),
    /// Nothing: it is not of the kind that was left out.
    Skip,
    /// The import cannot go on before this has changed.
    Blocked(String),
    /// It is stored, as NEW, INVALID or FAILED; nothing is published.
    Store(Box<Effect>),
}

/// What the import makes of `change`, given what is `held` and what was answered so far. `moment.pass` does not count.
#[must_use]
pub fn backfill(change: &Change, held: &Held, answers: &Answers, moment: &Moment) -> Backfill {
    let case = Case { change, held, answers, moment };
    match (&change.row, change.table) {
        (Row::Participant(row), Table::Participants) => import(&case, row),
        _ => Backfill::Skip,
    }
}

fn import(case: &Case<'_>, row: &ParticipantRow) -> Backfill {
    let mut effect = Effect::nothing(Settlement::Done(Outcome::Applied));
    if row.external_id.as_deref().is_some_and(|text| !text.trim().is_empty()) {
        return Backfill::Skip;
    }
    let id = CourseId(row.course);
    let Some(course) = case.held.courses.get(&id) else {
        return Backfill::Blocked(format!("course {id} has not been read yet"));
    };
    if !Measure::named(&course.measure).is_some_and(Measure::is_single_place) || !course.valid {
        return Backfill::Skip;
    }
    let uuid = match (course.id, case.answers.course_uuids.get(&id)) {
        (Some(uuid), _) => uuid,
        (None, None) => return Backfill::Ask(Question::CourseUuid(id)),
        (None, Some(Ok(Some(uuid)))) => {
            effect.course_uuid = Some((id, *uuid));
            *uuid
        }
        (None, Some(Ok(None))) => return Backfill::Blocked(format!("course {id} has no UUID yet")),
        (None, Some(Err(error))) => return Backfill::Blocked(error.note.clone()),
    };
    match case.answers.details.get(&uuid) {
        None => return Backfill::Ask(Question::CourseDetails(uuid)),
        Some(Err(error)) => return Backfill::Blocked(error.note.clone()),
        Some(Ok(details)) if !details.measure.is_single_place() => return Backfill::Skip,
        Some(Ok(_)) => {}
    }
    let (valid, modified) = match validate(row) {
        Ok(valid) => valid,
        Err(failure) => return store(effect, IngestStatus::Invalid, Some(failure)),
    };
    let rows = case.held.rows_of(case.change.table, case.change.arena_id);
    if rows.iter().any(|row| row.position >= case.change.position) {
        return Backfill::Skip;
    }
    match national_id(case, &valid) {
        Ok(_) => {}
        Err(Stop::Ask(question)) => return Backfill::Ask(question),
        Err(Stop::Fail(failure)) => return store(effect, IngestStatus::Failed, Some(failure)),
    }
    participant_id(case, &mut effect);
    effect.deltaker = Some(DeltakerWrite::Keep(last_known(case.change, row, &valid, modified)));
    store(effect, IngestStatus::New, None)
}

fn store(mut effect: Effect, status: IngestStatus, failure: Option<Failure>) -> Backfill {
    if failure.is_some() {
        effect.settlement = Settlement::DeadLettered(status.name());
    }
    let note = failure.map(|failure| failure.note);
    effect.row = Some(RowWrite { status, note, mark: Mark::Ingested, retry_at: None });
    Backfill::Store(Box::new(effect))
}
