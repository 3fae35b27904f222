use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{sync::oneshot, time::sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("broker refused the login")]
struct Refused;

/// A part that stops when told, after `takes`.
async fn drains(part: Part, takes: Duration) -> Result<(), Infallible> {
    part.ready();
    part.stopping().await;
    sleep(takes).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn all_parts_hear_the_stop_and_drain_within_their_own_budgets() {
    let (stop, stopped) = oneshot::channel();
    let mut parts = Parts::new(async { stopped.await.unwrap() });
    parts.spawn("slow", 10 * SECOND, |part| drains(part, 9 * SECOND));
    parts.spawn("quick", SECOND, |part| drains(part, Duration::ZERO));
    let begun = Instant::now();
    stop.send(()).unwrap();
    parts.run().await.unwrap();
    assert_eq!(begun.elapsed(), 9 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_drain_in_time_is_cut_off_and_named() {
    let mut parts = Parts::new(ready(()));
    parts.spawn("stuck", 8 * SECOND, |_| pending::<Result<(), Infallible>>());
    parts.spawn("slow", 10 * SECOND, |part| drains(part, 9 * SECOND));
    let begun = Instant::now();
    let error = parts.run().await.unwrap_err();
    assert_eq!(error.to_string(), "not drained in time: stuck");
    assert_eq!(begun.elapsed(), 9 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_one_part_ends_all() {
    let drained = Arc::new(AtomicBool::new(false));
    let mut parts = Parts::new(pending());
    let other = Arc::clone(&drained);
    parts.spawn("http", SECOND, |part| async move {
        part.stopping().await;
        other.store(true, Ordering::SeqCst);
        Ok::<(), Infallible>(())
    });
    parts.spawn("kafka", SECOND, |_| async {
        sleep(SECOND).await;
        Err(Refused)
    });
    let error = parts.run().await.unwrap_err();
    assert_eq!(crate::exit::causes(&error), "part kafka failed: broker refused the login");
    assert!(drained.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_draining_counts() {
    let mut parts = Parts::new(ready(()));
    parts.spawn("kafka", SECOND, |part| async move {
        part.stopping().await;
        Err(Refused)
    });
    assert!(matches!(parts.run().await, Err(PartsError::Failed { part: "kafka", .. })));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure() {
    let mut parts = Parts::new(pending());
    parts.spawn("kafka", SECOND, |_| async { if true { panic!("bug") } else { Ok::<(), Infallible>(()) } });
    assert!(matches!(parts.run().await, Err(PartsError::Panicked { part: "kafka" })));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_ends_well_ends_all_well() {
    let mut parts = Parts::new(pending());
    parts.spawn("job", SECOND, |_| ready(Ok::<(), Infallible>(())));
    parts.spawn("http", SECOND, |part| drains(part, Duration::ZERO));
    assert!(parts.run().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_last_parts_hear_the_stop_when_the_others_have_ended() {
    let mut parts = Parts::new(ready(()));
    let begun = Instant::now();
    let (seen, heard) = oneshot::channel();
    parts.spawn("kafka", 5 * SECOND, |part| drains(part, 3 * SECOND));
    parts.spawn_last("admin", SECOND, |part| async move {
        part.stopping().await;
        seen.send(begun.elapsed()).unwrap();
        Ok::<(), Infallible>(())
    });
    parts.run().await.unwrap();
    assert_eq!(heard.await.unwrap(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_last_part_ends_all() {
    let mut parts = Parts::new(pending());
    parts.spawn("kafka", SECOND, |part| drains(part, Duration::ZERO));
    parts.spawn_last("admin", SECOND, |_| ready(Err(Refused)));
    assert!(matches!(parts.run().await, Err(PartsError::Failed { part: "admin", .. })));
}

#[tokio::test(start_paused = true)]
async fn the_process_is_ready_while_it_runs_and_every_part_is() {
    let (stop, stopped) = oneshot::channel();
    let mut parts = Parts::new(async { stopped.await.unwrap() });
    let health = parts.health();
    let (given, part) = oneshot::channel();
    parts.spawn("http", SECOND, |part| drains(part, SECOND / 2));
    parts.spawn("kafka", SECOND, |part| async move {
        given.send(part.clone()).unwrap();
        drains(part, SECOND / 2).await
    });
    assert_eq!(health.is_ready().unwrap_err(), ["the process is starting", "http: starting", "kafka: starting"]);
    assert_eq!(
        health.is_started().unwrap_err(),
        ["the process is starting", "http: not ready yet", "kafka: not ready yet"]
    );

    let mut tasks = JoinSet::new();
    tasks.spawn(parts.run());
    let part = part.await.unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(health.is_ready(), Ok(()));
    part.not_ready("no broker is reachable");
    assert_eq!(health.is_ready().unwrap_err(), ["kafka: no broker is reachable"]);
    assert_eq!(health.is_started(), Ok(()));
    part.ready();
    assert_eq!(health.is_ready(), Ok(()));

    stop.send(()).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert!(part.is_stopping());
    assert_eq!(health.is_ready().unwrap_err(), ["the process is stopping"]);
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(health.is_ready().unwrap_err(), ["the process is stopping", "http: ended", "kafka: ended"]);
    assert_eq!(health.is_live(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_part_without_the_progress_it_promised_is_dead() {
    let mut parts = Parts::new(pending());
    let health = parts.health();
    let (given, part) = oneshot::channel();
    parts.spawn("kafka", SECOND, |part| async move {
        given.send(part.clone()).unwrap();
        drains(part, SECOND).await
    });
    let part = part.await.unwrap();
    part.progressed();
    sleep(100 * SECOND).await;
    assert_eq!(health.is_live(), Ok(()), "nothing was promised");

    part.progress_within(20 * SECOND);
    sleep(20 * SECOND).await;
    assert_eq!(health.is_live(), Ok(()));
    part.progressed();
    sleep(21 * SECOND).await;
    assert_eq!(health.is_live().unwrap_err(), ["kafka: no progress within 20000 ms"]);
    part.progressed();
    assert_eq!(health.is_live(), Ok(()));
    part.idle();
    sleep(100 * SECOND).await;
    assert_eq!(health.is_live(), Ok(()));
}
