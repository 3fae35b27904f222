//! Seeded runs with refusals, slow reports, lost turns, failing marks and restarts, on virtual time.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher as _},
    time::Duration,
};

use tokio::time::sleep;

use super::world::{Entry, Fate, World};
use crate::store::message;

const SEEDS: u64 = 100;
const KEYS: u64 = 7;
const MESSAGES: u64 = 60;
/// Bound of one run, in virtual time.
const RUN: Duration = Duration::from_secs(1800);

/// A number below `below` that the seed and `what` decide.
fn draw(seed: u64, what: impl Hash, below: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish() % below
}

fn fate(seed: u64, sent: usize) -> Fate {
    let milliseconds = |what, below| Duration::from_millis(draw(seed, (what, sent), below));
    match draw(seed, ("fate", sent), 10) {
        0 => Fate::refused(),
        1 => Fate::unconfirmed(None),
        2 => Fate::unconfirmed(Some(milliseconds("late", 5_000))),
        3 => Fate::arrives(milliseconds("slow", 4_900)),
        _ => Fate::arrives(milliseconds("quick", 20)),
    }
}

async fn run(seed: u64) -> (Duration, Vec<Vec<String>>, Vec<Entry>) {
    let spacing = [0, 500, 2_000][usize::try_from(draw(seed, "spacing", 3)).unwrap()];
    let spacing = Duration::from_millis(spacing);
    let mut world = World::new(spacing, move |_, sent| fate(seed, sent)).await;
    let mut added = vec![Vec::new(); usize::try_from(KEYS).unwrap()];
    for number in 0..MESSAGES {
        let key = usize::try_from(draw(seed, ("key", number), KEYS)).unwrap();
        let payload = format!("{key}/{number}");
        world.add(&[message(&key.to_string(), &payload)]).await;
        added[key].push(payload);
        sleep(Duration::from_millis(draw(seed, ("pause", number), 400))).await;
        match draw(seed, ("event", number), 12) {
            0 => world.lose_the_turn(),
            1 => world.let_marks_fail(1),
            2 => {
                world.kill();
                world.start();
            }
            3 => {
                world.stop().await;
                world.start();
            }
            _ => {}
        }
    }
    world.emptied(RUN).await;
    (spacing, added, world.log())
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_each_key_is_in_order_complete_and_keeps_its_distance() {
    let (mut again, mut complete) = (0, 0);
    for seed in 0..SEEDS {
        let (spacing, added, log) = run(seed).await;
        let mut of_key: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &log {
            of_key.entry(&entry.key).or_default().push(entry);
        }
        for (key, added) in added.iter().enumerate() {
            let arrived = of_key.remove(key.to_string().as_str()).unwrap_or_default();
            for pair in arrived.windows(2) {
                assert!(pair[1].at - pair[0].at >= spacing, "seed {seed}: {pair:?} are closer than {spacing:?}");
            }
            let mut payloads: Vec<&str> = arrived.iter().map(|entry| entry.payload.as_str()).collect();
            payloads.dedup(); // the same again, byte for byte, and before any other
            assert_eq!(payloads, *added, "seed {seed}, key {key}");
            again += arrived.len() - payloads.len();
            complete += payloads.len();
        }
        assert!(of_key.is_empty(), "seed {seed}: keys that nobody added");
    }
    assert!(again > 100, "a run in which nothing came again is void: {again} of {complete}");
}
