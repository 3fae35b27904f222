//! Row validation (4.6): the first failing check decides.

use chrono::{NaiveDate, NaiveDateTime};

use super::{
    codes::{ArenaReason, ArenaStatus},
    failure::Failure,
    record::{ParticipantRow, PersonId},
    time,
};

/// A row that can be published.
pub(super) struct Valid {
    pub(super) person: PersonId,
    pub(super) start: Option<NaiveDate>,
    pub(super) end: Option<NaiveDate>,
    pub(super) status: ArenaStatus,
    pub(super) reason: Option<ArenaReason>,
    pub(super) status_changed: Option<NaiveDateTime>,
    pub(super) registered: NaiveDateTime,
}

/// Of a participant: all of 4.6. Also gives when the row was last modified.
pub(super) fn validate(row: &ParticipantRow) -> Result<(Valid, NaiveDateTime), Failure> {
    let valid = validate_history(row)?;
    well_formed("MOD_DATO", present("MOD_DATO", row.modified.as_deref())?, time::date_time)
        .map(|modified| (valid, modified))
}

/// Of a historised participant: row 11 is not for it.
pub(super) fn validate_history(row: &ParticipantRow) -> Result<Valid, Failure> {
    if row.id == 0 {
        return Err(Failure::validation("the row has no id"));
    }
    if row.course == 0 {
        return Err(Failure::validation("TILTAKGJENNOMFORING_ID is missing"));
    }
    let person = row.person.map(PersonId).ok_or_else(|| Failure::validation("PERSON_ID is missing"))?;
    let start = optional("DATO_FRA", row.start.as_deref(), time::date)?;
    let end = optional("DATO_TIL", row.end.as_deref(), time::date)?;
    let status = present("DELTAKERSTATUSKODE", row.status.as_deref())?;
    let registered = present("REG_DATO", row.registered.as_deref())?;
    present("MOD_DATO", row.modified.as_deref())?;
    let status =
        ArenaStatus::named(status).ok_or_else(|| Failure::other("DELTAKERSTATUSKODE has a code that is not known"))?;
    let status_changed = optional("DATO_STATUSENDRING", row.status_changed.as_deref(), time::date_time)?;
    let reason = match row.reason.as_deref().map(ArenaReason::named) {
        None => None,
        Some(Some(reason)) => Some(reason),
        Some(None) => return Err(Failure::other("AARSAKVERDIKODE_STATUS has a code that is not known")),
    };
    let registered = well_formed("REG_DATO", registered, time::date_time)?;
    Ok(Valid { person, start, end, status, reason, status_changed, registered })
}

fn present<'a>(column: &str, text: Option<&'a str>) -> Result<&'a str, Failure> {
    text.ok_or_else(|| Failure::validation(format!("{column} is missing")))
}

fn optional<T>(column: &str, text: Option<&str>, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Failure> {
    text.map(|text| well_formed(column, text, parse)).transpose()
}

fn well_formed<T>(column: &str, text: &str, parse: fn(&str) -> Option<T>) -> Result<T, Failure> {
    parse(text).ok_or_else(|| Failure::validation(format!("{column} is malformed")))
}
