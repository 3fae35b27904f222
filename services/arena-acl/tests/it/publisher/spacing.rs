//! The distance between two messages of one key (docs/spec/arena-acl.md, IMP-12).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{Entry, Fate, World};
use crate::store::message;

const SPACING: Duration = Duration::from_millis(500);
const AT_ONCE: Duration = Duration::from_millis(100);
const REPORT: Duration = Duration::from_millis(5);

async fn world(spacing: Duration) -> World {
    World::new(spacing, |_, _| Fate::arrives(REPORT)).await
}

fn times(log: &[Entry], key: &str) -> Vec<Instant> {
    log.iter().filter(|entry| entry.key == key).map(|entry| entry.at).collect()
}

#[tokio::test(start_paused = true)]
async fn two_messages_of_one_participant_keep_their_distance_and_a_thousand_others_do_not_wait() {
    let world = world(SPACING).await;
    let begun = Instant::now();
    world.add(&[message("500", "first"), message("500", "second")]).await;
    world.add_numbers(1001..=2000).await;
    sleep(AT_ONCE).await;
    assert_eq!(world.waiting().await, 1);
    world.emptied(SPACING).await;
    let log = world.log();
    let [first, second] = times(&log, "500")[..] else { panic!("{log:?}") };
    assert!(second - first >= SPACING);
    assert!(second - begun < SPACING + AT_ONCE);
    assert!(log.iter().filter(|entry| entry.key != "500").all(|entry| entry.at - begun < AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_while_its_key_is_held_waits_for_the_rest_of_the_time_only() {
    let world = world(SPACING).await;
    world.add(&[message("a", "1")]).await;
    sleep(Duration::from_millis(400)).await;
    world.add(&[message("a", "2")]).await;
    world.emptied(Duration::from_millis(150)).await;
    let [first, second] = times(&world.log(), "a")[..] else { panic!() };
    assert!(second - first >= SPACING);
}

#[tokio::test(start_paused = true)]
async fn without_a_distance_messages_of_a_key_follow_each_other() {
    let world = world(Duration::ZERO).await;
    world.add(&[message("a", "1"), message("a", "2"), message("a", "3")]).await;
    world.emptied(AT_ONCE).await;
    assert_eq!(world.log().iter().map(|entry| entry.payload.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn the_distance_holds_across_a_restart() {
    let mut world = world(SPACING).await;
    world.add(&[message("a", "1"), message("a", "2")]).await;
    sleep(AT_ONCE).await;
    world.stop().await;
    world.start();
    world.emptied(Duration::from_secs(2)).await;
    let [first, second] = times(&world.log(), "a")[..] else { panic!() };
    assert!(second - first >= SPACING);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_keys_that_wait_is_told() {
    let world = world(SPACING).await;
    world.add(&[message("a", "1"), message("a", "2"), message("b", "1")]).await;
    sleep(AT_ONCE).await;
    let spaced = |keys: u32| format!("truecopy_waiting_messages{{reason=\"spacing\",source=\"outbox\"}} {keys}");
    assert!(world.metrics.render().contains(&spaced(1)), "{}", world.metrics.render());
    world.emptied(SPACING).await;
    sleep(SPACING).await;
    assert!(world.metrics.render().contains(&spaced(0)), "{}", world.metrics.render());
}
