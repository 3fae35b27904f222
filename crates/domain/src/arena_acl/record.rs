//! A change of one Arena row, as it was received.

use std::{cmp::Ordering, fmt, sync::Arc};

use chrono::NaiveDateTime;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
id! {
    /// Arena's number of a course (`TILTAKGJENNOMFORING_ID`); 0 where the row has none.
    CourseId
}
id! {
    /// Arena's number of a participant (`TILTAKDELTAKER_ID`); 0 where the row has none.
    ParticipantId
}
id! {
    /// Arena's number of a person (`PERSON_ID`).
    PersonId
}

/// A UUID in its long form only; shortened forms are malformed (11.2).
#[must_use]
pub fn long_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

/// The Arena table that a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// `SIAMO.TILTAKGJENNOMFORING`.
    Courses,
    /// `SIAMO.TILTAKDELTAKER`.
    Participants,
    /// `SIAMO.HIST_TILTAKDELTAKER`.
    History,
}

impl Table {
    /// All tables, in the order in which jobs go through them (6.2).
    pub const ALL: [Self; 3] = [Self::Courses, Self::Participants, Self::History];

    /// Arena's name of the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Courses => "SIAMO.TILTAKGJENNOMFORING",
            Self::Participants => "SIAMO.TILTAKDELTAKER",
            Self::History => "SIAMO.HIST_TILTAKDELTAKER",
        }
    }

    /// The table with this name, case-sensitive; `None` when it is none of the three.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `I`.
    Created,
    /// `U`.
    Modified,
    /// `D`.
    Deleted,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Created, Self::Modified, Self::Deleted];

    /// The name under which it is stored (3.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }

    /// The operation with this stored name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Arena's operation position: text as received, order as a number (2.1).
///
/// `7` and `007` are equal in order but not the same stored position.
#[derive(Debug, Clone)]
pub struct Position {
    text: Arc<str>,
    number: u128,
}

impl Position {
    /// A position of 1 to 20 decimal digits; `None` for any other text.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map(|number| Self { text: text.into(), number })
    }

    /// The text as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Position {}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How far a stored change has come (3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IngestStatus {
    /// Stored by the import, deliberately not published.
    New,
    /// Done.
    Handled,
    /// Could not be done yet.
    Retry,
    /// Attempts used up, or no rule exists.
    Failed,
    /// Its course is known but invalid.
    Waiting,
    /// The change itself is unusable.
    Invalid,
    /// Not wanted; purged hourly, and stored without images.
    Ignored,
    /// Owned by an AMT system and only echoed by Arena.
    ExternalSource,
}

impl IngestStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::Handled,
        Self::Retry,
        Self::Failed,
        Self::Waiting,
        Self::Invalid,
        Self::Ignored,
        Self::ExternalSource,
    ];

    /// The name under which it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Handled => "HANDLED",
            Self::Retry => "RETRY",
            Self::Failed => "FAILED",
            Self::Waiting => "WAITING",
            Self::Invalid => "INVALID",
            Self::Ignored => "IGNORED",
            Self::ExternalSource => "EXTERNAL_SOURCE",
        }
    }

    /// The status with this stored name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether a change in this status blocks newer ones of the same participant (3.7).
    #[must_use]
    pub fn is_unhandled(self) -> bool {
        matches!(self, Self::Retry | Self::Failed | Self::Waiting)
    }
}

/// The used columns of a course row (2.5), decoded but not validated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CourseRow {
    /// `TILTAKGJENNOMFORING_ID`, 0 where absent.
    pub id: i64,
    /// `TILTAKSKODE`.
    pub measure: Option<String>,
    /// `SAK_ID`.
    pub case: Option<i64>,
    /// `ARBGIV_ID_ARRANGOR`.
    pub organiser: Option<i64>,
    /// `LOKALTNAVN`.
    pub name: Option<String>,
    /// `TILTAKSTATUSKODE`.
    pub state: Option<String>,
    /// `REG_DATO`.
    pub registered: Option<String>,
    /// `DATO_FRA`.
    pub start: Option<String>,
    /// `DATO_TIL`.
    pub end: Option<String>,
}

