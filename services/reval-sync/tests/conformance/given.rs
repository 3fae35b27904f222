//! The state that a case begins with.

use chrono::{DateTime, NaiveDate, Utc};
use reval_sync::{
    handling::Handling,
    index::{self, Exceptions, Generation, Layout, MASTER, View},
    memory::Sources,
    sources::Collection,
};
use search::engine::{Engine, Operation, Outcome, Source};
use serde_json::Value;
use testkit::vectors::{BadCase, list, object};

/// The state that a case begins with, as it is written.
pub(crate) struct Given {
    /// What TCS sends in a run.
    pub(crate) trainees: Vec<Value>,
    /// The collections that have documents.
    pub(crate) collections: Vec<(Collection, Vec<Value>)>,
    /// The documents of the live generation, if there is one.
    live: Option<Vec<Value>>,
}

impl Given {
    /// Reads it strictly.
    pub(crate) fn read(given: &Value) -> Result<Self, BadCase> {
        object("given", given, &[], &["tcs", "mongo", "indices"])?;
        let mut read = Self { trainees: Vec::new(), collections: Vec::new(), live: None };
        if !given["tcs"].is_null() {
            object("given.tcs", &given["tcs"], &[], &["trainees"])?;
            read.trainees = list("trainees", &given["tcs"]["trainees"])?.to_vec();
        }
        if !given["mongo"].is_null() {
            let names = Collection::ALL.map(Collection::name);
            for (name, documents) in object("given.mongo", &given["mongo"], &[], &names)? {
                let collection = Collection::ALL.into_iter().find(|collection| collection.name() == name);
                let collection = collection.ok_or_else(|| BadCase::new("a collection is not known"))?;
                read.collections.push((collection, list(name, documents)?.to_vec()));
            }
        }
        if !given["indices"].is_null() {
            object("given.indices", &given["indices"], &[MASTER], &[])?;
            read.live = Some(list(MASTER, &given["indices"][MASTER])?.to_vec());
        }
        Ok(read)
    }

    /// The collections in memory.
    pub(crate) fn sources(&self) -> Sources {
        let sources = Sources::default();
        self.collections.iter().for_each(|(collection, documents)| sources.add(*collection, documents.iter().cloned()));
        sources
    }
}

/// Makes the live generation, if the case has one.
pub(crate) async fn live(
    engine: &impl Engine,
    given: &Given,
    handling: &Handling,
    now: DateTime<Utc>,
) -> Result<(), BadCase> {
    let Some(documents) = &given.live else { return Ok(()) };
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
    write(engine, &generation.master(), &rows).await?;
    if handling.layout == Layout::Physical {
        derived(engine, &generation, &rows, &given.sources(), now.date_naive()).await?;
    }
    let target = |name: &str| generation.index(name);
    index::point(engine, handling.layout, target, None, &[]).await.map_err(failed)
}

async fn derived(
    engine: &impl Engine,
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
        write(engine, &generation.derived(view), &rows).await?;
    }
    Ok(())
}

async fn write(engine: &impl Engine, index: &str, rows: &[Operation]) -> Result<(), BadCase> {
    let failed = |error: search::engine::Error| BadCase::because("the live generation", &error);
    if rows.is_empty() {
        return Ok(()); // an engine takes no bulk request without lines
    }
    let outcomes = engine.bulk(index, rows).await.map_err(failed)?;
    if outcomes.iter().any(|outcome| *outcome != Outcome::Done) {
        return Err(BadCase::new("a document of the live generation is refused"));
    }
    engine.refresh(index).await.map_err(failed)
}
