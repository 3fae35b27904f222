//! The promises of a queue. Waits are short: they are real.

use std::{collections::BTreeSet, time::Duration};

use chassis::clock::{Clock, real_now};
use sqs::{Client, Depth, Error, Outgoing, Queue, Receipt, Received, Settings, memory::Memory};
use testkit::servers::{self, TestQueues};

const SOON: Duration = Duration::from_secs(5);
const HIDDEN: Duration = Duration::from_secs(30);

async fn sent(queue: &impl Queue, bodies: &[&str]) -> Vec<String> {
    let messages: Vec<_> = bodies.iter().map(|body| Outgoing::new(*body)).collect();
    queue.send(&messages).await.into_iter().map(Result::unwrap).collect()
}

/// Receives until `count` messages came.
async fn received(queue: &impl Queue, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < count {
        let more = queue.receive(10, SOON, HIDDEN).await.unwrap();
        assert!(!more.is_empty(), "only {} of {count} came", all.len());
        all.extend(more);
    }
    assert_eq!(all.len(), count);
    all
}

fn receipts(messages: &[Received]) -> Vec<Receipt> {
    messages.iter().map(|message| message.receipt.clone()).collect()
}

fn bodies(messages: &[Received]) -> BTreeSet<String> {
    messages.iter().map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect()
}

async fn what_is_sent_is_received_as_it_was(queue: impl Queue) {
    let before = real_now();
    let message = Outgoing {
        body: r#"{"name":"Åsa 𝄞 <&>"}"#.to_owned(),
        attributes: vec![("traceparent".to_owned(), "00-1".to_owned()), ("b".to_owned(), "ü".to_owned())],
        ..Outgoing::default()
    };
    let id = queue.send(std::slice::from_ref(&message)).await.remove(0).unwrap();
    let [got] = <[Received; 1]>::try_from(received(&queue, 1).await).unwrap();
    assert_eq!((got.body.as_ref(), got.id, &*got.queue), (message.body.as_bytes(), id, queue.name()));
    let attributes: Vec<_> = got.attributes.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
    assert_eq!(attributes, [("b", "ü".as_bytes()), ("traceparent", b"00-1".as_slice())]);
    assert_eq!((got.deliveries, got.group), (1, None));
    assert!((got.sent_at.unwrap() - before).num_seconds().abs() < 60, "{:?}", got.sent_at);
}

async fn what_is_received_is_hidden_until_it_is_deleted(queue: impl Queue) {
    sent(&queue, &["a", "b"]).await;
    let got = received(&queue, 2).await;
    assert_eq!(queue.receive(10, Duration::ZERO, HIDDEN).await.unwrap(), []);
    assert_eq!(queue.delete(&receipts(&got)).await, [Ok(()), Ok(())]);
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
    for result in queue.delete(&receipts(&got)).await {
        assert!(matches!(result, Ok(()) | Err(Error::Gone)), "{result:?}");
    }
}

async fn what_is_given_back_comes_again_with_another_receipt(queue: impl Queue) {
    sent(&queue, &["a"]).await;
    let first = received(&queue, 1).await;
    assert_eq!(queue.hide(&receipts(&first), Duration::ZERO).await, [Ok(())]);
    let second = received(&queue, 1).await;
    assert_eq!((second[0].deliveries, &second[0].id), (2, &first[0].id));
    assert_ne!(first[0].receipt, second[0].receipt);
    assert_eq!(queue.delete(&receipts(&second)).await, [Ok(())]);
}

async fn what_is_hidden_again_stays_hidden_for_that_time(queue: impl Queue) {
    sent(&queue, &["a"]).await;
    let got = queue.receive(10, SOON, Duration::from_secs(1)).await.unwrap();
    assert_eq!(queue.hide(&receipts(&got), Duration::from_secs(3)).await, [Ok(())]);
    assert_eq!(queue.receive(10, Duration::from_secs(2), HIDDEN).await.unwrap(), []);
    assert_eq!(received(&queue, 1).await[0].id, got[0].id);
}

async fn an_old_receipt_is_gone(queue: impl Queue) {
    sent(&queue, &["a", "b"]).await;
    let got = received(&queue, 2).await;
    queue.delete(&receipts(&got[..1])).await;
    let results = queue.hide(&receipts(&got), HIDDEN).await;
    assert_eq!(results, [Err(Error::Gone), Ok(())]);
    assert_eq!(queue.hide(&[Receipt::new("no such")], HIDDEN).await, [Err(Error::Gone)]);
}

