use domain::delivery::Outcome;

use super::*;

const DONE: [Settlement; 4] = [
    Settlement::Done(Outcome::Applied),
    Settlement::Done(Outcome::Ignored("duplicate")),
    Settlement::Done(Outcome::Waiting("RETRY")),
    Settlement::DeadLettered("MALFORMED_JSON"),
];

/// The sum over all series of a metric.
fn sum(metrics: &Metrics, name: &str) -> i64 {
    let series = metrics.render();
    let values = series.lines().filter(|line| line.starts_with(name)).map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<i64>().unwrap()).sum()
}

#[test]
fn what_is_received_is_settled_returned_or_in_flight() {
    let metrics = Metrics::new();
    for _ in 0..7 {
        metrics.received("deltaker");
    }
    metrics.settled("deltaker", &Settlement::Again { after: None, counted: true });
    for settlement in &DONE {
        metrics.settled("deltaker", settlement);
    }
    metrics.returned("deltaker", "revoked");
    metrics.in_flight("deltaker", 2, 300);
    let received = sum(&metrics, "truecopy_messages_received_total");
    let settled = sum(&metrics, "truecopy_messages_settled_total");
    assert_eq!((received, settled), (7, 5));
    assert_eq!(received, settled + sum(&metrics, "truecopy_messages_in_flight"));
}

#[test]
fn each_settlement_has_its_outcome_and_reason() {
    let metrics = Metrics::new();
    for settlement in &DONE {
        metrics.settled("deltaker", settlement);
    }
    metrics.settled("deltaker", &Settlement::Again { after: None, counted: true });
    metrics.settled("deltaker", &Settlement::Again { after: None, counted: false });
    metrics.returned("deltaker", "revoked");
    insta::assert_snapshot!(metrics.render(), @r#"
    # HELP truecopy_message_retries_total Tries that did not settle their message.
    # TYPE truecopy_message_retries_total counter
    truecopy_message_retries_total{reason="failed",source="deltaker"} 1
    truecopy_message_retries_total{reason="outage",source="deltaker"} 1
    # HELP truecopy_messages_settled_total Messages settled, by how.
    # TYPE truecopy_messages_settled_total counter
    truecopy_messages_settled_total{outcome="applied",reason="",source="deltaker"} 1
    truecopy_messages_settled_total{outcome="dead_lettered",reason="MALFORMED_JSON",source="deltaker"} 1
    truecopy_messages_settled_total{outcome="ignored",reason="duplicate",source="deltaker"} 1
    truecopy_messages_settled_total{outcome="returned",reason="revoked",source="deltaker"} 1
    truecopy_messages_settled_total{outcome="waiting",reason="RETRY",source="deltaker"} 1
    "#);
}

#[test]
fn a_partition_that_is_gone_has_no_lag() {
    let metrics = Metrics::new();
    metrics.lag("deltaker", 3, 12);
    assert!(metrics.render().contains(r#"truecopy_source_lag_messages{partition="3",source="deltaker"} 12"#));
    metrics.forget_lag("deltaker", 3);
    metrics.forget_lag("deltaker", 3);
    assert_eq!(metrics.render(), "");
}

#[test]
fn every_shared_metric_can_be_written_once_it_has_a_value() {
    let metrics = Metrics::new();
    metrics.received("s");
    metrics.settled("s", &Settlement::Done(Outcome::Applied));
    metrics.retried("s", "failed");
    metrics.in_flight("s", 1, 1);
    metrics.handled("s", Duration::from_millis(3));
    metrics.age("s", Duration::from_secs(3));
    metrics.lag("s", 0, 1);
    metrics.dead_letters("s", "MALFORMED_JSON", 1);
    metrics.waiting("s", "RETRY", 1);
    metrics.dependency_up("postgres", true);
    metrics.paused("s", false);
    metrics.called("s", "2xx", Duration::from_millis(3));
    metrics.published("s", Duration::from_millis(3));
    metrics.build_info("0.1.0", "unknown");
    let text = metrics.render();
    let mut types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE truecopy_")).collect();
    types.sort_unstable();
    let expected = [
        "build_info gauge",
        "bytes_in_flight gauge",
        "call_duration_seconds histogram",
        "dead_letters gauge",
        "dependency_up gauge",
        "handle_duration_seconds histogram",
        "message_age_seconds histogram",
        "message_retries_total counter",
        "messages_in_flight gauge",
        "messages_received_total counter",
        "messages_settled_total counter",
        "paused gauge",
        "publish_duration_seconds histogram",
        "source_lag_messages gauge",
        "waiting_messages gauge",
    ];
    assert_eq!(types, expected);
    assert!(text.contains(r#"truecopy_paused{source="s"} 0"#));
}

#[test]
fn a_metric_of_the_domain_is_written_with_the_others() {
    let metrics = Metrics::new();
    let rows = prometheus::IntGauge::new("arena_acl_rows", "Rows.").unwrap();
    metrics.register(Ok(rows.clone()));
    rows.set(4);
    assert!(metrics.render().contains("arena_acl_rows 4"));
}
