//! The row of the leader (docs/spec/arena-acl.md 6.6).

use std::time::Duration;

use arena_acl::leader::{Leadership as _, Taken, Term};

use crate::store::World;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(300);

async fn taken(world: &impl World, holder: &str, term: Duration) -> Term {
    match world.store().take(holder, term).await.unwrap() {
        Taken::Ours(term) => term,
        Taken::Theirs(longer) => panic!("held for another {longer:?}"),
    }
}

async fn held_for(world: &impl World) -> Duration {
    match world.store().take("somebody else", LONG).await.unwrap() {
        Taken::Ours(_) => panic!("the row was free"),
        Taken::Theirs(longer) => longer,
    }
}

pub(super) async fn one_process_at_a_time_holds_the_row_of_the_leader(world: impl World) {
    let first = taken(&world, "host", SHORT).await;
    assert!(world.store().holds(&first).await.unwrap());
    assert!(held_for(&world).await <= SHORT);
    tokio::time::sleep(SHORT).await;
    assert!(!world.store().holds(&first).await.unwrap());
    let second = taken(&world, "host", LONG).await;
    assert_ne!(first, second, "of the same host, but not the same term");
    let longer = held_for(&world).await;
    assert!(longer <= LONG && longer > LONG - Duration::from_secs(60), "{longer:?}");
}

pub(super) async fn a_term_can_be_extended_until_it_ends(world: impl World) {
    let term = taken(&world, "host", SHORT).await;
    assert!(world.store().extend(&term, SHORT * 2).await.unwrap());
    tokio::time::sleep(SHORT).await;
    assert!(world.store().holds(&term).await.unwrap());
    tokio::time::sleep(SHORT * 2).await;
    assert!(!world.store().extend(&term, LONG).await.unwrap());
    taken(&world, "somebody else", LONG).await;
}

pub(super) async fn a_row_that_is_given_back_is_held_for_its_least_time(world: impl World) {
    let term = taken(&world, "host", LONG).await;
    world.store().release(&term, SHORT).await.unwrap();
    assert!(held_for(&world).await <= SHORT);
    tokio::time::sleep(SHORT).await;
    let term = taken(&world, "host", LONG).await;
    world.store().release(&term, Duration::ZERO).await.unwrap();
    assert!(!world.store().holds(&term).await.unwrap());
    taken(&world, "somebody else", LONG).await;
}

pub(super) async fn a_row_of_another_is_left_alone(world: impl World) {
    let stale = taken(&world, "host", Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let term = taken(&world, "host", LONG).await;
    assert!(!world.store().extend(&stale, SHORT).await.unwrap());
    world.store().release(&stale, Duration::ZERO).await.unwrap();
    assert!(world.store().holds(&term).await.unwrap());
}
