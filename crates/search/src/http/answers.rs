//! The answers, as far as they are looked at.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::problem::Cause;
use crate::engine::{Document, Error, Index, Page, Source, TaskState, Version};

#[derive(Deserialize)]
pub(super) struct Root {
    version: RootVersion,
}

#[derive(Deserialize)]
struct RootVersion {
    number: String,
    distribution: Option<String>,
}

impl Root {
    /// Elasticsearch does not say that it is.
    pub(super) fn name(self) -> String {
        format!("{} {}", self.version.distribution.as_deref().unwrap_or("elasticsearch"), self.version.number)
    }
}

/// A change of the cluster, which may go on after the answer.
#[derive(Deserialize)]
pub(super) struct Acknowledged {
    acknowledged: bool,
}

impl Acknowledged {
    pub(super) fn whole(self) -> Result<(), Error> {
        if self.acknowledged { Ok(()) } else { Err(Error::Unavailable("a change goes on".to_owned())) }
    }
}

/// The indices that a name means, each with its aliases.
pub(super) type Listed = BTreeMap<String, ListedIndex>;

#[derive(Deserialize)]
pub(super) struct ListedIndex {
    #[serde(default)]
    aliases: BTreeMap<String, Value>,
}

pub(super) fn indices(listed: Listed) -> Vec<Index> {
    let index = |(name, listed): (_, ListedIndex)| Index { name, aliases: listed.aliases.into_keys().collect() };
    listed.into_iter().map(index).collect()
}

#[derive(Deserialize)]
pub(super) struct Health {
    pub(super) timed_out: bool,
}

#[derive(Deserialize)]
pub(super) struct Shards {
    failed: u64,
}

impl Shards {
    /// What only some shards did or counted is not the truth.
    fn whole(&self) -> Result<(), Error> {
        if self.failed == 0 { Ok(()) } else { Err(Error::Unavailable(format!("{} shards failed", self.failed))) }
    }
}

#[derive(Deserialize)]
pub(super) struct Refreshed {
    #[serde(rename = "_shards")]
    shards: Shards,
}

impl Refreshed {
    pub(super) fn whole(&self) -> Result<(), Error> {
        self.shards.whole()
    }
}

#[derive(Deserialize)]
pub(super) struct Count {
    count: u64,
    #[serde(rename = "_shards")]
    shards: Shards,
}

impl Count {
    pub(super) fn whole(&self) -> Result<u64, Error> {
        self.shards.whole().map(|()| self.count)
    }
}

#[derive(Deserialize)]
pub(super) struct Got {
    docs: Vec<GotDocument>,
}

#[derive(Deserialize)]
struct GotDocument {
    error: Option<Cause>,
    #[serde(default)]
    found: bool,
    #[serde(flatten)]
    document: Option<Hit>,
}

impl Got {
    pub(super) fn documents(self, name: &str) -> Result<Vec<Option<Document>>, Error> {
        let document = |got: GotDocument| match got.error {
            Some(cause) if cause.kind == "index_not_found_exception" => Err(Error::NoIndex(name.to_owned())),
            Some(cause) => Err(Error::Unavailable(cause.kinds())),
            None if !got.found => Ok(None),
            None => match got.document {
                Some(hit) => Ok(Some(hit.into())),
                None => Err(Error::Unavailable("a document without source or version".to_owned())),
            },
        };
        self.docs.into_iter().map(document).collect()
    }
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    #[serde(rename = "_source")]
    source: Source,
    #[serde(default)]
    sort: Vec<Value>,
}

impl From<Hit> for Document {
    fn from(hit: Hit) -> Self {
        let version = Version { seq_no: hit.seq_no, primary_term: hit.primary_term };
        Self { id: hit.id, version, source: hit.source }
    }
}

#[derive(Deserialize)]
pub(super) struct Found {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

impl Found {
    /// A page that is full may be the last one, too; then the next one is empty.
    pub(super) fn page(self, size: usize) -> Page {
        let hits = self.hits.hits;
        let after = if hits.len() == size { hits.last().map(|hit| hit.sort.clone()) } else { None };
        Page { documents: hits.into_iter().map(Document::from).collect(), after }
    }
}

#[derive(Deserialize)]
pub(super) struct Started {
    pub(super) task: String,
}

#[derive(Deserialize)]
pub(super) struct Told {
    completed: bool,
    task: ToldTask,
    response: Option<Response>,
    error: Option<Cause>,
}

#[derive(Deserialize)]
struct ToldTask {
    #[serde(default)]
    status: Written,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    total: u64,
    created: u64,
    updated: u64,
    noops: u64,
}

#[derive(Deserialize)]
struct Response {
    #[serde(flatten)]
    written: Written,
    #[serde(default)]
    failures: Vec<Failure>,
    canceled: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default, alias = "reason")]
    cause: Cause,
}

impl Written {
    fn done(&self) -> u64 {
        self.created + self.updated + self.noops
    }
}

impl Told {
    pub(super) fn state(self) -> TaskState {
        if !self.completed {
            return TaskState::Running { done: self.task.status.done(), total: self.task.status.total };
        }
        match (self.error, self.response) {
            (Some(cause), _) => TaskState::Failed(cause.kinds()),
            (None, None) => TaskState::Failed("it has ended without a word".to_owned()),
            (None, Some(response)) => response.state(),
        }
    }
}

impl Response {
    fn state(self) -> TaskState {
        let done = self.written.done();
        if let Some(failure) = self.failures.first() {
            return TaskState::Failed(failure.cause.kinds());
        }
        if self.canceled.is_some() {
            return TaskState::Failed("cancelled".to_owned());
        }
        if done != self.written.total {
            return TaskState::Failed(format!("wrote {done} of {}", self.written.total));
        }
        TaskState::Done(done)
    }
}
