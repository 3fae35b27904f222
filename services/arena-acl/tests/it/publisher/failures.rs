//! Messages that do not arrive, and a store that does not take their marks.

use std::time::Duration;

use arena_acl::inbox::NewMessage;
use kafka::SendError;
use tokio::time::{Instant, sleep};

use super::world::{Fate, World};
use crate::store::message;

const AT_ONCE: Duration = Duration::from_millis(200);
const REPORT: Duration = Duration::from_millis(5);

#[tokio::test(start_paused = true)]
async fn a_refused_message_holds_back_its_own_key_and_is_tried_less_and_less() {
    let world = World::new(Duration::ZERO, |message, _| match message.key.as_deref() {
        Some(b"5") => Fate::refused(),
        _ => Fate::arrives(REPORT),
    })
    .await;
    world.add_numbers(1..=100).await;
    world.add(&[message("5", "the next of it"), message("6", "the next of it")]).await;
    sleep(AT_ONCE).await;
    assert_eq!(world.waiting().await, 2);
    assert!(!world.log().iter().any(|entry| entry.key == "5"), "nothing passes it");
    sleep(Duration::from_secs(600)).await;
    let tries = world.tried().iter().filter(|entry| entry.key == "5").count();
    assert!((10..80).contains(&tries), "{tries} tries in ten minutes");
    let refused = "truecopy_waiting_messages{reason=\"refused\",source=\"outbox\"} 1";
    assert!(world.metrics.render().contains(refused), "{}", world.metrics.render());
    let begun = Instant::now();
    world.add_numbers(1000..=1100).await;
    while world.waiting().await > 2 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(begun.elapsed() < AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_confirms_nothing_holds_back_no_other_topic() {
    let world = World::new(Duration::ZERO, |message, _| match &*message.topic {
        "absent" => Fate::unconfirmed(None),
        _ => Fate::arrives(REPORT),
    })
    .await;
    let absent: Vec<NewMessage> = (0..3_000)
        .map(|number| NewMessage { topic: "absent".into(), ..message(&format!("{number:04}"), "{}") })
        .collect();
    world.add(&absent).await;
    for round in 0..60 {
        let begun = Instant::now();
        world.add_numbers(10_000 + round * 100..=10_099 + round * 100).await;
        while world.waiting().await > 3_000 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(begun.elapsed() < AT_ONCE, "{:?} in round {round}", begun.elapsed());
        sleep(Duration::from_secs(1)).await;
    }
    let tries = world.tried().iter().filter(|entry| entry.payload == "{}").count();
    assert!(tries < 150, "{tries} messages tried in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_back_gets_all_that_waited_for_it() {
    let back = Instant::now() + Duration::from_secs(60);
    let world =
        World::new(
            Duration::ZERO,
            move |_, _| {
                if Instant::now() < back { Fate::unconfirmed(None) } else { Fate::arrives(REPORT) }
            },
        )
        .await;
    world.add_numbers(1..=3_000).await;
    tokio::time::sleep_until(back).await;
    world.emptied(Duration::from_secs(36)).await;
    assert_eq!(world.log().len(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_report_keeps_no_other_message_from_its_mark() {
    let slow = Duration::from_secs(4);
    let world = World::new(Duration::ZERO, move |message, _| match message.key.as_deref() {
        Some(b"5") => Fate::arrives(slow),
        _ => Fate::arrives(REPORT),
    })
    .await;
    world.add_numbers(1..=1_000).await;
    world.add_numbers(1..=1_000).await;
    sleep(AT_ONCE).await;
    assert_eq!(world.waiting().await, 2);
    world.emptied(slow * 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_no_marks_is_not_up_because_it_can_be_read() {
    let world = World::new(Duration::ZERO, |_, _| Fate::arrives(REPORT)).await;
    world.let_marks_fail(4);
    world.add_numbers(1..=10).await;
    world.emptied(Duration::from_secs(60)).await;
    assert_eq!(*world.store_was_up.lock().unwrap(), [true, false, true], "one outage, over with the first mark");
    let payloads = |number: u32| world.log().iter().filter(|entry| entry.payload == number.to_string()).count();
    assert_eq!(payloads(1), 5, "what was not marked was sent again");
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_failed_for_good_ends_the_process() {
    let fatal = Fate { report: Err(SendError::Fatal("scripted".to_owned())), ..Fate::refused() };
    let mut world = World::new(Duration::ZERO, move |_, _| fatal.clone()).await;
    world.add_numbers(1..=1).await;
    assert!(world.ended().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_is_up_again_although_another_process_has_the_turn() {
    let world = World::new(Duration::ZERO, |_, _| Fate::arrives(REPORT)).await;
    let (_other, ()) = tokio::join!(world.turn_of_another(), async { world.lose_the_turn() });
    sleep(Duration::from_secs(5)).await;
    assert_eq!(*world.store_was_up.lock().unwrap(), [true, false, true]);
}
