//! Names at the start, and what nobody needs any more (14.3 no. 11, 18h).

use chrono::TimeDelta;
use search::engine::{AliasAction, Engine as _};
use tracing::{info, warn};

use super::{Runner, SLACK};
use crate::{
    index::{self, Generation, Held, MASTER, PREVIOUS},
    live::JOURNAL,
    run_store::Logs as _,
    shared::Ports,
    trouble::Trouble,
};

impl<P: Ports> Runner<P> {
    /// Sees to it that there is something to read and to write: an empty generation where nothing holds our names.
    pub(super) async fn prepare(&self) -> Result<(), Trouble> {
        self.shared.patiently("looking at the index", || self.prepare_once()).await?;
        self.live.look_again().await;
        let board = self.shared.patiently("looking at the board", || self.shared.desk.look()).await?;
        if let Some(active) = &board.active {
            // what a run blocked for its swap, which did not come about or is told by the aliases
            self.lift(&active.blocked).await?;
        } else {
            self.tidy().await;
        }
        Ok(())
    }

    async fn prepare_once(&self) -> Result<(), Trouble> {
        let shared = &self.shared;
        let (engine, layout) = (&*shared.engine, shared.handling.layout);
        let holders = index::holders(engine, layout).await?;
        let master = holders.iter().find(|(name, _)| *name == MASTER).map(|(_, held)| held);
        match master {
            Some(Held::Alias(_)) => self.complete_names(&holders).await,
            Some(Held::Index(documents)) => {
                info!(documents, "{MASTER} is an index of its own; the next run takes its place");
                Ok(())
            }
            _ => {
                let generation = index::free_generation(engine, shared.clock.now()).await?;
                index::create_master(engine, &generation, &shared.handling.shape).await?;
                if layout == index::Layout::Physical {
                    index::create_derived(engine, &generation, &shared.handling.shape).await?;
                }
                for name in index::indices_of(&generation, layout) {
                    index::publishable(engine, &name, &shared.handling.shape).await?;
                }
                index::point(engine, layout, |name| generation.index(name), None, &[]).await?;
                info!("an empty generation is live: {}", generation.master());
                Ok(())
            }
        }
    }

    /// Points names that nobody holds, or empty indices, to the live generation.
    async fn complete_names(&self, holders: &index::Holders) -> Result<(), Trouble> {
        let shared = &self.shared;
        let engine = &*shared.engine;
        if holders.iter().all(|(_, held)| matches!(held, Held::Alias(_) | Held::Index(_))) {
            return Ok(());
        }
        let target = crate::live::find(engine, index::Layout::Aliases).await?;
        let Some(generation) = Generation::of(&target.master) else { return Ok(()) };
        let previous = engine.indices(PREVIOUS).await?.into_iter().next().map(|index| index.name);
        if shared.handling.layout == index::Layout::Physical {
            for view in index::View::ALL {
                if engine.indices(&generation.derived(view)).await?.is_empty() {
                    warn!("{} is not there; the next run builds it", view.name());
                    return Ok(());
                }
            }
        }
        index::point(engine, shared.handling.layout, |name| generation.index(name), previous.as_deref(), &[]).await?;
        Ok(())
    }

    /// Deletes generations that are neither live nor previous nor being built, and journal that nobody needs; that it fails is a warning.
    pub(super) async fn tidy(&self) {
        if let Err(trouble) = self.try_to_tidy().await {
            let error = chassis::exit::causes(&trouble);
            warn!(error, "something is left behind: {error}");
        }
    }

    async fn try_to_tidy(&self) -> Result<(), Trouble> {
        let engine = &*self.shared.engine;
        let board = self.shared.desk.look().await?;
        let building = board.active.and_then(|record| record.generation);
        let mut kept = Vec::new();
        for name in [MASTER, PREVIOUS] {
            kept.extend(engine.indices(name).await?.into_iter().map(|index| index.name));
        }
        kept.extend(building);
        for index in engine.indices(&format!("{MASTER}_*")).await? {
            match Generation::of(&index.name) {
                Some(generation) if !kept.contains(&index.name) => {
                    info!(index = index.name, "{} is not needed any more", index.name);
                    index::delete(engine, &generation).await?;
                }
                Some(_) => {}
                None if kept.contains(&index.name) => {}
                None => info!(index = index.name, "{} has no time stamp of ours and is left alone", index.name),
            }
        }
        let age = self.shared.handling.rollback_retention + SLACK;
        let before = self.shared.clock.now() - TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        let store = &self.shared.store;
        let place = store.since(JOURNAL, before).await?;
        Ok(store.forget(JOURNAL, place).await?)
    }

    /// One call that gives [`PREVIOUS`] up.
    pub(super) async fn forget_previous(&self) -> Result<(), Trouble> {
        let engine = &*self.shared.engine;
        let held = engine.indices(PREVIOUS).await?;
        let actions: Vec<AliasAction> = held
            .into_iter()
            .map(|index| AliasAction::Remove { index: index.name, alias: PREVIOUS.to_owned() })
            .collect();
        if actions.is_empty() { Ok(()) } else { Ok(engine.aliases(&actions).await?) }
    }
}
