//! From Arena's participant status to the published one (5.1).

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::codes::ArenaStatus;

/// The published status of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParticipantStatus {
    /// Waits for the start.
    VenterPaOppstart,
    /// Participates.
    Deltar,
    /// Has left.
    HarSluttet,
    /// Not relevant any more.
    IkkeAktuell,
    /// Registered by mistake.
    Feilregistrert,
    /// Has applied.
    SoktInn,
    /// Is being assessed.
    Vurderes,
    /// On the waiting list.
    Venteliste,
    /// Aborted.
    Avbrutt,
    /// Completed.
    Fullfort,
}

impl ParticipantStatus {
    /// Every status that can be published.
    pub const ALL: [Self; 10] = [
        Self::VenterPaOppstart,
        Self::Deltar,
        Self::HarSluttet,
        Self::IkkeAktuell,
        Self::Feilregistrert,
        Self::SoktInn,
        Self::Vurderes,
        Self::Venteliste,
        Self::Avbrutt,
        Self::Fullfort,
    ];

    /// The name under which it is published.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VenterPaOppstart => "VENTER_PA_OPPSTART",
            Self::Deltar => "DELTAR",
            Self::HarSluttet => "HAR_SLUTTET",
            Self::IkkeAktuell => "IKKE_AKTUELL",
            Self::Feilregistrert => "FEILREGISTRERT",
            Self::SoktInn => "SOKT_INN",
            Self::Vurderes => "VURDERES",
            Self::Venteliste => "VENTELISTE",
            Self::Avbrutt => "AVBRUTT",
            Self::Fullfort => "FULLFORT",
        }
    }

    /// The status with this published name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the participation is over.
    #[must_use]
    pub fn is_ending(self) -> bool {
        match self {
            Self::IkkeAktuell | Self::HarSluttet | Self::Feilregistrert | Self::Avbrutt | Self::Fullfort => true,
            Self::VenterPaOppstart | Self::Deltar | Self::SoktInn | Self::Vurderes | Self::Venteliste => false,
        }
    }
}

/// The status of a course, as the register names it (5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CourseState {
    /// `GJENNOMFORES`, in progress.
    Gjennomfores,
    /// `AVSLUTTET`, closed.
    Avsluttet,
    /// `AVBRUTT`, aborted.
    Avbrutt,
    /// `AVLYST`, cancelled.
    Avlyst,
}

impl CourseState {
    /// The state with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "GJENNOMFORES" => Self::Gjennomfores,
            "AVSLUTTET" => Self::Avsluttet,
            "AVBRUTT" => Self::Avbrutt,
            "AVLYST" => Self::Avlyst,
            _ => return None,
        })
    }

    /// Whether the course is over, in whatever way.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self != Self::Gjennomfores
    }
}

/// What the status of a participant depends on. Times are wall clock of Europe/Oslo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusInput {
    /// `DELTAKERSTATUSKODE`.
    pub arena_status: ArenaStatus,
    /// `DATO_FRA`.
    pub start: Option<NaiveDate>,
    /// `DATO_TIL`, inclusive.
    pub end: Option<NaiveDate>,
    /// `DATO_STATUSENDRING`.
    pub status_changed: Option<NaiveDateTime>,
    /// `REG_DATO`.
    pub registered: NaiveDateTime,
    /// *Krever godkjenning*: whether the course needs approval, and so tells completed from aborted.
    pub needs_approval: bool,
    /// *Enkeltplass*: whether the course has exactly one participant.
    pub single_place: bool,
    /// The course's status; unknown in the live path (5.4).
    pub course: Option<CourseState>,
    /// The course's end date; unknown in the live path (5.4).
    pub course_end: Option<NaiveDate>,
    /// The day on which the message is processed.
    pub today: NaiveDate,
}

/// The published status and `statusEndretDato`.
#[must_use]
pub fn status(input: &StatusInput) -> (ParticipantStatus, Option<NaiveDateTime>) {
    let own = by_arena_status(input);
    // Arena closes single-place courses by a batch job while people still attend
    let still_attends =
        input.single_place && input.course == Some(CourseState::Avsluttet) && input.arena_status == ArenaStatus::Gjenn;
    if !still_attends && input.course.is_some_and(CourseState::is_closed) && !own.0.is_ending() {
        return (ParticipantStatus::IkkeAktuell, input.status_changed);
    }
    own
}

/// Step 1 of 5.1, its rows in its order.
fn by_arena_status(input: &StatusInput) -> (ParticipantStatus, Option<NaiveDateTime>) {
    use ArenaStatus as Arena;
    let status = match input.arena_status {
        Arena::Gjenn | Arena::Tilbud | Arena::Jatakk => return by_dates(input),
        Arena::Fullf | Arena::Delavb | Arena::GjennAvb | Arena::GjennAvl | Arena::Ikkem
            if changed_after_start(input) =>
        {
            let status = match (input.needs_approval, input.arena_status) {
                (false, _) => ParticipantStatus::HarSluttet,
                (true, Arena::Fullf) => ParticipantStatus::Fullfort,
                (true, _) => ParticipantStatus::Avbrutt,
            };
            return (status, last_day_or_change(input));
        }
        Arena::Ikkaktuell if input.status_changed.is_some_and(|time| time.date() == input.registered.date()) => {
            ParticipantStatus::Feilregistrert
        }
        Arena::Fullf
        | Arena::Delavb
        | Arena::GjennAvb
        | Arena::GjennAvl
        | Arena::Ikkem
        | Arena::Ikkaktuell
        | Arena::Avslag
        | Arena::Neitakk => ParticipantStatus::IkkeAktuell,
        Arena::Aktuell => ParticipantStatus::SoktInn,
        Arena::Infomoete => ParticipantStatus::Vurderes,
        Arena::Venteliste => ParticipantStatus::Venteliste,
        Arena::Feilreg => ParticipantStatus::Feilregistrert,
    };
    (status, input.status_changed)
}

/// Someone with a place: where today lies in the participation decides.
fn by_dates(input: &StatusInput) -> (ParticipantStatus, Option<NaiveDateTime>) {
    let Some(start) = input.start.filter(|start| *start <= input.today) else {
        return (ParticipantStatus::VenterPaOppstart, input.status_changed);
    };
    let Some(end) = input.end.filter(|end| *end < input.today && start < input.today) else {
        return (ParticipantStatus::Deltar, Some(midnight(start)));
    };
    let status = match (input.needs_approval, input.course_end) {
        (true, Some(course_end)) if end < course_end => ParticipantStatus::Avbrutt,
        (true, _) => ParticipantStatus::Fullfort,
        (false, _) => ParticipantStatus::HarSluttet,
    };
    (status, Some(midnight(end)))
}

fn changed_after_start(input: &StatusInput) -> bool {
    matches!((input.status_changed, input.start), (Some(changed), Some(start)) if changed > midnight(start))
}

/// `endDate` of 5.1.
fn last_day_or_change(input: &StatusInput) -> Option<NaiveDateTime> {
    match (input.end.map(midnight), input.status_changed) {
        (Some(end), Some(changed)) if end < changed => Some(end),
        (_, changed) => changed,
    }
}

fn midnight(date: NaiveDate) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN)
}

#[cfg(test)]
mod tests;
