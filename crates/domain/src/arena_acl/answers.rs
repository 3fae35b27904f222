//! What third parties know, asked before any transaction.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{
    codes::Measure,
    record::{CourseId, ParticipantId, PersonId},
};

/// A person's national id. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct NationalId(String);

impl NationalId {
    /// The id as the register gave it; its form is not checked (2.9).
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id itself, for the message that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for NationalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NationalId(…)")
    }
}

/// What the course register says of a course (8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourseDetails {
    /// The UUID that is published.
    pub id: Uuid,
    /// The kind of measure, as Arena names it (5.3).
    pub measure: Measure,
    /// `oppstart` = `FELLES`: a class with a common start.
    pub common_start: bool,
}

/// A participation as downstream knows it (8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Participation {
    /// Its UUID.
    pub id: Uuid,
    /// Whether its status is `FEILREGISTRERT`.
    pub misregistered: bool,
}

/// A third party that did not answer, or not in a way that can be used: class *other* (4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What happened, for `note`: host and status, never personal data.
    pub note: String,
}

/// What must be asked before a change can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// The UUID of a course.
    CourseUuid(CourseId),
    /// The details of a course.
    CourseDetails(Uuid),
    /// The national id of a person.
    NationalId(PersonId),
    /// The participations that downstream knows of a person, whose national id has been answered; asked while the participant was, or
    /// was not, published as registered by mistake. A delete that does so in between makes it another question.
    Participations(PersonId, ParticipantId, bool),
    /// Nothing of third parties: the change must hold the lock of this participant too.
    Lock(ParticipantId),
}

/// The answers that a batch has so far. A missing entry has not been asked; `Ok(None)` is "unknown there" (404).
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Course UUIDs by Arena id.
    pub course_uuids: HashMap<CourseId, Result<Option<Uuid>, Unanswered>>,
    /// Course details by UUID.
    pub details: HashMap<Uuid, Result<CourseDetails, Unanswered>>,
    /// National ids by Arena's person id.
    pub national_ids: HashMap<PersonId, Result<Option<NationalId>, Unanswered>>,
    /// Known participations, by what [`Question::Participations`] says.
    pub participations: HashMap<(PersonId, ParticipantId, bool), Result<Vec<Participation>, Unanswered>>,
    /// Participants whose locks the batch takes beside those of its changes.
    pub locked: HashSet<ParticipantId>,
}
