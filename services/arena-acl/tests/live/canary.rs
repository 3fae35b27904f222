//! Nothing about people and no secret gets into a log line, a metric, a span or an answer (docs/spec/arena-acl.md 12.1 no. 7).
//!
//! Our crates log all they have. What libraries log at `debug` and `trace` is theirs: reqwest prints addresses there, sqlx statements.
//! Panics are in `chassis::telemetry`.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::{
    http1,
    process::{Process, free_port},
    servers::Record,
    stub::{Answer, Collector},
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    feed::{Change, Course, participant, raw, record},
    neighbours::CLIENT,
    world::{BOUND, PARTITIONS, World, eventually},
};

/// In every text that is about somebody or secret.
const CANARY: &str = "kanarifugl";
/// A person, and the national id of that person: digits, as numbers have them.
const PERSON: i64 = 987_123_654_001;
const NATIONAL_ID: &str = "31415926535";
const GROUP: Course = Course::group(3001);
const SINGLE_PLACE: Course =
    Course { id: 3002, measure: "ENKELAMO", kind: Some("ENKELTPLASS_ARBEIDSMARKEDSOPPLAERING"), complete: true };
const BROKEN: Course = Course::group(3003);
const UNREADABLE: Course = Course::group(3004);
const REFUSED: i64 = 77_777;
const LEVELS: &str = "info,arena_acl=trace,chassis=trace,kafka=trace,domain=trace";

/// A participant whose every text is a canary, in `course`.
fn somebody(id: i64, course: i64, position: u64) -> Value {
    let mut after = Change { participant: id, course, operation: "I", position }.after();
    after["PERSON_ID"] = PERSON.into();
    for column in ["BEGRUNNELSE_BESTILLING", "BEGRUNNELSE_STATUS", "BEGRUNNELSE_PRIORITET", "REG_USER", "MOD_USER"] {
        after[column] = format!("{CANARY} {column}").into();
    }
    after
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn nothing_about_people_and_no_secret_is_told() {
    let world = World::new(&[GROUP, SINGLE_PLACE, UNREADABLE]).await;
    let collector = Collector::start().unwrap();
    let stub = &world.neighbours.stub;
    let whole = json!({ "fnr": NATIONAL_ID });
    stub.on("GET", "/api/ords/fnr")
        .query("personId", &PERSON.to_string())
        .answers_with(move |_| Answer { status: 200, body: Some(whole.clone()) });
    let quoting = json!({ "error": format!("{CANARY} {PERSON} {NATIONAL_ID}") });
    stub.on("GET", &format!("/api/v1/tiltaksgjennomforinger/id/{}", BROKEN.id)).answers(500, quoting.clone());
    let uuid = Course::uuid(UNREADABLE.id);
    stub.on("GET", &format!("/api/v2/tiltaksgjennomforinger/{uuid}"))
        .answers(200, json!({ "id": format!("{CANARY}") }));
    stub.on("POST", "/api/external/deltakelser").answers(503, quoting);

    let mut secrets = vec![CANARY.to_owned(), PERSON.to_string(), NATIONAL_ID.to_owned()];
    let jwk: Value = serde_json::from_str(&world.neighbours.issuer.client_jwk()).unwrap();
    secrets.extend(["d", "p", "q"].map(|member| jwk[member].as_str().unwrap().to_owned()));
    let role = format!("role_{}", Uuid::new_v4().simple());
    let password = format!("{CANARY}-password");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}'")))
        .execute(&world.pool)
        .await
        .unwrap();
    let (_, jdbc) = world.database_as(&role, &password);
    let public = format!("127.0.0.1:{}", free_port().unwrap());
    let settings = [
        ("DB_JDBC_URL", jdbc),
        ("LOG_LEVEL", LEVELS.to_owned()),
        ("ARENA_ACL_LISTEN", public.clone()),
        ("ARENA_ACL_COUNT_SECONDS", "1".to_owned()),
        ("TRUECOPY_ADMIN_TOKEN", format!("{CANARY}-admin")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint().to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer {CANARY}")),
    ];
    let mut service = world.start_with(&settings).await;
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "ALTER TABLE arena_data ADD CONSTRAINT refuses CHECK (arena_id <> '{REFUSED}')"
    )))
    .execute(&world.pool)
    .await
    .unwrap();

    let courses = [GROUP, SINGLE_PLACE, BROKEN, UNREADABLE].iter().zip(1..).map(|(course, position)| {
        let mut record = course.record(&world.courses, position);
        let text = String::from_utf8(record.payload.unwrap().to_vec()).unwrap();
        record.payload = Some(text.replace("Oppfølging Nordbyen", &format!("{CANARY} LOKALTNAVN")).into());
        record
    });
    let places = world.produce(&courses.collect::<Vec<_>>()).await;
    world.handled(&places).await;
    let places = world.produce(&records(&world.participants, &world.history)).await;
    world.handled(&places).await;

    // what came must have met what it was meant to meet, or this shows nothing
    let count = |query| world.count(query);
    let handled = "SELECT count(*) FROM arena_data WHERE ingest_status = 'HANDLED' AND after::text LIKE '%kanarifugl%' \
                   AND arena_table_name = 'SIAMO.TILTAKDELTAKER'";
    assert!(count(handled).await >= 2);
    assert!(count("SELECT count(*) FROM arena_data WHERE ingest_status = 'RETRY'").await >= 3);
    assert!(count("SELECT count(*) FROM arena_data WHERE ingest_status = 'INVALID'").await >= 1);
    assert_eq!(count("SELECT count(DISTINCT reason) FROM quarantine").await, 5);
    assert_eq!(count("SELECT count(*) FROM quarantine WHERE reason = 'refused_by_store'").await, 1);
    let published = world.published().await;
    let said = String::from_utf8_lossy(published[0].payload.as_deref().unwrap()).into_owned();
    assert!(said.contains(CANARY) && said.contains(NATIONAL_ID), "{said}");

    let answers = answers(&world, &public, &mut secrets).await;
    for command in [vec!["job", "retry"], vec!["job", "failed"], vec!["job", "purge"], vec!["migrate"]] {
        let mut process = world.process(&settings, &command);
        assert_eq!(process.wait_end(BOUND).await.unwrap().code(), Some(0), "{command:?}: {:?}", process.errors());
        secrets.iter().for_each(|secret| assert_absent(secret, &format!("{command:?}"), &said_by(&process)));
    }
    eventually("the gauges are there", BOUND, async || {
        world.metrics().await.sum("truecopy_dead_letters", &[("reason", "refused_by_store")]) == 1
    })
    .await;
    let (_, metrics) = http1::call("GET", &format!("{}/metrics", world.admin), "").await.unwrap();
    assert_eq!(service.sigterm(BOUND).await.unwrap().code(), Some(0));
    sleep(Duration::from_millis(200)).await; // its last lines are read on another thread

    let metrics = String::from_utf8(metrics).unwrap();
    let spans = collector.text();
    assert!(spans.contains("process batch") || spans.contains("process "), "no spans came");
    let told = said_by(&service);
    assert!(told.contains("called 127.0.0.1") && told.contains("a record is quarantined"), "too little is logged");
    for secret in &secrets {
        for (place, text) in [("the log", &told), ("metrics", &metrics), ("spans", &spans), ("answers", &answers)] {
            assert_absent(secret, place, text);
        }
    }
    for end in ["DROP OWNED BY", "DROP ROLE"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("{end} {role}"))).execute(&world.pool).await.ok();
    }
}

