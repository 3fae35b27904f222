//! A search engine, as a service sees it.

use std::{future::Future, time::Duration};

use serde_json::{Map, Value};

/// The source of a document.
pub type Source = Map<String, Value>;

/// What went wrong with a whole request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine was not reached, did not answer in time, or is overloaded (429, 5xx). Whether the request took effect is not known.
    #[error("the search engine cannot be reached: {0}")]
    Unavailable(String),
    /// The engine refused the request, and would again (any other 4xx; for a change of indices or aliases also a 500 that speaks of an
    /// illegal state, such as two write indices of one alias).
    #[error("the search engine refused with {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the engine says of it, without any document.
        reason: String,
    },
    /// There is no index of that name.
    #[error("no index {0}")]
    NoIndex(String),
    /// An index or alias of that name exists already.
    #[error("{0} exists already")]
    Exists(String),
}

/// Which version of a document a write expects, for compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// `_seq_no`.
    pub seq_no: u64,
    /// `_primary_term`.
    pub primary_term: u64,
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// `_id`.
    pub id: String,
    /// Where a later write of it can tell that nobody came between.
    pub version: Version,
    /// `_source`.
    pub source: Source,
}

/// One line of a bulk request.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Writes the whole document, over what is there.
    Index {
        /// The id.
        id: String,
        /// The document.
        source: Source,
    },
    /// Writes the whole document where there is none; otherwise [`Outcome::Conflict`].
    Create {
        /// The id.
        id: String,
        /// The document.
        source: Source,
    },
    /// Writes the whole document over exactly that version; otherwise [`Outcome::Conflict`].
    Replace {
        /// The id.
        id: String,
        /// The version that is replaced.
        version: Version,
        /// The document.
        source: Source,
    },
    /// Removes the document; none there is done too.
    Delete {
        /// The id.
        id: String,
        /// The version that is removed; `None` for any.
        version: Option<Version>,
    },
}

/// What became of one line of a bulk request, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Done,
    /// Somebody came between (409).
    Conflict,
    /// Not now, whatever the document: no room (429, 5xx), or nobody may write to the index (403; a write block, a full disk). The same
    /// line may be sent again.
    Later,
    /// The engine refuses the document, and would again (any other 4xx).
    Refused {
        /// The HTTP status of the line.
        status: u16,
        /// The kind of error, without any value.
        reason: String,
    },
}

/// Which documents are meant. Rendered for the engine, evaluated by the memory twin.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// All.
    All,
    /// A `keyword`, number or boolean field has exactly that value.
    Term(String, Value),
    /// It has one of those values.
    Terms(String, Vec<Value>),
    /// An analysed text field holds the word, any case.
    Match(String, String),
    /// The field has a value.
    Exists(String),
    /// The field has none.
    Missing(String),
    /// A date (ISO text) or number is below that value.
    Below(String, Value),
    /// Two keyword fields differ; both missing is equal (the script of R-VIEW-3).
    Differ(String, String),
    /// An entry of a nested list holds it; the fields in it are named from the document (`hiddenDiscrepancies.id.keyword`). Outside of
    /// it no query sees into a nested list.
    Nested(String, Box<Query>),
    /// Each holds.
    Every(Vec<Query>),
    /// At least one holds.
    Any(Vec<Query>),
}

/// A page of a search that goes through all hits.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The documents, in ascending order of what was asked.
    pub documents: Vec<Document>,
    /// Where the next page begins; `None` after the last.
    pub after: Option<Vec<Value>>,
}

/// An index as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its own name, never an alias.
    pub name: String,
    /// The aliases that name it.
    pub aliases: Vec<String>,
}

/// One action of the single call that moves aliases.
#[derive(Debug, Clone, PartialEq)]
pub enum AliasAction {
    /// The alias names the index from now on.
    Add {
        /// The index.
        index: String,
        /// The alias.
        alias: String,
        /// What of the index it shows; `None` for everything.
        filter: Option<Query>,
        /// Whether writes to the alias go to this index.
        write: bool,
    },
    /// The alias no longer names the index.
    Remove {
        /// The index.
        index: String,
        /// The alias.
        alias: String,
    },
    /// The index itself goes, so that an alias can take its name in the same call.
    RemoveIndex {
        /// The index.
        index: String,
    },
}

