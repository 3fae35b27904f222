//! Trainees, signals, and what is common to all that changes documents.

use bytes::Bytes;
use domain::reval_sync::{
    GmcNumber, Refused, Slots, Text, Tis, connection, doctor, hidden, recommendation,
    trainee::{self as rules, Trainee},
};
use serde_json::Value;

use super::{Unreadable, fields::Fields};

/// What a message, an item of one, an event or a document of a store does to documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A trainee of the extract.
    Extract(Box<Trainee>),
    /// A single trainee update.
    Update(Box<Trainee>),
    /// A doctor, by the stage or by an event.
    Doctor(Box<doctor::Summary>, doctor::Outcome),
    /// A recommendation event.
    Recommendation {
        /// Of which doctor.
        number: Option<Text>,
        /// Who looks after it.
        admin: Option<Text>,
        /// What became of it.
        outcome: Option<recommendation::Outcome>,
    },
    /// A connection log.
    Connection(connection::Log),
    /// A hidden discrepancy.
    Hide(Box<hidden::Hidden>),
    /// The end of a hidden discrepancy, by its key.
    Unhide(Text),
}

impl Change {
    /// Applies it by the rules. Twice is the same as once.
    ///
    /// # Errors
    /// It can never be applied.
    pub fn apply(&self, slots: &mut Slots) -> Result<(), Refused> {
        match self {
            Self::Extract(trainee) => rules::extract(slots, trainee),
            Self::Update(trainee) => rules::update(slots, trainee),
            Self::Doctor(summary, outcome) => doctor::apply(slots, summary, *outcome),
            Self::Recommendation { number, admin, outcome } => {
                recommendation::changed(slots, number.as_deref(), admin.as_ref(), *outcome)
            }
            Self::Connection(log) => connection::apply(slots, log),
            Self::Hide(entry) => hidden::add(slots, entry),
            Self::Unhide(id) => {
                hidden::remove(slots, id);
                Ok(())
            }
        }
    }

    /// Whether it could be applied to anything.
    ///
    /// # Errors
    /// It can never be applied.
    pub fn check(&self) -> Result<(), Refused> {
        self.apply(&mut Slots::default())
    }

    /// The number of the doctor it is about, where it is usable.
    #[must_use]
    pub fn number(&self) -> Option<GmcNumber> {
        GmcNumber::usable(match self {
            Self::Extract(trainee) | Self::Update(trainee) => trainee.number.as_deref(),
            Self::Doctor(summary, _) => summary.number.as_deref(),
            Self::Recommendation { number, .. } => number.as_deref(),
            Self::Connection(log) => log.number.as_deref(),
            Self::Hide(entry) => entry.number.as_deref(),
            Self::Unhide(_) => None,
        })
    }

    /// The person it is about.
    #[must_use]
    pub fn person(&self) -> Option<i64> {
        match self {
            Self::Extract(trainee) | Self::Update(trainee) => trainee.tis.person,
            _ => None,
        }
    }
}

/// Reads a trainee message as data, if it has any, and whether it is an end marker (R-TCS-5, R-TCS-6).
///
/// # Errors
/// It can never be read, or nothing in it tells whom it is about.
pub fn trainee(body: &[u8]) -> Result<(Option<Trainee>, bool), Unreadable> {
    let value: Value = serde_json::from_slice(body).map_err(|error| Unreadable::json(&error))?;
    let fields = Fields::of(&value)?;
    let is_end = fields.flag("syncEnd")? == Some(true);
    let trainee = read(fields)?;
    let has_identity = trainee.tis.person.is_some() || GmcNumber::usable(trainee.number.as_deref()).is_some();
    match (has_identity, is_end) {
        (true, _) => Ok((Some(trainee), is_end)),
        (false, true) => Ok((None, true)),
        (false, false) => Err(Unreadable::new("no_identity", "neither usable number nor person")),
    }
}

/// Reads a trainee update.
///
/// # Errors
/// It can never be read, or names no person (R-CDC-10).
pub fn update(body: &[u8]) -> Result<Trainee, Unreadable> {
    let value: Value = serde_json::from_slice(body).map_err(|error| Unreadable::json(&error))?;
    let trainee = read(Fields::of(&value)?)?;
    if trainee.tis.person.is_none() {
        return Err(Unreadable::new("no_person", "tcsPersonId is null"));
    }
    Ok(trainee)
}

fn read(fields: Fields<'_>) -> Result<Trainee, Unreadable> {
    Ok(Trainee {
        number: fields.text("gmcReferenceNumber")?,
        first_name: fields.text("doctorFirstName")?,
        last_name: fields.text("doctorLastName")?,
        tis: Tis {
            person: fields.whole("tcsPersonId")?,
            programme: fields.text("programmeName")?,
            membership: fields.text("programmeMembershipType")?,
            owner: fields.text("programmeOwner")?,
            body: fields.text("tcsDesignatedBody")?,
            start: fields.date("programmeMembershipStartDate")?,
            end: fields.date("programmeMembershipEndDate")?,
            curriculum_end: fields.date("curriculumEndDate")?,
            grade: fields.text("placementGrade")?,
        },
        body: fields.text("designatedBody")?,
        submission: fields.date("submissionDate")?,
    })
}

/// The text of a signal: a JSON string, or bare (R-WIRE-5). Anything else has none.
#[must_use]
pub fn signal(body: &Bytes) -> Option<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::String(text)) => Some(text),
        Ok(_) => None,
        Err(_) => String::from_utf8(body.to_vec()).ok(),
    }
}
