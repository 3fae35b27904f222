//! An orderly stop in the middle of work.

use std::time::Duration;

use arena_acl::kafka::GROUP;

use crate::{
    account,
    feed::{Change, Course},
    world::{BOUND, World, eventually},
};

const COURSE: Course = Course::group(3001);
/// The default drain budget, and what ending takes beside it: the flush, the group, telemetry.
const IN_TIME: Duration = Duration::from_secs(12);

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn sigterm_under_load_exits_0_and_nothing_is_redelivered() {
    let world = World::new(&[COURSE]).await;
    let mut first = world.start().await;
    world.know(&[COURSE]).await;
    let changes = Change::all(70_000..71_500, 2, &[COURSE.id], 101);
    let mut places = world.produce_changes(&changes[..500]).await;
    let rest = async { world.produce_changes(&changes[500..]).await };
    let stopped = async {
        eventually("some are handled", BOUND, async || world.rows().await.len() >= 200).await;
        first.sigterm(IN_TIME).await.unwrap()
    };
    let (rest, status) = tokio::join!(rest, stopped);
    places.extend(rest);
    assert_eq!(status.code(), Some(0), "{:?}", first.output().last());

    // all that is committed was handled, and nothing else was
    let handled = world.rows().await;
    assert!(handled.len() < changes.len(), "the stop came too late to show anything");
    let committed = world.topics.committed(GROUP, &world.participants).await.unwrap();
    let mut expected: Vec<_> = places
        .iter()
        .zip(&changes)
        .filter(|((_, partition, offset), _)| committed[*partition as usize].is_some_and(|next| *offset < next))
        .map(|(_, change)| change.position_text())
        .collect();
    expected.sort();
    assert_eq!(handled.iter().map(|(_, _, position, _)| position.clone()).collect::<Vec<_>>(), expected);

    let mut second = world.start().await;
    world.handled(&places).await;
    let metrics = world.metrics().await;
    assert_eq!(metrics.received(&world.participants), (changes.len() - handled.len()) as u64);
    assert_eq!(metrics.settled(&world.participants, "applied"), (changes.len() - handled.len()) as u64);
    metrics.assert_balance(&world.participants);
    let (ledger, repeated) = account::of(&changes, &world.published().await);
    ledger.balance().clean().unwrap();
    assert_eq!(repeated, 0);
    assert_eq!(second.sigterm(IN_TIME).await.unwrap().code(), Some(0));
}