/// A copy inside the engine (`_reindex`).
#[derive(Debug, Clone, PartialEq)]
pub struct Reindex {
    /// From here.
    pub source: String,
    /// To here; ids are kept, so that a repeat changes nothing.
    pub destination: String,
    /// Which documents.
    pub query: Query,
    /// Which fields.
    pub fields: Vec<String>,
    /// Fields set to a constant on each copy.
    pub constants: Vec<(String, Value)>,
}

/// A copy that goes on in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task(pub String);

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It goes on.
    Running {
        /// Documents written so far.
        done: u64,
        /// Documents to write.
        total: u64,
    },
    /// It has ended and wrote so many documents.
    Done(u64),
    /// It has ended without writing everything.
    Failed(String),
}

/// A search engine. A name given to a method may be an index or an alias, unless it says otherwise.
///
/// Every method may be called twice: what is already so is left so, except where a method says otherwise.
pub trait Engine: Send + Sync + 'static {
    /// Name and version of the engine, as `opensearch 2.19.0`.
    fn version(&self) -> impl Future<Output = Result<String, Error>> + Send;

    /// Creates an index with settings and mappings. [`Error::Exists`] when an index or alias has that name.
    fn create(&self, name: &str, body: &Value) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deletes an index, never through an alias; none there is done too.
    fn delete(&self, name: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// The indices whose own name matches (`masterdoctorindex*`) or which an alias of that name or pattern names, by name.
    fn indices(&self, pattern: &str) -> impl Future<Output = Result<Vec<Index>, Error>> + Send;

    /// Carries out all actions at once, or none. To add an alias again replaces its filter; one that is not there is removed already.
    /// [`Error::Unavailable`]: it may have happened.
    fn aliases(&self, actions: &[AliasAction]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Changes dynamic settings of an index, as `{"index":{"number_of_replicas":1}}`.
    fn set(&self, name: &str, settings: &Value) -> impl Future<Output = Result<(), Error>> + Send;

    /// Copies a write-blocked index under another name; the copy takes writes. [`Error::Exists`] when that is taken.
    fn clone_index(&self, from: &str, to: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until the index is there and at least yellow; `false` when it is not after `limit`.
    fn healthy(&self, name: &str, limit: Duration) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Makes every write so far visible to searches.
    fn refresh(&self, name: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// How many documents there are, as of the last refresh.
    fn count(&self, name: &str, query: &Query) -> impl Future<Output = Result<u64, Error>> + Send;

    /// The documents with those ids, in their order; as of the last write, not of the last refresh. `name` is an index.
    fn get(&self, name: &str, ids: &[String]) -> impl Future<Output = Result<Vec<Option<Document>>, Error>> + Send;

    /// A page of at most `size` documents (1 to 10,000), as of the last refresh, in ascending order of `sort` (no analysed field; missing
    /// ones last), then of their last write. A document that is written and refreshed between two pages may come twice.
    fn search(
        &self,
        name: &str,
        query: &Query,
        sort: &str,
        size: usize,
        after: Option<&[Value]>,
    ) -> impl Future<Output = Result<Page, Error>> + Send;

    /// Writes many documents of one index. One outcome per operation, in their order. The caller bounds the size of a request.
    /// [`Error::NoIndex`] unless it exists under that very name: nothing is made by writing to it, and no alias is written through.
    fn bulk(&self, index: &str, operations: &[Operation]) -> impl Future<Output = Result<Vec<Outcome>, Error>> + Send;

    /// Starts a copy inside the engine. It reads what was refreshed, and both indices must exist.
    fn reindex(&self, reindex: &Reindex) -> impl Future<Output = Result<Task, Error>> + Send;

    /// How far it is. A task that the engine no longer knows has failed.
    fn task(&self, task: &Task) -> impl Future<Output = Result<TaskState, Error>> + Send;
}
