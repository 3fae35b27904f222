//! A change of a participant (4.4–4.8).

use chrono::NaiveDateTime;
use uuid::Uuid;

use super::{
    answers::{CourseDetails, NationalId, Question},
    codes::Measure,
    decide::{Case, Stop, handled},
    effect::{
        DeltakerWrite, Effect, HistMapping, IfTaken, LastKnown, Mapping, Publication, PublishedOperation,
        PublishedParticipant, Topic,
    },
    failure::Failure,
    need::Need,
    reason::reason,
    record::{Change, CourseId, Operation, ParticipantId, ParticipantRow, Table, long_uuid},
    status::{ParticipantStatus, StatusInput, status},
    validate::{Valid, validate},
};

/// The note of a delete that says only that the participation was historised; stable (4.2).
pub(super) const HISTORISED: &str = "Slettes ikke fordi deltaker ble historisert";

pub(super) fn handle(case: &Case<'_>, row: &ParticipantRow, effect: &mut Effect) -> Result<(), Stop> {
    let course = resolve_course(case, CourseId(row.course), effect)?;
    guard_external_source(case, row, effect)?;
    let (valid, modified) = validate(row)?;
    let national_id = national_id(case, &valid)?;
    let id = participant_id(case, effect);
    let participant = publishable(case, row, &valid, &course, national_id, id);
    if case.older_is_unhandled() {
        return Err(Failure::from(Need::Older(ParticipantId(case.change.arena_id))).into());
    }
    if case.superseded(effect) {
        return Ok(());
    }
    let topic = if course.measure.is_single_place() { Topic::SinglePlace } else { Topic::Group };
    if case.change.operation == Operation::Deleted {
        let last_known = last_known(case.change, row, &valid, modified);
        return delete(case, last_known, participant, topic, effect);
    }
    let operation = match case.change.operation {
        Operation::Created => PublishedOperation::Created,
        Operation::Modified | Operation::Deleted => PublishedOperation::Modified,
    };
    effect.publication = Some(publication(case, topic, operation, participant));
    effect.deltaker = Some(DeltakerWrite::Keep(last_known(case.change, row, &valid, modified)));
    effect.row = Some(handled(None));
    Ok(())
}

/// 4.4: the course, as far as it may and must be known.
pub(super) fn resolve_course(case: &Case<'_>, id: CourseId, effect: &mut Effect) -> Result<CourseDetails, Stop> {
    let Some(course) = case.held.courses.get(&id) else {
        return Err(Failure::from(Need::Course(id)).into());
    };
    if !Measure::supported(&course.measure) {
        return Err(Failure::ignored(format!("the measure of course {id} is not supported")).into());
    }
    if !course.valid {
        return Err(Failure::from(Need::ValidCourse(id)).into());
    }
    let uuid = match course.id {
        Some(uuid) => uuid,
        None => match case.answers.course_uuids.get(&id) {
            None => return Err(Stop::Ask(Question::CourseUuid(id))),
            Some(Err(error)) => return Err(Failure::other(error.note.clone()).into()),
            Some(Ok(None)) => return Err(Failure::from(Need::CourseUuid(id)).into()),
            Some(Ok(Some(uuid))) => {
                effect.course_uuid = Some((id, *uuid));
                *uuid
            }
        },
    };
    match case.answers.details.get(&uuid) {
        None => Err(Stop::Ask(Question::CourseDetails(uuid))),
        Some(Err(error)) => Err(Failure::other(error.note.clone()).into()),
        Some(Ok(details)) => Ok(details.clone()),
    }
}

/// How the note of a change begins whose external id another object has: two systems disagree (4.5 step 3).
pub const EXTERNAL_ID_TAKEN: &str = "EKSTERN_ID belongs to Arena id";

/// 4.5: what another system owns is only noted: of participants in 3.2, of history rows in 3.3.
pub(super) fn guard_external_source(case: &Case<'_>, row: &ParticipantRow, effect: &mut Effect) -> Result<(), Failure> {
    if let Some(text) = row.external_id.as_deref().filter(|text| !text.trim().is_empty()) {
        let id = long_uuid(text).ok_or_else(|| Failure::other("EKSTERN_ID is not a UUID"))?;
        let arena_id = case.change.arena_id;
        let history = case.change.table == Table::History;
        let owners = if history { &case.held.hist_owners } else { &case.held.owners };
        match owners.get(&id) {
            Some(owner) if *owner == arena_id.to_string() => {}
            Some(owner) => return Err(Failure::validation(format!("{EXTERNAL_ID_TAKEN} {owner}"))),
            None if history && case.held.hist_ids.contains_key(&arena_id) => {
                return Err(Failure::other("the history id belongs to another UUID than EKSTERN_ID"));
            }
            None if history => {
                let participant = case.held.owners.get(&id).cloned();
                effect.hist_mapping =
                    Some(HistMapping { amt_id: id, history: arena_id, participant, if_taken: IfTaken::Refused });
            }
            None => effect.mapping = Some(Mapping { amt_id: id, participant: ParticipantId(arena_id) }),
        }
        return Err(Failure::external("owned by another system, which gave it EKSTERN_ID"));
    }
    if row.kind.as_deref() == Some("EKSTERN") {
        return Err(Failure::external("DELTAKERTYPEKODE is EKSTERN"));
    }
    Ok(())
}

