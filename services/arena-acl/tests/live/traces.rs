//! One trace from the record to its publication.

use std::time::Duration;

use domain::delivery::Message;
use serde_json::Value;
use testkit::{
    process::free_port,
    servers::Record,
    stub::{Collector, Span},
};

use crate::{
    feed::{Change, Course, raw},
    world::{BOUND, PARTITIONS, World, eventually},
};

const COURSE: Course = Course::group(3001);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn change(participant: i64, position: u64) -> Change {
    Change { participant, course: COURSE.id, operation: "I", position }
}

/// `record` inside a trace that is recorded.
fn traced(record: Record, name: &str) -> Record {
    Record { headers: vec![(name.to_owned(), format!("00-{TRACE}-{PARENT}-01").into())], ..record }
}

fn traceparent(message: &Message) -> Vec<(&str, &str)> {
    let text = |bytes| str::from_utf8(bytes).unwrap();
    message.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_record_its_calls_and_its_publication_are_one_trace() {
    let (world, collector) = (World::new(&[COURSE]).await, Collector::start().unwrap());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint().to_owned());
    let mut service = world.start_with(&[endpoint]).await;
    world.know(&[COURSE]).await;
    let record = traced(change(70_001, 101).record(&world.participants, PARTITIONS), "TraceParent");
    let places = world.produce(&[record]).await;
    world.handled(&places).await;

    let published = world.published().await;
    let [(name, header)] = traceparent(&published[0])[..] else { panic!("one header: {published:?}") };
    let (trace, span) = (&header[3..35], &header[36..52]);
    assert_eq!((name, trace, &header[52..]), ("traceparent", TRACE, "-01"));

    let of_trace = || collector.spans().into_iter().filter(|span| span.trace == TRACE).collect::<Vec<Span>>();
    let sent = format!("send {}", world.group); // the last to end
    eventually("the spans are exported", BOUND, async || of_trace().iter().any(|span| span.name == sent)).await;
    let spans = of_trace();
    let named =
        |name: String| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"));
    let receive = named(format!("receive {}", world.participants));
    let process = named(format!("process {}", world.participants));
    let send = named(sent);
    assert_eq!(receive.parent, PARENT);
    assert_eq!((process.parent.as_str(), process.id.as_str()), (receive.id.as_str(), span));
    assert_eq!(send.parent, process.id);
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name == "GET").collect();
    assert!(!calls.is_empty() && calls.iter().all(|call| call.parent == process.id), "{spans:#?}");
    assert!(spans.iter().all(|span| !span.failed), "{spans:#?}");
    // what came without a trace begins one of its own
    let course = format!("receive {}", world.courses);
    assert!(collector.spans().iter().any(|span| span.name == course && span.parent.is_empty() && span.trace != TRACE));
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_batch_points_to_its_messages_and_they_to_it() {
    let (world, collector) = (World::new(&[COURSE]).await, Collector::start().unwrap());
    let mut idle = world.start().await;
    world.know(&[COURSE]).await;
    assert_eq!(idle.sigterm(BOUND).await.unwrap().code(), Some(0));
    let changes: Vec<Change> = (70_000..70_050).zip(101..).map(|(participant, at)| change(participant, at)).collect();
    let places = world.produce_changes(&changes).await;
    let mut service = world.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint().to_owned())]).await;
    world.handled(&places).await;
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0)); // what was not exported yet is exported now

    let spans = collector.spans();
    let process = format!("process {}", world.participants);
    let messages: Vec<&Span> = spans.iter().filter(|span| span.name == process).collect();
    let batches: Vec<&Span> = spans.iter().filter(|span| span.name == "process batch").collect();
    assert!(messages.len() == 50 && !batches.is_empty(), "{} messages, {} batches", messages.len(), batches.len());
    for batch in batches {
        assert!(batch.parent.is_empty() && batch.links.len() > 1, "{batch:?}");
        let of_batch =
            messages.iter().filter(|message| batch.links.contains(&(message.trace.clone(), message.id.clone())));
        let back = (batch.trace.clone(), batch.id.clone());
        assert_eq!(of_batch.filter(|message| message.links == [back.clone()]).count(), batch.links.len());
    }
    for message in world.published().await {
        let span = &traceparent(&message)[0].1[36..52];
        assert!(messages.iter().any(|process| process.id == span), "published in no trace of its record");
    }
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn without_a_collector_a_trace_is_passed_on_and_none_is_made() {
    let world = World::new(&[COURSE]).await;
    let mut service = world.start().await;
    world.know(&[COURSE]).await;
    let (with, without) = (change(70_001, 101), change(70_002, 102));
    let records = [
        traced(with.record(&world.participants, PARTITIONS), "TRACEPARENT"),
        without.record(&world.participants, PARTITIONS),
        traced(raw(&world.participants, 3, Some("{".into())), "traceparent"),
        Record {
            headers: vec![("traceparent".into(), "canary".into())],
            ..raw(&world.participants, 3, Some("[".into()))
        },
    ];
    let places = world.produce(&records).await;
    world.handled(&places).await;

    let uuid = world.uuids().await[&70_001].to_string();
    for message in world.published().await {
        let expected = format!("00-{TRACE}-{PARENT}-01");
        let own = message.key.as_deref() == Some(uuid.as_bytes());
        assert_eq!(traceparent(&message), if own { vec![("traceparent", expected.as_str())] } else { Vec::new() });
    }
    let lines: Vec<Value> = service.output().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"] == "a record is quarantined")
        .map(|line| &line["trace_id"])
        .collect();
    assert_eq!(told, [&Value::from(TRACE), &Value::Null]);
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_collector_that_is_away_costs_nothing_but_the_spans() {
    let world = World::new(&[COURSE]).await;
    let nobody = format!("http://127.0.0.1:{}", free_port().unwrap());
    let mut service = world.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", nobody)]).await;
    world.know(&[COURSE]).await;
    let changes: Vec<Change> = (70_000..70_100).zip(101..).map(|(participant, at)| change(participant, at)).collect();
    let places = world.produce_changes(&changes).await;
    world.handled(&places).await;
    let lost = || service.output().iter().filter(|line| line.contains("spans are lost")).count();
    eventually("it is told", BOUND, async || lost() > 0).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // other batches are lost meanwhile
    assert!(lost() <= 3, "{}", service.output().join("\n")); // not once a second
    assert_eq!(service.sigterm(Duration::from_secs(15)).await.unwrap().code(), Some(0));
}
