//! Recommendations: the outcome of a doctor's latest one (4.4), and recommendation events (R-CDC-3).

use chrono::{Months, NaiveDate};

use super::{GmcNumber, Refused, Slots, Text};

/// What the GMC made of a recommendation (12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Approved.
    Approved,
    /// Rejected.
    Rejected,
    /// Under review.
    UnderReview,
}

impl Outcome {
    /// The outcome of that stored name; `None` for any other text.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "APPROVED" => Some(Self::Approved),
            "REJECTED" => Some(Self::Rejected),
            "UNDER_REVIEW" => Some(Self::UnderReview),
            _ => None,
        }
    }

    /// What readers see as `gmcStatus`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
            Self::UnderReview => "Under Review",
        }
    }
}

/// One recommendation, as far as the rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommendation {
    /// Its key as text; an object id by its hex digits.
    pub id: Text,
    /// When it is due.
    pub gmc_submission: Option<NaiveDate>,
    /// When it was made; absent for a draft.
    pub actual_submission: Option<NaiveDate>,
    /// What became of it.
    pub outcome: Option<Outcome>,
}

impl Recommendation {
    /// Whether it, and not `other`, is the doctor's latest (R-OUT-1, R-OUT-6): absent dates come last, ties are broken by the key.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        let rank = |one: &Self| (one.gmc_submission, one.actual_submission);
        (rank(self), &self.id) > (rank(other), &other.id)
    }

    /// The outcome that a doctor has by this, the latest recommendation (R-OUT-2…5). A draft has none, and neither has one that is past: approved
    /// more than a calendar month before `today`, while the next one is due.
    #[must_use]
    pub fn outcome(&self, under_notice: Option<&str>, today: NaiveDate) -> Option<Outcome> {
        let made = self.actual_submission?;
        let is_past = self.outcome == Some(Outcome::Approved)
            && under_notice == Some("YES")
            && today.checked_sub_months(Months::new(1)).is_some_and(|month_ago| made < month_ago);
        self.outcome.filter(|_| !is_past)
    }
}

/// Applies a recommendation event to the documents of the doctor: the admin, also none, and the outcome where there is one. A doctor that is
/// not known is ignored; the event is not compared with other recommendations. Twice is the same as once.
///
/// # Errors
/// Without number.
pub fn changed(
    slots: &mut Slots,
    number: Option<&str>,
    admin: Option<&Text>,
    outcome: Option<Outcome>,
) -> Result<(), Refused> {
    if number.is_none_or(|number| number.trim().is_empty()) {
        return Err(Refused("no_number"));
    }
    let Some(number) = GmcNumber::usable(number) else { return Ok(()) };
    for slot in slots.of_number(&number) {
        slots.change(slot, |document| {
            document.gmc.admin = admin.cloned();
            if let Some(outcome) = outcome {
                document.gmc.outcome = Some(outcome.label().into());
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn made(id: &str, due: Option<&str>, made: Option<&str>) -> Recommendation {
        Recommendation {
            id: id.into(),
            gmc_submission: due.map(date),
            actual_submission: made.map(date),
            outcome: Some(Outcome::Approved),
        }
    }

    #[test]
    fn the_latest_is_the_one_that_is_due_last_then_made_last_then_has_the_greatest_key() {
        let in_order = [
            made("9", None, Some("2025-06-01")),
            made("1", Some("2025-01-01"), None),
            made("2", Some("2025-01-01"), Some("2024-12-01")),
            made("3", Some("2025-01-01"), Some("2024-12-01")),
            made("0", Some("2025-02-01"), None),
        ];
        for (one, other) in in_order.iter().zip(&in_order[1..]) {
            assert!(other.is_later_than(one) && !one.is_later_than(other), "{} {}", one.id, other.id);
        }
    }

    #[test]
    fn a_month_ago_is_clamped_to_the_end_of_a_shorter_month() {
        let today = date("2025-03-31");
        for (day, outcome) in [("2025-02-27", None), ("2025-02-28", Some(Outcome::Approved))] {
            assert_eq!(made("1", None, Some(day)).outcome(Some("YES"), today), outcome, "{day}");
        }
    }

    #[test]
    fn a_draft_has_no_outcome() {
        assert_eq!(made("1", Some("2025-01-01"), None).outcome(None, date("2025-03-31")), None);
    }
}