/// The used columns of a participant or historised participant row (2.6, 2.7), decoded but not validated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParticipantRow {
    /// `TILTAKDELTAKER_ID` or `HIST_TILTAKDELTAKER_ID`, 0 where absent.
    pub id: i64,
    /// `PERSON_ID`.
    pub person: Option<i64>,
    /// `TILTAKGJENNOMFORING_ID`, 0 where absent.
    pub course: i64,
    /// `DELTAKERSTATUSKODE`.
    pub status: Option<String>,
    /// `DELTAKERTYPEKODE`.
    pub kind: Option<String>,
    /// `AARSAKVERDIKODE_STATUS`.
    pub reason: Option<String>,
    /// `DATO_FRA`.
    pub start: Option<String>,
    /// `DATO_TIL`.
    pub end: Option<String>,
    /// `DATO_STATUSENDRING`.
    pub status_changed: Option<String>,
    /// `REG_DATO`.
    pub registered: Option<String>,
    /// `MOD_DATO`.
    pub modified: Option<String>,
    /// `PROSENT_DELTID`.
    pub part_time_percent: Option<f32>,
    /// `ANTALL_DAGER_PR_UKE`.
    pub days_per_week: Option<f32>,
    /// `BEGRUNNELSE_BESTILLING`.
    pub order_text: Option<String>,
    /// `EKSTERN_ID`.
    pub external_id: Option<String>,
}

/// The data section of a change (2.1).
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// Of a course.
    Course(CourseRow),
    /// Of a participant or a historised one.
    Participant(ParticipantRow),
    /// A stored row whose data section is missing or cannot be decoded; live records like it never get this far (6.2).
    Unusable,
}

/// One change of one Arena row.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The table.
    pub table: Table,
    /// Arena's id of the row as stored in `arena_data.arena_id`.
    pub arena_id: i64,
    /// What happened.
    pub operation: Operation,
    /// When, in Arena's order.
    pub position: Position,
    /// When, on Arena's wall clock (`op_ts`).
    pub timestamp: NaiveDateTime,
    /// The data section.
    pub row: Row,
}

/// What must be held while a change is decided and written, so that no two processes decide on the same thing at once.
///
/// The order of the variants is the order in which locks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lock {
    /// A participant, alone.
    Participant(i64),
    /// A historised participant, alone.
    History(i64),
    /// A person on a course, alone: deletes and history rows of the pair meet here.
    PersonOnCourse(i64, i64),
    /// A course, together with other changes that read it.
    CourseShared(i64),
    /// A course, alone.
    Course(i64),
}

impl Change {
    /// The locks of this change, in the order in which they are taken.
    #[must_use]
    pub fn locks(&self) -> Vec<Lock> {
        let Row::Participant(row) = &self.row else {
            return vec![match self.table {
                Table::Courses => Lock::Course(self.arena_id),
                Table::Participants => Lock::Participant(self.arena_id),
                Table::History => Lock::History(self.arena_id),
            }];
        };
        let pair = row.person.map(|person| Lock::PersonOnCourse(person, row.course));
        let (own, pair) = match self.table {
            Table::History => (Lock::History(self.arena_id), pair),
            _ => (Lock::Participant(self.arena_id), pair.filter(|_| self.operation == Operation::Deleted)),
        };
        [Some(own), pair, Some(Lock::CourseShared(row.course))].into_iter().flatten().collect()
    }

    /// The course that the change is of or refers to; `None` when its row is unusable.
    #[must_use]
    pub fn course(&self) -> Option<CourseId> {
        match &self.row {
            Row::Course(row) => Some(CourseId(row.id)),
            Row::Participant(row) => Some(CourseId(row.course)),
            Row::Unusable => None,
        }
    }
}
