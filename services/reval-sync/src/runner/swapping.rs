//! The swap: one call moves every name (14.3 no. 12 and 17).

use domain::reval_sync::run::{Event, State};
use search::engine::{Engine as _, Error};
use tracing::{info, warn};

use super::Runner;
use crate::{
    index::{self, Held, MASTER},
    shared::Ports,
    trouble::Trouble,
};

impl<P: Ports> Runner<P> {
    /// Whether readers see the generation of the run.
    pub(super) async fn is_moved(&self) -> Result<bool, Trouble> {
        let Some(generation) = self.active().await?.record.generation.clone() else { return Ok(false) };
        let engine = &*self.shared.engine;
        let live = self.shared.patiently("reading the aliases", || engine.indices(MASTER)).await?;
        Ok(live.iter().any(|index| index.name == generation))
    }

    /// Moves the aliases; indices with documents that hold our names are kept under others first.
    pub(super) async fn move_aliases(&self) -> Result<Event, Trouble> {
        if self.is_moved().await? {
            return Ok(Event::Aliases { moved: true });
        }
        Ok(match self.try_to_move().await {
            Ok(()) => Event::Aliases { moved: true },
            Err(Trouble::Engine(Error::Unavailable(reason))) => {
                warn!(reason, "what became of the alias call is not known: {reason}");
                self.shared.work.resting(std::time::Duration::from_secs(1)).await;
                Event::AliasesUnknown
            }
            Err(Trouble::Engine(error)) => {
                warn!(%error, "the alias call was refused: {error}");
                Event::AliasesRefused
            }
            Err(trouble) => return Err(trouble),
        })
    }

    async fn try_to_move(&self) -> Result<(), Trouble> {
        let shared = &self.shared;
        let (engine, layout) = (&*shared.engine, shared.handling.layout);
        let generation = self.generation().await?;
        let mut replaced = Vec::new();
        let mut previous = None;
        for (name, held) in index::holders(engine, layout).await? {
            match held {
                Held::Index(documents) => {
                    let kept = generation.legacy(name);
                    {
                        // remembered before it is set, so that whoever comes after can lift it (18g)
                        let mut active = self.active().await?;
                        if !active.record.blocked.iter().any(|blocked| blocked == name) {
                            active.record.blocked.push(name.to_owned());
                        }
                        self.save(&mut active).await?;
                    }
                    index::block(engine, name, true).await?;
                    engine.delete(&kept).await?;
                    engine.clone_index(name, &kept).await?;
                    index::block(engine, &kept, false).await?;
                    info!(documents, "index {name} is kept as {kept}");
                    if name == MASTER {
                        previous = Some(kept);
                    }
                    replaced.push(name.to_owned());
                }
                Held::Alias(indices) if name == MASTER => previous = indices.into_iter().next(),
                Held::Alias(_) | Held::Free | Held::Empty => {}
            }
        }
        self.active().await?.record.previous.clone_from(&previous);
        {
            let mut active = self.active().await?;
            self.save(&mut active).await?;
        }
        index::point(engine, layout, |name| generation.index(name), previous.as_deref(), &replaced).await?;
        shared.halts.reach("swap").await;
        Ok(())
    }

    /// Intake goes on; write blocks that the run set are lifted where their indices are still there.
    pub(super) async fn resume(&self) -> Result<(), Trouble> {
        self.live.look_again().await;
        let blocked = std::mem::take(&mut self.active().await?.record.blocked);
        let completed = self.active().await?.run.state() == State::Completed;
        if !completed {
            self.lift(&blocked).await?;
        }
        self.seat.resume().await;
        Ok(())
    }

    pub(super) async fn lift(&self, blocked: &[String]) -> Result<(), Trouble> {
        let engine = &*self.shared.engine;
        for name in blocked {
            let lifted = self.shared.patiently("lifting a write block", || async {
                match index::block(engine, name, false).await {
                    Err(Error::NoIndex(_)) => Ok(()),
                    other => other,
                }
            });
            lifted.await?;
        }
        Ok(())
    }
}
