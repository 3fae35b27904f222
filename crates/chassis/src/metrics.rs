//! The metrics that every service has, under one set of names and labels, and the registry that holds them.
//!
//! Labels are closed sets: never ids, keys, names or URLs. Counts are items, never batches. For each source,
//! received = applied + ignored + waiting + dead-lettered + returned + in flight.

#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::delivery::Settlement;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};
use tracing::error;

/// From a batch in memory to one that waited for a neighbour, in seconds.
const HANDLE_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// From a message that came at once to one from the day before yesterday, in seconds.
const AGE_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0, 172_800.0];

/// The shared metrics. A clone counts into the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    received: IntCounterVec,
    settled: IntCounterVec,
    retries: IntCounterVec,
    messages_in_flight: IntGaugeVec,
    bytes_in_flight: IntGaugeVec,
    handle_duration: HistogramVec,
    age: HistogramVec,
    lag: IntGaugeVec,
    dead_letters: IntGaugeVec,
    waiting: IntGaugeVec,
    dependency_up: IntGaugeVec,
    paused: IntGaugeVec,
    calls: HistogramVec,
    publish: HistogramVec,
    build_info: IntGaugeVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The shared metrics in a registry of their own; each appears with its first value.
    #[must_use]
    pub fn new() -> Self {
        let to = Registry::new();
        let counter = |name, help, labels: &[&str]| registered(&to, IntCounterVec::new(Opts::new(name, help), labels));
        let gauge = |name, help, labels: &[&str]| registered(&to, IntGaugeVec::new(Opts::new(name, help), labels));
        let histogram = |name, help, buckets: &[f64], labels: &[&str]| {
            registered(&to, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
        };
        Self {
            received: counter("truecopy_messages_received_total", "Messages taken from the source.", &["source"]),
            settled: counter(
                "truecopy_messages_settled_total",
                "Messages settled, by how.",
                &["source", "outcome", "reason"],
            ),
            retries: counter(
                "truecopy_message_retries_total",
                "Tries that did not settle their message.",
                &["source", "reason"],
            ),
            messages_in_flight: gauge("truecopy_messages_in_flight", "Messages received and not settled.", &["source"]),
            bytes_in_flight: gauge(
                "truecopy_bytes_in_flight",
                "Bytes of messages received and not settled.",
                &["source"],
            ),
            handle_duration: histogram(
                "truecopy_handle_duration_seconds",
                "Time of one try to handle a message.",
                HANDLE_BUCKETS,
                &["source"],
            ),
            age: histogram(
                "truecopy_message_age_seconds",
                "Time from a message's own time to its settlement.",
                AGE_BUCKETS,
                &["source"],
            ),
            lag: gauge(
                "truecopy_source_lag_messages",
                "Messages in the source behind those settled.",
                &["source", "partition"],
            ),
            dead_letters: gauge("truecopy_dead_letters", "Dead letters kept.", &["source", "reason"]),
            waiting: gauge(
                "truecopy_waiting_messages",
                "Messages kept until what they refer to is here.",
                &["source", "reason"],
            ),
            dependency_up: gauge("truecopy_dependency_up", "Whether the dependency answers: 1 or 0.", &["dependency"]),
            paused: gauge("truecopy_paused", "Whether the intake is paused: 1 or 0.", &["source"]),
            calls: histogram(
                "truecopy_call_duration_seconds",
                "Time of one HTTP call, by how it ended.",
                HANDLE_BUCKETS,
                &["dependency", "outcome"],
            ),
            publish: histogram(
                "truecopy_publish_duration_seconds",
                "Time from a message's entry into the outbox to its confirmed delivery.",
                AGE_BUCKETS,
                &["destination"],
            ),
            build_info: gauge("truecopy_build_info", "Always 1; what runs is in the labels.", &["version", "commit"]),
            registry: to,
        }
    }

    /// Shows a metric of the domain beside the shared ones.
    ///
    /// # Panics
    /// When the metric is not well-formed, or its name is taken: both are mistakes in constants, which every test of the caller shows.
    pub fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        registered(&self.registry, made)
    }

    /// All metrics in the Prometheus text format, version 0.0.4. A family that cannot be written is left out and logged.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for family in self.registry.gather() {
            let name = family.name().to_owned();
            if TextEncoder::new().encode_utf8(&[family], &mut text).is_err() {
                error!("metric {name} cannot be written");
            }
        }
        text
    }

    /// One message was taken from `source`: each delivery counts.
    pub fn received(&self, source: &str) {
        self.received.with_label_values(&[source]).inc();
    }

    /// One message of `source` is settled, or [`Settlement::Again`]: that counts as a retry, with reason `failed`, or `outage` when it is no attempt.
    pub fn settled(&self, source: &str, settlement: &Settlement) {
        let (outcome, reason) = settlement.words();
        if let Settlement::Again { .. } = settlement {
            return self.retried(source, reason);
        }
        self.settled.with_label_values(&[source, outcome, reason]).inc();
    }

    /// One message went back to `source` unsettled: its partition was revoked, or the process stops. It is another delivery when it comes again.
    pub fn returned(&self, source: &str, reason: &'static str) {
        self.settled.with_label_values(&[source, "returned", reason]).inc();
    }

    /// One try of a message of `source` did not settle it. [`settled`](Self::settled) counts that itself.
    pub fn retried(&self, source: &str, reason: &'static str) {
        self.retries.with_label_values(&[source, reason]).inc();
    }

    /// What is received from `source` and not settled now.
    pub fn in_flight(&self, source: &str, messages: usize, bytes: usize) {
        self.messages_in_flight.with_label_values(&[source]).set(gauge_value(messages));
        self.bytes_in_flight.with_label_values(&[source]).set(gauge_value(bytes));
    }

    /// One try to handle a message of `source` took `time`.
    pub fn handled(&self, source: &str, time: Duration) {
        self.handle_duration.with_label_values(&[source]).observe(time.as_secs_f64());
    }

    /// A message of `source` was settled `age` after its own time.
    pub fn age(&self, source: &str, age: Duration) {
        self.age.with_label_values(&[source]).observe(age.as_secs_f64());
    }

    /// One HTTP call to `dependency` took `time`; `outcome` is the class of its status (`2xx`), or why there was none.
    pub fn called(&self, dependency: &str, outcome: &'static str, time: Duration) {
        self.calls.with_label_values(&[dependency, outcome]).observe(time.as_secs_f64());
    }

    /// The delivery of a message to `destination` was confirmed so long after it had entered the outbox.
    pub fn published(&self, destination: &str, time: Duration) {
        self.publish.with_label_values(&[destination]).observe(time.as_secs_f64());
    }

    /// How many messages of the partition are behind those settled.
    pub fn lag(&self, source: &str, partition: i32, messages: i64) {
        self.lag.with_label_values(&[source, partition.to_string().as_str()]).set(messages);
    }

    /// The partition is no longer ours: its lag is another's to tell. Twice is the same as once.
    pub fn forget_lag(&self, source: &str, partition: i32) {
        // an error says that there was no such value
        self.lag.remove_label_values(&[source, partition.to_string().as_str()]).unwrap_or_default();
    }

    /// How many dead letters of `source` are kept for `reason`.
    pub fn dead_letters(&self, source: &str, reason: &str, letters: u64) {
        self.dead_letters.with_label_values(&[source, reason]).set(gauge_value(letters));
    }

    /// How many messages of `source` wait for `reason`.
    pub fn waiting(&self, source: &str, reason: &str, messages: u64) {
        self.waiting.with_label_values(&[source, reason]).set(gauge_value(messages));
    }

    /// Whether the dependency answers.
    pub fn dependency_up(&self, dependency: &str, up: bool) {
        self.dependency_up.with_label_values(&[dependency]).set(i64::from(up));
    }

    /// Whether the intake of `source` is paused.
    pub fn paused(&self, source: &str, paused: bool) {
        self.paused.with_label_values(&[source]).set(i64::from(paused));
    }

    /// What runs: a version and the commit it was built from.
    pub fn build_info(&self, version: &str, commit: &str) {
        self.build_info.with_label_values(&[version, commit]).set(1);
    }
}

#[expect(
    clippy::expect_used,
    reason = "names and labels are the constants above; a wrong one fails every test of this module"
)]
fn registered<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("a well-formed metric");
    registry.register(Box::new(collector.clone())).expect("a metric with a name of its own");
    collector
}

/// A count as a gauge holds it; one that is too large is the largest.
fn gauge_value(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
