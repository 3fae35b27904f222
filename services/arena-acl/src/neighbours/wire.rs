//! The answers as the wire has them. Members that are not used are not read (5.4: status and end date must not be).

use domain::arena_acl::{CourseDetails, NationalId, Unanswered, codes::Measure};
use serde::Deserialize;
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
