use proptest::{prelude::*, sample::select};

use super::*;

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 3, day).unwrap()
}

fn at(on: u32, hour: u32) -> NaiveDateTime {
    day(on).and_hms_opt(hour, 0, 0).unwrap()
}

/// Today is the 10th; a course without approval, of which nothing is known; no dates.
fn input(arena_status: ArenaStatus) -> StatusInput {
    StatusInput {
        arena_status,
        start: None,
        end: None,
        status_changed: Some(at(5, 9)),
        registered: at(1, 8),
        needs_approval: false,
        single_place: false,
        course: None,
        course_end: None,
        today: day(10),
    }
}

const PLACED: [ArenaStatus; 3] = [ArenaStatus::Gjenn, ArenaStatus::Tilbud, ArenaStatus::Jatakk];
const BROKEN_OFF: [ArenaStatus; 4] =
    [ArenaStatus::Delavb, ArenaStatus::GjennAvb, ArenaStatus::GjennAvl, ArenaStatus::Ikkem];

#[test]
fn whoever_starts_today_participates() {
    for arena_status in PLACED {
        let input = StatusInput { start: Some(day(10)), end: Some(day(20)), ..input(arena_status) };
        assert_eq!(status(&input), (ParticipantStatus::Deltar, Some(at(10, 0))));
    }
}

#[test]
fn whoever_starts_tomorrow_waits() {
    let input = StatusInput { start: Some(day(11)), ..input(ArenaStatus::Gjenn) };
    assert_eq!(status(&input), (ParticipantStatus::VenterPaOppstart, Some(at(5, 9))));
}

#[test]
fn the_last_day_is_a_day_of_participation() {
    let input = StatusInput { start: Some(day(1)), end: Some(day(10)), ..input(ArenaStatus::Gjenn) };
    assert_eq!(status(&input), (ParticipantStatus::Deltar, Some(at(1, 0))));
}

#[test]
fn the_day_after_the_last_day_ends_it() {
    for arena_status in PLACED {
        let input = StatusInput { start: Some(day(1)), end: Some(day(9)), ..input(arena_status) };
        assert_eq!(status(&input), (ParticipantStatus::HarSluttet, Some(at(9, 0))));
        let input = StatusInput { needs_approval: true, ..input };
        assert_eq!(status(&input), (ParticipantStatus::Fullfort, Some(at(9, 0))));
    }
}

#[test]
fn leaving_before_the_course_ends_is_aborting_where_approval_is_needed() {
    let input = StatusInput {
        start: Some(day(1)),
        end: Some(day(8)),
        course_end: Some(day(9)),
        needs_approval: true,
        ..input(ArenaStatus::Gjenn)
    };
    assert_eq!(status(&input), (ParticipantStatus::Avbrutt, Some(at(8, 0))));
    assert_eq!(status(&StatusInput { course_end: Some(day(8)), ..input }).0, ParticipantStatus::Fullfort);
    assert_eq!(status(&StatusInput { course_end: None, ..input }).0, ParticipantStatus::Fullfort);
    assert_eq!(status(&StatusInput { needs_approval: false, ..input }).0, ParticipantStatus::HarSluttet);
}

#[test]
fn whoever_starts_today_participates_even_with_an_end_in_the_past() {
    let input = StatusInput { start: Some(day(10)), end: Some(day(8)), ..input(ArenaStatus::Gjenn) };
    assert_eq!(status(&input), (ParticipantStatus::Deltar, Some(at(10, 0))));
}

#[test]
fn without_a_start_one_waits_even_with_an_end_in_the_past() {
    let input = StatusInput { end: Some(day(8)), ..input(ArenaStatus::Gjenn) };
    assert_eq!(status(&input), (ParticipantStatus::VenterPaOppstart, Some(at(5, 9))));
}

