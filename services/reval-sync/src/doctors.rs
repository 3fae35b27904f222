//! Doctors, the outcome of their latest recommendation and their latest connection log, read from their stores (4.4, 4.5, chapter 6).

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::reval_sync::{
    GmcNumber, Text,
    connection::Log,
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

/// The latest connection log of each doctor: that with the greatest time, then the greatest key (14.5 no. 20).
#[derive(Debug, Default)]
pub(crate) struct LatestLogs(HashMap<GmcNumber, (Text, Log)>);

impl LatestLogs {
    /// Takes a document of the store; which one is the latest does not depend on their order.
    pub(crate) fn add(&mut self, document: &Value) -> Result<(), Unreadable> {
        let Some((key, log)) = wire::connection_log(document)? else { return Ok(()) };
        let Some(number) = GmcNumber::usable(log.number.as_deref()) else { return Ok(()) };
        let known = self.0.get(&number).is_some_and(|(other, known)| (known.time, other) >= (log.time, &key));
        if !known {
            self.0.insert(number, (key, log));
        }
        Ok(())
    }

    /// The log of a doctor.
    pub(crate) fn of(&self, number: &GmcNumber) -> Option<&Log> {
        self.0.get(number).map(|(_, log)| log)
    }

    /// Every doctor's log.
    pub(crate) fn into_logs(self) -> impl Iterator<Item = Log> {
        self.0.into_values().map(|(_, log)| log)
    }
}
