//! The lanes against a naive model that scans everything, and the single promises by example.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn key(number: u8) -> Key {
    Key::new(format!("key {number}"))
}

fn lanes(items: &[(&[u8], char)]) -> Lanes<char> {
    let mut lanes = Lanes::new();
    for (keys, item) in items {
        lanes.admit(keys.iter().copied().map(key).collect(), 10, *item);
    }
    lanes
}

fn take_all<T>(lanes: &mut Lanes<T>) -> Vec<(Ticket, T)> {
    lanes.take(Instant::now(), usize::MAX, usize::MAX)
}

fn names(taken: &[(Ticket, char)]) -> String {
    taken.iter().map(|(_, item)| item).collect()
}

#[test]
fn an_item_waits_for_every_earlier_item_that_shares_a_key() {
    let mut lanes = lanes(&[(&[1], 'a'), (&[2], 'b'), (&[1, 2], 'c'), (&[2], 'd'), (&[3], 'e'), (&[], 'f')]);
    let mut first = take_all(&mut lanes);
    assert_eq!(names(&first), "abef");
    lanes.settle(first.remove(0).0);
    assert!(take_all(&mut lanes).is_empty(), "c still waits for b");
    lanes.settle(first.remove(0).0);
    let mut second = take_all(&mut lanes);
    assert_eq!(names(&second), "c");
    lanes.settle(second.remove(0).0);
    assert_eq!(names(&take_all(&mut lanes)), "d");
}

#[test]
fn a_key_named_twice_counts_once() {
    let mut lanes = lanes(&[(&[1, 1], 'a'), (&[1, 1], 'b')]);
    let mut taken = take_all(&mut lanes);
    assert_eq!(names(&taken), "a");
    lanes.settle(taken.remove(0).0);
    assert_eq!(names(&take_all(&mut lanes)), "b");
}

