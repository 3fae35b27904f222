//! A database that is away for a while, behind a link that the test cuts.

use std::time::Duration;

use testkit::proxy::Proxy;
use tokio::time::sleep;

use crate::{
    account,
    feed::{Change, Course},
    world::{BOUND, World, eventually},
};

const COURSE: Course = Course::group(3001);
/// Longer than any wait of the service for a connection, and than the session of the group.
const AWAY: Duration = Duration::from_secs(12);
const NOT_READY_WITHIN: Duration = Duration::from_secs(5);
const READY_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_database_that_is_away_pauses_the_service() {
    is_paused_by(Proxy::cut).await;
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_database_that_does_not_answer_pauses_the_service() {
    is_paused_by(Proxy::blackhole).await;
}

async fn is_paused_by(outage: fn(&Proxy)) {
    let world = World::new(&[COURSE]).await;
    let server: url::Url = world.database.url().parse().unwrap();
    let server = server.socket_addrs(|| Some(5432)).unwrap();
    let proxy = Proxy::start(server[0]).unwrap();
    let mut service = world.start_with(&[world.database_through(proxy.port())]).await;
    world.know(&[COURSE]).await;
    let changes = Change::all(70_000..70_300, 3, &[COURSE.id], 101);
    let (before, rest) = changes.split_at(300);
    let (during, after) = rest.split_at(300);
    let places = world.produce_changes(before).await;
    world.handled(&places).await;

    let mut places = world.produce_changes(&during[..100]).await;
    outage(&proxy);
    places.extend(world.produce_changes(&during[100..]).await);
    let noticed = eventually("not ready", NOT_READY_WITHIN, async || world.probe("/readyz").await == Some(503)).await;
    let paused = async || world.metrics().await.sum("truecopy_paused", &[("source", &world.participants)]) == 1;
    eventually("the intake is paused", NOT_READY_WITHIN, paused).await;
    sleep(AWAY).await;
    let states = (world.probe("/livez").await, world.probe("/readyz").await);
    assert_eq!(states, (Some(200), Some(503)), "alive, and not ready");

    proxy.restore();
    let back = eventually("ready again", READY_WITHIN, async || world.probe("/readyz").await == Some(200)).await;
    places.extend(world.produce_changes(after).await);
    world.handled(&places).await;
    println!("not ready after {noticed:?}, ready {back:?} after the return");
    assert!(world.rows().await.iter().all(|(_, _, _, status)| status == "HANDLED"));
    assert_eq!(world.count("SELECT count(*) FROM quarantine").await, 0);
    let (ledger, _) = account::of(&changes, &world.published().await);
    ledger.balance().clean().unwrap();
    world.metrics().await.assert_balance(&world.participants);
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
}