pub(super) fn national_id(case: &Case<'_>, valid: &Valid) -> Result<NationalId, Stop> {
    match case.answers.national_ids.get(&valid.person) {
        None => Err(Stop::Ask(Question::NationalId(valid.person))),
        Some(Err(error)) => Err(Failure::other(error.note.clone()).into()),
        Some(Ok(None)) => Err(Failure::validation("the person has no national id").into()),
        Some(Ok(Some(id))) => Ok(id.clone()),
    }
}

/// The participant's UUID; a new one is kept even if a later step fails (4.7 step 3).
pub(super) fn participant_id(case: &Case<'_>, effect: &mut Effect) -> Uuid {
    if let Some(held) = case.held.ids.get(&case.change.arena_id) {
        return held.amt_id;
    }
    let amt_id = case.moment.amt_id;
    effect.mapping = Some(Mapping { amt_id, participant: ParticipantId(case.change.arena_id) });
    amt_id
}

pub(super) fn publishable(
    case: &Case<'_>,
    row: &ParticipantRow,
    valid: &Valid,
    course: &CourseDetails,
    national_id: NationalId,
    id: Uuid,
) -> PublishedParticipant {
    let single_place = course.measure.is_single_place();
    let (status, status_changed) = status(&StatusInput {
        arena_status: valid.status,
        start: valid.start,
        end: valid.end,
        status_changed: valid.status_changed,
        registered: valid.registered,
        needs_approval: course.common_start || single_place,
        single_place,
        course: None, // the register of today says neither the course's state nor its end (5.4)
        course_end: None,
        today: case.moment.now.date(),
    });
    PublishedParticipant {
        id,
        course: course.id,
        national_id,
        start: valid.start,
        end: valid.end,
        status,
        reason: reason(valid.status, status, valid.reason, false),
        days_per_week: row.days_per_week,
        part_time_percent: row.part_time_percent,
        registered: valid.registered,
        status_changed,
        order_text: Some(row.order_text.clone().unwrap_or_default()), // an empty text is how downstream clears it (2.9)
    }
}

/// 4.8: registered by mistake, or moved to the history table; only the history topic tells.
fn delete(
    case: &Case<'_>,
    last_known: LastKnown,
    participant: PublishedParticipant,
    topic: Topic,
    effect: &mut Effect,
) -> Result<(), Stop> {
    if case.held.ids.get(&case.change.arena_id).is_some_and(|held| held.historised) {
        effect.deltaker = Some(DeltakerWrite::Keep(last_known));
        effect.row = Some(handled(Some(HISTORISED.into())));
        return Ok(());
    }
    if case.attempts() < case.moment.delete_wait {
        return Err(Failure::from(Need::HistoryRow).into());
    }
    effect.deltaker = Some(DeltakerWrite::Misregistered(ParticipantId(case.change.arena_id)));
    let participant = PublishedParticipant {
        status: ParticipantStatus::Feilregistrert,
        reason: None,
        days_per_week: None,
        part_time_percent: None,
        order_text: None,
        ..participant
    };
    effect.publication = Some(publication(case, topic, PublishedOperation::Modified, participant));
    effect.row = Some(handled(None));
    Ok(())
}

pub(super) fn publication(
    case: &Case<'_>,
    topic: Topic,
    operation: PublishedOperation,
    participant: PublishedParticipant,
) -> Publication {
    Publication { topic, operation, transaction: case.moment.transaction, at: case.moment.now, participant }
}

pub(super) fn last_known(change: &Change, row: &ParticipantRow, valid: &Valid, modified: NaiveDateTime) -> LastKnown {
    LastKnown {
        id: ParticipantId(change.arena_id),
        person: valid.person,
        course: CourseId(row.course),
        start: valid.start,
        end: valid.end,
        registered: valid.registered,
        modified,
        status: valid.status.code().into(),
        status_changed: valid.status_changed,
        external_id: None, // a row with one never comes this far (4.5)
    }
}
