//! The distance between two messages of one participant, with a real broker (docs/spec/arena-acl.md, IMP-12).

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    feed::{Change, Course},
    world::{World, json},
};

const COURSE: Course = Course::group(3001);
const SPACING: Duration = Duration::from_millis(2_000);

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn two_messages_of_one_participant_keep_their_distance_and_a_thousand_others_do_not_wait() {
    let world = World::new(&[COURSE]).await;
    let spacing = ("ARENA_ACL_SPACING_MILLISECONDS", SPACING.as_millis().to_string());
    let _service = world.start_with(&[spacing]).await;
    world.know(&[COURSE]).await;
    let changes = Change::all(70_000..71_000, 1, &[COURSE.id], 101);
    let mut all = Change::all(69_999..70_000, 2, &[COURSE.id], 10_101);
    all.extend(changes);
    let places = world.produce_changes(&all).await;
    world.handled(&places).await;

    let published = world.published().await;
    assert_eq!(published.len(), all.len());
    let uuid = world.uuids().await[&69_999].to_string();
    let of_the_one = |message: &&_| json(message)["payload"]["id"] == uuid.as_str();
    // the broker's log has the time at which each was sent
    let times: Vec<_> = published.iter().filter(of_the_one).map(|message| message.timestamp.unwrap()).collect();
    let [first, second] = times[..] else { panic!("{times:?}") };
    assert!(second - first >= TimeDelta::from_std(SPACING).unwrap(), "{}", second - first);
    let others = published.iter().filter(|message| !of_the_one(message));
    let late = others.filter(|message| message.timestamp.unwrap() >= second).count();
    assert_eq!(late, 0, "others waited with it");
}