#[test]
fn a_change_at_the_very_start_is_not_after_it() {
    for arena_status in BROKEN_OFF.into_iter().chain([ArenaStatus::Fullf]) {
        let input = StatusInput { start: Some(day(5)), status_changed: Some(at(5, 0)), ..input(arena_status) };
        assert_eq!(status(&input), (ParticipantStatus::IkkeAktuell, Some(at(5, 0))), "{arena_status:?}");
    }
}

#[test]
fn a_change_after_the_start_ends_a_participation_that_took_place() {
    for arena_status in BROKEN_OFF {
        let input = StatusInput { start: Some(day(5)), ..input(arena_status) };
        assert_eq!(status(&input).0, ParticipantStatus::HarSluttet, "{arena_status:?}");
        assert_eq!(status(&StatusInput { needs_approval: true, ..input }).0, ParticipantStatus::Avbrutt);
    }
    let input = StatusInput { start: Some(day(5)), ..input(ArenaStatus::Fullf) };
    assert_eq!(status(&input).0, ParticipantStatus::HarSluttet);
    assert_eq!(status(&StatusInput { needs_approval: true, ..input }).0, ParticipantStatus::Fullfort);
}

#[test]
fn without_a_start_or_a_change_nothing_took_place() {
    for arena_status in BROKEN_OFF.into_iter().chain([ArenaStatus::Fullf]) {
        assert_eq!(status(&input(arena_status)), (ParticipantStatus::IkkeAktuell, Some(at(5, 9))));
        let input = StatusInput { start: Some(day(1)), status_changed: None, ..input(arena_status) };
        assert_eq!(status(&input), (ParticipantStatus::IkkeAktuell, None));
    }
}

#[test]
fn it_ended_on_its_last_day_unless_it_was_changed_before() {
    let input = StatusInput { start: Some(day(1)), end: Some(day(4)), ..input(ArenaStatus::Fullf) };
    assert_eq!(status(&input).1, Some(at(4, 0)));
    assert_eq!(status(&StatusInput { end: Some(day(7)), ..input }).1, Some(at(5, 9)));
    assert_eq!(status(&StatusInput { end: None, ..input }).1, Some(at(5, 9)));
    let same = StatusInput { end: Some(day(5)), status_changed: Some(at(5, 0)), ..input };
    assert_eq!(status(&same).1, Some(at(5, 0)));
}

#[test]
fn withdrawn_on_the_day_of_registration_is_a_mistake() {
    let input = StatusInput { registered: at(5, 23), ..input(ArenaStatus::Ikkaktuell) };
    assert_eq!(status(&input), (ParticipantStatus::Feilregistrert, Some(at(5, 9))));
    let next = StatusInput { status_changed: Some(at(6, 0)), ..input };
    assert_eq!(status(&next), (ParticipantStatus::IkkeAktuell, Some(at(6, 0))));
    let never = StatusInput { status_changed: None, ..input };
    assert_eq!(status(&never), (ParticipantStatus::IkkeAktuell, None));
}

#[test]
fn statuses_without_conditions_map_one_to_one() {
    for (arena_status, expected) in [
        (ArenaStatus::Aktuell, ParticipantStatus::SoktInn),
        (ArenaStatus::Infomoete, ParticipantStatus::Vurderes),
        (ArenaStatus::Venteliste, ParticipantStatus::Venteliste),
        (ArenaStatus::Feilreg, ParticipantStatus::Feilregistrert),
        (ArenaStatus::Avslag, ParticipantStatus::IkkeAktuell),
        (ArenaStatus::Neitakk, ParticipantStatus::IkkeAktuell),
    ] {
        assert_eq!(status(&input(arena_status)), (expected, Some(at(5, 9))), "{arena_status:?}");
    }
}

