//! The database of the old service, taken over in place, and the service going on with it (docs/spec/arena-acl.md 3.9, 12.1 no. 4).

use std::collections::BTreeMap;

use domain::delivery::Message;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::{
    feed::{Change, Course},
    world::{BOUND, World, eventually, json},
};

const TABLES: &str = include_str!("../old_service/tables.sql");
const INDEXES: &str = include_str!("../old_service/indexes.sql");
const ROWS: &str = include_str!("../old_service/rows.sql");

/// More than 32 bits hold.
const WIDE: i64 = 3_000_000_000;
/// The course that was not valid in the old database.
const NOW_VALID: Course = Course::group(3041);

async fn old_service(world: &World) {
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&world.pool).await.unwrap();
    // sessions have a zone that is neither that of Arena nor UTC
    let zone = AssertSqlSafe(format!("ALTER DATABASE {name} SET timezone = 'America/New_York'"));
    sqlx::raw_sql(zone).execute(&world.pool).await.unwrap();
    for script in [TABLES, INDEXES, ROWS] {
        sqlx::raw_sql(script).execute(&world.pool).await.unwrap();
    }
}

/// All rows of each table of the old service, as a count and a digest; times as wall clock of Oslo.
async fn contents(pool: &PgPool) -> Vec<(String, i64, String)> {
    let zone: String = sqlx::query_scalar("SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'deltaker'::regclass AND attname = 'reg_dato'")
        .fetch_one(pool)
        .await
        .unwrap();
    let wall = |column: &str| match zone.as_str() {
        "timestamp with time zone" => format!("{column} AT TIME ZONE 'Europe/Oslo'"),
        _ => column.to_owned(),
    };
    let [registered, modified, changed] = ["reg_dato", "mod_dato", "dato_statusendring"].map(wall);
    let mut contents = Vec::new();
    for (table, columns) in [
        // what has no position is set aside by the migration
        (
            "arena_data WHERE operation_pos ~ '^[0-9]+$'",
            "id, arena_table_name, arena_id, operation_type, operation_pos, operation_timestamp, ingest_status, \
             ingested_timestamp, ingest_attempts, last_attempted, before, after, note"
                .to_owned(),
        ),
        (
            "arena_data WHERE operation_pos !~ '^[0-9]+$'",
            "id, arena_id, operation_type, operation_pos, before, after".to_owned(),
        ),
        ("arena_data_id_translation", "*".to_owned()),
        ("arena_data_hist_id_translation", "*".to_owned()),
        (
            "deltaker",
            format!(
                "id, arena_id, person_id, gjennomforing_id, dato_fra, dato_til, {registered}, {modified}, status, {changed}, \
                 ekstern_id, arena_source_table, extract(epoch FROM created_at), extract(epoch FROM modified_at)"
            ),
        ),
        ("gjennomforing", "arena_id, tiltak_kode, is_valid, id, extract(epoch FROM created_at)".to_owned()),
        ("shedlock", "*".to_owned()),
        ("flyway_schema_history", "*".to_owned()),
    ] {
        let digest = AssertSqlSafe(format!(
            "SELECT count(*), md5(coalesce(string_agg(row::text, ';' ORDER BY row::text), '')) FROM (SELECT {columns} FROM {table}) AS row"
        ));
        let (count, digest): (i64, String) = sqlx::query_as(digest).fetch_one(pool).await.unwrap();
        contents.push((table.to_owned(), count, digest));
    }
    contents
}

