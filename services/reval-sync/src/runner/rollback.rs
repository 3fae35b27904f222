//! The way back: the generation before becomes live again, with what happened since (18i).

use search::engine::Engine as _;
use tracing::info;

use super::{Runner, collecting};
use crate::{
    board::Board,
    index::{self, Generation, MASTER, View},
    live::{Item, JOURNAL, Target},
    record::Record,
    run_store::{Logs as _, Runs as _},
    shared::Ports,
    trouble::Trouble,
};

/// Pages of the journal that are replayed together.
const PAGES: usize = 4;

impl<P: Ports> Runner<P> {
    /// Makes the generation before `record` live again. Repeatable from wherever it was.
    pub(super) async fn roll_back(&self, record: Record) -> Result<(), Trouble> {
        let shared = &self.shared;
        let engine = &*shared.engine;
        let generation = record.generation.clone().unwrap_or_default();
        let live = shared.patiently("reading the aliases", || engine.indices(MASTER)).await?;
        if live.iter().any(|index| index.name == generation) {
            let previous = record.previous.clone().unwrap_or_default();
            let target = self.target_of(&record, &previous);
            let mut place = self.replay_onto(&target, record.swapped_at).await?;
            self.seat.pause().await;
            place = self.replay_onto(&target, place).await?;
            let names = |name: &str| index_of(&target, name);
            shared.patiently("refreshing", || engine.refresh(&target.master)).await?;
            shared
                .patiently("moving the aliases back", || {
                    index::point(engine, shared.handling.layout, names, Some(&generation), &[])
                })
                .await?;
            info!(runId = record.id, place, "run {} is rolled back", record.id);
        }
        self.live.look_again().await;
        self.seat.resume().await;
        shared.patiently("giving the other generation up", || self.forget_previous()).await?;
        let mut record = record;
        (record.rolled_back, record.updated_at) = (true, shared.clock.now());
        let shown = record.shown();
        shared.patiently("keeping the run", || shared.store.keep(&record.id, &shown)).await?;
        shared
            .patiently("ending the rollback", || {
                let end = |board: &mut Board| {
                    (board.rolling_back, board.last, board.command) = (false, None, None);
                };
                shared.desk.change_as(self.epoch, end)
            })
            .await?;
        self.tidy().await;
        Ok(())
    }

    /// The indices of the generation before.
    fn target_of(&self, record: &Record, previous: &str) -> Target {
        let derived = View::ALL.into_iter().filter(|_| self.shared.handling.layout == index::Layout::Physical);
        let name = |view: View| match (Generation::of(previous), record.generation.as_deref().and_then(Generation::of))
        {
            (Some(generation), _) => generation.derived(view),
            (None, Some(ours)) => ours.legacy(view.name()),
            (None, None) => String::new(),
        };
        Target { master: previous.to_owned(), derived: derived.map(|view| (view, name(view))).collect() }
    }

    /// Applies the journal from place `from` on; says where it ended.
    async fn replay_onto(&self, target: &Target, from: u64) -> Result<u64, Trouble> {
        let (shared, mut from) = (&self.shared, from);
        loop {
            let pages = shared.patiently("reading the journal", || shared.store.pages(JOURNAL, from, PAGES)).await?;
            let Some(last) = pages.last() else { return Ok(from) };
            from = last.sequence + 1;
            let entries = pages.iter().flat_map(|page| &page.entries);
            let items: Vec<Item> = entries.filter_map(|bytes| collecting::read(bytes)?.1).collect();
            shared.patiently("replaying the journal", || self.live.apply_to(target, &items)).await?;
        }
    }
}

fn index_of(target: &Target, name: &str) -> String {
    let derived = target.derived.iter().find(|(view, _)| view.name() == name);
    derived.map_or_else(|| target.master.clone(), |(_, index)| index.clone())
}
