//! A change of a historised participant (4.9, 4.10): the row has a new Arena id and does not say which it had before.

use uuid::Uuid;

use super::{
    answers::Question,
    decide::{Case, Stop, handled},
    effect::{Effect, HistMapping, IfTaken, PublishedOperation, PublishedParticipant, Topic},
    failure::Failure,
    held::Candidate,
    participant::{guard_external_source, national_id, publication, publishable, resolve_course},
    record::{CourseId, Operation, ParticipantRow},
    validate::{Valid, validate_history},
};

/// The notes of a history row that is done; stable (4.2).
pub(super) const MATCHED: &str = "Fant match? true";
pub(super) const UNMATCHED: &str = "Fant match? false";

pub(super) fn handle(case: &Case<'_>, row: &ParticipantRow, effect: &mut Effect) -> Result<(), Stop> {
    let course = resolve_course(case, CourseId(row.course), effect)?;
    guard_external_source(case, row, effect)?;
    if case.change.operation != Operation::Created {
        return Err(Failure::ignored("only inserts of history rows say anything").into());
    }
    let valid = validate_history(row)?;
    let national_id = national_id(case, &valid)?;
    let publish = |id: Uuid| {
        let participant = publishable(case, row, &valid, &course, national_id.clone(), id);
        checked(PublishedParticipant { order_text: row.order_text.clone(), ..participant })
    };
    match matches(case, row, &valid)?.as_slice() {
        [] => {
            let id = new_participation(case, effect);
            let participant = publish(id)?;
            // also of a single-place course: the old service has no other path (11.2)
            effect.publication = Some(publication(case, Topic::Group, PublishedOperation::Created, participant));
            effect.row = Some(handled(Some(UNMATCHED.into())));
            Ok(())
        }
        [found] => {
            if let Some(id) = to_revive(case, found, &valid, effect)? {
                let participant = publish(id)?;
                effect.publication = Some(publication(case, Topic::Group, PublishedOperation::Modified, participant));
            }
            effect.row = Some(handled(Some(MATCHED.into())));
            Ok(())
        }
        _ => Err(Failure::not_implemented("more than one participation matches").into()),
    }
}

/// The participations that are the same as this one (4.10). Registration time does not take part: Arena gives a history row a new one.
fn matches<'a>(case: &Case<'a>, row: &ParticipantRow, valid: &Valid) -> Result<Vec<&'a Candidate>, Stop> {
    let Some(status_changed) = valid.status_changed else {
        return Err(Failure::validation("DATO_STATUSENDRING is missing").into());
    };
    let candidates = case.held.candidates.get(&(valid.person, CourseId(row.course))).map_or(&[][..], Vec::as_slice);
    let found: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| {
            (candidate.start, candidate.end, candidate.status_changed) == (valid.start, valid.end, Some(status_changed))
        })
        .collect();
    // it may publish under the key of the participant that it matches, so that one is locked too (architecture 8.4)
    match found.iter().find(|candidate| !case.answers.locked.contains(&candidate.participant)) {
        Some(candidate) => Err(Stop::Ask(Question::Lock(candidate.participant))),
        None => Ok(found),
    }
}

/// 4.9 step 6: a participation that nobody knew gets a UUID, which stays even if a later step fails.
fn new_participation(case: &Case<'_>, effect: &mut Effect) -> Uuid {
    if let Some(id) = case.held.hist_ids.get(&case.change.arena_id) {
        return *id;
    }
    let amt_id = case.moment.amt_id;
    effect.hist_mapping =
        Some(HistMapping { amt_id, history: case.change.arena_id, participant: None, if_taken: IfTaken::Kept });
    amt_id
}

/// 4.9 step 7: notes which participation the row is of, and gives its UUID if downstream believes that it was a mistake.
fn to_revive(case: &Case<'_>, found: &Candidate, valid: &Valid, effect: &mut Effect) -> Result<Option<Uuid>, Stop> {
    let unknown = |note: &str| match case.moment.unknown_match_waits {
        true => Failure::missing(note),
        false => Failure::validation(note),
    };
    let id = found.amt_id.ok_or_else(|| unknown("the participation that matches has no UUID"))?;
    let asked = (valid.person, found.participant, found.misregistered);
    let misregistered = match case.answers.participations.get(&asked) {
        None => return Err(Stop::Ask(Question::Participations(asked.0, asked.1, asked.2))),
        Some(Err(error)) => return Err(Failure::other(error.note.clone()).into()),
        Some(Ok(known)) => known.iter().find(|known| known.id == id).map(|known| known.misregistered),
    };
    let misregistered =
        misregistered.ok_or_else(|| unknown("amt-tiltak does not know the participation that matches"))?;
    if !case.held.hist_owners.contains_key(&id) {
        let history = case.change.arena_id;
        if case.held.hist_ids.contains_key(&history) {
            return Err(Failure::other("the history id belongs to another participation").into());
        }
        effect.hist_mapping = Some(HistMapping {
            amt_id: id,
            history,
            participant: Some(found.participant.to_string()),
            if_taken: IfTaken::Kept,
        });
    }
    Ok(misregistered.then_some(id))
}

/// The history checks (4.9 step 6).
fn checked(participant: PublishedParticipant) -> Result<PublishedParticipant, Failure> {
    if !participant.status.is_ending() {
        return Err(Failure::other("a history row whose status is not an ending one"));
    }
    if participant.status_changed.is_none() {
        return Err(Failure::validation("a history row without the time of its last status"));
    }
    Ok(participant)
}

#[cfg(test)]
mod tests;