async fn batches_may_be_larger_than_a_call(queue: impl Queue) {
    let texts: Vec<String> = (0..25).map(|number| format!("{number:02}{}", "x".repeat(30_000))).collect();
    let ids = sent(&queue, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 25);
    let got = received(&queue, 25).await;
    assert_eq!(bodies(&got), texts.into_iter().collect());
    assert_eq!(queue.hide(&receipts(&got), HIDDEN).await, vec![Ok(()); 25]);
    assert_eq!(queue.depth().await.unwrap(), Depth { visible: 0, in_flight: 25, delayed: 0 });
    assert_eq!(queue.delete(&receipts(&got)).await, vec![Ok(()); 25]);
}

async fn a_call_waits_for_the_first_message(queue: impl Queue) {
    let (got, ()) = tokio::join!(queue.receive(10, SOON, HIDDEN), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sent(&queue, &["a"]).await;
    });
    assert_eq!(got.unwrap().len(), 1);
}

fn grouped(group: &str, body: &str) -> Outgoing {
    Outgoing { group: Some(group.to_owned()), deduplication: Some(body.to_owned()), ..Outgoing::new(body) }
}

async fn a_group_stands_still_while_its_first_is_held(queue: impl Queue) {
    let sent = queue.send(&[grouped("g", "g1"), grouped("g", "g2"), grouped("h", "h1")]).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let mut first = Vec::new();
    while first.len() < 2 {
        first.extend(queue.receive(1, SOON, HIDDEN).await.unwrap());
    }
    assert_eq!(bodies(&first), BTreeSet::from(["g1".to_owned(), "h1".to_owned()]));
    let groups: BTreeSet<_> = first.iter().map(|message| message.group.as_deref().unwrap()).collect();
    assert_eq!(groups, BTreeSet::from(["g", "h"]));
    assert_eq!(queue.receive(10, Duration::ZERO, HIDDEN).await.unwrap(), []);
    assert_eq!(queue.delete(&receipts(&first)).await, [Ok(()), Ok(())]);
    assert_eq!(bodies(&received(&queue, 1).await), BTreeSet::from(["g2".to_owned()]));
}

async fn one_call_gives_a_group_in_order(queue: impl Queue) {
    let messages: Vec<_> = (0..8).map(|number| grouped("g", &number.to_string())).collect();
    assert!(queue.send(&messages).await.iter().all(Result::is_ok));
    let got = queue.receive(10, SOON, HIDDEN).await.unwrap();
    let texts: Vec<_> = got.iter().map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect();
    assert_eq!(texts, (0..got.len()).map(|number| number.to_string()).collect::<Vec<_>>());
}

async fn what_is_sent_twice_is_there_once(queue: impl Queue) {
    let first = queue.send(&[grouped("g", "a")]).await.remove(0).unwrap();
    assert_eq!(queue.send(&[grouped("g", "a")]).await, [Ok(first)]);
    assert_eq!(received(&queue, 1).await.len(), 1);
    assert_eq!(queue.depth().await.unwrap().visible, 0);
}

pub(crate) async fn real(queues: &TestQueues, name: &str) -> sqs::Sqs {
    let settings = Settings { region: "eu-west-2".to_owned(), endpoint: Some(queues.endpoint().to_owned()) };
    Client::new(&settings).await.queue(&queues.create(name).await.unwrap())
}

testkit::contract! {
    [
        what_is_sent_is_received_as_it_was,
        what_is_received_is_hidden_until_it_is_deleted,
        what_is_given_back_comes_again_with_another_receipt,
        what_is_hidden_again_stays_hidden_for_that_time,
        an_old_receipt_is_gone,
        batches_may_be_larger_than_a_call,
        a_call_waits_for_the_first_message,
    ]
    twin: Memory::new("letters", Clock::system());
    #[ignore = "needs ElasticMQ: ./dev test"] elasticmq(queues = servers::sqs()): real(&queues, "letters").await;
}

mod fifo {
    use super::*;

    testkit::contract! {
        [
            what_is_sent_is_received_as_it_was_in_a_group,
            a_group_stands_still_while_its_first_is_held,
            one_call_gives_a_group_in_order,
            what_is_sent_twice_is_there_once,
        ]
        twin: Memory::new("letters.fifo", Clock::system());
        #[ignore = "needs ElasticMQ: ./dev test"] elasticmq(queues = servers::sqs()): real(&queues, "letters.fifo").await;
    }

    async fn what_is_sent_is_received_as_it_was_in_a_group(queue: impl Queue) {
        queue.send(&[grouped("g", "a")]).await.remove(0).unwrap();
        let got = received(&queue, 1).await;
        assert_eq!((got[0].group.as_deref(), got[0].body.as_ref()), (Some("g"), b"a".as_slice()));
    }
}
