use std::collections::HashMap;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use uuid::Uuid;

use super::*;
use crate::arena_acl::{
    Backoff, Candidate, HeldCourse, HeldId, ParticipantId, ParticipantRow, PersonId, Position, Row,
};

const PARTICIPANT: i64 = 70_001;
const COURSE: CourseId = CourseId(3001);
const PERSON: PersonId = PersonId(5001);

fn midnight() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2025, 3, 1).unwrap().into()
}

fn moment() -> Moment {
    Moment {
        pass: Pass::Live,
        now: midnight(),
        amt_id: Uuid::nil(),
        transaction: Uuid::nil(),
        max_attempts: 10,
        delete_wait: 2,
        backoff: Backoff { least: TimeDelta::seconds(30), most: TimeDelta::minutes(10) },
        unknown_match_waits: false,
        reprocess: false,
    }
}

fn change(table: Table, operation: Operation, position: &str) -> Change {
    let row = ParticipantRow {
        id: PARTICIPANT,
        person: Some(PERSON.0),
        course: COURSE.0,
        status: Some("FULLF".into()),
        status_changed: Some("2025-03-01 00:00:00".into()),
        registered: Some("2025-03-01 00:00:00".into()),
        modified: Some("2025-03-01 00:00:00".into()),
        ..ParticipantRow::default()
    };
    let position = Position::new(position).unwrap();
    Change { table, arena_id: PARTICIPANT, operation, position, timestamp: midnight(), row: Row::Participant(row) }
}

fn stored(change: &Change, status: IngestStatus, attempts: u32) -> HeldRow {
    HeldRow { operation: change.operation, position: change.position.clone(), status, attempts, ingested: None }
}

fn held(course: Option<HeldCourse>, rows: &[HeldRow]) -> Held {
    Held {
        courses: course.map(|course| (COURSE, course)).into_iter().collect(),
        rows: HashMap::from([((Table::Participants, PARTICIPANT), rows.to_vec())]),
        ..Held::default()
    }
}

fn course(measure: &str, valid: bool) -> Option<HeldCourse> {
    Some(HeldCourse { measure: measure.into(), valid, id: Some(Uuid::nil()) })
}

fn told(status: IngestStatus, attempts: u32, course: Option<HeldCourse>) -> Outlook {
    let change = change(Table::Participants, Operation::Created, "7");
    let row = stored(&change, status, attempts);
    outlook(&change, &row, &held(course, std::slice::from_ref(&row)), &moment())
}

fn run(pass: Pass, then: Then) -> Next {
    Next::Run { pass, then }
}

#[test]
fn whoever_comes_before_the_course_waits_for_it_and_fails_at_the_tenth_attempt() {
    for (attempts, status) in [(3, IngestStatus::Retry), (9, IngestStatus::Failed)] {
        let told = told(IngestStatus::Retry, attempts, None);
        assert_eq!(told.need, Some(Need::Course(COURSE)));
        let note = "course 3001 has not been read yet".to_owned();
        assert_eq!(told.next, run(Pass::Retry, Then::Status { status, attempts: attempts + 1, note }));
        assert!(!told.waits_for_nothing());
    }
}

#[test]
fn what_nothing_holds_back_is_published_by_the_next_run_once_third_parties_answer() {
    let told = told(IngestStatus::Retry, 0, course("INDOPPFAG", true));
    assert_eq!(told.asks, [Question::CourseDetails(Uuid::nil()), Question::NationalId(PERSON)]);
    assert_eq!(told.next, run(Pass::Retry, Then::Published(Topic::Group, PublishedOperation::Created)));
    assert!(told.waits_for_nothing());
}

#[test]
fn the_topic_follows_the_measure() {
    let told = told(IngestStatus::Failed, 10, course("ENKELAMO", true));
    assert_eq!(told.next, run(Pass::Failed, Then::Published(Topic::SinglePlace, PublishedOperation::Created)));
}

#[test]
fn a_course_without_uuid_is_asked_for() {
    let course = HeldCourse { id: None, ..course("INDOPPFAG", true).unwrap() };
    assert_eq!(told(IngestStatus::Retry, 0, Some(course)).asks.first(), Some(&Question::CourseUuid(COURSE)));
}

