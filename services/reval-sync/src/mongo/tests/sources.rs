use ::mongodb::bson::{Bson, Document};
use serde_json::{Value, json};

use super::*;
use crate::memory;

/// Somewhere to put documents before they are read.
trait World {
    async fn with(self, documents: &[(Collection, Vec<Value>)]) -> impl crate::sources::Sources;
}

struct Twin;

impl World for Twin {
    async fn with(self, documents: &[(Collection, Vec<Value>)]) -> impl crate::sources::Sources {
        let sources = memory::Sources::default();
        documents.iter().for_each(|(collection, documents)| sources.add(*collection, documents.iter().cloned()));
        sources
    }
}

struct Real;

impl World for Real {
    async fn with(self, documents: &[(Collection, Vec<Value>)]) -> impl crate::sources::Sources {
        let (client, settings) = fresh().await;
        for (collection, documents) in documents {
            let into = client.database(&settings.database).collection::<Document>(collection.name());
            let document = |document: &Value| Bson::try_from(document.clone()).unwrap().as_document().unwrap().clone();
            into.insert_many(documents.iter().map(document)).await.unwrap();
        }
        Sources::new(&client, &settings)
    }
}

async fn all(sources: &impl crate::sources::Sources, collection: Collection) -> Vec<Value> {
    let mut cursor = sources.read(collection).await.unwrap();
    let mut all = Vec::new();
    loop {
        let more = cursor.next().await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn id(document: &Value) -> &Value {
    &document["_id"]
}

async fn documents_come_as_extended_json_with_their_nulls_and_without_what_is_not_read(world: impl World) {
    let date = json!({"$date": "2026-02-10T00:00:00Z"});
    let doctor = json!({
        "_id": "7012345", "doctorFirstName": "Asha", "submissionDate": date, "underNotice": null, "existsInGmc": true,
        "_class": "somewhere.Doctor", "gmcLastUpdatedDateTime": date,
    });
    let id = json!({"$oid": "665f1c0000000000000000ab"});
    let log = json!({"_id": id, "gmcId": "7012345", "requestTime": date, "reason": "1"});
    let sources = world.with(&[(Collection::Doctors, vec![doctor]), (Collection::ConnectionLogs, vec![log])]).await;
    let expected = json!({
        "_id": "7012345", "doctorFirstName": "Asha", "submissionDate": date, "underNotice": null, "existsInGmc": true,
    });
    assert_eq!(all(&sources, Collection::Doctors).await, [expected]);
    let logs = all(&sources, Collection::ConnectionLogs).await;
    assert_eq!(logs[0]["_id"], id);
    assert_eq!((&logs[0]["requestTime"], logs[0].get("reason")), (&date, None));
    assert_eq!(
        all(&sources, Collection::HiddenDiscrepancies).await,
        [Value::Null; 0],
        "one that is not there is empty"
    );
}

async fn a_whole_collection_comes_batch_by_batch_and_doctors_by_their_number(world: impl World) {
    let doctors = (0..5_000_u32).rev().map(|number| json!({"_id": format!("{number:07}")})).collect();
    let sources = world.with(&[(Collection::Doctors, doctors)]).await;
    assert_eq!(sources.count(Collection::Doctors).await.unwrap(), 5_000);
    let read = all(&sources, Collection::Doctors).await;
    assert_eq!(read.len(), 5_000);
    assert!(read.is_sorted_by_key(|doctor| id(doctor).as_str().unwrap().to_owned()));
}

async fn the_documents_of_numbers_are_found_by_their_field_or_their_key(world: impl World) {
    let doctors = vec![json!({"_id": "7000001"}), json!({"_id": "7000002"})];
    let logs = vec![
        json!({"_id": "7000001", "errorMessage": "of 2022"}),
        json!({"_id": "x", "gmcId": "7000001", "errorMessage": "later"}),
        json!({"_id": "y", "gmcId": "7000003"}),
    ];
    let sources = world.with(&[(Collection::Doctors, doctors), (Collection::ExceptionLogs, logs)]).await;
    let numbers = ["7000001", "none"].map(str::to_owned);
    assert_eq!(sources.of_numbers(Collection::Doctors, &numbers).await.unwrap(), [json!({"_id": "7000001"})]);
    let mut logs = sources.of_numbers(Collection::ExceptionLogs, &numbers).await.unwrap();
    logs.sort_by_key(|log| id(log).to_string());
    assert_eq!(logs.iter().map(id).collect::<Vec<_>>(), ["7000001", "x"]);
    assert_eq!(sources.of_numbers(Collection::Doctors, &[]).await.unwrap(), [Value::Null; 0]);
}

testkit::contract! {
    [
        documents_come_as_extended_json_with_their_nulls_and_without_what_is_not_read,
        a_whole_collection_comes_batch_by_batch_and_doctors_by_their_number,
        the_documents_of_numbers_are_found_by_their_field_or_their_key,
    ]
    twin: Twin;
    #[ignore = "needs MongoDB: ./dev test"] mongodb: Real;
}

#[tokio::test]
#[ignore = "needs MongoDB: ./dev test"]
async fn no_more_collections_are_read_at_once_than_allowed() {
    let (client, _) = fresh().await;
    let settings = settings(&[("REVAL_SYNC_MONGO_MAX_CONCURRENT_READS", "1")]);
    let sources = Sources::new(&client, &settings);
    let first = sources.read(Collection::Doctors).await.unwrap();
    let wait = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(wait, sources.read(Collection::Recommendations)).await.is_err());
    drop(first);
    sources.read(Collection::Recommendations).await.unwrap();
}
