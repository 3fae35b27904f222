use mongodb::bson::{Bson, DateTime as BsonTime, Document, doc, oid::ObjectId};
use serde_json::{Value, json};

use super::*;
use crate::sources::{Collection, Cursor as _, Sources as _};

async fn world(documents: &[(Collection, Vec<Document>)]) -> (Sources, Client, Settings) {
    let (client, settings) = fresh().await;
    for (collection, documents) in documents {
        let into = client.database(&settings.database).collection::<Document>(collection.name());
        into.insert_many(documents).await.unwrap();
    }
    (Sources::new(&client, &settings), client, settings)
}

async fn all(sources: &Sources, collection: Collection) -> Vec<Value> {
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

#[tokio::test]
#[ignore = "needs MongoDB: ./dev test"]
async fn documents_come_as_extended_json_with_their_nulls_and_without_what_is_not_read() {
    let day = BsonTime::parse_rfc3339_str("2026-02-10T00:00:00Z").unwrap();
    let doctor = doc! {
        "_id": "7012345", "doctorFirstName": "Asha", "submissionDate": day, "underNotice": Bson::Null, "existsInGmc": true,
        "_class": "somewhere.Doctor", "gmcLastUpdatedDateTime": day,
    };
    let log = ObjectId::parse_str("665f1c0000000000000000ab").unwrap();
    let (sources, ..) = world(&[
        (Collection::Doctors, vec![doctor]),
        (Collection::ConnectionLogs, vec![doc! { "_id": log, "gmcId": "7012345", "requestTime": day, "reason": "1" }]),
    ])
    .await;
    let date = json!({"$date": "2026-02-10T00:00:00Z"});
    let expected = json!({"_id": "7012345", "doctorFirstName": "Asha", "submissionDate": date, "underNotice": null, "existsInGmc": true});
    assert_eq!(all(&sources, Collection::Doctors).await, [expected]);
    let expected = json!({"_id": {"$oid": "665f1c0000000000000000ab"}, "gmcId": "7012345", "requestTime": date});
    assert_eq!(all(&sources, Collection::ConnectionLogs).await, [expected]);
    assert_eq!(
        all(&sources, Collection::HiddenDiscrepancies).await,
        [Value::Null; 0],
        "a collection that is not there is empty"
    );
}

#[tokio::test]
#[ignore = "needs MongoDB: ./dev test"]
async fn a_whole_collection_comes_batch_by_batch_and_doctors_by_their_number() {
    let doctors = (0..5_000_u32).rev().map(|number| doc! { "_id": format!("{number:07}") }).collect();
    let (sources, ..) = world(&[(Collection::Doctors, doctors)]).await;
    assert_eq!(sources.count(Collection::Doctors).await.unwrap(), 5_000);
    let read = all(&sources, Collection::Doctors).await;
    assert_eq!(read.len(), 5_000);
    assert!(read.is_sorted_by_key(|doctor| id(doctor).as_str().unwrap().to_owned()));
}

#[tokio::test]
#[ignore = "needs MongoDB: ./dev test"]
async fn the_documents_of_numbers_are_found_by_their_field_or_their_key() {
    let (sources, ..) = world(&[
        (Collection::Doctors, vec![doc! { "_id": "7000001" }, doc! { "_id": "7000002" }]),
        (
            Collection::ExceptionLogs,
            vec![
                doc! { "_id": "7000001", "errorMessage": "of 2022" },
                doc! { "_id": "x", "gmcId": "7000001", "errorMessage": "later" },
                doc! { "_id": "y", "gmcId": "7000003" },
            ],
        ),
    ])
    .await;
    let numbers = ["7000001", "none"].map(str::to_owned);
    let doctors = sources.of_numbers(Collection::Doctors, &numbers).await.unwrap();
    assert_eq!(doctors, [json!({"_id": "7000001"})]);
    let mut logs = sources.of_numbers(Collection::ExceptionLogs, &numbers).await.unwrap();
    logs.sort_by_key(|log| id(log).to_string());
    assert_eq!(logs.iter().map(id).collect::<Vec<_>>(), ["7000001", "x"]);
    assert_eq!(sources.of_numbers(Collection::Doctors, &[]).await.unwrap(), [Value::Null; 0]);
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
