//! The new generation: journal folded in, documents and derived indices written, counted.

use std::time::Duration;

use bytes::Bytes;
use domain::reval_sync::{
    Slot,
    run::{Event, Stage, State},
};
use search::engine::{Engine as _, Operation, Outcome, Query, TaskState};
use serde_json::Value;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{Runner, collecting::read};
use crate::{
    index::{self, Exceptions, Generation, Layout, View},
    live::{self, JOURNAL},
    merge::Merge,
    run_store::{Letter, Letters as _, Logs as _},
    shared::Ports,
    sources::{Collection, Cursor as _, Sources as _},
    trouble::Trouble,
    wire::{self, Kind, Unreadable},
};

/// Documents of the journal that are replayed within a pause.
const IN_PAUSE: u64 = 500;
/// Tails that may be put off before one takes the time it needs (18g).
const PUT_OFF: u32 = 5;
/// Pages of the journal that are read together.
const PAGES: usize = 16;
/// How long a new index may take until it is at least yellow.
const HEALTH: Duration = Duration::from_secs(60);
/// Between two looks at a copy inside the engine.
const TASK: Duration = Duration::from_millis(500);

impl<P: Ports> Runner<P> {
    pub(super) async fn generation(&self) -> Result<Generation, Trouble> {
        let name = self.active().await?.record.generation.clone();
        name.as_deref().and_then(Generation::of).ok_or(Trouble::Lost)
    }

    /// Folds the journal in, creates the generation and writes every document (18d).
    pub(super) async fn write(&self) -> Result<Event, Trouble> {
        let shared = &self.shared;
        self.active().await?.open(Stage::HiddenDiscrepancies);
        self.catch_up().await?;
        let generation = self.generation().await?;
        {
            let mut active = self.active().await?;
            active.record.swapped_at = active.record.journal_from;
        }
        self.replay().await?;
        shared
            .patiently("creating the generation", || {
                index::create_master(&*shared.engine, &generation, &shared.handling.shape)
            })
            .await?;
        let mut merge = self.active().await?.merge.take().unwrap_or_default();
        merge.slots.assign_ids(&std::collections::HashSet::new());
        let slots = merge.slots.take_changed();
        let live: Vec<Slot> = slots.into_iter().filter(|slot| merge.slots.get(*slot).is_some()).collect();
        {
            let mut active = self.active().await?;
            active.record.documents.merged = u64::try_from(live.len()).ok();
            (active.record.documents.written, active.record.documents.refused) = (0, 0);
        }
        let bulk = shared.handling.bulk;
        for slots in live.chunks(bulk.max_actions.max(1) * bulk.concurrency.max(1)) {
            let operations: Vec<Operation> = self.rows(&merge, slots).await?;
            self.put(&generation.master(), &operations).await?;
            shared.halts.reach("replay").await;
        }
        shared.halts.reach("replay").await;
        self.active().await?.merge = Some(merge);
        Ok(Event::Written)
    }

    /// The documents of slots as they are written; a slot that is empty now is deleted.
    async fn rows(&self, merge: &Merge, slots: &[Slot]) -> Result<Vec<Operation>, Trouble> {
        let run = self.active().await?.record.id.clone();
        let row = |slot: &Slot| {
            let document = merge.slots.get(*slot)?;
            let meta = wire::Meta { run: Some(run.clone()), ..merge.meta(*slot) };
            let id = document.id.as_deref()?.to_owned();
            Some(Operation::Index { id, source: wire::to_source(document, &meta) })
        };
        Ok(slots.iter().filter_map(row).collect())
    }

