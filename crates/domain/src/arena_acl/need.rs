//! What a change waits for, as far as the store will hold it.

use std::fmt;

use super::{
    failure::FailureClass,
    record::{CourseId, ParticipantId},
};

/// Something that a change waits for. Its text is the note of the change (4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The course has not been read (4.4 step 1).
    Course(CourseId),
    /// The course is known and must become valid (4.4 step 3).
    ValidCourse(CourseId),
    /// The course register must know the course (4.4 step 4).
    CourseUuid(CourseId),
    /// An older change of the same participant must be handled (4.12 rule 2).
    Older(ParticipantId),
    /// The history row of a participation that Arena deleted (4.8 step 3).
    HistoryRow,
}

impl Need {
    /// The class of a change that fails for want of it.
    pub(super) fn class(self) -> FailureClass {
        match self {
            Self::ValidCourse(_) => FailureClass::DependencyInvalid,
            Self::Course(_) | Self::CourseUuid(_) | Self::Older(_) | Self::HistoryRow => {
                FailureClass::DependencyMissing
            }
        }
    }

    /// The section of the specification that asks for it.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Course(_) => "4.4 step 1",
            Self::ValidCourse(_) => "4.4 step 3",
            Self::CourseUuid(_) => "4.4 step 4",
            Self::Older(_) => "4.12 rule 2",
            Self::HistoryRow => "4.8 step 3",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Course(id) => write!(f, "course {id} has not been read yet"),
            Self::ValidCourse(id) => write!(f, "course {id} is not valid"),
            Self::CourseUuid(id) => write!(f, "course {id} has no UUID yet"),
            Self::Older(id) => write!(f, "Forrige melding på deltaker med id={id} er ikke håndtert enda"),
            Self::HistoryRow => f.write_str("deleted, and no history row has come yet"),
        }
    }
}
