//! What is on its way is bounded, and a stop waits for it.

use std::time::Duration;

use super::world::{Fate, World};
use crate::store::message;

const REPORT: Duration = Duration::from_millis(5);

#[tokio::test(start_paused = true)]
async fn large_messages_are_on_their_way_a_few_at_a_time() {
    const MEBIBYTE: usize = 1 << 20;
    let world = World::new(Duration::ZERO, |_, _| Fate::arrives(REPORT)).await;
    let payload = "x".repeat(MEBIBYTE);
    let messages: Vec<_> = (0..50).map(|number| message(&number.to_string(), &payload)).collect();
    world.add(&messages).await;
    world.emptied(Duration::from_secs(5)).await;
    assert_eq!(world.log().len(), 50);
    assert!((4 * MEBIBYTE..9 * MEBIBYTE).contains(&world.most_bytes()), "{} bytes", world.most_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_stop_awaits_and_marks_what_is_on_its_way() {
    let mut world = World::new(Duration::ZERO, |_, _| Fate::arrives(Duration::from_secs(2))).await;
    world.add_numbers(1..=50).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.stop().await;
    assert_eq!((world.waiting().await, world.log().len()), (0, 50));
}
