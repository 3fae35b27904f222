//! Why a participation ended (`statusAarsak`, 5.2).

use super::{
    codes::{ArenaReason, ArenaStatus},
    status::ParticipantStatus,
};

/// The published reason of an ending status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Did not show up.
    IkkeMott,
    /// Did not get a place.
    FikkIkkePlass,
    /// Ill.
    Syk,
    /// Got a job.
    FattJobb,
    /// Needs other support.
    TrengerAnnenStotte,
    /// The contract of the course was cancelled.
    AvlystKontrakt,
    /// Other.
    Annet,
}

impl Reason {
    /// The name under which it is published.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IkkeMott => "IKKE_MOTT",
            Self::FikkIkkePlass => "FIKK_IKKE_PLASS",
            Self::Syk => "SYK",
            Self::FattJobb => "FATT_JOBB",
            Self::TrengerAnnenStotte => "TRENGER_ANNEN_STOTTE",
            Self::AvlystKontrakt => "AVLYST_KONTRAKT",
            Self::Annet => "ANNET",
        }
    }
}

/// The reason for `status`; `None` where it has none. `course_closed` is *closed* of 5.1, false in the live path (5.4).
#[must_use]
pub fn reason(
    arena_status: ArenaStatus,
    status: ParticipantStatus,
    arena_reason: Option<ArenaReason>,
    course_closed: bool,
) -> Option<Reason> {
    use ArenaStatus as Arena;
    if !status.is_ending() {
        return None;
    }
    match (arena_status, arena_reason) {
        (Arena::Ikkem, _) => Some(Reason::IkkeMott),
        (Arena::Aktuell | Arena::Infomoete | Arena::Venteliste, _) if course_closed => Some(Reason::FikkIkkePlass),
        (_, Some(ArenaReason::Syk)) => Some(Reason::Syk),
        (_, Some(ArenaReason::Bega)) => Some(Reason::FattJobb),
        (_, Some(ArenaReason::Ftoat)) => Some(Reason::TrengerAnnenStotte),
        (Arena::Fullf, _) => None,
        (Arena::GjennAvb | Arena::GjennAvl, _) => Some(Reason::AvlystKontrakt),
        (Arena::Avslag, _) => Some(Reason::FikkIkkePlass),
        _ => Some(Reason::Annet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of the four inputs.
    fn all() -> impl Iterator<Item = (ArenaStatus, ParticipantStatus, Option<ArenaReason>, bool)> {
        let reasons = || ArenaReason::ALL.into_iter().map(Some).chain([None]);
        ArenaStatus::ALL.into_iter().flat_map(move |arena| {
            ParticipantStatus::ALL.into_iter().flat_map(move |status| {
                reasons().flat_map(move |reason| [true, false].map(|closed| (arena, status, reason, closed)))
            })
        })
    }

    #[test]
    fn a_status_that_ends_nothing_has_no_reason() {
        for (arena, status, arena_reason, closed) in all().filter(|(_, status, ..)| !status.is_ending()) {
            assert_eq!(reason(arena, status, arena_reason, closed), None, "{arena:?} {status:?} {arena_reason:?}");
        }
    }

    #[test]
    fn which_ending_it_is_does_not_matter() {
        for (arena, status, arena_reason, closed) in all().filter(|(_, status, ..)| status.is_ending()) {
            let other = reason(arena, ParticipantStatus::IkkeAktuell, arena_reason, closed);
            assert_eq!(reason(arena, status, arena_reason, closed), other);
        }
    }

    #[test]
    fn only_a_completed_participation_ends_without_a_reason() {
        for (arena, status, arena_reason, closed) in all().filter(|(_, status, ..)| status.is_ending()) {
            let none = reason(arena, status, arena_reason, closed).is_none();
            let told = matches!(arena_reason, Some(ArenaReason::Syk | ArenaReason::Bega | ArenaReason::Ftoat));
            assert_eq!(none, arena == ArenaStatus::Fullf && !told, "{arena:?} {arena_reason:?}");
        }
    }

    #[test]
    fn whoever_did_not_show_up_did_not_show_up_for_whatever_reason() {
        for (_, status, arena_reason, closed) in all().filter(|(_, status, ..)| status.is_ending()) {
            assert_eq!(reason(ArenaStatus::Ikkem, status, arena_reason, closed), Some(Reason::IkkeMott));
        }
    }

    #[test]
    fn an_applicant_of_a_closed_course_did_not_get_a_place_even_if_ill() {
        let ending = ParticipantStatus::IkkeAktuell;
        for arena in [ArenaStatus::Aktuell, ArenaStatus::Infomoete, ArenaStatus::Venteliste] {
            assert_eq!(reason(arena, ending, Some(ArenaReason::Syk), true), Some(Reason::FikkIkkePlass));
            assert_eq!(reason(arena, ending, Some(ArenaReason::Syk), false), Some(Reason::Syk));
            assert_eq!(reason(arena, ending, None, false), Some(Reason::Annet));
        }
    }

    #[test]
    fn reasons_that_are_not_carried_over_leave_it_to_the_status() {
        let ending = ParticipantStatus::HarSluttet;
        let silent = [ArenaReason::Henlu, ArenaReason::Frism, ArenaReason::Ann, ArenaReason::Utv];
        for arena_reason in silent.into_iter().map(Some).chain([None]) {
            for (arena, expected) in [
                (ArenaStatus::Fullf, None),
                (ArenaStatus::GjennAvb, Some(Reason::AvlystKontrakt)),
                (ArenaStatus::GjennAvl, Some(Reason::AvlystKontrakt)),
                (ArenaStatus::Avslag, Some(Reason::FikkIkkePlass)),
                (ArenaStatus::Gjenn, Some(Reason::Annet)),
                (ArenaStatus::Delavb, Some(Reason::Annet)),
                (ArenaStatus::Ikkaktuell, Some(Reason::Annet)),
            ] {
                assert_eq!(reason(arena, ending, arena_reason, false), expected, "{arena:?} {arena_reason:?}");
            }
        }
    }

    #[test]
    fn what_arena_says_comes_before_what_the_status_implies() {
        let ending = ParticipantStatus::HarSluttet;
        for arena in [ArenaStatus::Fullf, ArenaStatus::GjennAvb, ArenaStatus::Avslag] {
            assert_eq!(reason(arena, ending, Some(ArenaReason::Syk), false), Some(Reason::Syk));
            assert_eq!(reason(arena, ending, Some(ArenaReason::Bega), false), Some(Reason::FattJobb));
            assert_eq!(reason(arena, ending, Some(ArenaReason::Ftoat), false), Some(Reason::TrengerAnnenStotte));
        }
    }
}
