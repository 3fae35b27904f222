//! A broker that is away for a while. Advertised addresses lead around a proxy, so this test has a broker of its own, which it stops.

use std::{path::Path, process::Command, time::Duration};

use tokio::time::sleep;

use crate::{
    account,
    feed::{Change, Course},
    world::{BOUND, World, eventually},
};

const COURSE: Course = Course::group(3001);
/// Longer than the session of the group.
const AWAY: Duration = Duration::from_secs(12);
const NOT_READY_WITHIN: Duration = Duration::from_secs(5);
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A broker beside those of other tests, with data and ports of its own. Dropped, it is gone.
struct Broker;

impl Broker {
    fn start() -> Self {
        let broker = Self; // stopped also when its start fails half-way
        broker.is_told("destroy");
        broker.is_told("start");
        broker
    }

    fn address(&self) -> String {
        self.is_told("address").trim().to_owned()
    }

    fn is_told(&self, command: &str) -> String {
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/server");
        let told = Command::new(server).args(["kafka", command]).env("TRUECOPY_STACK", "broker").output().unwrap();
        assert!(told.status.success(), "server kafka {command}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.is_told("destroy");
    }
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_broker_that_is_away_pauses_the_service() {
    let broker = Broker::start();
    let world = World::at(&broker.address(), &[COURSE]).await;
    let mut service = world.start().await;
    world.know(&[COURSE]).await;
    let changes = Change::all(70_000..70_300, 3, &[COURSE.id], 101);
    let places = world.produce_changes(&changes[..300]).await;
    world.handled(&places).await;

    let mut places = world.produce_changes(&changes[300..600]).await;
    broker.is_told("stop"); // some are under way
    let noticed = eventually("not ready", NOT_READY_WITHIN, async || world.probe("/readyz").await == Some(503)).await;
    sleep(AWAY).await;
    let states = (world.probe("/livez").await, world.probe("/readyz").await);
    assert_eq!(states, (Some(200), Some(503)), "alive, and not ready");

    broker.is_told("start");
    let back = eventually("ready again", READY_WITHIN, async || world.probe("/readyz").await == Some(200)).await;
    places.extend(world.produce_changes(&changes[600..]).await);
    world.handled(&places).await;
    println!("not ready after {noticed:?}, ready {back:?} after the return");
    assert!(world.rows().await.iter().all(|(_, _, _, status)| status == "HANDLED"));
    let (ledger, _) = account::of(&changes, &world.published().await);
    ledger.balance().clean().unwrap();
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
}
