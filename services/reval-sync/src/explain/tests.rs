use std::sync::Arc;

use bytes::Bytes;
use chassis::clock::Clock;
use search::engine::Operation;
use serde_json::{Value, json};

use super::*;
use crate::{
    handling::Handling,
    index::Generation,
    live::JOURNAL,
    memory::{Memory, Queues, Sources, Store},
    run_store::{Letter, Letters as _, Logs as _, Page},
    shared::Wiring,
    sources::Collection,
    wire::{Entry, Kind, Unreadable},
};

/// A doctor whom the index has at another body than the GMC, with a neighbour of whom nothing may be told.
async fn world() -> Arc<Shared<Memory>> {
    let now = "2025-06-16T09:00:00Z".parse().unwrap();
    let clock = Clock::starting_at(now);
    clock.freeze(now);
    let (engine, store, sources) = (search::memory::Memory::default(), Store::default(), Sources::default());
    let (handling, generation) = (Handling::default(), Generation::at(now));
    index::create_master(&engine, &generation, &handling.shape).await.unwrap();
    let row =
        |id: &str, source: Value| Operation::Index { id: id.to_owned(), source: source.as_object().unwrap().clone() };
    let rows = [
        row(
            "t41001",
            json!({"tcsPersonId": 41001, "gmcReferenceNumber": "7012345", "doctorLastName": "Okafor",
            "tcsDesignatedBody": "1-1RSSQ05", "designatedBody": "1-1RSSQ05", "existsInGmc": true,
            "syncMeta": {"runId": "run-1", "tokens": {"doctorsForDB/7012345": "02"}}}),
        ),
        row("t41002", json!({"tcsPersonId": 41002, "gmcReferenceNumber": "7099999", "doctorLastName": "CANARY"})),
    ];
    engine.bulk(&generation.master(), &rows).await.unwrap();
    engine.refresh(&generation.master()).await.unwrap();
    index::point(&engine, handling.layout, |name| generation.index(name), None, &[]).await.unwrap();
    sources.add(
        Collection::Doctors,
        [
            json!({"_id": "7012345", "doctorLastName": "Okafor", "designatedBodyCode": "1-1RUZUTF"}),
            json!({"_id": "7055555", "doctorLastName": "Lind"}),
            json!({"_id": "7099999", "doctorLastName": "CANARY"}),
        ],
    );
    sources.add(Collection::ConnectionLogs, [json!({"_id": "l1", "gmcId": "7012345", "requestTime": "never"})]);
    let entry = |kind, body: Value| Entry { kind, body: Bytes::from(body.to_string()) }.bytes();
    let event = |token: &str, number: &str, name: &str| {
        json!({"operationType": "update", "_id": {"_data": token}, "documentKey": {"_id": number}, "fullDocument":
            {"_id": number, "doctorLastName": name, "designatedBodyCode": "1-1RSSQ05", "existsInGmc": true, "sanction": "CANARY"}})
    };
    let hidden = json!({"operationType": "insert", "_id": {"_data": "03"}, "documentKey": {"_id": "h1"},
        "fullDocument": {"_id": "h1", "gmcId": "7012345", "hiddenBy": "admin.one@example.org"}});
    let entries = vec![
        entry(Kind::Event(Collection::Doctors), event("02", "7012345", "Okafor")),
        entry(Kind::Event(Collection::Doctors), event("02", "7099999", "CANARY")),
        entry(Kind::Update, json!({"tcsPersonId": 41001, "gmcReferenceNumber": null})),
        entry(Kind::Event(Collection::HiddenDiscrepancies), hidden),
        entry(
            Kind::Event(Collection::HiddenDiscrepancies),
            json!({"operationType": "delete", "_id": {"_data": "04"}, "documentKey": {"_id": "h1"}}),
        ),
    ];
    assert!(store.append(JOURNAL, &Page { sequence: 3, at: now, entries }).await.unwrap());
    let letter = |body: Value| {
        let why = Unreadable { reason: "bad_date", detail: "submissionDate is not a date".to_owned() };
        Letter::new("cdc.doctor", Bytes::from(body.to_string()), &why, now)
    };
    let letters = [letter(event("05", "7012345", "Okafor")), letter(event("05", "7099999", "CANARY"))];
    store.put(&letters).await.unwrap();
    Shared::new(Wiring {
        engine: Arc::new(engine),
        store: Arc::new(store),
        queues: Arc::<Queues>::default(),
        sources: Arc::new(sources),
        clock,
        handling,
        metrics: crate::metrics::Metrics::new(chassis::metrics::Metrics::new()),
    })
}

