use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::*;
use crate::arena_acl::{
    Answers, Backoff, Change, CourseDetails, Decision, Held, HeldCourse, Moment, NationalId, ParticipantId,
    Participation, Pass, PersonId, Position, Row, Table, codes::Measure, decide,
};

const COURSE: Uuid = Uuid::from_u128(1);
const PARTICIPATION: Uuid = Uuid::from_u128(2);
const PERSON: PersonId = PersonId(5001);
const PARTICIPANT: ParticipantId = ParticipantId(70_001);

fn time() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2025, 3, 1).unwrap().and_hms_opt(9, 15, 0).unwrap()
}

fn completed() -> Change {
    let text = |text: &str| Some(text.to_owned());
    let row = ParticipantRow {
        id: 9001,
        person: Some(PERSON.0),
        course: 3001,
        status: text("FULLF"),
        status_changed: text("2025-03-01 09:15:00"),
        registered: text("2025-02-20 08:00:00"),
        modified: text("2025-03-01 09:15:00"),
        ..ParticipantRow::default()
    };
    Change {
        table: Table::History,
        arena_id: 9001,
        operation: Operation::Created,
        position: Position::new("7").unwrap(),
        timestamp: time(),
        row: Row::Participant(row),
    }
}

/// A participation that matches; `misregistered`: it was published as registered by mistake.
fn held(misregistered: bool) -> Held {
    let course = HeldCourse { measure: "INDOPPFAG".to_owned(), valid: true, id: Some(COURSE) };
    let candidate = Candidate {
        participant: PARTICIPANT,
        start: None,
        end: None,
        status_changed: Some(time()),
        amt_id: Some(PARTICIPATION),
        misregistered,
    };
    Held {
        courses: [(CourseId(3001), course)].into(),
        candidates: [((PERSON, CourseId(3001)), vec![candidate])].into(),
        ..Held::default()
    }
}

/// What third parties said while the participation was not published as registered by mistake.
fn asked_before() -> Answers {
    let details = CourseDetails { id: COURSE, measure: Measure::Indoppfag, common_start: false };
    let known = Participation { id: PARTICIPATION, misregistered: false };
    Answers {
        details: [(COURSE, Ok(details))].into(),
        national_ids: [(PERSON, Ok(Some(NationalId::new("90000005001"))))].into(),
        participations: [((PERSON, PARTICIPANT, false), Ok(vec![known]))].into(),
        locked: [PARTICIPANT].into(),
        ..Answers::default()
    }
}

fn moment() -> Moment {
    Moment {
        pass: Pass::Live,
        now: time(),
        amt_id: Uuid::from_u128(3),
        transaction: Uuid::from_u128(4),
        max_attempts: 10,
        delete_wait: 2,
        backoff: Backoff { least: TimeDelta::zero(), most: TimeDelta::zero() },
        unknown_match_waits: false,
        reprocess: false,
    }
}

#[test]
fn a_participation_that_downstream_knows_as_it_was_is_not_published() {
    let Decision::Do(effect) = decide(&completed(), &held(false), &asked_before(), &moment()) else { panic!() };
    assert!(effect.publication.is_none() && effect.hist_mapping.is_some());
}

#[test]
fn an_answer_from_before_the_delete_was_published_is_asked_for_again() {
    let decision = decide(&completed(), &held(true), &asked_before(), &moment());
    assert_eq!(decision, Decision::Ask(Question::Participations(PERSON, PARTICIPANT, true)));
}