/// Everything that is defined in the schema.
async fn schema(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT format('%s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod)) FROM pg_attribute
         JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
         UNION ALL SELECT format('%s %s', version, installed_on) FROM _sqlx_migrations ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn run(world: &World, arguments: &[&str]) {
    let mut process = world.process(&[], arguments);
    let status = process.wait_end(BOUND).await.unwrap();
    assert_eq!(status.code(), Some(0), "{arguments:?}: {}", process.errors().join("\n"));
}

/// Participant changes of the old database by status, those of later records left out.
async fn statuses(pool: &PgPool) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT ingest_status, count(*) FROM arena_data
         WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND operation_pos NOT BETWEEN lpad('50000', 20, '0') AND lpad('60000', 20, '0') GROUP BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

fn counts(expected: &[(&str, i64)]) -> BTreeMap<String, i64> {
    expected.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

fn uuid_of(participant: u128) -> Uuid {
    Uuid::from_u128(0xa200_0000_0000_4000_8000_0000_0000_0000 | participant)
}

/// Messages by the UUID they are about.
fn by_uuid(messages: &[Message]) -> BTreeMap<Uuid, Vec<&Message>> {
    let mut all: BTreeMap<Uuid, Vec<&Message>> = BTreeMap::new();
    for message in messages {
        let key = std::str::from_utf8(message.key.as_deref().unwrap()).unwrap();
        all.entry(key.parse().unwrap()).or_default().push(message);
    }
    all
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn the_service_goes_on_with_the_database_of_the_old_one() {
    let courses: Vec<Course> = (3001..=3041).chain([WIDE]).map(Course::group).collect();
    let world = World::new(&courses).await;
    old_service(&world).await;
    let before = contents(&world.pool).await;
    let old = counts(&[
        ("HANDLED", 3_001),
        ("RETRY", 118),
        ("WAITING", 51),
        ("FAILED", 11),
        ("NEW", 20),
        ("IGNORED", 20),
        ("INVALID", 5),
        ("EXTERNAL_SOURCE", 25),
    ]);
    assert_eq!(statuses(&world.pool).await, old);

    run(&world, &["migrate"]).await;
    assert_eq!(contents(&world.pool).await, before, "every row is there, with its id and its wall clock");
    let migrated = counts(&[
        ("HANDLED", 3_001),
        ("RETRY", 117),
        ("WAITING", 50),
        ("FAILED", 10),
        ("NEW", 20),
        ("IGNORED", 20),
        ("INVALID", 8),
        ("EXTERNAL_SOURCE", 25),
    ]);
    assert_eq!(statuses(&world.pool).await, migrated, "what has no position is INVALID, and only that");
    let times: Vec<(String, bool)> = sqlx::query_as(
        "SELECT reg_dato::text, bool_and(mod_dato = reg_dato) FROM deltaker GROUP BY reg_dato ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let wall = ["2025-02-20 08:00:00", "2025-03-30 03:30:00", "2025-07-01 09:15:00", "2025-10-26 02:30:00"];
    assert_eq!(times, wall.map(|time| (time.to_owned(), true)));
    let once = schema(&world.pool).await;
    run(&world, &["migrate"]).await;
    assert_eq!((contents(&world.pool).await, schema(&world.pool).await), (before, once));

    // new records: known participants, ids of 64 bits, the course that others wait for
    let mut service = world.start().await;
    let courses = [NOW_VALID.record(&world.courses, 70_000), Course::group(WIDE).record(&world.courses, 70_001)];
    let places = world.produce(&courses).await;
    world.handled(&places).await;
    let change = |participant, course, operation, position| Change { participant, course, operation, position };
    let known: Vec<Change> = (1..=11).map(|n| change(n, 3001 + n % 40, "U", 50_000 + n.unsigned_abs())).collect();
    let wide = change(WIDE + 1, WIDE, "I", 60_000);
    let places = world.produce_changes(&[known.as_slice(), std::slice::from_ref(&wide)].concat()).await;
    world.handled(&places).await;
    let published = world.published().await;
    let messages = by_uuid(&published);
    for (change, n) in known.iter().zip(1..) {
        let [message] = messages[&uuid_of(n)].as_slice() else { panic!("participant {n} has one message") };
        assert_eq!(json(message)["payload"], change.message(uuid_of(n)), "under the UUID of the old service");
    }
    let uuid = world.uuids().await[&wide.participant];
    assert_eq!(json(messages[&uuid][0])["payload"], wide.message(uuid));
    let kept: (i64, i64) = sqlx::query_as("SELECT person_id, gjennomforing_id FROM deltaker WHERE arena_id = $1")
        .bind(wide.participant)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept, (wide.person(), WIDE));
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));

    // what the old service left to its jobs
    for job in ["retry", "retry", "retry", "failed", "purge"] {
        run(&world, &["job", job]).await;
    }
    let drained = counts(&[("HANDLED", 3_173), ("NEW", 20), ("INVALID", 13), ("EXTERNAL_SOURCE", 25)]);
    assert_eq!(statuses(&world.pool).await, drained);
    let notes: Vec<(String, Option<String>, String)> = sqlx::query_as(
        "SELECT change.arena_id, note, status FROM arena_data AS change JOIN deltaker ON deltaker.arena_id::text = change.arena_id
         WHERE operation_type = 'DELETED' ORDER BY operation_pos",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let historised = "Slettes ikke fordi deltaker ble historisert".to_owned();
    assert_eq!(
        notes,
        [
            ("12".to_owned(), None, "FEILREGISTRERT".to_owned()),
            ("1901".to_owned(), Some(historised), "GJENN".to_owned())
        ]
    );

    let mut service = world.start().await;
    eventually("the outbox is empty", BOUND, async || world.unpublished().await == 0).await;
    let published = world.published().await;
    let messages = by_uuid(&published);
    let uuids: BTreeMap<i64, Uuid> = sqlx::query_as::<_, (i64, Uuid)>(
        "SELECT arena_id::bigint, amt_id FROM arena_data_id_translation WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER'",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
    .into_iter()
    .collect();
    for participant in 2001..=2160 {
        let operations: Vec<String> =
            messages[&uuids[&participant]].iter().map(|message| json(message)["operation"].to_string()).collect();
        let expected = if participant <= 2010 { vec!["\"CREATED\"", "\"MODIFIED\""] } else { vec!["\"CREATED\""] };
        assert_eq!(operations, expected, "{participant}");
        assert_eq!(
            json(messages[&uuids[&participant]][0])["payload"]["innsokBegrunnelse"],
            format!("old {participant}")
        );
    }
    let [deleted] = messages[&uuid_of(12)].as_slice() else { panic!("the deletion is one message") };
    assert_eq!(json(deleted)["payload"]["status"], "FEILREGISTRERT");
    assert_eq!(messages.len(), 11 + 1 + 160 + 1, "nobody else has a message");
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn another_version_of_the_old_service_ends_every_command_with_78_and_both_numbers() {
    let world = World::new(&[NOW_VALID]).await;
    old_service(&world).await;
    sqlx::raw_sql("DELETE FROM flyway_schema_history WHERE version = '21'").execute(&world.pool).await.unwrap();
    let before = contents(&world.pool).await;
    for command in ["migrate", "serve"] {
        let mut process = world.process(&[], &[command]);
        assert_eq!(process.wait_end(BOUND).await.unwrap().code(), Some(78), "{command}");
        let told = || [process.output(), process.errors()].concat().join("\n");
        let numbers = "the database is at version 20 of the old service, and only version 21 can be taken over";
        // its last line is read on another thread
        eventually("the refusal is told", BOUND, async || told().contains(numbers)).await;
        assert_eq!(contents(&world.pool).await, before, "{command}");
    }
    let ours = "SELECT count(*) FROM pg_class WHERE relname IN ('outbox', '_sqlx_migrations')";
    assert_eq!(world.count(ours).await, 0);
}
