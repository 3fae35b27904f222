//! Keeps the live index true: change events, trainee updates and late data, applied at once and journaled (R-CDC-12).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use domain::reval_sync::{Slot, Text};
use search::engine::{Document, Engine, Error, Operation, Outcome, Query, Version};
use tokio::sync::{Mutex, MutexGuard};
use tracing::error;

use crate::{
    index::{self, Exceptions, Layout, MASTER, View},
    merge::{Applied, Merge, Order},
    run_store::{Logs as _, Page, Tokens as _},
    shared::{Ports, Shared},
    sources::{Collection, Sources as _},
    trouble::Trouble,
    wire::{self, Change, Entry},
};

/// The name of the journal among the logs.
pub const JOURNAL: &str = "journal";

/// Bytes of one document of a log.
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Numbers, persons or keys in one query.
const KEYS: usize = 500;
/// Documents of one answer: more have never shared that many numbers.
const HITS: usize = 10_000;
/// Tries of one change against others that write the same document (5.3).
const TRIES: u32 = 5;

/// A change with what the journal keeps of it.
#[derive(Debug, Clone)]
pub struct Item {
    /// As it is journaled.
    pub entry: Entry,
    /// What it does.
    pub change: Change,
    /// Its place among the events of its document.
    pub order: Option<Order>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the index and in the journal.
    Applied,
    /// It is older than what is there; nothing was written.
    Stale,
    /// The engine refuses its document, or the rules do, and would again.
    Refused(&'static str),
}

/// The live index.
pub struct Live<P: Ports> {
    shared: Arc<Shared<P>>,
    state: Mutex<State>,
}

/// What is known of the live index from call to call.
#[derive(Debug, Default)]
pub struct State {
    target: Option<Target>,
    /// Nothing was written since the last refresh. Nobody knows that at first: another process may have written.
    refreshed: bool,
    /// The next place in the journal, once it was asked.
    journal: Option<u64>,
}

/// Which indices are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    pub(crate) master: String,
    pub(crate) derived: Vec<(View, String)>,
}

impl<P: Ports> Live<P> {
    /// The live index of the service.
    pub fn new(shared: Arc<Shared<P>>) -> Self {
        Self { shared, state: Mutex::default() }
    }

