//! Every metric of the domain (docs/spec/reval-sync.md 7.4). What all services count is in [`chassis::metrics`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    delivery::{Outcome, Settlement},
    reval_sync::run::{Stage, State},
};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use search::engine;

use crate::{
    deliveries::{Queue, Settled},
    record::{Record, stage_name, state_name},
};

/// From a run of a test to one of a night, in seconds.
const RUN_BUCKETS: &[f64] = &[1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];
/// Every state a run can show.
const STATES: [&str; 5] = ["running", "completed", "failed", "cancelled", "rolled-back"];

/// The metrics of the service. A clone counts into the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    shared: chassis::metrics::Metrics,
    bulk_items: IntCounterVec,
    stage_received: IntGaugeVec,
    stage_late: IntGaugeVec,
    run_state: IntGaugeVec,
    run_seconds: Histogram,
    stale: IntCounter,
    live_documents: IntGauge,
}

impl Metrics {
    /// The metrics of the service beside those that all services have. Once for a registry.
    #[must_use]
    pub fn new(shared: chassis::metrics::Metrics) -> Self {
        let gauge = |name, help, labels: &[&str]| shared.register(IntGaugeVec::new(Opts::new(name, help), labels));
        let run_seconds = HistogramOpts::new("reval_sync_run_seconds", "Time from the request of a run to its end.");
        Self {
            bulk_items: shared.register(IntCounterVec::new(
                Opts::new("reval_sync_bulk_items_total", "Lines of bulk requests, by how the engine answered."),
                &["result"],
            )),
            stage_received: gauge(
                "reval_sync_stage_received",
                "Items that a stage of the last run received.",
                &["stage"],
            ),
            stage_late: gauge(
                "reval_sync_late_messages",
                "Items that came after their stage in the last run; they were used all the same.",
                &["stage"],
            ),
            run_state: gauge("reval_sync_run_state", "1 for the state of the last run, 0 for the others.", &["state"]),
            run_seconds: shared.register(Histogram::with_opts(run_seconds.buckets(RUN_BUCKETS.to_vec()))),
            stale: shared.register(IntCounter::new(
                "reval_sync_cdc_stale_total",
                "Change events older than what was applied; nothing was written.",
            )),
            live_documents: shared.register(IntGauge::new(
                "reval_sync_live_documents",
                "Documents that readers saw when a run counted them last.",
            )),
            shared,
        }
    }

    /// What all services count.
    #[must_use]
    pub fn shared(&self) -> &chassis::metrics::Metrics {
        &self.shared
    }

    /// A message was received.
    pub(crate) fn received(&self, queue: Queue) {
        self.shared.received(queue.name());
    }

    /// A message was settled, `age` after it was sent where that is known.
    pub(crate) fn settled(&self, queue: Queue, settled: Settled, age: Option<Duration>) {
        let settlement = match settled {
            Settled::Done => Settlement::Done(Outcome::Applied),
            Settled::DeadLettered => Settlement::DeadLettered("given_up"),
        };
        self.shared.settled(queue.name(), &settlement);
        if let Some(age) = age {
            self.shared.age(queue.name(), age);
        }
    }

    /// Messages were taken in together, in `time`.
    pub(crate) fn handled(&self, queue: Queue, time: Duration) {
        self.shared.handled(queue.name(), time);
    }

    /// The engine answered the lines of a bulk request.
    pub(crate) fn bulk(&self, outcomes: &[engine::Outcome]) {
        for outcome in outcomes {
            let result = match outcome {
                engine::Outcome::Done => "done",
                engine::Outcome::Conflict => "conflict",
                engine::Outcome::Later => "later",
                engine::Outcome::Refused { .. } => "refused",
            };
            self.bulk_items.with_label_values(&[result]).inc();
        }
    }

    /// A change event was older than what is there.
    pub(crate) fn stale(&self) {
        self.stale.inc();
    }

    /// Readers see so many documents.
    pub(crate) fn live_documents(&self, documents: u64) {
        self.live_documents.set(i64::try_from(documents).unwrap_or(i64::MAX));
    }

    /// Where the last run is.
    pub(crate) fn run(&self, record: &Record, state: State) {
        let shown = match state {
            State::Completed | State::Failed(_) | State::Cancelled => state_name(state),
            _ => "running",
        };
        for state in STATES {
            self.run_state.with_label_values(&[state]).set(i64::from(state == shown));
        }
        for (stage, counted) in Stage::ALL.into_iter().zip(&record.stages) {
            let value = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.stage_received.with_label_values(&[stage_name(stage)]).set(value(counted.received));
            self.stage_late.with_label_values(&[stage_name(stage)]).set(value(counted.late));
        }
    }

    /// A run ended.
    pub(crate) fn run_ended(&self, requested_at: DateTime<Utc>, now: DateTime<Utc>) {
        self.run_seconds.observe((now - requested_at).to_std().unwrap_or_default().as_secs_f64());
    }
}
