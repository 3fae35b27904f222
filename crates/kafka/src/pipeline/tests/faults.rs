//! Panics, outages of the store, fatal ends, and the flags for probes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::dependency::Dependency;
use tokio::time::{Instant, sleep};

use super::world::{APPLIED, Act, OUTAGE, World, append, broker};
use crate::{memory::Broker, pipeline::Limits};

fn filled(payloads: &[&str]) -> Broker {
    let broker = broker();
    for payload in payloads {
        append(&broker, 0, payload, payload);
    }
    broker
}

fn panicking(message: &domain::delivery::Message) -> Act {
    if message.payload.as_deref() == Some(b"bug") { Act::Panic } else { Act::Settle(APPLIED) }
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_the_message_that_panics_alone() {
    let world = World::start(&filled(&["a", "b", "bug", "c"]), Limits::default(), panicking);
    world.idle().await;
    assert_eq!(world.steps(), [vec!["a", "b", "bug", "c"], vec!["a"], vec!["b"], vec!["bug"], vec!["c"]]);
    assert_eq!(world.settled(), ["a", "b", "c"]);
    assert_eq!(*world.service.bugs.lock().unwrap(), ["bug"]);
    assert_eq!(world.committed(0), Some(4));
    assert_eq!(world.metric("truecopy_messages_settled_total", &["outcome=\"dead_lettered\"", "reason=\"bug\""]), 1.0);
    world.assert_balanced();
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_reading_costs_that_message_alone() {
    let world = World::start(&filled(&["a", "unreadable", "b"]), Limits::default(), panicking);
    world.idle().await;
    assert_eq!((world.settled().len(), world.committed(0)), (2, Some(3)));
    assert_eq!(*world.service.bugs.lock().unwrap(), ["unreadable"]);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_fifth_bug_within_a_minute_ends_the_loop() {
    let broker = filled(&["bug"; 5]);
    let world = World::start(&broker, Limits::default(), panicking);
    assert_eq!(world.ended().await, Err("5 panics within 60 s".to_owned()));
    assert_ne!(broker.committed("group", &super::world::partition(0)), Some(5), "the fifth is not settled");
}

#[tokio::test(start_paused = true)]
async fn bugs_that_are_far_apart_end_nothing() {
    let broker = broker();
    let world = World::start(&broker, Limits::default(), panicking);
    for _ in 0..8 {
        append(&broker, 0, "", "bug");
        sleep(Duration::from_secs(16)).await;
    }
    world.idle().await;
    assert_eq!(world.committed(0), Some(8));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fatal_end_settles_nothing_of_its_batch() {
    let broker = filled(&["a", "fatal", "b"]);
    let world = World::start(&broker, Limits::default(), |message| {
        if message.payload.as_deref() == Some(b"fatal") { Act::Fatal } else { Act::Settle(APPLIED) }
    });
    assert_eq!(world.ended().await, Err("step failed for good".to_owned()));
    assert_eq!(broker.committed("group", &super::world::partition(0)), None);
}

/// A service whose store is down until `back`: each step reports its call, as adapters do.
fn with_store(broker: &Broker) -> (World, Arc<AtomicBool>) {
    let away = Arc::new(AtomicBool::new(false));
    let handle: Arc<std::sync::OnceLock<Dependency>> = Arc::default();
    let (gone, store) = (Arc::clone(&away), Arc::clone(&handle));
    let world = World::start(broker, Limits::default(), move |_| {
        let store = store.get().expect("set below");
        if gone.load(Ordering::SeqCst) {
            store.lost();
            return Act::Settle(OUTAGE);
        }
        store.succeeded();
        Act::Settle(APPLIED)
    });
    handle.set(world.store.clone()).expect("set once");
    (world, away)
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_intake_is_paused_and_one_message_probes() {
    let broker = broker();
    let (world, away) = with_store(&broker);
    away.store(true, Ordering::SeqCst);
    for number in 0..50 {
        append(&broker, 0, &number.to_string(), "x");
    }
    world.until("intake is paused", || world.metric("truecopy_paused", &[]) == 1.0).await;
    assert!(world.health.is_ready().unwrap_err()[0].contains("store is down"));
    let held = world.progress.in_flight();
    for number in 0..500 {
        append(&broker, 1, &number.to_string(), "y");
    }
    sleep(Duration::from_secs(1_800)).await;
    assert_eq!(world.progress.in_flight(), held, "nothing more was taken");
    assert!(world.health.is_live().is_ok(), "standing by is progress");
    let steps = world.service.steps.lock().unwrap().clone();
    assert!(steps.iter().skip(1).all(|seen| seen.len() == 1), "probes of one message each");
    // Full jitter up to 30 s: 15 s on average.
    assert!((60..300).contains(&steps.len()), "{} probes in half an hour", steps.len());
    assert!(steps.iter().flatten().all(|(_, attempt)| *attempt == 1), "no try counts");

    away.store(false, Ordering::SeqCst);
    let back = Instant::now();
    world.idle().await;
    assert!(back.elapsed() <= Duration::from_secs(31), "{:?}", back.elapsed());
    assert_eq!((world.committed(0), world.committed(1)), (Some(50), Some(500)));
    assert!(world.health.is_ready().is_ok());
    world.assert_balanced();
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_store_is_away_leaves_all_unsettled_and_waits_for_nothing() {
    let broker = filled(&["a", "b"]);
    let (world, away) = with_store(&broker);
    away.store(true, Ordering::SeqCst);
    world.until("the first try", || !world.steps().is_empty()).await;
    let begun = Instant::now();
    world.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(broker.committed("group", &super::world::partition(0)), None);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_stands_fails_liveness_and_one_that_turns_does_not() {
    let broker = filled(&["stuck"]);
    let turning = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&turning);
    let world = World::start(&broker, Limits::default(), move |message| match message.payload.as_deref() {
        Some(b"stuck") => Act::Take(Duration::from_secs(100_000), APPLIED),
        _ => {
            count.fetch_add(1, Ordering::SeqCst);
            Act::Settle(APPLIED)
        }
    });
    world.until("it runs", || !world.steps().is_empty()).await;
    for number in 0..18 {
        assert!(world.health.is_live().is_ok(), "after {number} s");
        append(&broker, 1, "", "turns");
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(5)).await;
    assert!(
        world.health.is_live().is_err(),
        "though {} messages of the other one passed",
        turning.load(Ordering::SeqCst)
    );
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_loop_is_alive() {
    let world = World::start(&filled(&["a"]), Limits::default(), |_| Act::Settle(APPLIED));
    world.idle().await;
    sleep(Duration::from_secs(3_600)).await;
    assert!(world.health.is_live().is_ok() && world.health.is_ready().is_ok());
    append(&world.broker, 0, "", "after an hour");
    world.idle().await;
    assert!(world.health.is_live().is_ok());
    world.stop().await.unwrap();
}
