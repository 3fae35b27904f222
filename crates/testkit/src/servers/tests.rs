use std::time::Duration;

use bytes::Bytes;
use sqlx::{Connection as _, PgConnection};

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn record(topic: &str, partition: i32, payload: &str) -> Record {
    Record {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: Some(Bytes::from_static(b"k")),
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        headers: vec![("traceparent".to_owned(), Bytes::from_static(b"00"))],
    }
}

#[test]
#[should_panic(expected = "this test needs Kafka, and TRUECOPY_NO_SUCH_SETTING is not set: ./dev test")]
fn a_server_that_is_not_named_is_a_failure_that_says_what_to_do() {
    configured("Kafka", "TRUECOPY_NO_SUCH_SETTING", |table| {
        let slot = table.value::<String>("TRUECOPY_NO_SUCH_SETTING", "").required();
        table.all(|ok| ok.take(slot))
    });
}

#[tokio::test]
#[ignore = "needs Postgres: ./dev test"]
async fn a_database_is_ones_own_and_gone_at_the_end() {
    let (one, other) = (postgres().await, postgres().await);
    assert_ne!(one.url(), other.url());
    let mut connection = PgConnection::connect(one.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (n int)").execute(&mut connection).await.unwrap();
    let url = one.url().to_owned();
    drop(one);
    let gone = PgConnection::connect(&url).await.unwrap_err();
    assert_eq!(gone.as_database_error().unwrap().code().unwrap(), "3D000");
    PgConnection::connect(other.url()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs ElasticMQ: ./dev test"]
async fn a_queue_is_ones_own() {
    let queues = sqs();
    let (one, other) = (queues.create("letters").await.unwrap(), queues.create("letters.fifo").await.unwrap());
    assert!(one.starts_with("letters-") && other.starts_with("letters-") && other.ends_with(".fifo"), "{one} {other}");
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn what_is_produced_is_read_from_where_one_asks() {
    let kafka = kafka().await;
    let topic = kafka.create("letters", 2).await.unwrap();
    assert!(topic.starts_with("letters-"));
    assert_eq!(kafka.end_offsets(&topic).await.unwrap(), [0, 0]);
    assert_eq!(kafka.read(&topic, &[]).await.unwrap(), []);
    let places = kafka.produce_all(&[record(&topic, 1, "a"), record(&topic, 0, "b"), record(&topic, 1, "c")]).await;
    assert_eq!(places.unwrap(), [(1, 0), (0, 0), (1, 1)]);
    let tombstone = Record { payload: None, ..record(&topic, 1, "") };
    assert_eq!(kafka.produce(&tombstone).await.unwrap(), (1, 2));
    assert_eq!(kafka.end_offsets(&topic).await.unwrap(), [1, 3]);
    let read = kafka.read(&topic, &[0, 1]).await.unwrap();
    let payloads: Vec<_> = read.iter().map(|message| (message.position(), message.payload.as_deref())).collect();
    let expected = [("0/0", Some(b"b".as_slice())), ("1/1", Some(b"c".as_slice())), ("1/2", None)];
    assert_eq!(payloads, expected.map(|(position, payload)| (position.to_owned(), payload)));
    assert_eq!(read[0].key.as_deref(), Some(b"k".as_slice()));
    assert_eq!(read[0].headers, [("traceparent".to_owned(), Bytes::from_static(b"00"))]);
    assert_eq!(kafka.read(&topic, &[1, 3]).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn what_a_group_committed_can_be_seen_awaited_and_rewound() {
    let kafka = kafka().await;
    let topic = kafka.create("letters", 2).await.unwrap();
    kafka.produce_all(&[record(&topic, 0, "a"), record(&topic, 0, "b")]).await.unwrap();
    let group = format!("group-{}", uuid::Uuid::new_v4());
    assert_eq!(kafka.committed(&group, &topic).await.unwrap(), [None, None]);
    kafka.rewind(&group, &[(topic.clone(), 0, 1)]).await.unwrap();
    assert_eq!(kafka.committed(&group, &topic).await.unwrap(), [Some(1), None]);
    kafka.wait_committed(&group, &[(topic.clone(), 0, 0)], SOON).await.unwrap();
    let late = kafka.wait_committed(&group, &[(topic.clone(), 0, 1)], Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(late.to_string(), "a commit of the group took too long");
}