fn doctor(number: &str) -> Key {
    Key::Doctor(GmcNumber::usable(Some(number)).unwrap())
}

#[tokio::test]
async fn a_doctor_is_told_with_names_events_letters_and_what_a_run_would_write() {
    let told = explain(&*world().await, &doctor("7012345")).await.unwrap();
    let text = shown::text(&told).replace(&told.dead_letters[0].id, "m1");
    let expected = "\
doctor 7012345

document t41001 of masterdoctorindex_20250616090000
  found under              masterdoctorindex, recommendations, current_connections
  written by run           run-1
  last event               doctorsForDB/7012345, token 02

  FIELD                    INDEX                            A RUN WOULD WRITE
  tcsPersonId              41001
  gmcReferenceNumber       7012345
  doctorLastName           Okafor
  tcsDesignatedBody        1-1RSSQ05
  designatedBody           1-1RSSQ05                        1-1RUZUTF
  existsInGmc              true

sources, as they are now
  connectionLogs           1
  doctorsForDB             1
  hiddenDiscrepancy        0
  recommendation           0
  connectionLogs           l1 cannot be read: bad_date: requestTime is not a date

journal
  2025-06-16T09:00:00Z  event of doctorsForDB/7012345, token 02
      gmcReferenceNumber = 7012345
      doctorLastName = Okafor
      designatedBody = 1-1RSSQ05
      existsInGmc = true
  2025-06-16T09:00:00Z  trainee update
      no usable number: the documents of the person lose its trainee data
  2025-06-16T09:00:00Z  event of hiddenDiscrepancy/h1, token 03
      gmcReferenceNumber = 7012345
      hiddenDiscrepancies = [{\"gmcId\":\"7012345\",\"hiddenBy\":\"admin.one@example.org\",\"id\":\"h1\"}]
  2025-06-16T09:00:00Z  event of hiddenDiscrepancy/h1, token 04
      hidden discrepancy h1 ends

open dead letters
  2025-06-16T09:00:00Z     m1 of cdc.doctor: bad_date submissionDate is not a date
";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_person_is_told_by_the_number_of_its_document() {
    let world = world().await;
    let told = explain(&world, &Key::Person(41001)).await.unwrap();
    let of_number = explain(&world, &doctor("7012345")).await.unwrap();
    let json = |told: &Explanation| {
        let mut value = serde_json::to_value(told).unwrap();
        value.as_object_mut().unwrap().remove("key");
        value
    };
    assert_eq!(json(&told), json(&of_number));
}

#[tokio::test]
async fn programs_get_the_same_with_stable_names() {
    let told = serde_json::to_value(explain(&*world().await, &doctor("7012345")).await.unwrap()).unwrap();
    let names: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["dead_letters", "documents", "index", "journal", "key", "missing", "sources", "unreadable"].map(str::to_owned);
    let mut names = names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(
        told["documents"][0]["differences"],
        json!([{"field": "designatedBody", "index": "1-1RSSQ05", "sources": "1-1RUZUTF"}])
    );
    assert!(!told.to_string().contains("CANARY"), "nothing of others, and nothing that no document has");
}

#[tokio::test]
async fn a_doctor_whom_only_the_gmc_knows_and_the_index_has_not_is_told_as_missing() {
    let world = world().await;
    let told = explain(&world, &doctor("7055555")).await.unwrap();
    assert!(told.documents.is_empty());
    assert_eq!(told.missing[0]["doctorLastName"], "Lind");
    assert!(shown::text(&told).contains("no document in masterdoctorindex_20250616090000\n\na run would add\n"));
    assert!(explain(&world, &doctor("7000000")).await.unwrap().is_empty());
    assert!(explain(&world, &Key::Person(1)).await.unwrap().is_empty());
}