/// Good ones, one whose row the database refuses, ones whose neighbours fail, and poison.
fn records(participants: &str, history: &str) -> Vec<Record> {
    let good = |id, course, position| participant("I", position, Value::Null, somebody(id, course, position));
    let mut wrong = somebody(70_005, GROUP.id, 106);
    wrong["DATO_FRA"] = format!("{CANARY} 2025").into();
    let mut invalid = somebody(70_006, GROUP.id, 107);
    invalid["DATO_FRA"] = "2026-01-01 00:00:00".into();
    invalid["DATO_TIL"] = "2025-01-01 00:00:00".into();
    let mut unknown = somebody(70_007, GROUP.id, 108);
    unknown["DELTAKERSTATUSKODE"] = CANARY.into();
    let mut bad_row = somebody(70_008, GROUP.id, 109);
    bad_row["PROSENT_DELTID"] = format!("{CANARY} {NATIONAL_ID}").into();
    let mut external = somebody(70_009, GROUP.id, 110);
    external["EKSTERN_ID"] = format!("{CANARY}-uuid").into();
    let mut past = somebody(80_001, SINGLE_PLACE.id, 111);
    past["HIST_TILTAKDELTAKER_ID"] = 80_001.into();
    let past = participant("I", 111, Value::Null, past)
        .to_string()
        .replace("SIAMO.TILTAKDELTAKER", "SIAMO.HIST_TILTAKDELTAKER");
    let poison = |text: String| raw(participants, 1, Some(text.into()));
    let mut all: Vec<Record> = [
        good(70_001, GROUP.id, 101),
        good(70_002, SINGLE_PLACE.id, 102),
        good(70_003, BROKEN.id, 103),
        good(70_004, UNREADABLE.id, 104),
        good(REFUSED, GROUP.id, 105),
        participant("I", 106, Value::Null, wrong),
        participant("I", 107, Value::Null, invalid),
        participant("I", 108, Value::Null, unknown),
        participant("I", 109, Value::Null, bad_row),
        participant("I", 110, Value::Null, external),
    ]
    .iter()
    .map(|value| record(participants, 0, value))
    .collect();
    all.push(raw(history, 0, Some(past.into())));
    all.push(poison(format!("{{\"table\": \"{CANARY}\", {NATIONAL_ID}")));
    all.push(poison(format!("\"{CANARY}\"")));
    all.push(poison(
        json!({ "table": CANARY, "op_type": "I", "op_ts": "2025-03-10 11:59:58.000000", "pos": "1" }).to_string(),
    ));
    let header = |name: &str| (name.to_owned(), Bytes::from(format!("{CANARY} {NATIONAL_ID}")));
    for record in &mut all {
        record.key = Some(format!("{CANARY}-key").into());
        record.headers = vec![header("traceparent"), header("tracestate"), header(CANARY)];
        record.partition = record.partition.map(|partition| partition % PARTITIONS);
    }
    all
}