#[test]
fn a_single_place_closed_by_the_batch_job_goes_on() {
    let input = StatusInput {
        start: Some(day(1)),
        single_place: true,
        course: Some(CourseState::Avsluttet),
        ..input(ArenaStatus::Gjenn)
    };
    assert_eq!(status(&input), (ParticipantStatus::Deltar, Some(at(1, 0))));
    for other in [
        StatusInput { single_place: false, ..input },
        StatusInput { course: Some(CourseState::Avbrutt), ..input },
        StatusInput { course: Some(CourseState::Avlyst), ..input },
        StatusInput { arena_status: ArenaStatus::Tilbud, ..input },
    ] {
        assert_eq!(status(&other), (ParticipantStatus::IkkeAktuell, Some(at(5, 9))), "{other:?}");
    }
}

#[test]
fn only_a_course_in_progress_is_open() {
    for (name, closed) in [("GJENNOMFORES", false), ("AVSLUTTET", true), ("AVBRUTT", true), ("AVLYST", true)] {
        assert_eq!(CourseState::named(name).map(CourseState::is_closed), Some(closed), "{name}");
    }
    assert_eq!(CourseState::named("GJENNOMFOR"), None, "Arena's own course status is not mapped to anything");
}

#[test]
fn every_status_names_itself() {
    for status in ParticipantStatus::ALL {
        assert_eq!(ParticipantStatus::named(status.name()), Some(status));
    }
    assert_eq!(ParticipantStatus::named("PABEGYNT_REGISTRERING"), None, "never produced");
}

fn any_input() -> impl Strategy<Value = StatusInput> {
    let a_day = || proptest::option::of((1_u32..20).prop_map(day));
    let a_time = || (1_u32..20, 0_u32..3).prop_map(|(day, hour)| at(day, hour));
    let states = [CourseState::Gjennomfores, CourseState::Avsluttet, CourseState::Avbrutt, CourseState::Avlyst];
    (
        select(&ArenaStatus::ALL[..]),
        (a_day(), a_day(), a_day(), (1_u32..20).prop_map(day)),
        (proptest::option::of(a_time()), a_time()),
        (any::<bool>(), any::<bool>(), proptest::option::of(select(states.to_vec()))),
    )
        .prop_map(|(arena_status, (start, end, course_end, today), (status_changed, registered), rest)| {
            let (needs_approval, single_place, course) = rest;
            StatusInput {
                arena_status,
                start,
                end,
                status_changed,
                registered,
                needs_approval,
                single_place,
                course,
                course_end,
                today,
            }
        })
}

proptest! {
    #[test]
    fn on_a_closed_course_everyone_has_ended_but_a_single_place(input in any_input()) {
        let (result, _) = status(&input);
        if input.course.is_some_and(CourseState::is_closed) && !input.single_place {
            prop_assert!(result.is_ending());
        }
    }

    #[test]
    fn a_closed_course_changes_no_ending(input in any_input()) {
        let open = status(&StatusInput { course: None, ..input });
        if open.0.is_ending() {
            prop_assert_eq!(status(&input), open);
        }
    }

    #[test]
    fn completed_and_aborted_exist_only_where_approval_is_needed(input in any_input()) {
        let (result, _) = status(&input);
        if matches!(result, ParticipantStatus::Fullfort | ParticipantStatus::Avbrutt) {
            prop_assert!(input.needs_approval);
        }
        if result == ParticipantStatus::HarSluttet {
            prop_assert!(!input.needs_approval);
        }
    }

    #[test]
    fn nobody_participates_before_the_start_or_long_after_the_end(input in any_input()) {
        if status(&input).0 == ParticipantStatus::Deltar {
            prop_assert!(input.start.is_some_and(|start| start <= input.today));
            prop_assert!(input.end.is_none_or(|end| end >= input.today) || input.start == Some(input.today));
        }
    }

    #[test]
    fn the_time_is_that_of_the_change_or_a_midnight_of_the_participation(input in any_input()) {
        let (_, time) = status(&input);
        let own = [input.status_changed, input.start.map(midnight), input.end.map(midnight)];
        prop_assert!(own.contains(&time) || time.is_none());
    }
}
