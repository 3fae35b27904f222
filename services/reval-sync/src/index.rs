//! The indices of the service: their names, mappings, aliases and generations (chapter 3, 14.3 no. 11 and 17).

mod aliases;
mod bulk;
mod views;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use search::engine::{Engine, Error, Query};
use serde_json::{Value, json};

pub use self::{
    aliases::{Held, Holders, block, held, holders, point},
    bulk::{Bulk, write},
    views::{Exceptions, View, projected},
};

/// What readers call the master index; also the beginning of the name of its generations.
pub const MASTER: &str = "masterdoctorindex";
/// The generation that a rollback goes back to.
pub const PREVIOUS: &str = "masterdoctorindex_previous";

/// Whether derived indices are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Aliases of the master index alone.
    Aliases,
    /// Derived indices too.
    Physical,
}

/// What new indices are made with.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Primary shards.
    pub shards: u32,
    /// Replicas once readers see it.
    pub replicas: u32,
    /// `refresh_interval` once readers see it.
    pub refresh_interval: String,
}

/// A generation: a master index and perhaps derived ones, with one time stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(String);

const STAMP: &str = "%Y%m%d%H%M%S";

impl Generation {
    /// The generation of that second (UTC).
    #[must_use]
    pub fn at(at: DateTime<Utc>) -> Self {
        Self(at.format(STAMP).to_string())
    }

    /// The generation that a master index belongs to; `None` for an index whose name has no such time stamp.
    #[must_use]
    pub fn of(master: &str) -> Option<Self> {
        let stamp = master.strip_prefix(MASTER)?.strip_prefix('_')?;
        let is_stamp = stamp.len() == 14 && NaiveDateTime::parse_from_str(stamp, STAMP).is_ok();
        is_stamp.then(|| Self(stamp.to_owned()))
    }

    /// The name of its master index.
    #[must_use]
    pub fn master(&self) -> String {
        format!("{MASTER}_{}", self.0)
    }

    /// Its index for a name that readers use.
    #[must_use]
    pub fn index(&self, name: &str) -> String {
        View::ALL.into_iter().find(|view| view.name() == name).map_or_else(|| self.master(), |view| self.derived(view))
    }

    /// The name under which an index is kept that had one of our names before this generation.
    #[must_use]
    pub fn legacy(&self, name: &str) -> String {
        format!("{name}_legacy_{}", self.0)
    }

    /// The name of a derived index of it.
    #[must_use]
    pub fn derived(&self, view: View) -> String {
        format!("{}_{}", view.name(), self.0)
    }
}

/// A generation that no index has the name of: that of `at`, or of the next free second.
///
/// # Errors
/// The engine's.
pub async fn free_generation(engine: &impl Engine, at: DateTime<Utc>) -> Result<Generation, Error> {
    let mut at = at;
    loop {
        let generation = Generation::at(at);
        if engine.indices(&generation.master()).await?.is_empty() {
            return Ok(generation);
        }
        at += TimeDelta::seconds(1);
    }
}

/// Creates the master index of a generation, anew if it is there, for bulk writing: no replica, no refresh.
///
/// # Errors
/// The engine's.
pub async fn create_master(engine: &impl Engine, generation: &Generation, shape: &Shape) -> Result<(), Error> {
    create(engine, &generation.master(), include_str!("mappings/master.json"), shape).await
}

/// Creates the derived indices of a generation, anew if they are there.
///
/// # Errors
/// The engine's.
pub async fn create_derived(engine: &impl Engine, generation: &Generation, shape: &Shape) -> Result<(), Error> {
    for view in View::ALL {
        create(engine, &generation.derived(view), view.mapping(), shape).await?;
    }
    Ok(())
}

async fn create(engine: &impl Engine, name: &str, mapping: &str, shape: &Shape) -> Result<(), Error> {
    let mappings: Value = serde_json::from_str(mapping).unwrap_or_default(); // a test reads them all
    let body = json!({
        "settings": {"number_of_shards": shape.shards, "number_of_replicas": 0, "refresh_interval": "-1"},
        "mappings": mappings,
    });
    engine.delete(name).await?;
    engine.create(name, &body).await
}

