//! A change of a course (4.3): all three operations are treated alike.

use super::{
    answers::Question,
    codes::Measure,
    decide::{Case, Stop, handled},
    effect::{CourseWrite, Effect},
    failure::{Failure, Pass},
    record::{CourseId, CourseRow},
    time,
};
use crate::delivery::{Outcome, Settlement};

pub(super) fn handle(case: &Case<'_>, row: &CourseRow, effect: &mut Effect) -> Result<(), Stop> {
    let Some(measure) = row.measure.clone() else {
        return Err(Failure::validation("TILTAKSKODE is missing").into());
    };
    if case.superseded(effect) {
        return Ok(());
    }
    let id = CourseId(row.id);
    let valid = is_valid(row);
    effect.course = Some(CourseWrite { id, measure: measure.clone(), valid });
    if !Measure::supported(&measure) {
        if case.moment.pass != Pass::Live {
            return Err(Failure::ignored("measure code is not supported").into());
        }
        effect.settlement = Settlement::Done(Outcome::Ignored("IGNORED"));
        return Ok(());
    }
    match case.answers.course_uuids.get(&id) {
        None => return Err(Stop::Ask(Question::CourseUuid(id))),
        Some(Ok(Some(uuid))) => effect.course_uuid = Some((id, *uuid)),
        Some(Ok(None) | Err(_)) => {} // an id stored earlier stays (step 5)
    }
    effect.release = valid.then_some(id);
    effect.row = Some(handled(None));
    Ok(())
}

/// Whether a course row is complete enough for its participants to be usable (4.3 step 1).
#[must_use]
pub fn is_valid(row: &CourseRow) -> bool {
    let optional_date = |text: &Option<String>| text.as_deref().is_none_or(|text| time::date(text).is_some());
    row.case.is_some()
        && row.organiser.is_some()
        && row.name.is_some()
        && row.state.is_some()
        && row.registered.as_deref().is_some_and(|text| time::date_time(text).is_some())
        && optional_date(&row.start)
        && optional_date(&row.end)
}
