//! Every metric of the domain (docs/spec/arena-acl.md 7.4, IMP-18). What all services count is in [`chassis::metrics`].
//!
//! `amt_arena_acl_ingestStatus_seconds` of the old service is `truecopy_handle_duration_seconds`: what repeats a shared metric is not
//! emitted (architecture 8.17).

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::arena_acl::{IngestStatus, Operation, Row, Table, codes::ArenaStatus};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::{inbox::Item, wire};

/// The metrics of the service. A clone counts into the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    shared: chassis::metrics::Metrics,
    statuses: IntCounterVec,
    created: IntCounter,
    moved: IntCounterVec,
    rows: IntGaugeVec,
    oldest: IntGaugeVec,
    outbox: IntGauge,
    outbox_oldest: IntGauge,
    counted: IntGaugeVec,
}

/// What was counted in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// What is not finished.
    Open,
    /// What is.
    Finished,
}

impl Metrics {
    /// The metrics of the service beside those that all services have. Once for a registry.
    #[must_use]
    pub fn new(shared: chassis::metrics::Metrics) -> Self {
        let counter = |name, help, labels: &[&str]| shared.register(IntCounterVec::new(Opts::new(name, help), labels));
        let gauge = |name, help, labels: &[&str]| shared.register(IntGaugeVec::new(Opts::new(name, help), labels));
        let metrics = Self {
            statuses: counter(
                "amt_arena_acl_deltaker_status_total",
                "Participants handled, by Arena's status code, which both labels have.",
                &["arena", "amt_tiltak"],
            ),
            created: shared
                .register(IntCounter::new("amt_arena_acl_deltaker_ny_total", "Inserts of participants handled.")),
            moved: counter(
                "amt_arena_acl_deltaker_oppdatering_total",
                "Updates of participants handled in which the date changed.",
                &["field"],
            ),
            rows: gauge("amt_arena_acl_ingest_status", "Changes in the store.", &["table", "status"]),
            oldest: gauge(
                "amt_arena_acl_oldest_seconds",
                "Time since message processing gave the oldest unhandled change its status; 0 where there is none.",
                &["table", "status"],
            ),
            outbox: shared.register(IntGauge::new("amt_arena_acl_outbox_messages", "Messages that wait to leave.")),
            outbox_oldest: shared.register(IntGauge::new(
                "amt_arena_acl_outbox_oldest_seconds",
                "Time for which the oldest of them has waited; 0 where there is none.",
            )),
            counted: gauge(
                "amt_arena_acl_counted_timestamp_seconds",
                "When the gauges of the store were last refreshed, as a Unix time; 0 before the first time.",
                &["rows"],
            ),
            shared,
        };
        for counted in [Counted::Open, Counted::Finished] {
            metrics.counted.with_label_values(&[counted.label()]).set(0);
        }
        for field in ["startDato", "sluttDato"] {
            metrics.moved.with_label_values(&[field]).inc_by(0);
        }
        metrics
    }

    /// What all services count.
    #[must_use]
    pub fn shared(&self) -> &chassis::metrics::Metrics {
        &self.shared
    }

    /// A change was handled: it is HANDLED now and was not before. Only participants are counted.
    pub(crate) fn handled(&self, item: &Item) {
        let Item { change, before, .. } = item;
        let (Table::Participants, Row::Participant(row)) = (change.table, &change.row) else { return };
        if change.operation != Operation::Deleted {
            let status = row.status.as_deref().and_then(ArenaStatus::named).map_or("unknown", ArenaStatus::code);
            self.statuses.with_label_values(&[status, status]).inc();
        }
        match change.operation {
            Operation::Created => self.created.inc(),
            Operation::Modified => {
                let Some((start, end)) = before.as_deref().and_then(wire::period) else { return };
                for (field, moved) in [("startDato", start != row.start), ("sluttDato", end != row.end)] {
                    self.moved.with_label_values(&[field]).inc_by(u64::from(moved));
                }
            }
            Operation::Deleted => {}
        }
    }

    pub(crate) fn rows(&self, table: Table, status: IngestStatus, rows: u64) {
        self.rows.with_label_values(&[table.name(), status.name()]).set(gauge_value(rows));
    }

    pub(crate) fn oldest(&self, table: Table, status: IngestStatus, age: Duration) {
        self.oldest.with_label_values(&[table.name(), status.name()]).set(gauge_value(age.as_secs()));
    }

    pub(crate) fn outbox(&self, messages: u64, oldest: Duration) {
        self.outbox.set(gauge_value(messages));
        self.outbox_oldest.set(gauge_value(oldest.as_secs()));
    }

    pub(crate) fn counted(&self, counted: Counted, now: DateTime<Utc>) {
        self.counted.with_label_values(&[counted.label()]).set(now.timestamp());
    }
}

impl Counted {
    fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Finished => "finished",
        }
    }
}

fn gauge_value(count: u64) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