    /// Writes operations to an index of the generation, again until the engine takes them; what it refuses is a dead letter.
    async fn put(&self, index: &str, operations: &[Operation]) -> Result<(), Trouble> {
        let shared = &self.shared;
        let outcomes = shared
            .patiently("writing documents", || {
                index::write(&*shared.engine, index, operations, shared.handling.bulk, |_| {})
            })
            .await?;
        shared.metrics.bulk(&outcomes);
        let mut letters = Vec::new();
        for (operation, outcome) in operations.iter().zip(&outcomes) {
            let (Outcome::Refused { reason, .. }, Operation::Index { source, .. }) = (outcome, operation) else {
                continue;
            };
            let why = Unreadable::new("refused_by_engine", reason.clone());
            let body = Bytes::from(Value::Object(source.clone()).to_string());
            letters.push(Letter::new("run.document", body, &why, shared.clock.now()));
        }
        if !letters.is_empty() {
            warn!(refused = letters.len(), index, "the engine refuses {} documents of {index}", letters.len());
            shared.patiently("keeping dead letters", || shared.store.put(&letters)).await?;
        }
        let mut active = self.active().await?;
        active.moved = true;
        active.record.documents.written += u64::try_from(outcomes.len()).unwrap_or(u64::MAX);
        active.record.documents.refused += u64::try_from(letters.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Applies log and journal from where they were read to, up to their ends.
    async fn replay(&self) -> Result<(), Trouble> {
        self.catch_up().await?;
        loop {
            let from = self.active().await?.record.swapped_at;
            let store = &self.shared.store;
            let pages = self.shared.patiently("reading the journal", || store.pages(JOURNAL, from, PAGES)).await?;
            let Some(last) = pages.last() else { return Ok(()) };
            let mut active = self.active().await?;
            let extract_from = active.record.extract_from;
            active.record.swapped_at = last.sequence + 1;
            for page in &pages {
                for bytes in &page.entries {
                    let Some((entry, Some(item))) = read(bytes) else { continue };
                    let is_trainee = matches!(entry.kind, Kind::Data(Stage::Tcs) | Kind::Update);
                    if is_trainee && page.sequence < extract_from {
                        continue; // the extract is newer (18d)
                    }
                    active.merge_in(&item);
                }
            }
            active.moved = true;
        }
    }

    /// Builds the derived indices, then gives everything the settings that readers need and waits for health.
    pub(super) async fn derive(&self) -> Result<Event, Trouble> {
        let shared = &self.shared;
        let (engine, shape) = (&*shared.engine, &shared.handling.shape);
        let generation = self.generation().await?;
        if shared.handling.layout == Layout::Physical {
            let today = self.active().await?.record.today;
            let exceptions = shared.patiently("reading exceptions", || self.exceptions()).await?;
            shared.patiently("creating indices", || index::create_derived(engine, &generation, shape)).await?;
            let master = generation.master();
            shared.patiently("refreshing", || engine.refresh(&master)).await?;
            for view in View::ALL {
                for copy in view.copies(&generation, today, &exceptions) {
                    shared.patiently("copying", || self.copy(&copy)).await?;
                }
            }
            let slots: Vec<Slot> = {
                let active = self.active().await?;
                let Some(merge) = &active.merge else { return Err(Trouble::Lost) };
                let failed = |slot: &Slot| {
                    let number = merge.slots.get(*slot).and_then(domain::reval_sync::Document::usable_number);
                    exceptions.reason(number.as_ref()).is_some()
                };
                merge.slots.occupied().filter(failed).collect()
            };
            self.derive_rows(&generation, &slots, &exceptions).await?;
        }
        for name in index::indices_of(&generation, shared.handling.layout) {
            shared.patiently("changing settings", || index::publishable(engine, &name, shape)).await?;
            while !shared.patiently("waiting for health", || engine.healthy(&name, HEALTH)).await? {
                warn!(index = name, "index {name} is not healthy yet");
            }
            self.moved().await?;
            shared.halts.reach("derive").await;
        }
        Ok(Event::Derived)
    }

    async fn exceptions(&self) -> Result<Exceptions, Trouble> {
        let mut exceptions = Exceptions::default();
        let mut cursor = self.shared.sources.read(Collection::ExceptionLogs).await?;
        loop {
            let documents = cursor.next().await?;
            if documents.is_empty() {
                return Ok(exceptions);
            }
            documents.iter().for_each(|document| exceptions.add(document));
            self.moved().await?;
        }
    }

    /// One copy inside the engine, to its end; a repeat changes nothing.
    async fn copy(&self, copy: &search::engine::Reindex) -> Result<(), Trouble> {
        let engine = &*self.shared.engine;
        let task = engine.reindex(copy).await?;
        let mut seen = 0;
        loop {
            match engine.task(&task).await? {
                TaskState::Done(_) => return self.moved().await,
                TaskState::Failed(reason) => {
                    return Err(
                        search::engine::Error::Unavailable(format!("copy to {}: {reason}", copy.destination)).into()
                    );
                }
                TaskState::Running { done, .. } => {
                    if done != std::mem::replace(&mut seen, done) {
                        self.moved().await?;
                    }
                    sleep(TASK).await; // the engine works: that is no rest
                }
            }
        }
    }

    async fn derive_rows(
        &self,
        generation: &Generation,
        slots: &[Slot],
        exceptions: &Exceptions,
    ) -> Result<(), Trouble> {
        for view in View::ALL {
            let rows: Vec<Operation> = {
                let active = self.active().await?;
                let (Some(merge), today) = (&active.merge, active.record.today) else { return Err(Trouble::Lost) };
                slots.iter().filter_map(|slot| live::derived_row(view, merge, *slot, None, exceptions, today)).collect()
            };
            let index = generation.derived(view);
            let shared = &self.shared;
            shared
                .patiently("writing derived documents", || {
                    index::write(&*shared.engine, &index, &rows, shared.handling.bulk, |_| {})
                })
                .await?;
        }
        self.moved().await
    }

    /// Pauses intake and writes the rest of the journal, unless that would take longer than a pause may.
    pub(super) async fn tail(&self) -> Result<Event, Trouble> {
        let mut tails = 0;
        loop {
            self.replay().await?;
            self.write_changed().await?;
            self.seat.pause().await;
            let end = self.shared.patiently("reading the journal", || self.shared.store.end(JOURNAL)).await?;
            let from = self.active().await?.record.swapped_at;
            if end.saturating_sub(from) > IN_PAUSE && tails < PUT_OFF {
                tails += 1;
                self.seat.resume().await;
                continue;
            }
            self.replay().await?;
            self.write_changed().await?;
            self.shared.halts.reach("verify").await;
            return Ok(Event::Tailed);
        }
    }

    /// Writes what changed since the generation was written, to it and its derived indices.
    async fn write_changed(&self) -> Result<(), Trouble> {
        let generation = self.generation().await?;
        let (operations, slots) = {
            let mut active = self.active().await?;
            let run = active.record.id.clone();
            let Some(merge) = &mut active.merge else { return Err(Trouble::Lost) };
            merge.slots.assign_ids(&std::collections::HashSet::new());
            let changed = merge.slots.take_changed();
            let mut operations: Vec<Operation> = Vec::new();
            for slot in &changed {
                match merge.slots.get(*slot) {
                    Some(document) => {
                        let meta = wire::Meta { run: Some(run.clone()), ..merge.meta(*slot) };
                        let id = document.id.as_deref().unwrap_or_default().to_owned();
                        operations.push(Operation::Index { id, source: wire::to_source(document, &meta) });
                    }
                    None => {
                        let id = merge.slots.removed_id(*slot).map(ToOwned::to_owned);
                        operations.extend(id.map(|id| Operation::Delete { id, version: None }));
                    }
                }
            }
            (operations, changed)
        };
        if operations.is_empty() {
            return Ok(());
        }
        let written = self.active().await?.record.documents.written;
        self.put(&generation.master(), &operations).await?;
        {
            let mut active = self.active().await?;
            active.record.documents.written = written;
        }
        if self.shared.handling.layout == Layout::Physical {
            let exceptions = self.shared.patiently("reading exceptions", || self.exceptions()).await?;
            self.derive_rows(&generation, &slots, &exceptions).await?;
        }
        Ok(())
    }

    /// Refreshes and counts (R-RUN-6).
    pub(super) async fn count(&self) -> Result<Event, Trouble> {
        let shared = &self.shared;
        let engine = &*shared.engine;
        let generation = self.generation().await?;
        for name in index::indices_of(&generation, shared.handling.layout) {
            shared.patiently("refreshing", || engine.refresh(&name)).await?;
        }
        let master = generation.master();
        let built = shared.patiently("counting", || engine.count(&master, &Query::All)).await?;
        let live = shared.patiently("counting", || self.count_live()).await?;
        shared.metrics.live_documents(live);
        let mut active = self.active().await?;
        let merged = active.merge.as_ref().map_or(0, |merge| merge.slots.iter().count());
        let merged = u64::try_from(merged).unwrap_or(u64::MAX);
        active.record.documents.merged = Some(merged);
        let expected = merged.saturating_sub(active.record.documents.refused);
        active.record.failure = Some(format!("{built} documents built, {expected} expected, {live} live"));
        info!(
            runId = active.record.id,
            built, expected, live, "counted {built} documents of {expected}; {live} are live"
        );
        Ok(Event::Counted { expected, built, live })
    }

    /// Deletes the generation that was being built, unless it is to be looked at.
    pub(super) async fn drop_generation(&self) -> Result<(), Trouble> {
        let generation = self.generation().await?;
        let failed = matches!(
            self.active().await?.run.state(),
            State::Failed(domain::reval_sync::run::Failure::VerificationFailed)
        );
        if failed && self.shared.handling.keep_failed {
            return Ok(());
        }
        if self.is_moved().await? {
            return Ok(()); // readers see it
        }
        let engine = &*self.shared.engine;
        if self.over().await {
            if let Err(error) = index::delete(engine, &generation).await {
                warn!(%error, "the generation is left behind: {error}");
            }
            return Ok(());
        }
        self.shared.patiently("deleting the generation", || index::delete(engine, &generation)).await
    }
}
