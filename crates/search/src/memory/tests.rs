//! What only the twin does. What it shares with a real engine is in `tests/it/contract.rs`.

use serde_json::json;

use super::Memory;
use crate::engine::{AliasAction, Engine, Error, Operation, Query, Source};

fn source(value: serde_json::Value) -> Source {
    value.as_object().unwrap().clone()
}

async fn filled() -> Memory {
    let memory = Memory::default();
    memory.create("a", &json!({})).await.unwrap();
    let operations = [
        Operation::Index { id: "2".to_owned(), source: source(json!({"open": false})) },
        Operation::Index { id: "1".to_owned(), source: source(json!({"open": true})) },
    ];
    memory.bulk("a", &operations).await.unwrap();
    let filter = Some(Query::Term("open".to_owned(), json!(true)));
    let add = AliasAction::Add { index: "a".to_owned(), alias: "opened".to_owned(), filter, write: false };
    memory.aliases(&[add]).await.unwrap();
    memory
}

fn ids(documents: Option<Vec<crate::engine::Document>>) -> Option<Vec<String>> {
    documents.map(|documents| documents.into_iter().map(|document| document.id).collect())
}

#[tokio::test]
async fn what_a_reader_finds_is_shown_as_of_the_last_refresh_or_of_now() {
    let memory = filled().await;
    assert_eq!(ids(memory.shown("a")), Some(vec![]));
    assert_eq!(ids(memory.shown_now("a")), Some(vec!["1".to_owned(), "2".to_owned()]));
    assert_eq!(ids(memory.shown_now("opened")), Some(vec!["1".to_owned()]));
    memory.refresh("opened").await.unwrap();
    assert_eq!(ids(memory.shown("opened")), Some(vec!["1".to_owned()]));
    assert_eq!(ids(memory.shown("b")), None);
}

#[tokio::test]
async fn while_it_is_unavailable_every_request_fails_and_nothing_is_lost() {
    let memory = filled().await;
    memory.set_unavailable(true);
    for error in [
        memory.version().await.unwrap_err(),
        memory.bulk("a", &[]).await.unwrap_err(),
        memory.refresh("a").await.unwrap_err(),
        memory.count("a", &Query::All).await.unwrap_err(),
        memory.indices("*").await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }
    assert_eq!(memory.shown_now("a").unwrap().len(), 2);
    memory.set_unavailable(false);
    memory.refresh("a").await.unwrap();
    assert_eq!(memory.count("a", &Query::All).await.unwrap(), 2);
}
