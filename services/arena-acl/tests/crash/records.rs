//! Records as Arena sends them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::third::Course;

/// As Arena has them, of the participant topics. The topic of courses has one.
pub(crate) const PARTITIONS: i32 = 4;

/// The input topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    Courses,
    Participants,
    History,
}

/// One record and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) input: Input,
    pub(crate) partition: i32,
    pub(crate) payload: Option<Bytes>,
}

impl Sent {
    pub(crate) fn course(value: &Value) -> Self {
        Self { input: Input::Courses, partition: 0, payload: Some(value.to_string().into()) }
    }

    /// In the partition that all records of the object `id` go to.
    pub(crate) fn of(input: Input, id: i64, value: &Value) -> Self {
        Self::raw(input, id, Some(value.to_string().into()))
    }

    pub(crate) fn raw(input: Input, id: i64, payload: Option<Bytes>) -> Self {
        let partition = if input == Input::Courses { 0 } else { i32::try_from(id % i64::from(PARTITIONS)).unwrap() };
        Self { input, partition, payload }
    }
}

pub(crate) fn envelope(table: &str, operation: &str, position: u64, before: Value, after: Value) -> Value {
    json!({
        "table": table, "op_type": operation, "op_ts": "2025-03-10 11:59:58.000000", "current_ts": "2025-03-10 12:00:00.548000",
        "pos": format!("{position:020}"), "before": before, "after": after,
    })
}

pub(crate) fn course(course: &Course, position: u64) -> Value {
    let after = json!({
        "TILTAKGJENNOMFORING_ID": course.id, "SAK_ID": course.complete.then_some(880_001), "TILTAKSKODE": course.measure,
        "DATO_FRA": "2025-01-06 00:00:00", "DATO_TIL": "2035-12-19 00:00:00", "REG_DATO": "2024-11-15 13:45:10",
        "LOKALTNAVN": format!("Nordbyen {position}"), "TILTAKSTATUSKODE": "GJENNOMFOR", "ARBGIV_ID_ARRANGOR": 45_001,
    });
    envelope("SIAMO.TILTAKGJENNOMFORING", "U", position, Value::Null, after)
}

pub(crate) fn person_of(participant: i64) -> i64 {
    5_000_000 + participant
}

/// The row of a participant who takes part; `mark` tells its message from every other, as the order text.
pub(crate) fn row(participant: i64, course: i64, mark: &str) -> Value {
    json!({
        "TILTAKDELTAKER_ID": participant, "PERSON_ID": person_of(participant), "TILTAKGJENNOMFORING_ID": course,
        "DELTAKERSTATUSKODE": "GJENN", "DELTAKERTYPEKODE": "INNSOKT", "AARSAKVERDIKODE_STATUS": null,
        "REG_DATO": "2025-02-20 08:00:00", "MOD_DATO": "2025-03-01 09:15:00", "DATO_FRA": "2025-04-01 00:00:00",
        "DATO_TIL": null, "DATO_STATUSENDRING": "2025-05-02 09:15:00", "PROSENT_DELTID": 80, "ANTALL_DAGER_PR_UKE": 2.5,
        "BEGRUNNELSE_BESTILLING": mark, "EKSTERN_ID": null, "REG_USER": "SYSTEM", "PARTISJON": null,
    })
}

pub(crate) fn participant(operation: &str, position: u64, row: Value) -> Value {
    let (before, after) = match operation {
        "D" => (row, Value::Null),
        _ => (Value::Null, row),
    };
    envelope("SIAMO.TILTAKDELTAKER", operation, position, before, after)
}

/// A history row of the person of `participant`, who has completed `course`.
pub(crate) fn history(id: i64, participant: i64, course: i64, position: u64, mark: &str) -> Value {
    let mut after = row(participant, course, mark);
    let columns = after.as_object_mut().unwrap();
    columns.remove("TILTAKDELTAKER_ID");
    columns.insert("HIST_TILTAKDELTAKER_ID".to_owned(), json!(id));
    columns.insert("DELTAKERSTATUSKODE".to_owned(), json!("FULLF"));
    envelope("SIAMO.HIST_TILTAKDELTAKER", "I", position, Value::Null, after)
}
