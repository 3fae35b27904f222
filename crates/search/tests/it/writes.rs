//! Bulk writes and single reads.

use search::engine::{Engine, Error, Operation, Outcome, Query};
use serde_json::json;

use crate::world::{Indices, create, delete, doctor, ids, index, made, version};

pub(crate) async fn every_line_of_a_bulk_has_its_own_outcome(engine: impl Engine) {
    let name = made(&engine).await;
    let outcomes = engine
        .bulk(
            &name,
            &[
                index("1", &json!({"admin": "a"})),
                index("2", &json!({"submissionDate": "31/01/2026"})),
                create("1", &json!({"admin": "b"})),
                create("3", &json!({"admin": "c"})),
                delete("4", None),
            ],
        )
        .await
        .unwrap();
    let refused = Outcome::Refused { status: 400, reason: "mapper_parsing_exception".to_owned() };
    assert_eq!(outcomes, [Outcome::Done, refused, Outcome::Conflict, Outcome::Done, Outcome::Done]);
    assert_eq!(engine.bulk(&name, &[]).await.unwrap(), []);
}

pub(crate) async fn a_bulk_takes_effect_line_by_line(engine: impl Engine) {
    let name = made(&engine).await;
    let lines = [
        index("1", &json!({"admin": "a"})),
        index("1", &json!({"admin": "b"})),
        delete("1", None),
        create("1", &json!({"admin": "c\n\"d\"ø"})),
    ];
    assert_eq!(engine.bulk(&name, &lines).await.unwrap(), vec![Outcome::Done; 4]);
    let read = engine.get(&name, &["1".to_owned()]).await.unwrap().remove(0).unwrap();
    assert_eq!(read.source["admin"], "c\n\"d\"ø");
}

pub(crate) async fn a_replacement_is_for_one_version_only(engine: impl Engine) {
    let name = made(&engine).await;
    engine.bulk(&name, &[index("1", &json!({"admin": "a"}))]).await.unwrap();
    let first = version(&engine, &name, "1").await;
    let replace = |id: &str, admin: &str| Operation::Replace {
        id: id.to_owned(),
        version: first,
        source: doctor(&json!({"admin": admin})),
    };
    let outcomes = engine.bulk(&name, &[replace("1", "b"), replace("1", "c"), replace("2", "d")]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Conflict, Outcome::Conflict]);
    let read = engine.get(&name, &["1".to_owned(), "2".to_owned()]).await.unwrap();
    assert_eq!(read[0].as_ref().unwrap().source["admin"], "b");
    assert_ne!(read[0].as_ref().unwrap().version, first);
    assert_eq!(read[1], None);
}

pub(crate) async fn a_deletion_is_for_one_version_or_for_any(engine: impl Engine) {
    let name = made(&engine).await;
    engine.bulk(&name, &[index("1", &json!({})), index("2", &json!({}))]).await.unwrap();
    let first = version(&engine, &name, "1").await;
    engine.bulk(&name, &[index("1", &json!({}))]).await.unwrap();
    let second = version(&engine, &name, "1").await;
    let lines = [
        delete("1", Some(first)),
        delete("1", Some(second)),
        delete("1", Some(second)),
        delete("2", None),
        delete("2", None),
    ];
    let outcomes = engine.bulk(&name, &lines).await.unwrap();
    assert_eq!(outcomes, [Outcome::Conflict, Outcome::Done, Outcome::Conflict, Outcome::Done, Outcome::Done]);
    assert_eq!(engine.get(&name, &["1".to_owned(), "2".to_owned()]).await.unwrap(), [None, None]);
}

pub(crate) async fn writes_go_to_an_index_by_its_own_name(engine: impl Engine) {
    let indices = Indices::new();
    let missing = indices.name("missing");
    let error = engine.bulk(&missing, &[index("1", &json!({}))]).await.unwrap_err();
    assert!(matches!(&error, Error::NoIndex(name) if *name == missing), "{error}");
    assert_eq!(engine.indices(&missing).await.unwrap(), [], "nothing is made by writing to it");
    let name = made(&engine).await;
    let alias = indices.name("alias");
    engine.aliases(&[crate::world::add(&name, &alias)]).await.unwrap();
    let error = engine.bulk(&alias, &[index("1", &json!({}))]).await.unwrap_err();
    assert!(matches!(&error, Error::NoIndex(name) if *name == alias), "{error}");
}

pub(crate) async fn a_write_block_puts_every_line_off_until_it_is_lifted(engine: impl Engine) {
    let name = made(&engine).await;
    engine.set(&name, &json!({"index": {"blocks": {"write": true}}})).await.unwrap();
    let lines = [index("1", &json!({})), delete("2", None)];
    assert_eq!(engine.bulk(&name, &lines).await.unwrap(), vec![Outcome::Later; 2]);
    engine.set(&name, &json!({"index": {"blocks": {"write": null}}})).await.unwrap();
    assert_eq!(engine.bulk(&name, &lines).await.unwrap(), vec![Outcome::Done; 2]);
}

pub(crate) async fn what_is_written_can_be_got_at_once_and_found_after_a_refresh(engine: impl Engine) {
    let name = made(&engine).await;
    engine.bulk(&name, &[index("1", &json!({"admin": "a"})), index("2", &json!({}))]).await.unwrap();
    let read = engine.get(&name, &["2".to_owned(), "none".to_owned(), "1".to_owned()]).await.unwrap();
    assert_eq!(
        read.iter().map(|read| read.as_ref().map(|read| read.id.as_str())).collect::<Vec<_>>(),
        [Some("2"), None, Some("1")]
    );
    assert_eq!(engine.get(&name, &[]).await.unwrap(), []);
    assert_eq!(engine.count(&name, &Query::All).await.unwrap(), 0);
    assert_eq!(ids(&engine, &name, &Query::All).await, [""; 0]);
    engine.refresh(&name).await.unwrap();
    assert_eq!(engine.count(&name, &Query::All).await.unwrap(), 2);
    let found = engine.search(&name, &Query::All, "tcsPersonId", 10, None).await.unwrap();
    assert_eq!((found.documents.len(), found.after), (2, None));
    assert!(found.documents.contains(read[2].as_ref().unwrap()), "a hit has its version and its source");
}
