//! The loop over a memory broker: order, batches, commits, budget, stop.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::delivery::Settlement;
use tokio::time::{Instant, sleep};

use super::world::{AGAIN, APPLIED, Act, World, append, broker};
use crate::pipeline::Limits;

const MINUTE: Duration = Duration::from_secs(60);

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_committed_and_then_the_loop_is_idle() {
    let broker = broker();
    for payload in numbered(3) {
        append(&broker, 0, "", &payload);
    }
    append(&broker, 1, "", "other");
    let world = World::start(&broker, Limits::default(), |_| Act::Settle(APPLIED));
    assert!(!world.progress.is_idle(), "nothing has begun");
    world.idle().await;
    assert_eq!((world.committed(0), world.committed(1)), (Some(3), Some(1)));
    append(&broker, 0, "", "more");
    assert!(!world.progress.is_idle(), "one more is there");
    world.idle().await;
    assert_eq!(world.committed(0), Some(4));
    assert_eq!(world.metric("truecopy_messages_settled_total", &["outcome=\"applied\"", "source=\"topic\""]), 5.0);
    world.assert_balanced();
    assert!(world.health.is_ready().is_ok());
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_committed_is_delivered_again_to_the_next_loop() {
    let broker = broker();
    for payload in ["a", "stuck", "b"] {
        append(&broker, 0, payload, payload);
    }
    let world = World::start(&broker, Limits::default(), |message| {
        Act::Settle(if message.offset == 1 { AGAIN } else { APPLIED })
    });
    world.until("two are settled", || world.settled().len() == 2).await;
    world.until("the commit", || world.committed(0) == Some(1)).await;
    world.stop().await.unwrap();
    assert_eq!(broker.committed("group", &super::world::partition(0)), Some(1), "1 is unfinished");

    let world = World::start(&broker, Limits::default(), |_| Act::Settle(APPLIED));
    world.idle().await;
    assert_eq!(world.settled(), ["stuck", "b"]);
    assert_eq!(world.committed(0), Some(3));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_key_holds_back_itself_alone() {
    let broker = broker();
    let world = World::start(&broker, Limits::default(), |message| match message.payload.as_deref() {
        Some(b"slow") => Act::Take(MINUTE, APPLIED),
        _ => Act::Settle(APPLIED),
    });
    append(&broker, 0, "a", "slow");
    append(&broker, 0, "a", "behind");
    let begun = Instant::now();
    world.until("the slow one runs", || !world.steps().is_empty()).await;
    for payload in numbered(20) {
        append(&broker, 0, "b", &payload);
    }
    world.until("20 passed it", || world.settled().len() == 20).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(world.settled(), numbered(20));
    assert_eq!(world.committed(0), None, "offset 0 is unfinished");
    world.idle().await;
    assert_eq!(world.settled().split_off(20), ["slow", "behind"]);
    assert_eq!(world.committed(0), Some(22));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_keeps_its_lane_and_counts_its_tries() {
    let broker = broker();
    for (key, payload) in [("a", "first"), ("a", "second"), ("b", "other")] {
        append(&broker, 0, key, payload);
    }
    let world = World::start(&broker, Limits::default(), |message| {
        Act::Settle(if message.offset == 0 && message.attempt < 4 { AGAIN } else { APPLIED })
    });
    world.idle().await;
    assert_eq!(world.settled(), ["other", "first", "second"]);
    let steps = world.service.steps.lock().unwrap().clone();
    let tries: Vec<_> =
        steps.iter().flatten().filter(|(text, _)| text == "first").map(|(_, attempt)| *attempt).collect();
    assert_eq!(tries, [1, 2, 3, 4]);
    assert_eq!(world.metric("truecopy_message_retries_total", &["reason=\"failed\""]), 3.0);
    world.assert_balanced();
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_batch_starts_at_once_and_the_next_waits_for_company() {
    let broker = broker();
    let limits = Limits { batch_items: NonZeroUsize::new(4).unwrap(), ..Limits::default() };
    let world = World::start(&broker, limits, |message| match message.payload.as_deref() {
        Some(b"long") => Act::Take(MINUTE, APPLIED),
        _ => Act::Settle(APPLIED),
    });
    append(&broker, 0, "", "long");
    world.until("it runs", || !world.steps().is_empty()).await;
    let begun = Instant::now();
    append(&broker, 0, "", "early");
    sleep(Duration::from_millis(2)).await;
    append(&broker, 0, "", "late");
    world.until("both ran", || world.steps().len() == 2).await;
    assert_eq!(world.steps()[1], ["early", "late"]);
    assert!((5..8).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());

    let begun = Instant::now();
    for payload in numbered(9) {
        append(&broker, 0, "", &payload);
    }
    world.until("all ran", || world.settled().len() == 11).await;
    assert_eq!(
        world.steps().iter().skip(2).map(Vec::len).collect::<Vec<_>>(),
        [4, 4, 1],
        "full batches wait for nothing"
    );
    assert!(begun.elapsed() < Duration::from_millis(8));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn intake_is_paused_at_the_budget_and_resumed_at_half() {
    let broker = broker();
    let payload = "x".repeat(10_000);
    let limits = Limits {
        budget_bytes: 100_000,
        batch_items: NonZeroUsize::MIN,
        workers: NonZeroUsize::MIN,
        ..Limits::default()
    };
    let world = World::start(&broker, limits, |_| Act::Take(Duration::from_millis(100), APPLIED));
    for number in 0..40 {
        append(&broker, 0, "", &format!("{number}{payload}"));
        sleep(Duration::from_millis(1)).await;
        assert!(world.progress.in_flight() <= 10, "ten of them fill the budget");
    }
    assert_eq!((world.progress.in_flight(), world.metric("truecopy_paused", &[])), (10, 1.0));
    world.until("taken on", || world.progress.in_flight() > 10).await;
    assert_eq!(world.settled().len(), 6, "four are left, less than half of the budget");
    world.idle().await;
    assert_eq!((world.committed(0), world.settled().len()), (Some(40), 40));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_message_larger_than_the_budget_passes() {
    let broker = broker();
    let limits = Limits { budget_bytes: 1_000, batch_bytes: 100, ..Limits::default() };
    append(&broker, 0, "", &"x".repeat(2 * 1024 * 1024));
    append(&broker, 0, "", "small");
    let world = World::start(&broker, limits, |_| Act::Settle(APPLIED));
    world.idle().await;
    assert_eq!(world.committed(0), Some(2));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_runs_commits_it_and_leaves_the_rest_untouched() {
    let broker = broker();
    for payload in numbered(100) {
        append(&broker, 0, &payload, &payload);
    }
    let limits = || Limits { batch_items: NonZeroUsize::new(10).unwrap(), ..Limits::default() };
    let world = World::start(&broker, limits(), |_| Act::Take(Duration::from_secs(1), APPLIED));
    world.until("some are settled, others run", || world.settled().len() >= 20).await;
    let (service, progress, metrics) = (Arc::clone(&world.service), world.progress.clone(), world.metrics.clone());
    world.stop().await.unwrap();
    let first = service.settled.lock().unwrap().clone();
    let committed = broker.committed("group", &super::world::partition(0)).unwrap();
    assert_eq!(usize::try_from(committed), Ok(first.len()), "all that was settled is committed");
    assert!((21..60).contains(&first.len()), "{} settled", first.len());
    assert_eq!(progress.in_flight(), 0);
    assert!(metrics.render().contains("outcome=\"returned\",reason=\"stopped\""), "{}", metrics.render());

    let world = World::start(&broker, limits(), |_| Act::Settle(APPLIED));
    world.idle().await;
    let mut all = first;
    all.extend(world.settled());
    assert_eq!(all, numbered(100), "each once, in order");
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_later_messages_have_passed() {
    let broker = broker();
    append(&broker, 0, "a", "slow");
    append(&broker, 0, "a", "behind");
    let world = World::start(&broker, Limits::default(), |message| match message.payload.as_deref() {
        Some(b"slow") => Act::Take(Duration::from_secs(2), APPLIED),
        _ => Act::Settle(APPLIED),
    });
    world.until("it runs", || !world.steps().is_empty()).await;
    append(&broker, 0, "b", "passing");
    world.until("one has passed", || world.settled() == ["passing"]).await;
    world.stop().await.unwrap();
    assert_eq!(broker.committed("group", &super::world::partition(0)), Some(3), "nothing comes twice");
}

#[tokio::test(start_paused = true)]
async fn a_stop_runs_nothing_that_stands_behind_a_message_that_goes_back() {
    let broker = broker();
    for (key, payload) in
        [("a", "refused"), ("a", "behind"), ("b", "refused while it stops"), ("b", "behind too"), ("c", "passing")]
    {
        append(&broker, 0, key, payload);
    }
    let world = World::start(&broker, Limits::default(), |message| match message.payload.as_deref() {
        Some(b"refused") => Act::Settle(Settlement::Again { after: Some(MINUTE), counted: true }),
        Some(b"refused while it stops") if message.attempt == 2 => Act::Take(Duration::from_secs(1), AGAIN),
        Some(b"refused while it stops") => Act::Settle(AGAIN),
        _ => Act::Settle(APPLIED),
    });
    world.until("one runs again", || world.steps().len() == 2).await;
    let service = Arc::clone(&world.service);
    world.stop().await.unwrap();
    assert_eq!(*service.settled.lock().unwrap(), ["passing"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let broker = broker();
    append(&broker, 0, "", "done");
    let world = World::start(&broker, Limits::default(), |message| match message.payload.as_deref() {
        Some(b"endless") => Act::Take(100 * MINUTE, APPLIED),
        _ => Act::Settle(APPLIED),
    });
    world.idle().await;
    append(&broker, 0, "", "endless");
    world.until("it runs", || world.steps().len() == 2).await;
    let begun = Instant::now();
    world.stop().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(broker.committed("group", &super::world::partition(0)), Some(1));
}

#[tokio::test(start_paused = true)]
async fn commits_are_few_while_there_is_work() {
    let broker = broker();
    let world = World::start(&broker, Limits { batch_items: NonZeroUsize::MIN, ..Limits::default() }, |_| {
        Act::Take(Duration::from_millis(10), APPLIED)
    });
    for payload in numbered(500) {
        append(&broker, 0, "one lane", &payload);
    }
    let seen = Mutex::new(Vec::new());
    world
        .until("the last commit", || {
            let mut seen = seen.lock().unwrap();
            let committed = world.committed(0);
            if seen.last() != Some(&committed) {
                seen.push(committed);
            }
            committed == Some(500)
        })
        .await;
    let commits = seen.lock().unwrap().len();
    assert!((20..35).contains(&commits), "{commits} commits in five seconds");
    world.stop().await.unwrap();
}
