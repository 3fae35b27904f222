//! What a handled change of a participant leaves behind in the last known rows (3.4), for whoever compares the two.

use super::{
    effect::LastKnown,
    participant::{HISTORISED, last_known},
    record::{Change, Operation, Row, Table},
    validate::validate,
};

/// The last known row after a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Left {
    /// Exactly this one.
    Row(Box<LastKnown>),
    /// If there is one, its status is `FEILREGISTRERT` (4.8 step 3).
    Misregistered,
    /// It cannot be said: by today's rules the change is not usable.
    Unusable,
}

/// What `change` has left behind since it was handled with `note`, if nothing newer was.
#[must_use]
pub fn left_behind(change: &Change, note: Option<&str>) -> Left {
    let (Table::Participants, Row::Participant(row)) = (change.table, &change.row) else { return Left::Unusable };
    if change.operation == Operation::Deleted && note != Some(HISTORISED) {
        return Left::Misregistered;
    }
    match validate(row) {
        Ok((valid, modified)) => Left::Row(Box::new(last_known(change, row, &valid, modified))),
        Err(_unusable) => Left::Unusable,
    }
}
