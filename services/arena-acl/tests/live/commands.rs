//! `explain`, `verify` and `check` over real servers.

use serde_json::{Value, json};

use crate::{
    feed::{Change, Course, participant, record},
    world::World,
};

const KNOWN: Course = Course::group(3001);
const UNKNOWN: i64 = 3999;

fn change(participant: i64, course: i64, operation: &'static str, position: u64) -> Change {
    Change { participant, course, operation, position }
}

/// A record of the history table that matches the participant of `change`.
fn historised(world: &World, change: &Change, id: i64) -> testkit::servers::Record {
    let mut row = change.after();
    row["HIST_TILTAKDELTAKER_ID"] = json!(id);
    row["DELTAKERSTATUSKODE"] = json!("FULLF");
    let mut value = participant("I", 900, Value::Null, row);
    value["table"] = json!("SIAMO.HIST_TILTAKDELTAKER");
    record(&world.history, 0, &value)
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn explain_tells_what_holds_a_participant_back() {
    let world = World::new(&[KNOWN]).await;
    let _service = world.start().await;
    world.know(&[KNOWN]).await;
    let published = change(70_002, KNOWN.id, "I", 102);
    let changes = [change(70_001, UNKNOWN, "I", 101), published.clone(), change(70_002, KNOWN.id, "U", 103)];
    let places = world.produce_changes(&changes).await;
    world.handled(&places).await;
    sqlx::query(
        "UPDATE arena_data SET ingest_status = 'FAILED' WHERE operation_type = 'CREATED' AND arena_id = '70002'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let blocked = world.produce_changes(&[change(70_002, KNOWN.id, "U", 104)]).await;
    world.handled(&blocked).await;

    let explain = async |key: &[&str]| world.said(&[], &[&["explain"], key].concat()).await;
    let (code, said) = explain(&["deltaker", "70001"]).await;
    assert!(code == 0 && said.contains("waits for course 3999, which has not been read yet"), "{said}");
    let (_, said) = explain(&["deltaker", "70002"]).await;
    assert!(said.contains("blocked by FAILED r") && said.contains("published 20"), "{said}");
    let uuid = world.uuids().await[&70_002].to_string();
    let (_, said) = explain(&[&uuid, "--json"]).await;
    let told: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!((&told["changes_in_all"], &told["changes"][0]["status"]), (&json!(3), &json!("FAILED")));
    for canary in [published.mark(), published.person().to_string(), "change 10".to_owned()] {
        assert!(!said.contains(&canary), "personal data:\n{said}");
    }
    let (code, said) = explain(&["hist", "3001"]).await;
    assert!(code == 1 && said.contains("there is `explain gjennomforing 3001`"), "{said}");
    assert_eq!(explain(&["nobody"]).await.0, 64);
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn explain_tells_of_a_historised_participant_as_one_story() {
    let world = World::new(&[KNOWN]).await;
    let _service = world.start().await;
    world.know(&[KNOWN]).await;
    let first = change(70_001, KNOWN.id, "I", 101);
    let places = world.produce_changes(std::slice::from_ref(&first)).await;
    world.handled(&places).await;
    world.downstream_knows(world.uuids().await[&70_001]);
    let places = world.produce(&[historised(&world, &first, 9001)]).await;
    world.handled(&places).await;
    let deleted = participant("D", 102, first.after(), Value::Null);
    let places = world.produce(&[record(&world.participants, 1, &deleted)]).await;
    world.handled(&places).await;
    for key in [["deltaker", "70001"], ["hist", "9001"]] {
        let (code, said) = world.said(&[], &["explain", key[0], key[1]]).await;
        assert_eq!(code, 0, "{said}");
        for part in ["hist 9001 CREATED", "Fant match? true", "deltaker 70001 DELETED", "Slettes ikke fordi"] {
            assert!(said.contains(part), "{part} is missing:\n{said}");
        }
    }
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn verify_finds_a_planted_difference_and_mends_it() {
    let world = World::new(&[KNOWN]).await;
    let _service = world.start().await;
    world.know(&[KNOWN]).await;
    let places = world.produce_changes(&[change(70_001, KNOWN.id, "I", 101)]).await;
    world.handled(&places).await;
    let (code, said) = world.said(&[], &["verify"]).await;
    assert_eq!(code, 0, "{said}");
    sqlx::query("UPDATE deltaker SET status = 'TILBUD'").execute(&world.pool).await.unwrap();
    let (code, said) = world.said(&[], &["verify"]).await;
    let found: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let told = [&found["key"], &found["kind"], &found["detail"], &found["mending"]];
    assert_eq!(told, ["deltaker 70001", "last_known_differs", "status", "possible"], "{said}");
    assert_eq!(code, 3);
    assert_eq!(world.said(&[], &["verify", "--fix"]).await.0, 3);
    let (code, said) = world.said(&[], &["job", "retry"]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = world.said(&[], &["verify"]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
#[ignore = "needs Kafka and Postgres: ./dev test"]
async fn check_tells_which_topic_is_missing() {
    let world = World::new(&[KNOWN]).await;
    assert_eq!(world.said(&[], &["check", "--offline"]).await.0, 0);
    let (code, said) = world.said(&[], &["check"]).await;
    assert!(code == 0 && said.contains("are pending"), "{said}");
    let topic = ("AMT_TOPIC", "no-such-topic".to_owned());
    let (code, said) = world.said(&[topic], &["check"]).await;
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let wrong: Vec<&Value> = lines.iter().filter(|line| line["ok"] == false).map(|line| &line["what"]).collect();
    assert_eq!((code, wrong), (1, vec![&json!("topic no-such-topic")]), "{said}");
    let nobody = ("DB_JDBC_URL", "jdbc:postgresql://127.0.0.1:1/nothing?user=a&password=canary".to_owned());
    let (code, said) = world.said(&[nobody], &["check"]).await;
    assert!(code == 1 && said.contains("is DB_JDBC_URL right") && !said.contains("canary"), "{said}");
    assert_eq!(world.said(&[("KAFKA_BROKERS", "canary".to_owned())], &["check"]).await.0, 78);
}
