//! Connection logs: who changed a doctor's connection, and when (4.5, R-CDC-4).

use chrono::NaiveDateTime;

use super::{GmcNumber, Refused, Slots, Text};

/// The latest change of a doctor's connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// `gmcId`
    pub number: Option<Text>,
    /// Who; absent is written too.
    pub updated_by: Option<Text>,
    /// When, to the millisecond; a change on the GMC's side may have none.
    pub time: Option<NaiveDateTime>,
}

/// What marks a change on the GMC's side, whatever its response code.
pub const UPDATED_BY_GMC: &str = "Updated by GMC";

/// Whether a log in the store counts (R-CON-2): it succeeded, or nobody asked.
#[must_use]
pub fn counts(response_code: Option<&str>) -> bool {
    response_code.is_none_or(|code| code == "0")
}

/// Whether the event of a log counts (R-CDC-4): it succeeded, or the GMC changed it.
#[must_use]
pub fn event_counts(response_code: Option<&str>, updated_by: Option<&str>) -> bool {
    response_code == Some("0") || updated_by == Some(UPDATED_BY_GMC)
}

/// Applies a log to the documents with its number (R-CON-1, R-CON-4…6). Nothing is inserted; a log that is older than the stored one changes nothing,
/// and one without a time leaves the stored time. Twice is the same as once.
///
/// # Errors
/// Without number.
pub fn apply(slots: &mut Slots, log: &Log) -> Result<(), Refused> {
    if log.number.as_deref().is_none_or(|number| number.trim().is_empty()) {
        return Err(Refused("no_number"));
    }
    let Some(number) = GmcNumber::usable(log.number.as_deref()) else { return Ok(()) };
    for slot in slots.of_number(&number) {
        slots.change(slot, |document| {
            if log.time.is_some() && log.time < document.last_connection {
                return;
            }
            document.updated_by.clone_from(&log.updated_by);
            document.last_connection = log.time.or(document.last_connection);
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reval_sync::Document;

    fn log(by: &str, time: Option<&str>) -> Log {
        Log {
            number: Some("7012345".into()),
            updated_by: Some(by.into()),
            time: time.map(|time| time.parse().unwrap()),
        }
    }

    fn after(logs: &[Log]) -> Vec<(Option<String>, Option<NaiveDateTime>)> {
        let mut slots = Slots::default();
        for _person in 0..2 {
            slots.load(Document { number: Some("7012345".into()), ..Document::default() });
        }
        logs.iter().for_each(|log| apply(&mut slots, log).unwrap());
        slots
            .iter()
            .map(|document| (document.updated_by.as_deref().map(str::to_owned), document.last_connection))
            .collect()
    }

    #[test]
    fn an_older_log_changes_nothing_and_one_of_the_same_time_does() {
        let (early, late) = (Some("2025-03-04T05:06:07"), Some("2025-03-04T05:06:07.089"));
        let by = |logs: &[Log]| after(logs).remove(0).0.unwrap();
        assert_eq!(by(&[log("one", late), log("two", early)]), "one");
        assert_eq!(by(&[log("one", late), log("two", late)]), "two");
    }

    #[test]
    fn a_log_without_time_tells_who_and_leaves_when() {
        let time = Some("2025-03-04T05:06:07");
        let expected = (Some("two".to_owned()), log("", time).time);
        assert_eq!(after(&[log("one", time), log("two", None)]), [expected.clone(), expected]);
    }

    #[test]
    fn a_log_of_an_unknown_doctor_inserts_nothing_and_one_of_nobody_is_refused() {
        let mut slots = Slots::default();
        apply(&mut slots, &log("one", None)).unwrap();
        assert_eq!(slots.iter().count(), 0);
        assert_eq!(apply(&mut slots, &Log::default()), Err(Refused("no_number")));
    }
}
