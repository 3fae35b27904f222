//! Indices and documents for the promises.

use std::{sync::Arc, time::Duration};

use chassis::http::{
    Client,
    transport::{Limits, Reqwest},
};
use search::{
    Http,
    engine::{AliasAction, Document, Engine, Operation, Query, Source, Version},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The test server. What is made in it stays: each run of the tests starts from an empty one.
pub(crate) async fn opensearch() -> Http {
    let limits = Limits {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(30),
        total: Duration::from_secs(30),
        answer_bytes: 1 << 24,
    };
    Http::new(Client::new(testkit::servers::search().await, Arc::new(Reqwest::new(limits).unwrap())))
}

pub(crate) fn doctor(value: &Value) -> Source {
    value.as_object().unwrap().clone()
}

pub(crate) fn index(id: &str, value: &Value) -> Operation {
    Operation::Index { id: id.to_owned(), source: doctor(value) }
}

pub(crate) fn create(id: &str, value: &Value) -> Operation {
    Operation::Create { id: id.to_owned(), source: doctor(value) }
}

pub(crate) fn delete(id: &str, version: Option<Version>) -> Operation {
    Operation::Delete { id: id.to_owned(), version }
}

pub(crate) fn add(index: &str, alias: &str) -> AliasAction {
    AliasAction::Add { index: index.to_owned(), alias: alias.to_owned(), filter: None, write: false }
}

pub(crate) fn term(field: &str, value: impl Into<Value>) -> Query {
    Query::Term(field.to_owned(), value.into())
}

/// The body of an index as a service makes it: nothing refreshes by itself.
pub(crate) fn body() -> Value {
    let keyword = json!({"type": "keyword", "ignore_above": 256});
    let text = json!({"type": "text", "fields": {"keyword": keyword}});
    let sorted = json!({"type": "text", "fielddata": true, "fields": {"keyword": keyword}});
    json!({
        "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
        "mappings": {"dynamic": false, "properties": {
            "tcsPersonId": {"type": "long"},
            "gmcReferenceNumber": sorted,
            "membershipType": text, "designatedBody": text, "tcsDesignatedBody": text, "admin": text,
            "submissionDate": {"type": "date", "format": "uuuu-MM-dd"},
            "existsInGmc": {"type": "boolean"},
            "hiddenDiscrepancies": {"type": "nested", "properties": {"id": text, "reason": text}},
            "syncMeta": {"type": "object", "enabled": false},
        }},
    })
}

/// Names that nobody else uses, with one start.
pub(crate) struct Indices(String);

impl Indices {
    pub(crate) fn new() -> Self {
        Self(format!("contract-{}", Uuid::new_v4().simple()))
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.0)
    }

    pub(crate) fn pattern(&self) -> String {
        format!("{}-*", self.0)
    }
}

/// A new index; its name.
pub(crate) async fn made(engine: &impl Engine) -> String {
    let name = Indices::new().name("index");
    engine.create(&name, &body()).await.unwrap();
    name
}

/// A new index with these documents, refreshed; their ids count from 1.
pub(crate) async fn filled(engine: &impl Engine, documents: &[Value]) -> String {
    let name = made(engine).await;
    fill(engine, &name, documents).await;
    name
}

pub(crate) async fn fill(engine: &impl Engine, name: &str, documents: &[Value]) {
    let lines: Vec<_> = documents.iter().zip(1..).map(|(document, id)| index(&format!("{id}"), document)).collect();
    let outcomes = engine.bulk(name, &lines).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == search::engine::Outcome::Done), "{outcomes:?}");
    engine.refresh(name).await.unwrap();
}

pub(crate) async fn version(engine: &impl Engine, name: &str, id: &str) -> Version {
    engine.get(name, &[id.to_owned()]).await.unwrap().remove(0).unwrap().version
}

/// The ids of what a query finds, in order; the count is the same.
pub(crate) async fn ids(engine: &impl Engine, name: &str, query: &Query) -> Vec<String> {
    let page = engine.search(name, query, "tcsPersonId", 100, None).await.unwrap();
    let mut ids: Vec<String> = page.documents.into_iter().map(|Document { id, .. }| id).collect();
    ids.sort();
    assert_eq!(engine.count(name, query).await.unwrap(), ids.len() as u64);
    ids
}
