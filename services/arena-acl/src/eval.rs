//! The pure functions by the names under which they can be called from outside: `arena-acl eval <function>`
//! (docs/spec/arena-acl.md 12; members: docs/spec/arena-acl/README.md 3).

use chrono::{NaiveDate, NaiveDateTime};
use domain::arena_acl::{
    CourseState, ParticipantStatus, Row, StatusInput, Table,
    codes::{ArenaReason, ArenaStatus, Measure},
    course_is_valid, reason, status, time,
};
use serde_json::{Value, json};

use crate::wire::{self, message::local_date_time};

/// The names of the functions.
pub const FUNCTIONS: [&str; 7] =
    ["status", "aarsak", "tiltakskode", "parse-time", "clean-text", "gjennomforing-valid", "supported"];

/// A call that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// There is no such function.
    #[error("no such function")]
    UnknownFunction,
    /// A member of the input, by name, is absent or not what it should be.
    #[error("member {0} is absent or not what it should be")]
    Member(&'static str),
}

/// What the function of this name makes of `input`, an object; the same for the same input, always.
///
/// # Errors
/// As [`EvalError`] says.
pub fn eval(function: &str, input: &Value) -> Result<Value, EvalError> {
    match function {
        "status" => eval_status(input),
        "aarsak" => eval_reason(input),
        "tiltakskode" => Ok(match Measure::of_tiltakskode(text(input, "tiltakskode")?) {
            Some(measure) => json!({"arena_kode": measure.code(), "enkeltplass": measure.is_single_place()}),
            None => json!({"error": "unsupported"}),
        }),
        "parse-time" => eval_time(input),
        "clean-text" => Ok(json!({"text": required(input, "json", clean_text)?})),
        "gjennomforing-valid" => Ok(json!({"valid": course_is_valid(&course(input)?)})),
        "supported" => Ok(json!({"supported": Measure::supported(text(input, "arena_kode")?)})),
        _ => Err(EvalError::UnknownFunction),
    }
}

fn eval_status(input: &Value) -> Result<Value, EvalError> {
    let (status, changed) = status(&StatusInput {
        arena_status: required(input, "arena_status", ArenaStatus::named)?,
        start: optional(input, "start", iso_date)?,
        end: optional(input, "slutt", iso_date)?,
        status_changed: optional(input, "status_endret", iso_date_time)?,
        registered: required(input, "registrert", iso_date_time)?,
        needs_approval: flag(input, "krever_godkjenning")?,
        single_place: flag(input, "enkeltplass")?,
        course: optional(input, "gjennomforing_status", CourseState::named)?,
        course_end: optional(input, "gjennomforing_slutt", iso_date)?,
        today: required(input, "today", iso_date)?,
    });
    Ok(json!({"status": status.name(), "status_endret_dato": changed.map(local_date_time)}))
}

fn eval_reason(input: &Value) -> Result<Value, EvalError> {
    let reason = reason(
        required(input, "arena_status", ArenaStatus::named)?,
        required(input, "status", ParticipantStatus::named)?,
        optional(input, "arena_aarsak", ArenaReason::named)?,
        flag(input, "gjennomforing_avsluttet")?,
    );
    Ok(json!({"status_aarsak": reason.map(|reason| reason.name())}))
}

fn eval_time(input: &Value) -> Result<Value, EvalError> {
    let text = text(input, "text")?;
    let value = match self::text(input, "kind")? {
        "date" => time::date(text).map(|date| date.to_string()),
        "datetime" => time::date_time(text).map(local_date_time),
        "op_ts" => time::operation_time(text).map(local_date_time),
        _ => return Err(EvalError::Member("kind")),
    };
    Ok(value.map_or_else(|| json!({"error": "invalid"}), |value| json!({"value": value})))
}

fn clean_text(literal: &str) -> Option<String> {
    wire::clean(literal.as_bytes()).ok().and_then(|json| serde_json::from_str(&json).ok())
}

fn course(input: &Value) -> Result<domain::arena_acl::CourseRow, EvalError> {
    let image = input.get("row").map(Value::to_string).unwrap_or_default();
    match wire::row(Table::Courses, &image) {
        Ok(Row::Course(row)) => Ok(row),
        _ => Err(EvalError::Member("row")),
    }
}

fn text<'a>(input: &'a Value, name: &'static str) -> Result<&'a str, EvalError> {
    input.get(name).and_then(Value::as_str).ok_or(EvalError::Member(name))
}

fn flag(input: &Value, name: &'static str) -> Result<bool, EvalError> {
    input.get(name).and_then(Value::as_bool).ok_or(EvalError::Member(name))
}

fn required<T>(input: &Value, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, EvalError> {
    parse(text(input, name)?).ok_or(EvalError::Member(name))
}

fn optional<T>(input: &Value, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, EvalError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => required(input, name, parse).map(Some),
    }
}

fn iso_date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

fn iso_date_time(text: &str) -> Option<NaiveDateTime> {
    text.parse().ok()
}

#[cfg(test)]
mod tests;
