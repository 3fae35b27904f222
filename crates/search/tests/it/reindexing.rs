//! Copies inside the engine.

use std::time::Duration;

use search::engine::{AliasAction, Engine, Query, Reindex, Task, TaskState};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::world::{Indices, filled, ids, made, term};

fn copy(source: &str, destination: &str) -> Reindex {
    Reindex {
        source: source.to_owned(),
        destination: destination.to_owned(),
        query: Query::Exists("designatedBody".to_owned()),
        fields: vec!["designatedBody".to_owned(), "tcsPersonId".to_owned()],
        constants: vec![("admin".to_owned(), "Yes".into())],
    }
}

async fn ended(engine: &impl Engine, reindex: &Reindex) -> TaskState {
    let task = engine.reindex(reindex).await.unwrap();
    let state = timeout(Duration::from_secs(30), async {
        loop {
            match engine.task(&task).await.unwrap() {
                TaskState::Running { .. } => sleep(Duration::from_millis(50)).await,
                ended => return ended,
            }
        }
    });
    state.await.unwrap()
}

fn documents() -> Vec<Value> {
    vec![
        json!({"designatedBody": "1-A", "tcsPersonId": 1, "admin": "x", "membershipType": "m"}),
        json!({"designatedBody": "1-B"}),
        json!({"tcsPersonId": 3}),
    ]
}

pub(crate) async fn a_reindex_copies_what_was_asked_under_the_same_ids(engine: impl Engine) {
    let (source, destination) = (filled(&engine, &documents()).await, made(&engine).await);
    assert_eq!(ended(&engine, &copy(&source, &destination)).await, TaskState::Done(2));
    engine.refresh(&destination).await.unwrap();
    assert_eq!(ids(&engine, &destination, &Query::All).await, ["1", "2"]);
    let read = engine.get(&destination, &["1".to_owned(), "2".to_owned()]).await.unwrap();
    let sources: Vec<_> = read.into_iter().map(|read| Value::Object(read.unwrap().source)).collect();
    assert_eq!(
        sources,
        [
            json!({"designatedBody": "1-A", "tcsPersonId": 1, "admin": "Yes"}),
            json!({"designatedBody": "1-B", "admin": "Yes"})
        ]
    );
}

pub(crate) async fn a_reindex_reads_through_the_filter_of_an_alias(engine: impl Engine) {
    let (source, destination) = (filled(&engine, &documents()).await, made(&engine).await);
    let alias = Indices::new().name("alias");
    let filter = Some(term("tcsPersonId", 1));
    let add = AliasAction::Add { index: source, alias: alias.clone(), filter, write: false };
    engine.aliases(&[add]).await.unwrap();
    assert_eq!(ended(&engine, &copy(&alias, &destination)).await, TaskState::Done(1));
}

pub(crate) async fn a_repeated_reindex_changes_nothing(engine: impl Engine) {
    let (source, destination) = (filled(&engine, &documents()).await, made(&engine).await);
    for _ in 0..2 {
        assert_eq!(ended(&engine, &copy(&source, &destination)).await, TaskState::Done(2));
    }
    engine.refresh(&destination).await.unwrap();
    assert_eq!(ids(&engine, &destination, &Query::All).await, ["1", "2"]);
}

pub(crate) async fn a_reindex_that_is_refused_has_failed(engine: impl Engine) {
    let (source, destination) = (filled(&engine, &documents()).await, made(&engine).await);
    let wrong =
        Reindex { constants: vec![("submissionDate".to_owned(), "soon".into())], ..copy(&source, &destination) };
    let TaskState::Failed(reason) = ended(&engine, &wrong).await else { panic!("it has not failed") };
    assert!(!reason.contains("soon"), "{reason}");
    let unknown = engine.task(&Task("nobody:1".to_owned())).await.unwrap();
    assert!(matches!(unknown, TaskState::Failed(_)), "{unknown:?}");
}
