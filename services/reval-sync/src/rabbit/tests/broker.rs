//! A broker of one's own, which is killed and stopped.

use std::collections::BTreeMap;

use super::*;

/// A broker beside those of other tests, with data and ports of its own. Dropped, it is gone.
struct Broker;

fn told(command: &str) -> String {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/server");
    let told = Command::new(server).args(["rabbitmq", command]).env("TRUECOPY_STACK", "rabbit").output().unwrap();
    assert!(told.status.success(), "server rabbitmq {command}: {}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

impl Broker {
    fn start() -> Self {
        let broker = Self; // stopped also when its start fails half-way
        told("destroy");
        told("start");
        broker
    }

    async fn while_others_work(&self, commands: &'static [&'static str]) {
        let told = tokio::task::spawn_blocking(|| commands.iter().for_each(|command| drop(told(command))));
        told.await.unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        told("destroy");
    }
}

/// Sends until it is confirmed, as a producer does whose broker may be away.
async fn confirmed(rabbit: &Rabbit, body: String) {
    let message = outgoing(&rabbit.settings, [body]);
    while rabbit.publish(&message).await.is_err() {
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ: ./dev test"]
async fn nothing_is_lost_and_order_is_kept_over_a_kill_and_a_restart_of_the_broker() {
    const COUNT: usize = 600;
    let broker = Broker::start();
    let settings = settings(told("address").trim(), &[]);
    let (producer, consumer) = (Rabbit::new(settings.clone(), &[]), Rabbit::new(settings, &[QUEUE]));
    let produce = async {
        for number in 0..COUNT {
            confirmed(&producer, number.to_string()).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    let disturb = async {
        sleep(Duration::from_millis(800)).await;
        broker.while_others_work(&["kill9", "start"]).await;
        sleep(Duration::from_millis(800)).await;
        broker.while_others_work(&["stop", "start"]).await;
    };
    let consume = async {
        // the last place of each number counts: what comes again, comes with all that stands behind it
        let mut last = BTreeMap::new();
        let (mut seen, mut failures) = (0_usize, 0_usize);
        while last.len() < COUNT {
            let got = match consumer.receive(QUEUE, 50).await {
                Ok(got) => got,
                Err(QueueError::Unavailable(_)) => {
                    failures += 1;
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
                // queues outlive a kill, but the declaration may meet a node that still starts
                Err(refused) => panic!("{refused}"),
            };
            sleep(Duration::from_millis(30)).await; // some are in hand when the broker goes
            for text in texts(&got) {
                last.insert(text.parse::<usize>().unwrap(), seen);
                seen += 1;
            }
            consumer.settle(QUEUE, &done(&got)).await.unwrap_or_default(); // it comes again
        }
        (last, seen, failures)
    };
    let all = async { tokio::join!(produce, disturb, consume) };
    let ((), (), (last, seen, failures)) = timeout(Duration::from_secs(240), all).await.unwrap();
    assert!(last.values().is_sorted(), "{last:?}");
    assert!(failures > 0, "the consumer never noticed");
    println!("{seen} deliveries of {COUNT} messages, {failures} calls failed");
    is_empty(&consumer).await;
}
