//! Who leads (docs/spec/arena-acl.md 6.6), on one row in memory and paused time.

use std::{sync::Arc, time::Duration};

use arena_acl::{leader::Leader, memory::Memory};
use chassis::clock::Clock;
use tokio::time::sleep;

fn process(row: &Memory, clock: &Clock) -> Leader<Memory> {
    Leader::new(Arc::new(row.clone()), clock.clone())
}

async fn minutes(count: u64) {
    sleep(Duration::from_secs(60 * count)).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_never_two_leaders_and_a_dead_one_is_followed_when_its_term_ends() {
    let (row, clock) = (Memory::default(), Clock::system());
    let (first, second) = (process(&row, &clock), process(&row, &clock));
    let mut led = Vec::new();
    for minute in 0..40 {
        if minute < 20 {
            first.check().await; // then it dies, without a word
        }
        second.check().await;
        let leads = [first.may_start().await, second.may_start().await];
        assert_ne!(leads, [true, true], "minute {minute}");
        assert_eq!(second.another_leads(), leads[0], "minute {minute}");
        led.push(leads.iter().position(|leads| *leads));
        minutes(1).await;
    }
    let changes: Vec<_> = led.chunk_by(|one, other| one == other).map(|run| (run[0], run.len())).collect();
    // taken at 0, extended at 8 and at 16, so its term ends at 26
    assert_eq!(changes, [(Some(0), 26), (Some(1), 14)]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_reach_its_row_stops_to_lead_before_the_term_ends() {
    let (row, clock) = (Memory::default(), Clock::system());
    let first = process(&row, &clock);
    first.check().await;
    sleep(Duration::from_secs(600 - 6)).await;
    assert!(first.may_start().await);
    sleep(Duration::from_secs(2)).await;
    assert!(!first.may_start().await, "by its own clock it may be over");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_lost_its_row_starts_no_job() {
    let row = Memory::default();
    let slow = Clock::system();
    let (first, second) = (process(&row, &slow), process(&row, &Clock::system()));
    first.check().await;
    slow.freeze(slow.now()); // a process that stood still believes that no time has passed
    minutes(11).await;
    second.check().await;
    assert!(second.may_start().await);
    assert!(!first.may_start().await);
    first.check().await;
    assert!(first.another_leads() && !first.may_start().await);
}

#[tokio::test(start_paused = true)]
async fn before_it_has_looked_a_process_knows_nobody() {
    let (row, clock) = (Memory::default(), Clock::system());
    let first = process(&row, &clock);
    assert!(!first.another_leads() && !first.may_start().await);
}
