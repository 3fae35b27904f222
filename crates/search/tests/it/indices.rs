//! Indices as a whole.

use std::time::Duration;

use search::engine::{Engine, Error, Index, Operation, Query, Reindex};
use serde_json::json;

use crate::world::{Indices, add, body, fill, filled, ids, index, made};

pub(crate) async fn an_index_is_created_once(engine: impl Engine) {
    let indices = Indices::new();
    let (name, alias) = (indices.name("a"), indices.name("b"));
    engine.create(&name, &body()).await.unwrap();
    engine.aliases(&[add(&name, &alias)]).await.unwrap();
    for taken in [name, alias] {
        let error = engine.create(&taken, &body()).await.unwrap_err();
        assert!(matches!(&error, Error::Exists(name) if *name == taken), "{error}");
    }
}

pub(crate) async fn a_deleted_index_is_gone_and_deleting_it_again_is_fine(engine: impl Engine) {
    let indices = Indices::new();
    let (name, alias) = (indices.name("a"), indices.name("b"));
    engine.create(&name, &body()).await.unwrap();
    engine.aliases(&[add(&name, &alias)]).await.unwrap();
    engine.delete(&name).await.unwrap();
    engine.delete(&name).await.unwrap();
    assert_eq!(engine.indices(&indices.pattern()).await.unwrap(), []);
    engine.create(&alias, &body()).await.unwrap();
}

pub(crate) async fn no_index_is_deleted_through_an_alias(engine: impl Engine) {
    let indices = Indices::new();
    let (name, alias) = (indices.name("a"), indices.name("b"));
    engine.create(&name, &body()).await.unwrap();
    engine.aliases(&[add(&name, &alias)]).await.unwrap();
    let error = engine.delete(&alias).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 400, .. }), "{error}");
    assert_eq!(engine.indices(&name).await.unwrap().len(), 1);
}

pub(crate) async fn indices_are_listed_by_name_pattern_and_alias(engine: impl Engine) {
    let indices = Indices::new();
    let (one, two, alias) = (indices.name("x-1"), indices.name("x-2"), indices.name("alias"));
    for name in [&two, &one] {
        engine.create(name, &body()).await.unwrap();
    }
    let listed = async |pattern: &str| engine.indices(pattern).await.unwrap();
    let of = |name: &String, aliases: &[&String]| Index {
        name: name.clone(),
        aliases: aliases.iter().map(|&alias| alias.clone()).collect(),
    };
    assert_eq!(listed(&indices.name("x-*")).await, [of(&one, &[]), of(&two, &[])]);
    let other = indices.name("zz");
    engine.aliases(&[add(&two, &alias), add(&two, &other)]).await.unwrap();
    assert_eq!(listed(&alias).await, [of(&two, &[&alias, &other])]);
    assert_eq!(listed(&indices.name("al*")).await, [of(&two, &[&alias, &other])]);
    assert_eq!(listed(&two).await, [of(&two, &[&alias, &other])]);
    assert_eq!(listed(&indices.name("none")).await, []);
    assert_eq!(listed(&indices.name("none*")).await, []);
}

pub(crate) async fn an_index_that_is_not_there_is_named_by_every_request(engine: impl Engine) {
    let missing = Indices::new().name("missing");
    let copy = Reindex {
        source: missing.clone(),
        destination: made(&engine).await,
        query: Query::All,
        fields: Vec::new(),
        constants: Vec::new(),
    };
    let into_nothing = Reindex { source: copy.destination.clone(), destination: missing.clone(), ..copy.clone() };
    for error in [
        engine.set(&missing, &json!({"index": {"number_of_replicas": 0}})).await.unwrap_err(),
        engine.clone_index(&missing, "contract-anything").await.unwrap_err(),
        engine.refresh(&missing).await.unwrap_err(),
        engine.count(&missing, &Query::All).await.unwrap_err(),
        engine.get(&missing, &["1".to_owned()]).await.unwrap_err(),
        engine.search(&missing, &Query::All, "tcsPersonId", 10, None).await.unwrap_err(),
        engine.bulk(&missing, &[index("1", &json!({}))]).await.unwrap_err(),
        engine.aliases(&[add(&missing, "contract-alias")]).await.unwrap_err(),
        engine.reindex(&copy).await.unwrap_err(),
        engine.reindex(&into_nothing).await.unwrap_err(),
    ] {
        assert!(matches!(&error, Error::NoIndex(name) if *name == missing), "{error}");
    }
    assert!(!engine.healthy(&missing, Duration::from_millis(50)).await.unwrap());
}

pub(crate) async fn a_copy_of_an_index_holds_its_documents_and_takes_writes(engine: impl Engine) {
    let name = filled(&engine, &[json!({"admin": "a"})]).await;
    engine.bulk(&name, &[index("2", &json!({"admin": "not refreshed"}))]).await.unwrap();
    engine.set(&name, &json!({"index": {"blocks": {"write": true}}})).await.unwrap();
    let copy = Indices::new().name("copy");
    engine.clone_index(&name, &copy).await.unwrap();
    assert!(engine.healthy(&copy, Duration::from_secs(20)).await.unwrap());
    assert_eq!(ids(&engine, &copy, &Query::All).await, ["1", "2"]);
    let lines = [Operation::Create { id: "3".to_owned(), source: crate::world::doctor(&json!({})) }];
    assert_eq!(engine.bulk(&copy, &lines).await.unwrap(), [search::engine::Outcome::Done]);
    engine.delete(&name).await.unwrap();
    fill(&engine, &copy, &[json!({"admin": "again"})]).await;
    assert_eq!(ids(&engine, &copy, &Query::All).await, ["1", "2", "3"]);
}

pub(crate) async fn an_index_is_copied_under_a_free_name_only(engine: impl Engine) {
    let (name, taken) = (made(&engine).await, made(&engine).await);
    let alias = Indices::new().name("alias");
    engine.aliases(&[add(&taken, &alias)]).await.unwrap();
    engine.set(&name, &json!({"index": {"blocks": {"write": true}}})).await.unwrap();
    for taken in [taken, alias] {
        let error = engine.clone_index(&name, &taken).await.unwrap_err();
        assert!(matches!(&error, Error::Exists(name) if *name == taken), "{error}");
    }
}

pub(crate) async fn an_index_that_takes_writes_is_not_copied(engine: impl Engine) {
    let name = made(&engine).await;
    let error = engine.clone_index(&name, &Indices::new().name("copy")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

pub(crate) async fn an_index_that_is_there_is_healthy(engine: impl Engine) {
    let name = made(&engine).await;
    assert!(engine.healthy(&name, Duration::from_secs(20)).await.unwrap());
}
