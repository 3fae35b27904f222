//! Seeded runs with failures, delays, stops and crashes, on virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    num::NonZeroUsize,
    time::Duration,
};

use domain::delivery::Message;
use tokio::time::{sleep, timeout};

use super::world::{AGAIN, APPLIED, Act, GROUP, OUTAGE, World, append, broker, partition};
use crate::pipeline::Limits;

const KEYS: u64 = 8;
const MESSAGES: u64 = 80;
const MINUTE: Duration = Duration::from_secs(60);

/// A number below `below` that the seed and `what` decide.
fn draw(seed: u64, what: impl std::hash::Hash, below: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish() % below
}

fn behaviour(seed: u64, run: u64) -> impl Fn(&Message) -> Act + Send + Sync + 'static {
    move |message| {
        let chance =
            |what: &str, below| draw(seed, (what, run, message.partition, message.offset, message.attempt), below);
        match chance("act", 20) {
            0..3 if message.attempt < 5 => Act::Settle(AGAIN),
            // Not counted, it comes with the same number: the second factor lets it end.
            3 if chance("outage", 2) == 0 && run == 0 => Act::Settle(OUTAGE),
            4..8 => Act::Take(Duration::from_millis(chance("time", 2_000)), APPLIED),
            _ => Act::Settle(APPLIED),
        }
    }
}

async fn run(seed: u64) -> Vec<String> {
    let broker = broker();
    let mut next = BTreeMap::new();
    for number in 0..MESSAGES {
        let key = draw(seed, ("key", number), KEYS);
        let count: &mut u64 = next.entry(key).or_default();
        append(&broker, i32::from(key % 2 == 1), &key.to_string(), &format!("{key} {count}"));
        *count += 1;
    }
    let limits = || Limits {
        batch_items: NonZeroUsize::new(1 + usize::try_from(draw(seed, "batch", 20)).unwrap()).unwrap(),
        budget_bytes: 1_000 + usize::try_from(draw(seed, "budget", 20_000)).unwrap(),
        ..Limits::default()
    };
    let mut settled = Vec::new();
    for turn in 0..4 {
        let world = World::start(&broker, limits(), behaviour(seed, turn));
        sleep(Duration::from_millis(draw(seed, ("turn", turn), 3_000))).await;
        let service = std::sync::Arc::clone(&world.service);
        if draw(seed, ("end", turn), 2) == 0 {
            world.stop().await.unwrap();
        } else {
            drop(world); // as a crash: nothing is finished, nothing is committed any more
            sleep(Duration::from_millis(1)).await; // tasks that were cut off are gone at their next turn
        }
        settled.append(&mut service.settled.lock().unwrap());
        assert_committed_is_settled(&broker, &settled);
    }
    let world = World::start(&broker, limits(), behaviour(seed, 9));
    timeout(10 * MINUTE, world.idle()).await.unwrap();
    settled.extend(world.settled());
    world.assert_balanced();
    world.stop().await.unwrap();
    settled
}

fn assert_committed_is_settled(broker: &crate::memory::Broker, settled: &[String]) {
    let settled: BTreeSet<&str> = settled.iter().map(String::as_str).collect();
    for number in 0..2 {
        let committed = broker.committed(GROUP, &partition(number)).unwrap_or_default();
        for message in broker.read(&partition(number), 0, usize::try_from(committed).unwrap()) {
            let payload = super::world::text(&message);
            assert!(settled.contains(payload.as_str()), "{payload} is committed and not settled");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_out_of_order_whatever_fails() {
    let (mut all, mut repeated) = (0, 0);
    for seed in 0..100 {
        let settled = run(seed).await;
        let mut next: BTreeMap<&str, u64> = BTreeMap::new();
        for (key, number) in settled.iter().filter_map(|payload| payload.split_once(' ')) {
            let number: u64 = number.parse().unwrap();
            let next = next.entry(key).or_default();
            assert!(number <= *next, "seed {seed}: {number} of key {key} came before {next}");
            repeated += u64::from(number < *next);
            *next = number + 1;
        }
        all += next.values().sum::<u64>();
        assert_eq!(next.values().sum::<u64>(), MESSAGES, "seed {seed}: the last of some key are lost");
    }
    assert_eq!(all, 100 * MESSAGES);
    assert!(repeated > 0, "a run in which nothing was redelivered shows nothing");
}