#[test]
fn an_older_unhandled_change_is_what_is_waited_for() {
    let (older, newer) =
        (change(Table::Participants, Operation::Created, "9"), change(Table::Participants, Operation::Modified, "10"));
    let rows = [stored(&newer, IngestStatus::Retry, 0), stored(&older, IngestStatus::Failed, 10)];
    let held = held(course("INDOPPFAG", true), &rows);
    let told = outlook(&newer, &rows[0], &held, &moment());
    assert_eq!(told.need, Some(Need::Older(ParticipantId(PARTICIPANT))));
    let positions: Vec<&str> = super::super::older_unhandled(&newer, &held).map(|row| row.position.as_str()).collect();
    assert_eq!(positions, ["9"]);
}

#[test]
fn an_invalid_course_must_become_valid() {
    let told = told(IngestStatus::Waiting, 0, course("INDOPPFAG", false));
    assert_eq!((told.need, told.next), (Some(Need::ValidCourse(COURSE)), Next::Release(COURSE)));
}

#[test]
fn waiting_for_a_course_that_is_valid_is_being_forgotten() {
    let told = told(IngestStatus::Waiting, 0, course("INDOPPFAG", true));
    assert_eq!((told.need, &told.next), (None, &Next::Forgotten));
    assert!(told.waits_for_nothing());
}

#[test]
fn a_delete_waits_for_its_history_row_and_then_is_published_all_the_same() {
    let change = change(Table::Participants, Operation::Deleted, "7");
    let told = |attempts| {
        let row = stored(&change, IngestStatus::Retry, attempts);
        outlook(&change, &row, &held(course("INDOPPFAG", true), std::slice::from_ref(&row)), &moment())
    };
    assert_eq!(told(1).need, Some(Need::HistoryRow));
    let published = Then::Published(Topic::Group, PublishedOperation::Modified);
    assert_eq!((told(2).need, told(2).next), (None, run(Pass::Retry, published)));
}

#[test]
fn a_historised_delete_publishes_nothing() {
    let change = change(Table::Participants, Operation::Deleted, "7");
    let row = stored(&change, IngestStatus::Retry, 0);
    let mut held = held(course("INDOPPFAG", true), std::slice::from_ref(&row));
    held.ids.insert(PARTICIPANT, HeldId { amt_id: Uuid::nil(), historised: true });
    let told = outlook(&change, &row, &held, &moment());
    assert_eq!(told.next, run(Pass::Retry, Then::Handled(Some(HISTORISED.into()))));
}

#[test]
fn a_history_row_finds_what_it_matches_without_asking_for_the_same_twice() {
    let change = change(Table::History, Operation::Created, "7");
    let row = stored(&change, IngestStatus::Retry, 0);
    let mut held = held(course("INDOPPFAG", true), &[]);
    let candidate = Candidate {
        participant: ParticipantId(PARTICIPANT),
        start: None,
        end: None,
        status_changed: Some(midnight()),
        amt_id: Some(Uuid::nil()),
        misregistered: false,
    };
    held.candidates.insert((PERSON, COURSE), vec![candidate]);
    let told = outlook(&change, &row, &held, &moment());
    assert_eq!(told.next, run(Pass::Retry, Then::Handled(Some(MATCHED.into()))));
    let participations = Question::Participations(PERSON, ParticipantId(PARTICIPANT), false);
    let asks = [Question::CourseDetails(Uuid::nil()), Question::NationalId(PERSON), participations];
    assert_eq!(told.asks, asks);
}

#[test]
fn what_has_come_to_its_end_is_not_tried_again() {
    for (status, next) in [
        (IngestStatus::Handled, Next::Nothing),
        (IngestStatus::ExternalSource, Next::Nothing),
        (IngestStatus::New, Next::Relast),
        (IngestStatus::Invalid, Next::Operator),
        (IngestStatus::Ignored, Next::Purge),
    ] {
        let told = told(status, 0, None);
        assert_eq!((told.need, told.next), (None, next), "{status:?}");
    }
}

#[test]
fn stable_notes_tell_the_rule() {
    let section = |table, operation, note| rule(table, operation, IngestStatus::Handled, note).section;
    let (created, deleted) = (Operation::Created, Operation::Deleted);
    assert_eq!(section(Table::Participants, created, Some("Superseded by position 8")), "4.12 rule 7");
    assert_eq!(section(Table::Participants, deleted, Some(HISTORISED)), "4.8 step 2");
    assert_eq!(section(Table::Participants, deleted, None), "4.8 step 3");
    assert_eq!(section(Table::Participants, created, None), "4.7 step 8");
    assert_eq!(section(Table::History, created, Some(UNMATCHED)), "4.9 step 6");
    assert_eq!(section(Table::Courses, created, None), "4.3");
}