    /// Applies items in order, all durable when it returns, and says what became of each. Twice is the same as once.
    ///
    /// # Errors
    /// In the moment: some may be applied, none is settled.
    pub async fn apply(&self, items: &[Item]) -> Result<Vec<Fate>, Trouble> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.state.lock().await;
        let store = &self.shared.store;
        let keys: Vec<String> = items.iter().filter_map(|item| Some(item.order.as_ref()?.key.clone())).collect();
        let known = if keys.is_empty() { HashMap::new() } else { store.of(&keys).await? };
        let target = match &state.target {
            Some(target) => target.clone(),
            None => state.target.insert(self.find().await?).clone(),
        };
        let applied = self.write(&target, &mut state.refreshed, items, &known).await;
        if let Err(Trouble::Engine(Error::NoIndex(_))) = &applied {
            state.target = None; // somebody moved the aliases: look again
        }
        let (fates, tokens) = applied?;
        fates.iter().filter(|fate| **fate == Fate::Stale).for_each(|_| self.shared.metrics.stale());
        let fresh = items.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Applied);
        let entries: Vec<Bytes> = fresh.map(|(item, _)| item.entry.bytes()).collect();
        self.journal(&mut state, entries).await?;
        if !tokens.is_empty() {
            store.remember(&tokens, self.shared.clock.now()).await?;
        }
        Ok(fates)
    }

    /// Applies items to another index than the live one, without journal: what a rollback goes back to.
    ///
    /// # Errors
    /// In the moment: some may be applied.
    pub(crate) async fn apply_to(&self, target: &Target, items: &[Item]) -> Result<(), Trouble> {
        let mut refreshed = false;
        self.write(target, &mut refreshed, items, &HashMap::new()).await.map(|_| ())
    }

    /// Where the journal ends, with nothing under way; held, nothing is added.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn journal_end(&self) -> Result<(u64, MutexGuard<'_, State>), Trouble> {
        let mut state = self.state.lock().await;
        let end = self.journal_place(&mut state).await?;
        Ok((end, state))
    }

    /// Forgets which index is live: the aliases moved.
    pub(crate) async fn look_again(&self) {
        *self.state.lock().await = State::default();
    }

    async fn find(&self) -> Result<Target, Trouble> {
        find(&*self.shared.engine, self.shared.handling.layout).await
    }

    async fn journal_place(&self, state: &mut State) -> Result<u64, Trouble> {
        Ok(match state.journal {
            Some(place) => place,
            None => *state.journal.insert(self.shared.store.end(JOURNAL).await?),
        })
    }

    async fn journal(&self, state: &mut State, entries: Vec<Bytes>) -> Result<(), Trouble> {
        for entries in pages(entries) {
            let sequence = self.journal_place(state).await?;
            let page = Page { sequence, at: self.shared.clock.now(), entries };
            match self.shared.store.append(JOURNAL, &page).await {
                Ok(true) => state.journal = Some(sequence + 1),
                Ok(false) => return Err(Trouble::Lost),
                Err(error) => {
                    // perhaps it was written: the place is asked again, and the entries come twice, which is the same as once
                    state.journal = None;
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Writes what items do to the documents of `target`; on a conflict reads again, at most five times.
    async fn write(
        &self,
        target: &Target,
        refreshed: &mut bool,
        items: &[Item],
        known: &HashMap<String, String>,
    ) -> Result<(Vec<Fate>, HashMap<String, String>), Trouble> {
        for _try in 0..TRIES {
            match self.attempt(target, refreshed, items, known).await? {
                Attempt::Done(fates, tokens) => return Ok((fates, tokens)),
                Attempt::Conflict => *refreshed = false,
                Attempt::Refused if items.len() == 1 => {
                    return Ok((vec![Fate::Refused("refused_by_engine")], HashMap::new()));
                }
                Attempt::Refused => {
                    let (mut fates, mut tokens, mut known) = (Vec::new(), HashMap::new(), known.clone());
                    for item in items {
                        let (fate, own) =
                            Box::pin(self.write(target, refreshed, std::slice::from_ref(item), &known)).await?;
                        fates.extend(fate);
                        known.extend(own.clone());
                        tokens.extend(own);
                    }
                    return Ok((fates, tokens));
                }
            }
        }
        Err(Trouble::Conflict)
    }

    async fn attempt(
        &self,
        target: &Target,
        refreshed: &mut bool,
        items: &[Item],
        known: &HashMap<String, String>,
    ) -> Result<Attempt, Trouble> {
        let engine = &*self.shared.engine;
        if !*refreshed {
            engine.refresh(&target.master).await?;
            *refreshed = true;
        }
        let mut loaded: HashMap<Slot, (String, Version)> = HashMap::new();
        let mut merge = Merge::default();
        for document in self.touched(&target.master, items).await? {
            match wire::from_source(&document.id, &document.source) {
                Ok((read, meta)) => {
                    loaded.insert(merge.load(read, meta), (document.id, document.version));
                }
                // somebody else's, and left alone
                Err(unreadable) => {
                    error!(document.id, %unreadable, "document {} of the index is not readable", document.id)
                }
            }
        }
        merge.know(known.clone());
        let fates: Vec<Fate> = items
            .iter()
            .map(|item| match merge.apply(&item.change, item.order.as_ref()) {
                Ok(Applied::Done) => Fate::Applied,
                Ok(Applied::Stale) => Fate::Stale,
                Err(refused) => Fate::Refused(refused.0),
            })
            .collect();
        let changed = merge.slots.take_changed();
        if !changed.is_empty() {
            self.name_new(&target.master, &mut merge, &changed, &loaded).await?;
            let operations: Vec<Operation> =
                changed.iter().filter_map(|slot| operation(&merge, *slot, loaded.get(slot))).collect();
            *refreshed = false;
            let outcomes = index::write(engine, &target.master, &operations, self.shared.handling.bulk, |_| {}).await?;
            self.shared.metrics.bulk(&outcomes);
            if outcomes.contains(&Outcome::Conflict) {
                return Ok(Attempt::Conflict);
            }
            if let Some(Outcome::Refused { status, reason }) =
                outcomes.iter().find(|outcome| matches!(outcome, Outcome::Refused { .. }))
            {
                error!(status, reason, "the engine refuses a document: {reason}");
                return Ok(Attempt::Refused);
            }
            self.derive(target, &merge, &changed, &loaded).await?;
        }
        let of_batch =
            |(key, token): (&String, &String)| (known.get(key) != Some(token)).then(|| (key.clone(), token.clone()));
        Ok(Attempt::Done(fates, merge.tokens().iter().filter_map(of_batch).collect()))
    }

    /// The documents that items can touch, each once.
    async fn touched(&self, master: &str, items: &[Item]) -> Result<Vec<Document>, Trouble> {
        let numbers: HashSet<String> =
            items.iter().filter_map(|item| Some(item.change.number()?.as_str().to_owned())).collect();
        let persons: HashSet<i64> = items.iter().filter_map(|item| item.change.person()).collect();
        let hidden = items.iter().filter_map(|item| match &item.change {
            Change::Unhide(id) => Some(id.to_string()),
            _ => None,
        });
        let hidden: HashSet<String> = hidden.collect();
        let (numbers, persons, hidden) = (Vec::from_iter(numbers), Vec::from_iter(persons), Vec::from_iter(hidden));
        let queries: Vec<Query> = numbers
            .chunks(KEYS)
            .map(index::with_numbers)
            .chain(persons.chunks(KEYS).map(index::with_persons))
            .chain(hidden.chunks(KEYS).map(index::hidden_with))
            .collect();
        let mut documents: HashMap<String, Document> = HashMap::new();
        for query in queries {
            let page = self.shared.engine.search(master, &query, "tcsPersonId", HITS, None).await?;
            documents.extend(page.documents.into_iter().map(|document| (document.id.clone(), document)));
        }
        let mut documents: Vec<Document> = documents.into_values().collect();
        documents.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(documents)
    }

    /// Gives new documents ids that no other document of the index has (R-ID-3).
    async fn name_new(
        &self,
        master: &str,
        merge: &mut Merge,
        changed: &[Slot],
        loaded: &HashMap<Slot, (String, Version)>,
    ) -> Result<(), Trouble> {
        let is_new = |slot: &&Slot| !loaded.contains_key(*slot) && merge.slots.get(**slot).is_some();
        let new: Vec<Slot> = changed.iter().filter(is_new).copied().collect();
        let mut taken: HashSet<Text> = HashSet::new();
        while !new.is_empty() {
            merge.slots.assign_ids(&taken);
            let ids: Vec<String> =
                new.iter().filter_map(|slot| Some(merge.slots.get(*slot)?.id.as_deref()?.to_owned())).collect();
            let found = self.shared.engine.get(master, &ids).await?;
            let before = taken.len();
            taken.extend(found.into_iter().flatten().map(|document| Text::from(document.id)));
            if taken.len() == before {
                break;
            }
            merge.slots.forget_ids(&new);
        }
        Ok(())
    }

    /// Writes what derived indices have of changed documents (3.5).
    async fn derive(
        &self,
        target: &Target,
        merge: &Merge,
        changed: &[Slot],
        loaded: &HashMap<Slot, (String, Version)>,
    ) -> Result<(), Trouble> {
        if target.derived.is_empty() {
            return Ok(());
        }
        let numbers: HashSet<String> =
            changed.iter().filter_map(|slot| Some(merge.slots.get(*slot)?.number.as_deref()?.to_owned())).collect();
        let mut exceptions = Exceptions::default();
        for document in self.shared.sources.of_numbers(Collection::ExceptionLogs, &Vec::from_iter(numbers)).await? {
            exceptions.add(&document);
        }
        let today = self.shared.today();
        for (view, index) in &target.derived {
            let rows = changed.iter().filter_map(|slot| {
                let before = loaded.get(slot).map(|(id, _)| id.as_str());
                derived_row(*view, merge, *slot, before, &exceptions, today)
            });
            let rows: Vec<Operation> = rows.collect();
            let outcomes = index::write(&*self.shared.engine, index, &rows, self.shared.handling.bulk, |_| {}).await?;
            let refused = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused { .. })).count();
            if refused > 0 {
                error!(refused, index, "the engine refuses {refused} documents of {index}");
            }
        }
        Ok(())
    }
}

enum Attempt {
    Done(Vec<Fate>, HashMap<String, String>),
    Conflict,
    Refused,
}

/// Which indices readers see now.
pub(crate) async fn find(engine: &impl Engine, layout: Layout) -> Result<Target, Trouble> {
    let one = async |name: &str| -> Result<Option<String>, Error> {
        Ok(engine.indices(name).await?.into_iter().next().map(|index| index.name))
    };
    let master = one(MASTER).await?.ok_or(Trouble::NoLive)?;
    let mut derived = Vec::new();
    if layout == Layout::Physical {
        for view in View::ALL {
            derived.extend(one(view.name()).await?.map(|index| (view, index)));
        }
    }
    Ok(Target { master, derived })
}

fn operation(merge: &Merge, slot: Slot, loaded: Option<&(String, Version)>) -> Option<Operation> {
    match (merge.slots.get(slot), loaded) {
        (Some(document), Some((id, version))) => {
            let source = wire::to_source(document, &merge.meta(slot));
            Some(Operation::Replace { id: id.clone(), version: *version, source })
        }
        (Some(document), None) => {
            let source = wire::to_source(document, &merge.meta(slot));
            Some(Operation::Create { id: document.id.as_deref()?.to_owned(), source })
        }
        (None, Some((id, version))) => Some(Operation::Delete { id: id.clone(), version: Some(*version) }),
        (None, None) => None, // made and removed in one batch
    }
}

/// What becomes of a document in a derived index.
pub(crate) fn derived_row(
    view: View,
    merge: &Merge,
    slot: Slot,
    id_before: Option<&str>,
    exceptions: &Exceptions,
    today: chrono::NaiveDate,
) -> Option<Operation> {
    let Some(document) = merge.slots.get(slot) else {
        let id = id_before.or_else(|| merge.slots.removed_id(slot))?.to_owned();
        return Some(Operation::Delete { id, version: None });
    };
    let id = document.id.as_deref()?.to_owned();
    let master = wire::to_source(document, &wire::Meta::default());
    let reason = exceptions.reason(document.usable_number().as_ref());
    Some(match index::projected(view, &master, reason, today) {
        Some(source) => Operation::Index { id, source },
        None => Operation::Delete { id, version: None },
    })
}

/// Entries cut into documents of a log.
pub(crate) fn pages(entries: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let (mut pages, mut page, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in entries {
        if !page.is_empty() && bytes + entry.len() > PAGE_BYTES {
            pages.push(std::mem::take(&mut page));
            bytes = 0;
        }
        bytes += entry.len();
        page.push(entry);
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}
