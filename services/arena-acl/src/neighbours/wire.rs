//! The answers as the wire has them. Members that are not used are not read (5.4: status and end date must not be).

use domain::arena_acl::{CourseDetails, NationalId, ParticipantStatus, Participation, Unanswered, codes::Measure};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The answer of amt-arena-ords-proxy (8.1).
#[derive(Deserialize)]
pub(super) struct Fnr {
    fnr: TextOrNumber,
}

/// A number is accepted as its text (8).
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl Fnr {
    pub(super) fn into_domain(self) -> NationalId {
        NationalId::new(match self.fnr {
            TextOrNumber::Text(text) => text,
            TextOrNumber::Number(number) => number.to_string(),
        })
    }
}

/// The first answer of mulighetsrommet-api (8.2).
#[derive(Deserialize)]
pub(super) struct CourseRef {
    pub(super) id: Uuid,
}

/// The second answer of mulighetsrommet-api (8.2); the organiser must be there and is not used.
#[derive(Deserialize)]
pub(super) struct Course {
    id: Uuid,
    tiltakskode: String,
    #[serde(rename = "arrangor")]
    _organiser: Organiser,
    oppstart: String,
}

#[derive(Deserialize)]
struct Organiser {
    #[serde(rename = "organisasjonsnummer")]
    _number: String,
}

impl Course {
    pub(super) fn into_domain(self) -> Result<CourseDetails, Unanswered> {
        let refused = |what: &str| Unanswered { note: format!("{what} that cannot come from Arena") };
        let measure = Measure::of_tiltakskode(&self.tiltakskode).ok_or_else(|| refused("course with a tiltakskode"))?;
        let common_start = match self.oppstart.as_str() {
            "FELLES" => true,
            "LOPENDE" => false,
            _ => return Err(refused("course with an oppstart")),
        };
        Ok(CourseDetails { id: self.id, measure, common_start })
    }
}

/// The question to amt-tiltak (8.3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipationsOf<'a> {
    pub(super) person_ident: &'a str,
}

/// One of the answers of amt-tiltak (8.3).
#[derive(Deserialize)]
pub(super) struct Known {
    id: Uuid,
    status: String,
}

/// Statuses of amt-tiltak that this service never publishes.
const ONLY_THERE: [&str; 3] = ["UTKAST_TIL_PAMELDING", "AVBRUTT_UTKAST", "PABEGYNT_REGISTRERING"];

impl Known {
    /// One status that is not known fails the whole answer.
    pub(super) fn into_domain(self) -> Result<Participation, Unanswered> {
        let status = ParticipantStatus::named(&self.status);
        if status.is_none() && !ONLY_THERE.contains(&self.status.as_str()) {
            return Err(Unanswered { note: "participation with a status that is not known".to_owned() });
        }
        Ok(Participation { id: self.id, misregistered: status == Some(ParticipantStatus::Feilregistrert) })
    }
}
