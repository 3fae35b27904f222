//! Members that come and go.

use std::time::Duration;

use kafka::Producer;
use testkit::servers;
use tokio::{join, time::sleep};

use crate::world::{Ledger, Running, group, send_numbers, settings, until, until_committed};

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_second_member_takes_over_what_is_settled_and_nothing_comes_twice() {
    let topics = servers::kafka().await;
    let topic = topics.create("revoke", 4).await.unwrap();
    let (settings, group) = (settings(&topics), group(&topic));
    let (ledger, producer) = (Ledger::default(), Producer::new(&settings, "it").unwrap());
    let first = Running::start(&settings, &group, &ledger, Duration::from_millis(50));
    let (theirs, ours) = (Ledger::default(), ledger.clone());
    let work = async {
        until("the first works alone", || ours.len() > 100).await;
        let second = Running::start(&settings, &group, &theirs, Duration::from_millis(50));
        until("the second works", || theirs.len() > 100).await;
        second
    };
    let (second, ()) = join!(work, send_numbers(&producer, &topic, 40, 0..400));
    until("all are settled", || ledger.len() + theirs.len() >= 16_000).await;
    until_committed(&topics, &group).await;
    assert_eq!(ledger.len() + theirs.len(), 16_000, "something came twice though all had time to be committed");
    first.stop().await;
    send_numbers(&producer, &topic, 40, 400..401).await;
    until("the second has all", || ledger.len() + theirs.len() >= 16_040).await;
    until_committed(&topics, &group).await;
    second.stop().await;
}

#[tokio::test]
#[ignore = "needs Kafka: ./dev test"]
async fn a_storm_of_rebalances_loses_nothing_and_keeps_the_order() {
    let topics = servers::kafka().await;
    let topic = topics.create("storm", 6).await.unwrap();
    let (settings, group) = (settings(&topics), group(&topic));
    let (ledger, producer) = (Ledger::default(), Producer::new(&settings, "it").unwrap());
    let lasting = Running::start(&settings, &group, &ledger, Duration::from_millis(20));
    let storm = async {
        for turn in 0..5 {
            let (one, two) =
                join!(async { Running::start(&settings, &group, &ledger, Duration::from_millis(20)) }, async {
                    Running::start(&settings, &group, &ledger, Duration::from_millis(30))
                },);
            sleep(Duration::from_millis(700 * (turn + 1))).await;
            join!(one.stop(), async {
                sleep(Duration::from_millis(150 * turn)).await;
                two.stop().await;
            });
        }
    };
    let numbers = async {
        for number in 0..300 {
            send_numbers(&producer, &topic, 30, number..number + 1).await;
            sleep(Duration::from_millis(40)).await;
        }
    };
    join!(storm, numbers);
    until_committed(&topics, &group).await;
    assert_eq!(ledger.assert_clean(30, 300), 0, "something came twice though all had time to be committed");
    lasting.stop().await;
}
