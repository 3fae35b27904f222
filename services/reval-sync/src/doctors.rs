//! Doctors and the outcome of their latest recommendation, read from their stores (4.4, chapter 6).

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::reval_sync::{
    GmcNumber,
    doctor::Summary,
    recommendation::{Outcome, Recommendation},
};
use serde_json::Value;

use crate::wire::{self, Unreadable};

/// The latest recommendation of each doctor.
#[derive(Debug, Default)]
pub(crate) struct Latest(HashMap<GmcNumber, Recommendation>);

impl Latest {
    /// Takes a document of the store; which one is the latest does not depend on their order.
    pub(crate) fn add(&mut self, document: &Value) -> Result<(), Unreadable> {
        let Some((number, recommendation)) = wire::recommendation(document)? else { return Ok(()) };
        let Some(number) = GmcNumber::usable(Some(&number)) else { return Ok(()) };
        match self.0.get_mut(&number) {
            Some(known) if !recommendation.is_later_than(known) => {}
            Some(known) => *known = recommendation,
            None => {
                self.0.insert(number, recommendation);
            }
        }
        Ok(())
    }

    /// The outcome that a doctor has today.
    pub(crate) fn outcome(&self, doctor: &Summary, today: NaiveDate) -> Option<Outcome> {
        let number = GmcNumber::usable(doctor.number.as_deref())?;
        self.0.get(&number)?.outcome(doctor.gmc.under_notice.as_deref(), today)
    }
}
