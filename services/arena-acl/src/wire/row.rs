//! The used columns of a row image (docs/spec/arena-acl.md 2.2, 2.5–2.7).

use domain::arena_acl::{CourseRow, ParticipantRow, Row, Table};

use super::member::{Undecodable, members};

/// A data section that cannot be read; its record is `BAD_ROW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It is something else than an object.
    #[error("the data section is not an object")]
    NotAnObject,
    /// A used column, by name, holds what its type cannot be.
    #[error("{0} cannot be decoded")]
    Column(&'static str),
}

impl From<Undecodable> for RowError {
    fn from(Undecodable(name): Undecodable) -> Self {
        Self::Column(name)
    }
}

/// Reads the used columns of a row of `table`; columns that nobody uses never matter, whatever they hold.
///
/// # Errors
/// As [`RowError`] says.
pub fn row(table: Table, image: &str) -> Result<Row, RowError> {
    match table {
        Table::Courses => course(image).map(Row::Course),
        Table::Participants => participant(image, "TILTAKDELTAKER_ID").map(Row::Participant),
        Table::History => participant(image, "HIST_TILTAKDELTAKER_ID").map(Row::Participant),
    }
}

fn course(image: &str) -> Result<CourseRow, RowError> {
    let columns = members(
        image,
        [
            "TILTAKGJENNOMFORING_ID",
            "TILTAKSKODE",
            "SAK_ID",
            "ARBGIV_ID_ARRANGOR",
            "LOKALTNAVN",
            "TILTAKSTATUSKODE",
            "REG_DATO",
            "DATO_FRA",
            "DATO_TIL",
        ],
    );
    let Ok([id, measure, case, organiser, name, state, registered, start, end]) = columns else {
        return Err(RowError::NotAnObject);
    };
    Ok(CourseRow {
        id: id.integer()?.unwrap_or(0),
        measure: measure.text()?,
        case: case.integer()?,
        organiser: organiser.integer()?,
        name: name.text()?,
        state: state.text()?,
        registered: registered.text()?,
        start: start.text()?,
        end: end.text()?,
    })
}

fn participant(image: &str, id: &'static str) -> Result<ParticipantRow, RowError> {
    let columns = members(
        image,
        [
            id,
            "PERSON_ID",
            "TILTAKGJENNOMFORING_ID",
            "DELTAKERSTATUSKODE",
            "DELTAKERTYPEKODE",
            "AARSAKVERDIKODE_STATUS",
            "DATO_FRA",
            "DATO_TIL",
            "DATO_STATUSENDRING",
            "REG_DATO",
            "MOD_DATO",
            "PROSENT_DELTID",
            "ANTALL_DAGER_PR_UKE",
            "BEGRUNNELSE_BESTILLING",
            "EKSTERN_ID",
        ],
    );
    let Ok(
        [
            id,
            person,
            course,
            status,
            kind,
            reason,
            start,
            end,
            status_changed,
            registered,
            modified,
            percent,
            days,
            order,
            external,
        ],
    ) = columns
    else {
        return Err(RowError::NotAnObject);
    };
    Ok(ParticipantRow {
        id: id.integer()?.unwrap_or(0),
        person: person.integer()?,
        course: course.integer()?.unwrap_or(0),
        status: status.text()?,
        kind: kind.text()?,
        reason: reason.text()?,
        start: start.text()?,
        end: end.text()?,
        status_changed: status_changed.text()?,
        registered: registered.text()?,
        modified: modified.text()?,
        part_time_percent: percent.float()?,
        days_per_week: days.float()?,
        order_text: order.text()?,
        external_id: external.text()?,
    })
}

/// The texts of `DATO_FRA` and `DATO_TIL` in the image of a participant; `None` where it cannot be read.
#[must_use]
pub fn period(image: &str) -> Option<(Option<String>, Option<String>)> {
    let [start, end] = members(image, ["DATO_FRA", "DATO_TIL"]).ok()?;
    Some((start.text().ok()?, end.text().ok()?))
}

#[cfg(test)]
mod tests;
