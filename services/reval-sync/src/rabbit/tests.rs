//! Against a real broker.

mod broker;

use std::{path::Path, process::Command, time::Duration};

use bytes::Bytes;
use chassis::settings as chassis_settings;
use testkit::{proxy::Proxy, servers};
use tokio::time::{sleep, timeout};

use super::*;

const SOON: Duration = Duration::from_secs(20);
const QUEUE: Queue = Queue::TcsData;

/// The queues of chapter 2.2 under names of one's own, on the broker at `address`.
fn settings(address: &str, more: &[(&'static str, &str)]) -> Settings {
    let address = url::Url::parse(address).unwrap();
    let port = address.port().unwrap().to_string();
    let name = |name: &str| servers::unique(name);
    let (exchange, data, update) = (name("reval"), name("data"), name("update"));
    let mut pairs = vec![
        ("RABBITMQ_HOST", address.host_str().unwrap().to_owned()),
        ("RABBITMQ_PORT", port),
        ("RABBITMQ_USERNAME", address.username().to_owned()),
        ("RABBITMQ_PASSWORD", address.password().unwrap().to_owned()),
        ("REVAL_SYNC_RABBIT_DECLARE", "true".to_owned()),
        ("REVAL_RABBIT_EXCHANGE", exchange),
        ("REVAL_RABBIT_SYNC_DATA_QUEUE", data),
        ("TCSDOCTORINFO_UPDATED_INTEGRATION_QUEUE", update),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    chassis_settings::read(pairs, Settings::declare).unwrap()
}

fn fresh(more: &[(&'static str, &str)]) -> (Rabbit, Settings) {
    let settings = settings(&servers::rabbitmq(), more);
    (Rabbit::new(settings.clone(), &[QUEUE, Queue::TcsUpdated]), settings)
}

/// What a producer sends to the queue of trainee data.
async fn sent(rabbit: &Rabbit, bodies: impl IntoIterator<Item = String>) {
    rabbit.publish(&outgoing(&rabbit.settings, bodies)).await.unwrap();
}

fn outgoing(settings: &Settings, bodies: impl IntoIterator<Item = String>) -> Vec<Outgoing> {
    let message = |body: String| Outgoing {
        exchange: settings.exchange.clone(),
        routing_key: settings.keys.trainee_data.clone(),
        body: Bytes::from(body),
        run: Some("run-1".to_owned()),
    };
    bodies.into_iter().map(message).collect()
}

/// Exactly so many, in order of arrival.
async fn received(rabbit: &Rabbit, count: usize) -> Vec<Delivery<Receipt>> {
    let mut all = Vec::new();
    while all.len() < count {
        let limit = count - all.len();
        all.extend(timeout(SOON, rabbit.receive(QUEUE, limit)).await.expect("too few came").unwrap());
    }
    all
}

fn texts(deliveries: &[Delivery<Receipt>]) -> Vec<&str> {
    deliveries.iter().map(|delivery| str::from_utf8(&delivery.body).unwrap()).collect()
}

fn done(deliveries: &[Delivery<Receipt>]) -> Vec<(Receipt, Settled)> {
    deliveries.iter().map(|delivery| (delivery.receipt, Settled::Done)).collect()
}

async fn is_empty(rabbit: &Rabbit) {
    let empty = async {
        while rabbit.depth(QUEUE).await.unwrap() != Depth::default() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, empty).await.unwrap();
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn what_is_sent_is_received_in_order_and_gone_once_it_is_settled() {
    let (rabbit, _) = fresh(&[]);
    sent(&rabbit, (0..1_200).map(|number| number.to_string())).await;
    assert_eq!(rabbit.depth(QUEUE).await.unwrap(), Depth { ready: 1_200, ..Depth::default() });
    let got = received(&rabbit, 1_200).await;
    assert_eq!(texts(&got), (0..1_200).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(got[0].headers, [("x-sync-run-id".to_owned(), Bytes::from_static(b"run-1"))]);
    assert!(!got[0].redelivered);
    let held = Depth { unsettled: 1_200, ..Depth::default() };
    assert_eq!(rabbit.depth(QUEUE).await.unwrap(), held, "our own consumer is no stranger");
    rabbit.settle(QUEUE, &done(&got)).await.unwrap();
    is_empty(&rabbit).await;
    rabbit.settle(QUEUE, &done(&got)).await.unwrap();
    sent(&rabbit, ["more".to_owned()]).await;
    assert_eq!(texts(&received(&rabbit, 1).await), ["more"], "settling twice is settling once");
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn whoever_leaves_gives_back_what_is_not_settled_and_old_receipts_settle_nothing() {
    let (rabbit, settings) = fresh(&[]);
    sent(&rabbit, ["a", "b", "c", "d"].map(str::to_owned)).await;
    let got = received(&rabbit, 2).await;
    rabbit.settle(QUEUE, &done(&got[..1])).await.unwrap();
    rabbit.leave().await;
    let other = Rabbit::new(settings, &[QUEUE]);
    let again = received(&other, 3).await;
    assert_eq!(texts(&again), ["b", "c", "d"]);
    assert!(again[0].redelivered);
    assert_eq!(rabbit.depth(QUEUE).await.unwrap(), Depth { strangers: 1, ..Depth::default() });
    rabbit.settle(QUEUE, &done(&got)).await.unwrap();
    other.leave().await;
    assert_eq!(texts(&received(&rabbit, 3).await), ["b", "c", "d"]);
    rabbit.settle(QUEUE, &done(&got)).await.unwrap();
    assert_eq!(rabbit.depth(QUEUE).await.unwrap().unsettled, 3);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn whoever_still_waits_when_the_queue_is_left_is_told() {
    let (rabbit, _) = fresh(&[]);
    let waits = timeout(SOON, rabbit.receive(QUEUE, 1));
    let (told, ()) = tokio::join!(waits, async {
        sleep(Duration::from_millis(500)).await;
        rabbit.leave().await;
    });
    assert!(matches!(told, Ok(Err(QueueError::Unavailable(_)))), "{told:?}");
    sent(&rabbit, ["a".to_owned()]).await;
    assert_eq!(texts(&received(&rabbit, 1).await), ["a"]);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn the_dead_are_not_delivered_again_and_those_between_stay() {
    let (rabbit, _) = fresh(&[]);
    sent(&rabbit, ["a", "b", "c", "d"].map(str::to_owned)).await;
    let got = received(&rabbit, 4).await;
    let settled =
        [(got[0].receipt, Settled::Done), (got[1].receipt, Settled::DeadLettered), (got[3].receipt, Settled::Done)];
    rabbit.settle(QUEUE, &settled).await.unwrap();
    assert_eq!(rabbit.depth(QUEUE).await.unwrap().unsettled, 1);
    rabbit.leave().await;
    assert_eq!(texts(&received(&rabbit, 1).await), ["c"]);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn no_more_is_taken_than_the_prefetch_and_the_budget_allow() {
    let (rabbit, _) = fresh(&[("REVAL_SYNC_RABBIT_PREFETCH", "3")]);
    sent(&rabbit, (0..10).map(|number| number.to_string())).await;
    let got = received(&rabbit, 3).await;
    assert!(timeout(Duration::from_millis(300), rabbit.receive(QUEUE, 10)).await.is_err());
    assert_eq!(rabbit.depth(QUEUE).await.unwrap(), Depth { ready: 7, unsettled: 3, ..Depth::default() });
    rabbit.settle(QUEUE, &done(&got)).await.unwrap();
    assert_eq!(texts(&received(&rabbit, 3).await), ["3", "4", "5"]);

    let (rabbit, _) = fresh(&[("REVAL_SYNC_RABBIT_PREFETCH", "4"), ("REVAL_SYNC_RABBIT_BUDGET_BYTES", "1000")]);
    sent(&rabbit, (0..100).map(|number| format!("{number:0400}"))).await;
    let mut numbers = Vec::new();
    let mut held = Vec::new();
    while numbers.len() < 100 {
        let got = timeout(SOON, rabbit.receive(QUEUE, 10)).await.unwrap().unwrap();
        numbers.extend(texts(&got).iter().map(|text| text.trim_start_matches('0').parse::<u32>().unwrap_or(0)));
        held.extend(done(&got));
        if held.len() > 2 || numbers.len() == 100 {
            // one call for those before, and the pause ends
            rabbit.settle(QUEUE, &std::mem::take(&mut held)).await.unwrap();
        }
    }
    assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "nothing is lost between a pause and the next message");
    is_empty(&rabbit).await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn a_message_that_no_queue_takes_is_refused() {
    let (rabbit, settings) = fresh(&[]);
    let mut lost = outgoing(&settings, ["a".to_owned(), "b".to_owned()]);
    lost[1].routing_key = "nobody".to_owned();
    let error = rabbit.publish(&lost).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker refused: no queue is bound to nobody");
    lost[1].exchange = "no-such-exchange".to_owned();
    assert!(matches!(rabbit.publish(&lost).await, Err(QueueError::Refused(_))));
    sent(&rabbit, ["c".to_owned()]).await;
    assert_eq!(texts(&received(&rabbit, 3).await), ["a", "a", "c"]);
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn a_queue_that_is_not_there_is_refused_and_not_made() {
    let (rabbit, settings) = fresh(&[("REVAL_SYNC_RABBIT_DECLARE", "false")]);
    for _ in 0..2 {
        assert!(matches!(rabbit.receive(QUEUE, 1).await, Err(QueueError::Refused(_))));
        assert!(matches!(rabbit.depth(QUEUE).await, Err(QueueError::Refused(_))));
    }
    let elsewhere = outgoing(&settings, ["a".to_owned()]);
    assert!(matches!(rabbit.publish(&elsewhere).await, Err(QueueError::Refused(_))), "nor is the exchange");
    assert!(matches!(rabbit.receive(Queue::GmcData, 1).await, Err(QueueError::Refused(_))), "it is not read");
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn a_wrong_password_is_refused_and_not_shown() {
    let (rabbit, _) = fresh(&[("RABBITMQ_PASSWORD", "not-this-one")]);
    let error = rabbit.receive(QUEUE, 1).await.unwrap_err();
    assert!(matches!(&error, QueueError::Refused(text) if !text.contains("not-this-one")), "{error:?}");
    assert!(!format!("{rabbit:?}").contains("not-this-one"));
}

#[tokio::test]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn a_broker_that_falls_silent_is_noticed_and_what_was_in_hand_comes_again() {
    let broker = url::Url::parse(&servers::rabbitmq()).unwrap().socket_addrs(|| None).unwrap()[0];
    let proxy = Proxy::start(broker).unwrap();
    let (near, settings) = fresh(&[]);
    let far = Rabbit::new(Settings { port: proxy.port(), ..settings }, &[QUEUE]);
    sent(&near, ["a", "b"].map(str::to_owned)).await;
    assert_eq!(texts(&received(&far, 1).await), ["a"]);
    proxy.blackhole();
    let begun = tokio::time::Instant::now();
    while let Ok(more) = timeout(SOON, far.receive(QUEUE, 1)).await.expect("nobody noticed") {
        assert_eq!(texts(&more), ["b"], "it had been sent before");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let one = outgoing(&far.settings, ["c".to_owned()]);
    assert!(matches!(far.publish(&one).await, Err(QueueError::Unavailable(_))), "nor does anything leave");
    proxy.restore();
    let again = async {
        let mut all = Vec::new();
        while all.len() < 2 {
            match far.receive(QUEUE, 2).await {
                Ok(more) => all.extend(more),
                Err(_away) => sleep(Duration::from_millis(100)).await,
            }
        }
        all
    };
    let again = timeout(SOON * 2, again).await.expect("it never came back");
    assert_eq!(texts(&again)[..2], ["a", "b"]);
    assert!(again[0].redelivered);
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_unavailable() {
    let rabbit = Rabbit::new(settings("amqp://a:b@127.0.0.1:1/%2f", &[]), &[QUEUE]);
    assert!(matches!(rabbit.receive(QUEUE, 1).await, Err(QueueError::Unavailable(_))));
    assert!(matches!(rabbit.depth(QUEUE).await, Err(QueueError::Unavailable(_))));
    let one = outgoing(&rabbit.settings, ["a".to_owned()]);
    assert!(matches!(rabbit.publish(&one).await, Err(QueueError::Unavailable(_))));
    rabbit.settle(QUEUE, &[]).await.unwrap();
    rabbit.leave().await;
}
