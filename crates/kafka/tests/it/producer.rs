//! What leaves.

use std::time::Duration;

use bytes::Bytes;
use kafka::{Outgoing, Producer, Publish as _, SendError};
use testkit::servers;
use tokio::time::{Instant, timeout};

use crate::world::{outgoing, settings, text};

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_window_is_in_its_topic_when_it_is_answered() {
    let topics = servers::kafka().await;
    let topic = topics.create("window", 3).await.unwrap();
    let producer = Producer::new(&settings(&topics), "it").unwrap();
    let mut window: Vec<_> =
        (0..499).map(|number| outgoing(&topic, &format!("key-{number}"), number.to_string())).collect();
    let headers = vec![("traceparent".to_owned(), Bytes::from_static(b"00")), ("empty".to_owned(), Bytes::new())];
    window.push(Outgoing { payload: None, headers: headers.clone(), ..outgoing(&topic, "tombstone", "") });
    let sent = producer.send(window).await;
    assert_eq!((sent.len(), sent.iter().filter(|sent| sent.is_ok()).count()), (500, 500));

    let read = topics.read(&topic, &[0, 0, 0]).await.unwrap();
    assert_eq!(read.len(), 500);
    let tombstone = read.iter().find(|message| text(message.key.as_ref()) == "tombstone").unwrap();
    assert_eq!((&tombstone.payload, &tombstone.headers), (&None, &headers));
    let partitions: Vec<_> =
        (0..3).map(|partition| read.iter().filter(|message| message.partition == partition).count()).collect();
    assert!(partitions.iter().all(|count| *count > 100), "{partitions:?}");
    assert!(producer.flush(Duration::from_secs(1)).await);
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_key_has_the_partition_that_other_clients_give_it() {
    let topics = servers::kafka().await;
    let topic = topics.create("partitioner", 7).await.unwrap();
    let producer = Producer::new(&settings(&topics), "it").unwrap();
    // The published values of murmur2 for the Java client, modulo 7: see Utils.murmur2 in Apache Kafka's UtilsTest.
    let hashes: [(&str, i32); 4] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("abc", 479_470_107),
    ];
    let window = hashes.iter().map(|(key, _)| outgoing(&topic, key, "x")).collect();
    assert!(producer.send(window).await.iter().all(Result::is_ok));
    for message in topics.read(&topic, &[0; 7]).await.unwrap() {
        let key = text(message.key.as_ref());
        let (_, hash) = hashes.iter().find(|(known, _)| *known == key).unwrap();
        assert_eq!(message.partition, (hash & 0x7fff_ffff) % 7, "{key}");
    }
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn what_cannot_be_delivered_costs_itself_only_and_is_answered_in_time() {
    let topics = servers::kafka().await;
    let topic = topics.create("refused", 1).await.unwrap();
    let producer = Producer::new(&settings(&topics), "it").unwrap();
    let large = Bytes::from(vec![b'x'; 2 * 1024 * 1024]);
    let begun = Instant::now();
    let sent = producer
        .send(vec![outgoing(&topic, "a", "1"), outgoing("absent", "b", "2"), outgoing(&topic, "c", large)])
        .await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(
        matches!(sent.as_slice(), [Ok(()), Err(SendError::Unconfirmed(_)), Err(SendError::Refused(_))]),
        "{sent:?}"
    );
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_purge_answers_what_waits_and_leaves_the_producer_usable() {
    let topics = servers::kafka().await;
    let topic = topics.create("purge", 1).await.unwrap();
    let producer = Producer::new(&settings(&topics), "it").unwrap();
    let (sent, ()) = tokio::join!(producer.send(vec![outgoing("absent", "a", "1")]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        producer.purge();
    });
    assert!(matches!(sent.as_slice(), [Err(SendError::Unconfirmed(_))]), "{sent:?}");
    let again = timeout(Duration::from_secs(5), producer.send(vec![outgoing(&topic, "a", "2")])).await.unwrap();
    assert_eq!(again, [Ok(())]);
    assert_eq!(topics.end_offsets(&topic).await.unwrap(), [1]);
}
