//! A broker that is not there.

use std::{net::TcpListener, time::Duration};

use chassis::settings;
use kafka::{Consumer, Settings, Source as _, source::Event};
use tokio::time::{Instant, timeout};

use crate::world::{Ledger, Running, group};

fn nobody() -> Settings {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    settings::read([("KAFKA_BROKERS", address)], Settings::declare).unwrap()
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_within_five_seconds_and_left_within_two() {
    let mut member = Consumer::new(&nobody(), &group("topic")).unwrap();
    let told =
        timeout(Duration::from_secs(5), async { while !matches!(member.next().await, Event::Reachable(false)) {} });
    told.await.unwrap();
    let begun = Instant::now();
    member.close().await;
    assert!(begun.elapsed() < Duration::from_millis(2_200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_a_broker_the_loop_is_alive_and_not_ready_and_stops() {
    let member = Running::start(&nobody(), &group("topic"), &Ledger::default(), Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(member.health.is_live().is_ok());
    assert!(member.health.is_ready().unwrap_err()[0].contains("no Kafka broker"));
    let begun = Instant::now();
    member.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_refused_at_once() {
    let pairs = [
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("KAFKA_CERTIFICATE_PATH", "/nowhere/certificate.pem"),
        ("KAFKA_PRIVATE_KEY_PATH", "/nowhere/key.pem"),
        ("KAFKA_CA_PATH", "/nowhere/ca.pem"),
    ];
    let settings = settings::read(pairs, Settings::declare).unwrap();
    assert!(Consumer::new(&settings, &group("topic")).is_err());
}
