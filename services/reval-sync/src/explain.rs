//! What is known of a doctor, what came about it, and what a run would write now (14.6 no. 27). Only reads.
//!
//! Of messages nothing is told but what a document shows, by the document's own field names.

mod journal;
mod letters;
pub(crate) mod shown;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use domain::reval_sync::{Document, GmcNumber};
use search::engine::{self, Engine, Error, Query, Source};
use serde::Serialize;

pub(crate) use self::{journal::Told as JournalTold, letters::Told as LetterTold};
use crate::{
    afresh::{self, Afresh, Difference, Left},
    index::{self, MASTER},
    shared::{Ports, Shared},
    trouble::Trouble,
    wire::{self, Meta},
};

/// Documents of one answer.
const HITS: usize = 1_000;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// A doctor, by a usable number.
    Doctor(GmcNumber),
    /// A person of the trainee service.
    Person(i64),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doctor(number) => write!(f, "doctor {}", number.as_str()),
            Self::Person(person) => write!(f, "person {person}"),
        }
    }
}

/// Everything that names the doctor, as far as the index and the sources tell.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: BTreeSet<GmcNumber>,
    persons: BTreeSet<i64>,
    /// Keys of hidden discrepancies: the event of an end names nothing else.
    hidden: BTreeSet<String>,
}

/// What is told. Member names are stable.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    /// What was asked about.
    key: String,
    /// The index that readers see, by its own name.
    index: String,
    /// Its documents of the key.
    documents: Vec<DocumentTold>,
    /// What a run would add, since the index has no document of the number.
    missing: Vec<Source>,
    /// How many documents were read of each collection.
    sources: BTreeMap<&'static str, u64>,
    /// Documents of the collections that a run leaves out.
    unreadable: Vec<Left>,
    /// What was applied to the live index, oldest first, as far back as the journal goes.
    journal: Vec<JournalTold>,
    /// What was given up and names the key.
    dead_letters: Vec<LetterTold>,
}

impl Explanation {
    /// Whether nobody knows the key.
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty()
            && self.missing.is_empty()
            && self.journal.is_empty()
            && self.dead_letters.is_empty()
            && self.sources.values().all(|count| *count == 0)
    }
}

/// A document of the index.
#[derive(Debug, Serialize)]
pub(crate) struct DocumentTold {
    /// Its id.
    id: String,
    /// The names under which readers find it.
    found_in: Vec<String>,
    /// The run that wrote it.
    run: Option<String>,
    /// The last event of each key that touched it.
    tokens: BTreeMap<String, String>,
    /// As readers see it.
    fields: Source,
    /// Where a run would write something else now.
    differences: Vec<Difference>,
    /// Why it is no document of ours; then nothing is compared.
    unreadable: Option<String>,
}

/// Tells all that is known of `key`.
///
/// # Errors
/// What could not be asked, in the moment.
pub(crate) async fn explain<P: Ports>(shared: &Shared<P>, key: &Key) -> Result<Explanation, Trouble> {
    let engine = &*shared.engine;
    let index = engine.indices(MASTER).await?.into_iter().next().ok_or(Trouble::NoLive)?.name;
    let (query, mut names) = match key {
        Key::Doctor(number) => {
            let names = Names { numbers: BTreeSet::from([number.clone()]), ..Names::default() };
            (index::with_numbers(&[number.as_str().to_owned()]), names)
        }
        Key::Person(person) => {
            let names = Names { persons: BTreeSet::from([*person]), ..Names::default() };
            (index::with_persons(&[*person]), names)
        }
    };
    let found = of_key(engine, MASTER, &query, key).await?;
    let read: Vec<_> = found.into_iter().map(|found| (wire::from_source(&found.id, &found.source), found)).collect();
    let mut spellings: BTreeSet<String> = BTreeSet::new();
    for (document, meta) in read.iter().filter_map(|(read, _)| read.as_ref().ok()) {
        names.know(document, meta);
        spellings.extend(document.number.as_deref().map(str::to_owned));
    }
    for number in &names.numbers {
        spellings.extend(afresh::written(number));
    }
    let afresh = Afresh::read(&*shared.sources, &Vec::from_iter(spellings)).await?;
    names.hidden.extend(afresh.hidden_keys());
    let today = shared.today();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in index::held(shared.handling.layout) {
        for document in of_key(engine, name, &query, key).await? {
            seen.entry(document.id).or_default().push(name.to_owned());
        }
    }
    let known: BTreeSet<GmcNumber> =
        read.iter().filter_map(|(read, _)| read.as_ref().ok()?.0.usable_number()).collect();
    let missing = names.numbers.difference(&known).filter_map(|number| afresh.missing(number, today));
    let missing = missing.map(|document| wire::to_source(&document, &Meta::default())).collect();
    let documents = read.into_iter().map(|(read, found)| {
        let found_in = seen.remove(&found.id).unwrap_or_default();
        let (id, mut fields) = (found.id, found.source);
        match read {
            Ok((document, meta)) => {
                fields = wire::to_source(&document, &Meta::default());
                let differences = afresh::differences(&document, &afresh.of(&document, today));
                DocumentTold { id, found_in, run: meta.run, tokens: meta.tokens, fields, differences, unreadable: None }
            }
            Err(why) => {
                fields.remove("syncMeta");
                let (run, tokens, differences) = (None, BTreeMap::new(), Vec::new());
                DocumentTold { id, found_in, run, tokens, fields, differences, unreadable: Some(why.to_string()) }
            }
        }
    });
    let documents = documents.collect();
    Ok(Explanation {
        key: key.to_string(),
        index,
        documents,
        missing,
        journal: journal::told(&*shared.store, &mut names).await?,
        dead_letters: letters::told(&*shared.store, &names).await?,
        sources: afresh.read,
        unreadable: afresh.unreadable,
    })
}

/// The documents of the key under a name, by id; none under a name that nobody holds. Hits are looked at: the engine compares words.
async fn of_key(engine: &impl Engine, name: &str, query: &Query, key: &Key) -> Result<Vec<engine::Document>, Error> {
    let (mut documents, mut after) = (Vec::new(), None);
    loop {
        let page = match engine.search(name, query, "tcsPersonId", HITS, after.as_deref()).await {
            Err(Error::NoIndex(_)) => return Ok(Vec::new()),
            page => page?,
        };
        documents.extend(page.documents.into_iter().filter(|document| is_of(&document.source, key)));
        after = page.after;
        if after.is_none() {
            break;
        }
    }
    documents.sort_by(|one, other| one.id.cmp(&other.id));
    documents.dedup_by(|one, other| one.id == other.id);
    Ok(documents)
}

fn is_of(source: &Source, key: &Key) -> bool {
    match key {
        Key::Person(_) => true,
        Key::Doctor(number) => {
            let text = source.get("gmcReferenceNumber").and_then(wire::key_text);
            GmcNumber::usable(text.as_deref()).as_ref() == Some(number)
        }
    }
}

impl Names {
    fn know(&mut self, document: &Document, meta: &Meta) {
        self.numbers.extend(document.usable_number());
        self.persons.extend(document.tis.person);
        self.hidden.extend(document.hidden.iter().filter_map(|entry| Some(entry.id.as_deref()?.to_owned())));
        let of_hidden = |key: &String| Some(key.strip_prefix("hiddenDiscrepancy/")?.to_owned());
        self.hidden.extend(meta.tokens.keys().filter_map(of_hidden));
    }
}
