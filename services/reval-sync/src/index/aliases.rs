//! Who holds the names that readers use, and the one call that moves them.

use search::engine::{AliasAction, Engine, Error, Query};
use serde_json::json;

use super::{Layout, MASTER, PREVIOUS, View};

/// Who holds one of our names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Nobody.
    Free,
    /// It is an alias of these indices.
    Alias(Vec<String>),
    /// An index without documents has it: it gives way.
    Empty,
    /// An index with so many documents has it: it is kept under another name at the swap of a run.
    Index(u64),
}

/// Who holds each name of ours, in the order of [`held`].
pub type Holders = Vec<(&'static str, Held)>;

/// The names that readers use.
#[must_use]
pub fn held(layout: Layout) -> Vec<&'static str> {
    let derived = View::ALL.into_iter().filter(|_| layout == Layout::Physical).map(View::name);
    [MASTER, "recommendations", "current_connections", "discrepancies"].into_iter().chain(derived).collect()
}

/// Looks who holds each name. Only reads; an index is refreshed before it is counted.
///
/// # Errors
/// The engine's.
pub async fn holders(engine: &impl Engine, layout: Layout) -> Result<Holders, Error> {
    let mut holders = Vec::new();
    for name in held(layout) {
        let found = engine.indices(name).await?;
        let held = if found.iter().any(|index| index.name == name) {
            engine.refresh(name).await?;
            match engine.count(name, &Query::All).await? {
                0 => Held::Empty,
                documents => Held::Index(documents),
            }
        } else if found.is_empty() {
            Held::Free
        } else {
            Held::Alias(found.into_iter().map(|index| index.name).collect())
        };
        holders.push((name, held));
    }
    Ok(holders)
}

/// Moves every name to the index that `target` says, and [`PREVIOUS`] to `previous`, in one call. A name that an empty index holds is freed; one that
/// an index with documents holds is freed if `replaced` has it, and stays otherwise.
///
/// # Errors
/// The engine's; with [`Error::Unavailable`] it may have happened.
pub async fn point(
    engine: &impl Engine,
    layout: Layout,
    target: impl Fn(&str) -> String + Send,
    previous: Option<&str>,
    replaced: &[String],
) -> Result<(), Error> {
    let mut actions = Vec::new();
    for (name, held) in holders(engine, layout).await? {
        let index = target(name);
        match &held {
            Held::Free => {}
            Held::Alias(indices) => {
                let others = indices.iter().filter(|other| **other != index);
                actions
                    .extend(others.map(|other| AliasAction::Remove { index: other.clone(), alias: name.to_owned() }));
            }
            // looked at again under a block, so that nothing is lost that came since
            Held::Empty if !still_empty(engine, name).await? => continue,
            Held::Index(_) if !replaced.iter().any(|known| known == name) => continue,
            Held::Empty | Held::Index(_) => actions.push(AliasAction::RemoveIndex { index: name.to_owned() }),
        }
        actions.push(AliasAction::Add { index, alias: name.to_owned(), filter: filter(name), write: name == MASTER });
    }
    for index in engine.indices(PREVIOUS).await? {
        if Some(index.name.as_str()) != previous {
            actions.push(AliasAction::Remove { index: index.name, alias: PREVIOUS.to_owned() });
        }
    }
    if let Some(previous) = previous {
        let (index, alias) = (previous.to_owned(), PREVIOUS.to_owned());
        actions.push(AliasAction::Add { index, alias, filter: None, write: false });
    }
    engine.aliases(&actions).await
}

async fn still_empty(engine: &impl Engine, name: &str) -> Result<bool, Error> {
    block(engine, name, true).await?;
    engine.refresh(name).await?;
    if engine.count(name, &Query::All).await? == 0 {
        return Ok(true);
    }
    block(engine, name, false).await?;
    Ok(false)
}

/// Sets or lifts the write block of an index.
///
/// # Errors
/// The engine's.
pub async fn block(engine: &impl Engine, name: &str, blocked: bool) -> Result<(), Error> {
    engine.set(name, &json!({"index": {"blocks": {"write": blocked}}})).await
}

fn filter(name: &str) -> Option<Query> {
    match name {
        "current_connections" => Some(Query::Term("existsInGmc".to_owned(), true.into())),
        "discrepancies" => {
            Some(Query::Differ("tcsDesignatedBody.keyword".to_owned(), "designatedBody.keyword".to_owned()))
        }
        _ => None,
    }
}
