//! Aliases, and the one call that moves them.

use search::engine::{AliasAction, Engine, Error, Query};
use serde_json::json;

use crate::world::{Indices, add, body, fill, filled, ids, made, term};

fn remove(index: &str, alias: &str) -> AliasAction {
    AliasAction::Remove { index: index.to_owned(), alias: alias.to_owned() }
}

/// The indices of an alias, separated by blanks.
async fn named(engine: &impl Engine, alias: &str) -> String {
    let names: Vec<_> = engine.indices(alias).await.unwrap().into_iter().map(|index| index.name).collect();
    names.join(" ")
}

pub(crate) async fn an_alias_shows_what_its_filter_says(engine: impl Engine) {
    let bodies = |one: Option<&str>, other: Option<&str>| json!({"designatedBody": one, "tcsDesignatedBody": other});
    let name = filled(
        &engine,
        &[
            bodies(Some("1-A"), Some("1-A")),
            bodies(Some("1-A"), Some("1-a")),
            bodies(None, None),
            bodies(None, Some("1-A")),
        ],
    )
    .await;
    let alias = Indices::new().name("alias");
    let differ = Query::Differ("tcsDesignatedBody.keyword".to_owned(), "designatedBody.keyword".to_owned());
    let shown = |filter| AliasAction::Add { index: name.clone(), alias: alias.clone(), filter, write: false };
    engine.aliases(&[shown(Some(differ))]).await.unwrap();
    assert_eq!(ids(&engine, &alias, &Query::All).await, ["2", "4"]);
    assert_eq!(ids(&engine, &alias, &Query::Missing("designatedBody".to_owned())).await, ["4"]);
    engine.aliases(&[shown(None)]).await.unwrap();
    assert_eq!(ids(&engine, &alias, &Query::All).await.len(), 4, "adding an alias again replaces its filter");
}

pub(crate) async fn aliases_move_in_one_call(engine: impl Engine) {
    let (old, new) =
        (filled(&engine, &[json!({"admin": "old"})]).await, filled(&engine, &[json!({"admin": "new"})]).await);
    let indices = Indices::new();
    let (live, view, previous) = (indices.name("live"), indices.name("view"), indices.name("previous"));
    let write =
        |index: &str| AliasAction::Add { index: index.to_owned(), alias: live.clone(), filter: None, write: true };
    engine.aliases(&[write(&old), add(&old, &view)]).await.unwrap();
    let swap = [remove(&old, &live), remove(&old, &view), write(&new), add(&new, &view), add(&old, &previous)];
    for _ in 0..2 {
        engine.aliases(&swap).await.unwrap(); // twice is the same as once
        assert_eq!(named(&engine, &live).await, new);
        assert_eq!(named(&engine, &view).await, new);
        assert_eq!(named(&engine, &previous).await, old);
    }
    assert_eq!(ids(&engine, &live, &term("admin", "new")).await, ["1"]);
}

pub(crate) async fn a_refused_call_moves_no_alias(engine: impl Engine) {
    let name = made(&engine).await;
    let indices = Indices::new();
    let alias = indices.name("alias");
    let error = engine.aliases(&[add(&name, &alias), add(&indices.name("missing"), &alias)]).await.unwrap_err();
    assert!(matches!(error, Error::NoIndex(_)), "{error}");
    assert_eq!(named(&engine, &alias).await, "");
}

pub(crate) async fn an_alias_takes_the_name_of_an_index_that_goes_in_the_same_call(engine: impl Engine) {
    let new = filled(&engine, &[json!({"admin": "new"})]).await;
    let taken = Indices::new().name("master");
    engine.create(&taken, &body()).await.unwrap();
    fill(&engine, &taken, &[json!({"admin": "old"}), json!({"admin": "old"})]).await;
    engine.aliases(&[add(&new, &taken), AliasAction::RemoveIndex { index: taken.clone() }]).await.unwrap();
    assert_eq!(named(&engine, &taken).await, new);
    assert_eq!(ids(&engine, &taken, &Query::All).await, ["1"]);
    let error = engine.aliases(&[AliasAction::RemoveIndex { index: taken.clone() }]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 400, .. }), "no index goes through an alias: {error}");
}

pub(crate) async fn an_alias_cannot_have_the_name_of_an_index(engine: impl Engine) {
    let (one, other) = (made(&engine).await, made(&engine).await);
    let error = engine.aliases(&[add(&one, &other)]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 400, .. }), "{error}");
}

pub(crate) async fn an_alias_has_one_write_index(engine: impl Engine) {
    let alias = Indices::new().name("alias");
    let write = |index: String| AliasAction::Add { index, alias: alias.clone(), filter: None, write: true };
    let actions = [write(made(&engine).await), write(made(&engine).await)];
    let error = engine.aliases(&actions).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(named(&engine, &alias).await, "");
}

pub(crate) async fn an_alias_that_is_not_there_is_removed_already(engine: impl Engine) {
    let name = made(&engine).await;
    let indices = Indices::new();
    let alias = indices.name("alias");
    engine.aliases(&[remove(&name, &alias)]).await.unwrap();
    engine.aliases(&[remove(&name, &alias), add(&name, &indices.name("other"))]).await.unwrap();
    assert_eq!(named(&engine, &indices.name("other")).await, name);
}