#[test]
fn a_take_ends_at_its_limits_but_takes_one_too_large_alone() {
    let mut lanes = Lanes::new();
    for (size, item) in [(50, 'a'), (10, 'b'), (10, 'c'), (1, 'd')] {
        lanes.admit(Vec::new(), size, item);
    }
    assert_eq!(names(&lanes.take(Instant::now(), 10, 20)), "a");
    assert_eq!(names(&lanes.take(Instant::now(), 10, 20)), "bc", "exactly the limit is allowed");
    assert_eq!(names(&lanes.take(Instant::now(), 0, 20)), "");
    assert_eq!(names(&lanes.take(Instant::now(), 1, 0)), "d");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_runs_again_keeps_its_lane_and_nothing_else() {
    let mut lanes = lanes(&[(&[1], 'a'), (&[1], 'b'), (&[2], 'c')]);
    let (ticket, item) = take_all(&mut lanes).remove(0);
    let due = Instant::now() + Duration::from_secs(1);
    lanes.again(ticket, item, due);
    assert_eq!(lanes.next_due(), Some(due));
    lanes.admit(vec![key(3)], 10, 'd');
    assert_eq!(names(&take_all(&mut lanes)), "d", "b shares a key with a");
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(take_all(&mut lanes).is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    let mut taken = take_all(&mut lanes);
    assert_eq!(names(&taken), "a");
    assert_eq!(lanes.next_due(), None);
    lanes.settle(taken.remove(0).0);
    assert_eq!(names(&take_all(&mut lanes)), "b");
}

#[test]
fn what_is_forgotten_lets_the_rest_move_up_and_what_runs_stays() {
    let mut lanes = lanes(&[(&[1], 'a'), (&[1], 'X'), (&[1], 'b'), (&[2], 'X'), (&[2, 3], 'c')]);
    let mut running = lanes.take(Instant::now(), 1, 100);
    assert_eq!(names(&running), "a");
    assert_eq!(lanes.forget(|item| *item == 'X' || *item == 'a'), 2);
    assert_eq!((lanes.len(), lanes.bytes(), lanes.running()), (3, 30, 1));
    assert_eq!(names(&take_all(&mut lanes)), "c", "b still waits for a, which runs");
    lanes.settle(running.remove(0).0);
    assert_eq!(names(&take_all(&mut lanes)), "b");
}

#[test]
fn lanes_are_idle_when_the_last_item_is_settled_and_keep_no_key() {
    let mut lanes = lanes(&[(&[1, 2], 'a')]);
    assert_eq!((lanes.len(), lanes.bytes(), lanes.running(), lanes.is_idle()), (1, 10, 0, false));
    let (ticket, _) = take_all(&mut lanes).remove(0);
    assert_eq!((lanes.len(), lanes.bytes(), lanes.running(), lanes.is_idle()), (1, 10, 1, false));
    lanes.settle(ticket);
    assert_eq!((lanes.len(), lanes.bytes(), lanes.running(), lanes.is_idle()), (0, 0, 0, true));
    assert!(lanes.lanes.is_empty());
}

/// The rule as it is written, by scanning.
#[derive(Default)]
struct Model {
    items: Vec<Modelled>,
}

struct Modelled {
    id: usize,
    keys: Vec<Key>,
    size: usize,
    due: Option<Instant>,
    runs: bool,
}

impl Model {
    fn ready(&self, now: Instant) -> Vec<usize> {
        let heads = self.items.iter().enumerate().filter(|(at, item)| {
            !self.items[..*at].iter().any(|earlier| earlier.keys.iter().any(|key| item.keys.contains(key)))
        });
        let ready = heads.filter(|(_, item)| !item.runs && item.due.is_none_or(|due| due <= now));
        ready.map(|(_, item)| item.id).collect()
    }

    fn take(&mut self, now: Instant, max_items: usize, max_bytes: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        for id in self.ready(now).into_iter().take(max_items) {
            bytes += self.of(id).size;
            if bytes > max_bytes && !taken.is_empty() {
                break;
            }
            self.of(id).runs = true;
            taken.push(id);
        }
        taken
    }

    fn of(&mut self, id: usize) -> &mut Modelled {
        self.items.iter_mut().find(|item| item.id == id).unwrap()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Admit(Vec<u8>, usize),
    Take(usize, usize),
    Settle(prop::sample::Index),
    Again(prop::sample::Index, u64),
    Pass(u64),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (prop::collection::vec(0_u8..6, 0..4), 0_usize..40).prop_map(|(keys, size)| Step::Admit(keys, size)),
        3 => (0_usize..5, 0_usize..90).prop_map(|(items, bytes)| Step::Take(items, bytes)),
        4 => any::<prop::sample::Index>().prop_map(Step::Settle),
        2 => (any::<prop::sample::Index>(), 0_u64..20).prop_map(|(which, pause)| Step::Again(which, pause)),
        1 => (0_u64..15).prop_map(Step::Pass),
        1 => (2_usize..5).prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The same as the model after each step: so no two running items share a key, each key keeps the order of admission,
    /// nothing is lost or doubled, and nothing waits for an item with which it has no key in common.
    #[test]
    fn lanes_do_what_the_rule_says(steps in prop::collection::vec(step(), 1..120)) {
        let mut now = Instant::now();
        let mut lanes = Lanes::new();
        let mut model = Model::default();
        let mut running: Vec<(Ticket, usize)> = Vec::new();
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Admit(numbers, size) => {
                    let keys: Vec<Key> = numbers.into_iter().map(key).collect();
                    lanes.admit(keys.clone(), size, id);
                    model.items.push(Modelled { id, keys, size, due: None, runs: false });
                }
                Step::Take(items, bytes) => {
                    let taken = lanes.take(now, items, bytes);
                    let ids: Vec<usize> = taken.iter().map(|(_, id)| *id).collect();
                    prop_assert_eq!(ids, model.take(now, items, bytes));
                    running.extend(taken);
                }
                Step::Settle(which) if !running.is_empty() => {
                    let (ticket, id) = running.swap_remove(which.index(running.len()));
                    lanes.settle(ticket);
                    model.items.retain(|item| item.id != id);
                }
                Step::Again(which, pause) if !running.is_empty() => {
                    let (ticket, id) = running.swap_remove(which.index(running.len()));
                    let due = now + Duration::from_millis(pause);
                    lanes.again(ticket, id, due);
                    let item = model.of(id);
                    (item.runs, item.due) = (false, Some(due));
                }
                Step::Settle(_) | Step::Again(..) => {}
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Forget(every) => {
                    let before = model.items.len();
                    model.items.retain(|item| item.runs || item.id % every != 0);
                    prop_assert_eq!(lanes.forget(|id| id % every == 0), before - model.items.len());
                }
            }
            prop_assert_eq!(lanes.len(), model.items.len());
            prop_assert_eq!(lanes.running(), model.items.iter().filter(|item| item.runs).count());
            prop_assert_eq!(lanes.bytes(), model.items.iter().map(|item| item.size).sum::<usize>());
            prop_assert_eq!(lanes.is_idle(), model.items.is_empty());
        }
        // Whatever is left can be finished.
        now += Duration::from_secs(1);
        while !lanes.is_idle() {
            let taken = lanes.take(now, usize::MAX, usize::MAX);
            prop_assert_eq!(
                taken.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
                model.take(now, usize::MAX, usize::MAX)
            );
            running.extend(taken);
            prop_assert!(!running.is_empty(), "items are left that nobody can take");
            for (ticket, id) in running.drain(..) {
                lanes.settle(ticket);
                model.items.retain(|item| item.id != id);
            }
        }
    }
}
