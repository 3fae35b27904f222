//! Records as Arena sends them, and the messages that must come of them.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::servers::Record;
use uuid::Uuid;

/// A course, and what mulighetsrommet-api says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) id: i64,
    /// Arena's measure code.
    pub(crate) measure: &'static str,
    /// The same for mulighetsrommet-api; `None` where it is not supported.
    pub(crate) kind: Option<&'static str>,
    /// Whether its row has all that a valid course must have.
    pub(crate) complete: bool,
}

impl Course {
    /// A course whose participants go to the group topic.
    pub(crate) const fn group(id: i64) -> Self {
        Self { id, measure: "INDOPPFAG", kind: Some("OPPFOLGING"), complete: true }
    }

    pub(crate) fn uuid(id: i64) -> Uuid {
        Uuid::from_u128(0xa100_0000_0000_4000_8000_0000_0000_0000 | u128::from(id.unsigned_abs()))
    }

    pub(crate) fn record(&self, topic: &str, position: u64) -> Record {
        let after = json!({
            "TILTAKGJENNOMFORING_ID": self.id, "SAK_ID": self.complete.then_some(880_001), "TILTAKSKODE": self.measure,
            "DATO_FRA": "2025-01-06 00:00:00", "DATO_TIL": "2035-12-19 00:00:00", "REG_DATO": "2024-11-15 13:45:10",
            "LOKALTNAVN": "Oppfølging Nordbyen", "TILTAKSTATUSKODE": "GJENNOMFOR", "ARBGIV_ID_ARRANGOR": 45_001,
        });
        record(topic, 0, &envelope("SIAMO.TILTAKGJENNOMFORING", "I", position, Value::Null, after))
    }
}

/// A change of a participant who takes part.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) participant: i64,
    pub(crate) course: i64,
    /// `I` or `U`.
    pub(crate) operation: &'static str,
    pub(crate) position: u64,
}

impl Change {
    /// A change of each participant in turn, inserts first, then updates, `each` of a participant together; positions from `first` on.
    pub(crate) fn all(participants: Range<i64>, each: u64, courses: &[i64], first: u64) -> Vec<Self> {
        let mut changes = Vec::new();
        for round in 0..each {
            for (participant, course) in participants.clone().zip(courses.iter().cycle()) {
                let operation = if round == 0 { "I" } else { "U" };
                let position = first + changes.len() as u64;
                changes.push(Self { participant, course: *course, operation, position });
            }
        }
        changes
    }

    pub(crate) fn person(&self) -> i64 {
        5_000_000 + self.participant
    }

    pub(crate) fn position_text(&self) -> String {
        format!("{:020}", self.position)
    }

    /// What tells the message of this change from every other: it travels as the order text.
    pub(crate) fn mark(&self) -> String {
        format!("change {}", self.position)
    }

    /// When Arena changed the row: another second for each change of a participant.
    pub(crate) fn modified(&self) -> String {
        format!("2025-03-01 09:15:{:02}", self.position % 60)
    }

    pub(crate) fn after(&self) -> Value {
        json!({
            "TILTAKDELTAKER_ID": self.participant, "PERSON_ID": self.person(), "TILTAKGJENNOMFORING_ID": self.course,
            "DELTAKERSTATUSKODE": "GJENN", "DELTAKERTYPEKODE": "INNSOKT", "AARSAKVERDIKODE_STATUS": null,
            "REG_DATO": "2025-02-20 08:00:00", "MOD_DATO": self.modified(), "DATO_FRA": "2025-04-01 00:00:00",
            "DATO_TIL": null, "DATO_STATUSENDRING": "2025-03-01 09:15:00", "PROSENT_DELTID": 80, "ANTALL_DAGER_PR_UKE": 2.5,
            "BEGRUNNELSE_BESTILLING": self.mark(), "EKSTERN_ID": null, "REG_USER": "SYSTEM", "PARTISJON": null,
        })
    }

    pub(crate) fn before(&self) -> Value {
        if self.operation == "I" { Value::Null } else { json!({ "TILTAKDELTAKER_ID": self.participant }) }
    }

    /// In the partition that all changes of the participant go to, of `partitions`.
    pub(crate) fn record(&self, topic: &str, partitions: i32) -> Record {
        let partition = i32::try_from(self.participant % i64::from(partitions)).unwrap();
        record(topic, partition, &participant(self.operation, self.position, self.before(), self.after()))
    }

    /// The participant object (docs/spec/arena-acl.md 2.9, 5.1) under the UUID that the participant was given.
    pub(crate) fn message(&self, uuid: Uuid) -> Value {
        json!({
            "id": uuid, "gjennomforingId": Course::uuid(self.course), "personIdent": national_id(self.person()),
            "startDato": "2025-04-01", "sluttDato": null, "status": "DELTAR", "statusAarsak": null, "dagerPerUke": 2.5,
            "prosentDeltid": 80.0, "registrertDato": "2025-02-20T08:00:00", "statusEndretDato": "2025-04-01T00:00:00",
            "innsokBegrunnelse": self.mark(),
        })
    }
}

/// A record of the participant table.
pub(crate) fn participant(operation: &str, position: u64, before: Value, after: Value) -> Value {
    envelope("SIAMO.TILTAKDELTAKER", operation, position, before, after)
}

pub(crate) fn record(topic: &str, partition: i32, value: &Value) -> Record {
    raw(topic, partition, Some(value.to_string().into()))
}

pub(crate) fn raw(topic: &str, partition: i32, payload: Option<Bytes>) -> Record {
    Record { topic: topic.to_owned(), partition: Some(partition), payload, ..Record::default() }
}

/// What amt-arena-ords-proxy says of a person.
pub(crate) fn national_id(person: i64) -> String {
    format!("9{person:010}")
}

fn envelope(table: &str, operation: &str, position: u64, before: Value, after: Value) -> Value {
    json!({
        "table": table, "op_type": operation, "op_ts": "2025-03-10 11:59:58.000000", "current_ts": "2025-03-10 12:00:00.548000",
        "pos": format!("{position:020}"), "before": before, "after": after,
    })
}
