//! Messages that came: what each is, where it takes effect, how it is settled.

mod parsed;

use std::sync::Arc;

use bytes::Bytes;
use chassis::dead_letters::LetterId;
use domain::reval_sync::run::Stage;
use tokio::sync::Mutex;
use tracing::{debug, info};

use self::parsed::{Parsed, Task};
use crate::{
    active::Seat,
    deliveries::{Queue, Settled},
    exporter,
    live::{Fate, Item, Live},
    run_store::{Letter, Letters as _},
    shared::{Ports, Shared},
    trouble::Trouble,
    wire::{Entry, Kind, Unreadable},
};

/// The stage whose data a queue brings.
#[must_use]
pub fn stage_of(queue: Queue) -> Option<Stage> {
    match queue {
        Queue::TcsData => Some(Stage::Tcs),
        Queue::GmcData => Some(Stage::Gmc),
        Queue::ConnectionLogData => Some(Stage::ConnectionLogs),
        Queue::HiddenDiscrepancyData => Some(Stage::HiddenDiscrepancies),
        Queue::TcsUpdated | Queue::GmcStart | Queue::Changes(_) => None,
    }
}

/// The queue that brings the data of a stage.
#[must_use]
pub fn queue_of(stage: Stage) -> Queue {
    match stage {
        Stage::Tcs => Queue::TcsData,
        Stage::Gmc => Queue::GmcData,
        Stage::ConnectionLogs => Queue::ConnectionLogData,
        Stage::HiddenDiscrepancies => Queue::HiddenDiscrepancyData,
    }
}

/// Takes messages in.
pub struct Intake<P: Ports> {
    shared: Arc<Shared<P>>,
    live: Arc<Live<P>>,
    seat: Arc<Seat>,
    gave_up: Mutex<Option<LetterId>>,
}

impl<P: Ports> Intake<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, live: Arc<Live<P>>, seat: Arc<Seat>) -> Self {
        Self { shared, live, seat, gave_up: Mutex::default() }
    }

    /// Takes messages of one queue in, in order, and says how each is to be settled: everything that they say is durable then, and what can never take
    /// effect is a dead letter. Waits while intake is paused. Twice is the same as once.
    ///
    /// # Errors
    /// In the moment: none is settled, and the same again may succeed.
    pub async fn step(&self, queue: Queue, bodies: &[Bytes]) -> Result<Vec<Settled>, Trouble> {
        let _open = self.seat.gate.read().await;
        *self.gave_up.lock().await = None;
        let mut settled = vec![Settled::Done; bodies.len()];
        let mut letters = Vec::new();
        let mut tasks: Vec<(usize, Task)> = Vec::new();
        for (at, body) in bodies.iter().enumerate() {
            let Parsed { tasks: of_message, refused } = match Parsed::read(queue, body) {
                Ok(parsed) => parsed,
                Err(unreadable) => {
                    letters.push(self.letter(queue, body.clone(), &unreadable));
                    give_up(&mut settled, at);
                    continue;
                }
            };
            letters.extend(refused.iter().map(|(body, why)| self.letter(queue, body.clone(), why)));
            tasks.extend(of_message.into_iter().map(|task| (at, task)));
        }
        self.count_given_up(queue, letters.len()).await;
        self.put(letters).await?;
        let tasks = match stage_of(queue) {
            Some(_) => self.to_run(tasks).await?,
            None => tasks,
        };
        let mut items: Vec<(usize, Item)> = Vec::new();
        for (at, task) in tasks {
            match task {
                Task::Change(item) => items.push((at, item)),
                Task::Marker(stage) => info!(?stage, "an end marker without effect"),
                Task::Ignored(reason) => debug!(queue = queue.name(), reason, "a message for nobody: {reason}"),
                Task::Export => exporter::export(&self.shared).await?,
            }
        }
        self.to_live(queue, bodies, items, &mut settled).await?;
        Ok(settled)
    }

    /// The letter that the last message left that was taken in, if it did; for redrives, which are one by one.
    pub(crate) async fn gave_up(&self) -> Option<LetterId> {
        *self.gave_up.lock().await
    }

    /// Counts what a stage of the run that is under way gives up.
    async fn count_given_up(&self, queue: Queue, letters: usize) {
        let mut active = self.seat.active.lock().await;
        if let (Some(active), Some(stage)) = (active.as_mut().filter(|active| active.accepting), stage_of(queue)) {
            active.record.stage(stage).dead_lettered += u64::try_from(letters).unwrap_or(u64::MAX);
        }
    }

    /// Hands stage data to the run that is under way; gives it back where there is none.
    async fn to_run(&self, tasks: Vec<(usize, Task)>) -> Result<Vec<(usize, Task)>, Trouble> {
        let mut active = self.seat.active.lock().await;
        let Some(active) = active.as_mut().filter(|active| active.accepting && !active.run.is_over()) else {
            return Ok(tasks);
        };
        let entries = tasks.into_iter().filter_map(|(_, task)| match task {
            Task::Change(item) => Some((item.entry.clone(), Some(item))),
            Task::Marker(stage) => Some((Entry { kind: Kind::Marker(stage), body: Bytes::new() }, None)),
            Task::Ignored(_) | Task::Export => None,
        });
        active.take(&*self.shared.store, &self.shared.clock, entries.collect()).await?;
        Ok(Vec::new())
    }

    async fn to_live(
        &self,
        queue: Queue,
        bodies: &[Bytes],
        items: Vec<(usize, Item)>,
        settled: &mut [Settled],
    ) -> Result<(), Trouble> {
        let (places, items): (Vec<usize>, Vec<Item>) = items.into_iter().unzip();
        let fates = self.live.apply(&items).await?;
        let mut letters = Vec::new();
        for ((at, item), fate) in places.into_iter().zip(&items).zip(fates) {
            let Fate::Refused(reason) = fate else { continue };
            let why = Unreadable::new(reason, "");
            match item.entry.kind {
                Kind::Data(stage) if stage != Stage::Tcs => {
                    let alone = crate::wire::Item { body: item.entry.body.clone(), change: Err(why.clone()) }.alone();
                    letters.push(self.letter(queue, alone, &why));
                }
                _ => {
                    letters.push(self.letter(queue, bodies.get(at).cloned().unwrap_or_default(), &why));
                    give_up(settled, at);
                }
            }
        }
        self.put(letters).await
    }

    fn letter(&self, queue: Queue, body: Bytes, why: &Unreadable) -> Letter {
        Letter::new(queue.name(), body, why, self.shared.clock.now())
    }

    async fn put(&self, letters: Vec<Letter>) -> Result<(), Trouble> {
        let Some(last) = letters.last() else { return Ok(()) };
        for letter in &letters {
            let Letter { id, source, reason, detail, .. } = letter;
            tracing::warn!(letter = %id, source, reason, detail, "dead letter {id} from {source}: {reason}");
        }
        *self.gave_up.lock().await = Some(last.id);
        Ok(self.shared.store.put(&letters).await?)
    }
}

fn give_up(settled: &mut [Settled], at: usize) {
    if let Some(settled) = settled.get_mut(at) {
        *settled = Settled::DeadLettered;
    }
}
