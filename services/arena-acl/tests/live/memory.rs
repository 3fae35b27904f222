//! The memory of a job does not follow the number of rows that wait for it (docs/spec/arena-acl.md 12.1 no. 6).
//!
//! With 10,000 rows in the ordinary run; `TRUECOPY_RETRY_ROWS=1000000` makes it the million of the specification.

use std::{fs, time::Duration};

use testkit::process::Process;
use tokio::time::{Instant, sleep};

use crate::{feed::Course, world::World};

const GROUP: Course = Course::group(3001);
/// The most that a run may hold at any time. One page of 5,000 rows with their images and messages is a tenth of it.
const MOST: u64 = 160 * 1024 * 1024;

/// The most memory that the process has had, in bytes; `None` once it has ended.
fn peak(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024)
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn a_job_over_many_rows_takes_no_more_memory_than_one_over_a_page() {
    let rows = chassis::settings::load(|table| table.value::<u32>("TRUECOPY_RETRY_ROWS", "rows in RETRY").or("10000"));
    let rows = i64::from(rows.unwrap());
    let world = World::new(&[GROUP]).await;
    assert_eq!(world.process(&[], &["migrate"]).wait_end(Duration::from_secs(60)).await.unwrap().code(), Some(0));
    sqlx::query(
        "INSERT INTO gjennomforing (arena_id, tiltak_kode, is_valid, id) VALUES ('3001', 'INDOPPFAG', true, $1)",
    )
    .bind(Course::uuid(GROUP.id))
    .execute(&world.pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO arena_data (arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, after)
         SELECT 'SIAMO.TILTAKDELTAKER', n::text, 'CREATED', lpad(n::text, 20, '0'), now(), 'RETRY', jsonb_build_object(
             'TILTAKDELTAKER_ID', n, 'PERSON_ID', 5000000 + n, 'TILTAKGJENNOMFORING_ID', 3001, 'DELTAKERSTATUSKODE', 'GJENN',
             'DELTAKERTYPEKODE', 'INNSOKT', 'REG_DATO', '2025-02-20 08:00:00', 'MOD_DATO', '2025-03-01 09:15:00',
             'DATO_FRA', '2025-04-01 00:00:00', 'DATO_STATUSENDRING', '2025-03-01 09:15:00',
             'BEGRUNNELSE_BESTILLING', repeat('tekst ', 60))
         FROM generate_series(1, $1) n",
    )
    .bind(rows)
    .execute(&world.pool)
    .await
    .unwrap();
    sqlx::raw_sql("ANALYZE").execute(&world.pool).await.unwrap();

    let begin = Instant::now();
    let mut job = world.process(&[], &["job", "retry"]);
    let mut most = 0;
    while let Some(now) = peak(&job) {
        most = now;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(job.wait_end(Duration::from_secs(60)).await.unwrap().code(), Some(0), "{}", job.errors().join("\n"));
    println!("{rows} rows in {:.0?}, at most {} MiB", begin.elapsed(), most / 1024 / 1024);
    assert_eq!(world.count("SELECT count(*) FROM arena_data WHERE ingest_status = 'HANDLED'").await, rows);
    assert!(most < MOST, "{most} bytes");
}
