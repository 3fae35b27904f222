use futures::FutureExt as _;

use super::*;
use crate::source::{Event, Source as _};

const GROUP: &str = "group";

fn broker(partitions: u16) -> Broker {
    let broker = Broker::new(Clock::system());
    broker.create_topic("topic", partitions);
    broker
}

fn outgoing(key: Option<&'static str>, payload: &'static str) -> Outgoing {
    Outgoing {
        topic: "topic".into(),
        key: key.map(Bytes::from),
        payload: Some(Bytes::from(payload)),
        headers: Vec::new(),
    }
}

fn zero() -> Partition {
    Partition::new("topic", 0)
}

/// What the member says until it waits, messages as `partition/offset`.
fn heard(member: &mut Member) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(event) = member.next().now_or_never() {
        if let Event::Records(records) = event {
            heard.extend(records.iter().map(|record| record.message.position()));
        }
    }
    heard
}

#[test]
fn a_message_gets_the_next_offset_of_the_partition_that_its_key_chooses() {
    let broker = broker(4);
    let (partition, offset) = broker.append(outgoing(Some("k"), "1"), None).unwrap();
    assert_eq!(offset, 0);
    assert_eq!(broker.append(outgoing(Some("k"), "2"), None), Ok((partition, 1)));
    assert_eq!(broker.append(outgoing(Some("k"), "3"), Some(3)).unwrap().0, 3);
    assert!(broker.append(outgoing(None, "4"), Some(4)).is_err());
    assert!(broker.append(Outgoing { topic: "other".into(), ..outgoing(None, "5") }, None).is_err());
    let read = broker.read(&Partition::new("topic", partition), 1, 10);
    assert_eq!(read.first().and_then(|message| message.payload.as_deref()), Some(&b"2"[..]));
}

#[test]
fn messages_without_a_key_are_spread() {
    let broker = broker(2);
    let partitions: Vec<_> = (0..4).map(|_| broker.append(outgoing(None, ""), None).unwrap().0).collect();
    assert_eq!(partitions, [0, 1, 0, 1]);
}

#[tokio::test]
async fn a_member_reads_on_where_its_group_committed() {
    let broker = broker(1);
    for _ in 0..3 {
        broker.append(outgoing(None, ""), None).unwrap();
    }
    let topics = ["topic".to_owned()];
    let mut member = broker.member(GROUP, &topics);
    assert_eq!(heard(&mut member), ["0/0", "0/1", "0/2"]);
    assert!(!member.drained()());
    member.commit(vec![Position { partition: zero(), next: 2 }]);
    assert_eq!(heard(&mut member), [""; 0], "the answer to the commit alone");

    let mut successor = broker.member(GROUP, &topics);
    assert_eq!(heard(&mut successor), ["0/2"]);
    assert_eq!(heard(&mut broker.member("another", &topics)).len(), 3);
    successor.commit(vec![Position { partition: zero(), next: 3 }]);
    assert!(successor.drained()());
    assert_eq!(broker.committed(GROUP, &zero()), Some(3));
}

#[tokio::test]
async fn a_paused_member_reads_nothing_until_it_is_resumed() {
    let broker = broker(1);
    let mut member = broker.member(GROUP, &["topic".to_owned(), "later".to_owned()]);
    assert_eq!(heard(&mut member), [""; 0]);
    member.pause();
    broker.append(outgoing(None, ""), None).unwrap();
    assert_eq!(heard(&mut member), [""; 0]);
    member.resume();
    assert_eq!(heard(&mut member), ["0/0"]);
    broker.create_topic("later", 1);
    broker.append(Outgoing { topic: "later".into(), ..outgoing(None, "") }, None).unwrap();
    assert_eq!(heard(&mut member), ["0/0"], "a topic made later");
}

#[tokio::test]
async fn what_is_published_can_be_read() {
    let broker = broker(1);
    let absent = Outgoing { topic: "absent".into(), ..outgoing(None, "") };
    let tombstone = Outgoing { payload: None, ..outgoing(Some("k"), "") };
    let sent = broker.send(vec![outgoing(Some("k"), "1"), absent, tombstone]).await;
    assert_eq!(sent.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let payloads: Vec<_> = broker.read(&zero(), 0, 10).into_iter().map(|message| message.payload).collect();
    assert_eq!(payloads, [Some(Bytes::from_static(b"1")), None]);
}
