//! What waits, and who of two processes takes it up.

use std::time::Duration;

use testkit::process::free_port;
use tokio::time::{Instant, sleep};

use crate::{
    feed::{Change, Course},
    world::{BOUND, PARTITIONS, World, eventually},
};

const COURSE: Course = Course::group(3001);
const WAITING: &str = "SELECT count(*) FROM arena_data WHERE ingest_status = 'RETRY'";
const HANDLED: &str =
    "SELECT count(*) FROM arena_data WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND ingest_status = 'HANDLED'";

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn who_waited_is_published_within_two_seconds_of_the_course() {
    let world = World::new(&[COURSE]).await;
    let mut service = world.start().await;
    let changes = Change::all(70_000..70_003, 2, &[COURSE.id], 101);
    world.produce_changes(&changes).await;
    eventually("all wait", BOUND, async || world.count(WAITING).await == 6).await;

    world.produce(&[COURSE.record(&world.courses, 201)]).await;
    let known = "SELECT count(*) FROM gjennomforing";
    eventually("the course is known", BOUND, async || world.count(known).await == 1).await;
    let begin = Instant::now();
    eventually("the first is published", BOUND, async || !world.published().await.is_empty()).await;
    let first = begin.elapsed();
    eventually("all are handled", BOUND, async || world.count(HANDLED).await == 6).await;
    println!("the first after {first:?}, all after {:?}", begin.elapsed());
    assert!(first < Duration::from_secs(2), "{first:?}");
    eventually("all are published", BOUND, async || world.published().await.len() == 6).await;
    assert_eq!(world.count("SELECT count(*) FROM arena_data WHERE ingest_attempts > 0").await, 0);
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn of_two_processes_one_runs_the_jobs() {
    let world = World::new(&[COURSE]).await;
    let every_second = ("ARENA_ACL_RETRY_INTERVAL_SECONDS", "1".to_owned());
    let mut first = world.start_with(std::slice::from_ref(&every_second)).await;
    let held = "SELECT count(*) FROM shedlock WHERE name = 'leader-election' AND lock_until > timezone('utc', now())";
    eventually("there is a leader", BOUND, async || world.count(held).await == 1).await;
    let admin = format!("127.0.0.1:{}", free_port().unwrap());
    let mut second = world.launch(&[every_second, ("TRUECOPY_ADMIN_LISTEN", admin.clone())]);
    second.wait_ready(&format!("http://{admin}"), BOUND).await.unwrap();

    let change = Change { participant: 70_001, course: 3999, operation: "I", position: 101 };
    world.produce(&[change.record(&world.participants, PARTITIONS)]).await;
    let attempts = "SELECT coalesce(max(ingest_attempts), 0)::bigint FROM arena_data";
    eventually("the job has run", BOUND, async || world.count(attempts).await >= 3).await;
    let ran = |lines: Vec<String>| lines.iter().filter(|line| line.contains("a job has ended")).count();
    assert!(ran(first.output()) >= 3);
    assert_eq!(ran(second.output()), 0, "{:?}", second.output());

    assert_eq!(first.sigterm(BOUND).await.unwrap().code(), Some(0));
    // held for at least ten seconds
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.count(held).await, 0, "a leader that stops gives its row back");
    assert_eq!(second.sigterm(BOUND).await.unwrap().code(), Some(0));
}
