//! One member of a group.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use kafka::{
    Consumer, Producer, Publish as _, Source as _,
    source::{Event, Record},
};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use testkit::servers;
use tokio::time::{Instant, timeout};

use crate::world::{Ledger, Running, group, outgoing, send_numbers, settings, text, until, until_committed};

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn what_is_produced_is_consumed_once_in_order_and_committed() {
    let topics = servers::kafka().await;
    let topic = topics.create("consume", 4).await.unwrap();
    let (settings, group, ledger) = (settings(&topics), group(&topic), Ledger::default());
    let producer = Producer::new(&settings, "it").unwrap();
    send_numbers(&producer, &topic, 20, 0..50).await;
    let member = Running::start(&settings, &group, &ledger, Duration::ZERO);
    until("all are settled", || ledger.len() >= 1_000).await;
    send_numbers(&producer, &topic, 20, 50..60).await;
    until("the rest too", || ledger.len() >= 1_200).await;
    until_committed(&topics, &group).await;
    until("idle", || member.progress.is_idle()).await;
    assert!(member.health.is_ready().is_ok() && member.health.is_live().is_ok());
    assert_eq!(ledger.assert_clean(20, 60), 0);
    assert!(ledger.messages().iter().all(|message| message.timestamp.is_some() && message.attempt == 1));
    until("the lag is told", || {
        let text = member.metrics.render();
        (0..4).all(|partition| {
            text.contains(&format!("truecopy_source_lag_messages{{partition=\"{partition}\",source=\"{topic}\"}} 0"))
        })
    })
    .await;
    member.stop().await;
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_member_that_stops_leaves_nothing_to_be_redelivered_and_its_successor_starts_at_once() {
    let topics = servers::kafka().await;
    let topic = topics.create("stop", 2).await.unwrap();
    let (settings, group, ledger) = (settings(&topics), group(&topic), Ledger::default());
    let producer = Producer::new(&settings, "it").unwrap();
    send_numbers(&producer, &topic, 10, 0..100).await;
    let first = Running::start(&settings, &group, &ledger, Duration::from_millis(100));
    until("it works", || ledger.len() >= 50).await;
    let begun = Instant::now();
    first.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let settled = ledger.len();
    assert!(settled < 1_000, "the stop came too late to show anything");

    let begun = Instant::now();
    let second = Running::start(&settings, &group, &ledger, Duration::ZERO);
    until("it works", || ledger.len() > settled).await;
    assert!(begun.elapsed() < Duration::from_secs(8), "the first has not left: {:?}", begun.elapsed());
    until("all are settled", || ledger.len() >= 1_000).await;
    until_committed(&topics, &group).await;
    assert_eq!(ledger.assert_clean(10, 100), 0, "redelivered");
    second.stop().await;
}

async fn records(member: &mut Consumer, enough: usize, within: Duration) -> Vec<Record> {
    let (mut read, until) = (Vec::new(), Instant::now() + within);
    while read.len() < enough
        && let Ok(event) = timeout(until.duration_since(Instant::now()), member.next()).await
    {
        if let Event::Records(records) = event {
            read.extend(records);
        }
    }
    read
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_paused_member_fetches_nothing_and_goes_on_where_it_stopped() {
    const ALL: usize = 30_000;
    let topics = servers::kafka().await;
    let topic = topics.create("pause", 3).await.unwrap();
    let settings = settings(&topics);
    let producer = Producer::new(&settings, "it").unwrap();
    for window in 0..ALL / 500 {
        let messages =
            (0..500).map(|number| outgoing(&topic, &format!("{window}-{number}"), vec![b'x'; 500])).collect();
        assert!(producer.send(messages).await.iter().all(Result::is_ok));
    }
    let mut member = Consumer::new(&settings, &group(&topic)).unwrap();
    let mut read = Vec::new();
    for _ in 0..5 {
        read.extend(records(&mut member, 3_000, Duration::from_secs(20)).await);
        member.pause();
        // What was fetched before still comes, then nothing more.
        read.extend(records(&mut member, ALL, Duration::from_millis(500)).await);
        let late = records(&mut member, 1, Duration::from_secs(1)).await;
        assert_eq!(late.len(), 0, "fetched while paused, after {}", read.len());
        assert!(member.drained()());
        member.resume();
    }
    assert!((15_000..ALL).contains(&read.len()), "{} came before the end", read.len());
    let left = ALL - read.len();
    read.extend(records(&mut member, left, Duration::from_secs(20)).await);
    let places: BTreeSet<_> = read.iter().map(|record| (record.message.partition, record.message.offset)).collect();
    assert_eq!((read.len(), places.len()), (ALL, ALL), "lost or doubled");
    for partition in 0..3 {
        let offsets: Vec<_> =
            read.iter().map(|record| &record.message).filter(|message| message.partition == partition).collect();
        assert!(offsets.is_sorted_by_key(|message| message.offset), "out of order");
    }
    member.close().await;
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn the_thread_pauses_by_itself_while_the_loop_takes_nothing() {
    let topics = servers::kafka().await;
    let topic = topics.create("backlog", 2).await.unwrap();
    let settings = settings(&topics);
    let producer = Producer::new(&settings, "it").unwrap();
    for window in 0..60 {
        let messages =
            (0..50).map(|number| outgoing(&topic, &format!("{window}-{number}"), vec![b'x'; 10_000])).collect();
        assert!(producer.send(messages).await.iter().all(Result::is_ok));
    }
    let mut member = Consumer::new(&settings, &group(&topic)).unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    // 30 MB are there. What came so far, without waiting for more, is bounded.
    let mut read = Vec::new();
    while let Ok(event) = timeout(Duration::ZERO, member.next()).await {
        if let Event::Records(records) = event {
            read.extend(records);
        }
        if read.len() > 2_000 {
            break;
        }
    }
    let bytes: usize = read.iter().map(|record| record.message.size()).sum();
    assert!((1_000_000..12_000_000).contains(&bytes), "{bytes} bytes stood before the loop");
    let left = 3_000 - read.len();
    assert_eq!(records(&mut member, left, Duration::from_secs(20)).await.len(), left);
    member.close().await;
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_message_over_one_mebibyte_is_delivered_and_so_are_compressed_ones() {
    let topics = servers::kafka().await;
    let topic = topics.create("large", 1).await.unwrap();
    let settings = settings(&topics);
    // Compressed they pass the broker's own limit.
    for codec in ["zstd", "gzip"] {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", topics.brokers())
            .set("compression.type", codec)
            .set("message.max.bytes", "16777216")
            .create()
            .unwrap();
        for size in [10, 1_048_576, 1_048_577, 6_000_000] {
            let payload = vec![b'x'; size];
            let record = FutureRecord::to(&topic).key("k").payload(&payload);
            producer.send(record, Duration::from_secs(5)).await.unwrap();
        }
    }
    let mut member = Consumer::new(&settings, &group(&topic)).unwrap();
    let read = records(&mut member, 8, Duration::from_secs(20)).await;
    let sizes: Vec<_> = read.iter().map(|record| record.message.payload.as_ref().map_or(0, Bytes::len)).collect();
    assert_eq!(sizes, [[10, 1_048_576, 1_048_577, 6_000_000]; 2].concat());
    assert_eq!(text(read[0].message.key.as_ref()), "k");
    member.close().await;
}
