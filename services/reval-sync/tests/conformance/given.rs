//! The state that a case begins with.

use chrono::{DateTime, NaiveDate, Utc};
use reval_sync::{
    handling::Handling,
    index::{self, Exceptions, Generation, Layout, MASTER, View},
    memory::Sources,
    sources::Collection,
};
use search::{
    engine::{Engine as _, Operation, Source},
    memory::Memory,
};
use serde_json::Value;
use testkit::vectors::{BadCase, list, object};

/// Fills the collections.
pub(crate) fn collections(given: &Value) -> Result<Sources, BadCase> {
    let sources = Sources::default();
    if given["mongo"].is_null() {
        return Ok(sources);
    }
    let names = Collection::ALL.map(Collection::name);
    for (name, documents) in object("given.mongo", &given["mongo"], &[], &names)? {
        let collection = Collection::ALL.into_iter().find(|collection| collection.name() == name);
        let collection = collection.ok_or_else(|| BadCase::new("a collection is not known"))?;
        sources.add(collection, list(name, documents)?.to_vec());
    }
    Ok(sources)
}

/// Makes the live generation, if the case has one.
pub(crate) async fn live(
    engine: &Memory,
    given: &Value,
    handling: &Handling,
    sources: &Sources,
    now: DateTime<Utc>,
) -> Result<(), BadCase> {
    if given["indices"].is_null() {
        return Ok(());
    }
    object("given.indices", &given["indices"], &[MASTER], &[])?;
    let documents = list(MASTER, &given["indices"][MASTER])?;
    let failed = |error: search::engine::Error| BadCase::because("the live generation", &error);
    let generation = Generation::at(now - chrono::TimeDelta::days(1));
    index::create_master(engine, &generation, &handling.shape).await.map_err(failed)?;
    let sources_of: Vec<Source> = documents.iter().filter_map(Value::as_object).cloned().collect();
    let rows = sources_of.iter().enumerate().map(|(at, source)| {
        let id = source.get("_id").and_then(Value::as_str).map_or_else(|| format!("given-{at}"), str::to_owned);
        let source = source.iter().filter(|(name, _)| !name.starts_with('_'));
        Operation::Index { id, source: source.map(|(name, value)| (name.clone(), value.clone())).collect() }
    });
    let rows: Vec<Operation> = rows.collect();
    let outcomes = engine.bulk(&generation.master(), &rows).await.map_err(failed)?;
    if outcomes.iter().any(|outcome| *outcome != search::engine::Outcome::Done) {
        return Err(BadCase::new("a document of the live generation is refused"));
    }
    engine.refresh(&generation.master()).await.map_err(failed)?;
    if handling.layout == Layout::Physical {
        derived(engine, &generation, &rows, sources, now.date_naive()).await?;
    }
    let target = |name: &str| generation.index(name);
    index::point(engine, handling.layout, target, None, &[]).await.map_err(failed)
}

async fn derived(
    engine: &Memory,
    generation: &Generation,
    rows: &[Operation],
    sources: &Sources,
    today: NaiveDate,
) -> Result<(), BadCase> {
    use reval_sync::sources::{Cursor as _, Sources as _};
    let failed = |error: search::engine::Error| BadCase::because("the derived indices", &error);
    let mut exceptions = Exceptions::default();
    if let Ok(mut cursor) = sources.read(Collection::ExceptionLogs).await {
        while let Ok(documents) = cursor.next().await {
            if documents.is_empty() {
                break;
            }
            documents.iter().for_each(|document| exceptions.add(document));
        }
    }
    index::create_derived(engine, generation, &Handling::default().shape).await.map_err(failed)?;
    for view in View::ALL {
        let rows = rows.iter().filter_map(|row| {
            let Operation::Index { id, source } = row else { return None };
            let number = source.get("gmcReferenceNumber").and_then(Value::as_str);
            let number = domain::reval_sync::GmcNumber::usable(number);
            let source = index::projected(view, source, exceptions.reason(number.as_ref()), today)?;
            Some(Operation::Index { id: id.clone(), source })
        });
        let rows: Vec<Operation> = rows.collect();
        engine.bulk(&generation.derived(view), &rows).await.map_err(failed)?;
        engine.refresh(&generation.derived(view)).await.map_err(failed)?;
    }
    Ok(())
}