/// What the routes answer to requests full of canaries; heads and bodies.
async fn answers(world: &World, public: &str, secrets: &mut Vec<String>) -> String {
    let token = world.neighbours.issuer.token(CLIENT).unwrap();
    let uuid = world.uuids().await[&70_001];
    let mut said = String::new();
    let calls = [
        ("GET", format!("/api/translation/{CANARY}"), String::new(), token.clone()),
        ("GET", format!("/api/translation/{uuid}"), String::new(), format!("{CANARY}.{CANARY}.{CANARY}")),
        ("GET", format!("/api/v2/translation/{uuid}?{CANARY}={NATIONAL_ID}"), String::new(), token.clone()),
        ("GET", format!("/{CANARY}/{PERSON}"), String::new(), token.clone()),
        (
            "POST",
            "/internal/api/tombstone-enkeltplass-deltaker".into(),
            format!("{{\"{CANARY}\": {PERSON}"),
            CANARY.into(),
        ),
        (
            "POST",
            "/internal/api/tombstone-enkeltplass-deltaker".into(),
            json!({ "deltakere": [CANARY] }).to_string(),
            CANARY.into(),
        ),
        ("POST", format!("/internal/api/relast-deltakere/{CANARY}"), String::new(), CANARY.into()),
        ("POST", format!("/internal/api/requeue-latest?table={CANARY}&by={CANARY}"), String::new(), CANARY.into()),
        ("POST", "/internal/api/jobs/retry".into(), String::new(), CANARY.into()),
        ("POST", format!("/internal/api/jobs/{CANARY}?batch_size={CANARY}"), String::new(), CANARY.into()),
    ];
    for (method, path, body, bearer) in calls {
        let head = [("authorization", format!("Bearer {bearer}")), ("content-type", "application/json".to_owned())];
        let (status, answer) = http1::call_with(method, &format!("http://{public}{path}"), &head, &body).await.unwrap();
        said.push_str(&format!("{method} {status} {}\n", String::from_utf8_lossy(&answer)));
    }
    assert!(
        said.contains(" 200 ") && said.contains(" 400 ") && said.contains(" 401 ") && said.contains(" 404 "),
        "{said}"
    );
    secrets.push(token);
    said
}

#[tokio::test]
async fn commands_that_need_no_server_tell_no_secret() {
    let given = [
        ("DB_JDBC_URL", format!("jdbc:postgresql://127.0.0.1:{CANARY}/db?user=u&password={CANARY}")),
        ("AZURE_APP_JWK", format!("{{\"kty\": \"RSA\", \"d\": \"{CANARY}\"}}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", CANARY.to_owned()),
        ("OTEL_TRACES_SAMPLER_ARG", CANARY.to_owned()),
        ("TRUECOPY_ADMIN_TOKEN", CANARY.to_owned()),
        ("TRUECOPY_ADMIN_LISTEN", CANARY.to_owned()),
    ];
    for (arguments, code) in [
        (vec!["serve"], 78),
        (vec!["migrate"], 78),
        (vec!["job", "retry"], 78),
        (vec!["settings"], 0),
        (vec!["--help"], 0),
        (vec!["job", "--help"], 0),
    ] {
        let mut process = Process::start(env!("CARGO_BIN_EXE_arena-acl"), given.clone(), &arguments).unwrap();
        assert_eq!(process.wait_end(BOUND).await.unwrap().code(), Some(code), "{arguments:?}");
        sleep(Duration::from_millis(100)).await; // its last line is read on another thread
        let said = said_by(&process);
        assert!(!said.is_empty(), "{arguments:?} says nothing");
        assert_absent(CANARY, &format!("{arguments:?}"), &said);
    }
}

fn said_by(process: &Process) -> String {
    [process.output(), process.errors()].concat().join("\n")
}

fn assert_absent(secret: &str, place: &str, text: &str) {
    let line = text.lines().find(|line| line.contains(secret));
    assert!(line.is_none(), "{secret} is in {place}:\n{}", line.unwrap_or_default());
}