/// The indices of a generation as they were created.
#[must_use]
pub fn indices_of(generation: &Generation, layout: Layout) -> Vec<String> {
    let derived = View::ALL.into_iter().filter(|_| layout == Layout::Physical).map(|view| generation.derived(view));
    std::iter::once(generation.master()).chain(derived).collect()
}

/// Deletes the indices of a generation that are there.
///
/// # Errors
/// The engine's: some may be deleted.
pub async fn delete(engine: &impl Engine, generation: &Generation) -> Result<(), Error> {
    for name in indices_of(generation, Layout::Physical) {
        engine.delete(&name).await?;
    }
    Ok(())
}

/// Gives an index the settings that readers need.
///
/// # Errors
/// The engine's.
pub async fn publishable(engine: &impl Engine, name: &str, shape: &Shape) -> Result<(), Error> {
    let index = json!({"number_of_replicas": shape.replicas, "refresh_interval": shape.refresh_interval});
    engine.set(name, &json!({ "index": index })).await
}

/// Which documents have a hidden discrepancy with one of these keys.
#[must_use]
pub fn hidden_with(ids: &[String]) -> Query {
    let ids = ids.iter().map(|id| Value::from(id.as_str())).collect();
    Query::Nested(
        "hiddenDiscrepancies".to_owned(),
        Box::new(Query::Terms("hiddenDiscrepancies.id.keyword".to_owned(), ids)),
    )
}

/// Which documents have one of these numbers, as the engine can tell: lower-cased words of an analysed field, so the hits have to be looked at.
#[must_use]
pub fn with_numbers(numbers: &[String]) -> Query {
    let (words, texts): (Vec<&String>, Vec<&String>) =
        numbers.iter().partition(|number| number.chars().all(|c| c.is_ascii_alphanumeric()));
    let field = "gmcReferenceNumber";
    let words = Query::Terms(field.to_owned(), words.into_iter().map(|word| Value::from(word.as_str())).collect());
    let texts = texts.into_iter().filter_map(|text| {
        let word = text.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty())?;
        Some(Query::Match(field.to_owned(), word.to_owned()))
    });
    Query::Any(std::iter::once(words).chain(texts).collect())
}

/// Which documents have one of these persons.
#[must_use]
pub fn with_persons(persons: &[i64]) -> Query {
    Query::Terms("tcsPersonId".to_owned(), persons.iter().map(|person| Value::from(*person)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_told_by_its_time_stamp_and_nothing_else_is_one() {
        let at = "2025-06-16T09:00:00Z".parse().unwrap();
        let generation = Generation::at(at);
        assert_eq!(generation.master(), "masterdoctorindex_20250616090000");
        assert_eq!(Generation::of("masterdoctorindex_20250616090000"), Some(generation));
        for other in [
            "masterdoctorindex",
            "masterdoctorindex_previous",
            "masterdoctorindex_20251316090000",
            "masterdoctorindex_2025061609000",
            "masterdoctorindex_legacy_20250616090000",
            "recommendationindex_20250616090000",
        ] {
            assert_eq!(Generation::of(other), None, "{other}");
        }
    }

    #[test]
    fn the_mappings_name_what_is_written() {
        let fields = |text: &str| -> Vec<String> {
            let mapping: Value = serde_json::from_str(text).unwrap();
            assert_eq!(mapping["dynamic"], false);
            mapping["properties"].as_object().unwrap().keys().cloned().collect()
        };
        let mut master: Vec<&str> = crate::wire::MASTER_FIELDS.into_iter().chain(["syncMeta"]).collect();
        master.sort_unstable();
        assert_eq!(fields(include_str!("mappings/master.json")), master);
        for view in View::ALL {
            let mut named: Vec<&str> = view.fields().to_vec();
            if view != View::Recommendations {
                named.extend(["connectionStatus", "exceptionReason"]);
            }
            named.sort_unstable();
            assert_eq!(fields(view.mapping()), named, "{view:?}");
        }
    }
}
