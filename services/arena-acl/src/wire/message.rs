//! Messages that leave (docs/spec/arena-acl.md 2.9, 2.10).

use chrono::{NaiveDate, NaiveDateTime, Timelike};
use domain::arena_acl::{Publication, PublishedOperation, PublishedParticipant, Topic};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The message value as JSON: members in a fixed order, all of them always written. The key is the participant's UUID.
#[must_use]
pub fn render(publication: &Publication) -> String {
    let participant = Participant::of(&publication.participant);
    let json = match publication.topic {
        Topic::SinglePlace => serde_json::to_string(&participant),
        Topic::Group => serde_json::to_string(&Wrapper {
            transaction_id: publication.transaction,
            source: "AMT_ARENA_ACL",
            kind: "DELTAKER",
            timestamp: LocalDateTime(publication.at),
            operation: match publication.operation {
                PublishedOperation::Created => "CREATED",
                PublishedOperation::Modified => "MODIFIED",
            },
            payload: participant,
        }),
    };
    #[expect(clippy::expect_used, reason = "structs of texts, numbers and times have no way to fail")]
    json.expect("a message is JSON")
}

/// ISO 8601 without zone: seconds always, a fraction only when it is not zero and without trailing zeros (2.9).
#[must_use]
pub fn local_date_time(time: NaiveDateTime) -> String {
    let whole = time.format("%Y-%m-%dT%H:%M:%S");
    match time.nanosecond() {
        0 => whole.to_string(),
        fraction => format!("{whole}.{fraction:09}").trim_end_matches('0').to_owned(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wrapper<'a> {
    transaction_id: Uuid,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: LocalDateTime,
    operation: &'static str,
    payload: Participant<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Participant<'a> {
    id: Uuid,
    gjennomforing_id: Uuid,
    person_ident: &'a str,
    start_dato: Option<NaiveDate>,
    slutt_dato: Option<NaiveDate>,
    status: &'static str,
    status_aarsak: Option<&'static str>,
    dager_per_uke: Option<f32>,
    prosent_deltid: Option<f32>,
    registrert_dato: LocalDateTime,
    status_endret_dato: Option<LocalDateTime>,
    innsok_begrunnelse: Option<&'a str>,
}

impl<'a> Participant<'a> {
    fn of(participant: &'a PublishedParticipant) -> Self {
        Self {
            id: participant.id,
            gjennomforing_id: participant.course,
            person_ident: participant.national_id.expose(),
            start_dato: participant.start,
            slutt_dato: participant.end,
            status: participant.status.name(),
            status_aarsak: participant.reason.map(|reason| reason.name()),
            dager_per_uke: participant.days_per_week,
            prosent_deltid: participant.part_time_percent,
            registrert_dato: LocalDateTime(participant.registered),
            status_endret_dato: participant.status_changed.map(LocalDateTime),
            innsok_begrunnelse: participant.order_text.as_deref(),
        }
    }
}

struct LocalDateTime(NaiveDateTime);

impl Serialize for LocalDateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&local_date_time(self.0))
    }
}

#[cfg(test)]
mod tests;
