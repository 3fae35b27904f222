//! The run that is under way, in memory.

use std::sync::Arc;

use bytes::Bytes;
use chassis::clock::Clock;
use domain::reval_sync::run::{Event, Run, Stage, State};
use tokio::{
    sync::{Mutex, OwnedRwLockWriteGuard, RwLock},
    time::Instant,
};

use crate::{
    live::{self, Item},
    merge::Merge,
    record::{Machine, Record},
    run_store::{Logs, Page},
    trouble::Trouble,
    wire::{Entry, Kind},
};

/// The run that is under way.
#[derive(Debug)]
pub(crate) struct Active {
    /// As it is remembered.
    pub(crate) record: Record,
    /// Its way through its stages.
    pub(crate) run: Run,
    /// Its documents; elsewhere while they are written.
    pub(crate) merge: Option<Merge>,
    /// Whether stage data belongs to it: from the moment in which `syncStart` is sent.
    pub(crate) accepting: bool,
    /// When stage data came last.
    pub(crate) heard_at: Instant,
    /// Something moved since the machine was told.
    pub(crate) moved: bool,
    /// The last stage whose data is applied.
    open: Option<Stage>,
    /// Data of later stages.
    held: Vec<(Stage, Item)>,
    /// The next place in its log; unknown after a failure.
    log_next: Option<u64>,
    /// Up to where its log is in the documents.
    pub(crate) log_read: u64,
}

impl Active {
    pub(crate) fn new(record: Record) -> Self {
        let run = record.machine.run();
        let accepting = run.state() != State::Requested && !run.is_over();
        Self {
            run,
            record,
            merge: Some(Merge::default()),
            accepting,
            heard_at: Instant::now(),
            moved: false,
            open: None,
            held: Vec::new(),
            log_next: None,
            log_read: 0,
        }
    }

    /// The name of its log.
    pub(crate) fn log(&self) -> String {
        log_of(&self.record.id)
    }

    /// The run as it is to be remembered.
    pub(crate) fn remembered(&mut self, clock: &Clock) -> Record {
        self.record.machine = Machine::of(&self.run);
        self.record.updated_at = clock.now();
        self.record.clone()
    }

    /// Begins anew with nothing in memory.
    pub(crate) fn forget(&mut self) {
        (self.merge, self.open, self.held, self.log_read) = (Some(Merge::default()), None, Vec::new(), 0);
        for stage in &mut self.record.stages {
            (stage.received, stage.late) = (0, 0);
        }
    }

    /// Logs stage data and markers, then applies what is due.
    pub(crate) async fn take(
        &mut self,
        store: &impl Logs,
        clock: &Clock,
        tasks: Vec<(Entry, Option<Item>)>,
    ) -> Result<(), Trouble> {
        self.heard_at = Instant::now();
        let current = |entry: &Entry| match entry.kind {
            Kind::Marker(stage) => self.run.state() == State::In(stage), // any other has no effect (R-RUN-4)
            _ => true,
        };
        let tasks: Vec<_> = tasks.into_iter().filter(|(entry, _)| current(entry)).collect();
        let entries: Vec<Bytes> = tasks.iter().map(|(entry, _)| entry.bytes()).collect();
        let log = self.log();
        let first = self.place(store, &log).await?;
        let mut place = first;
        for entries in live::pages(entries) {
            let page = Page { sequence: place, at: clock.now(), entries };
            match store.append(&log, &page).await {
                Ok(true) => place += 1,
                Ok(false) => return Err(Trouble::Lost),
                Err(error) => {
                    self.log_next = None;
                    return Err(error.into());
                }
            }
            self.log_next = Some(place);
        }
        self.moved = true;
        // while the documents are written, what comes is read from the log later
        if self.merge.is_some() && self.log_read == first && !self.is_written() {
            for (entry, item) in tasks {
                self.apply(entry.kind, item, clock);
            }
            self.log_read = place;
        }
        Ok(())
    }

    fn is_written(&self) -> bool {
        !matches!(self.run.state(), State::Requested | State::In(_))
    }

    async fn place(&mut self, store: &impl Logs, log: &str) -> Result<u64, Trouble> {
        Ok(match self.log_next {
            Some(place) => place,
            None => *self.log_next.insert(store.end(log).await?),
        })
    }

    /// Applies an entry of the log, or keeps it until its stage.
    pub(crate) fn apply(&mut self, kind: Kind, item: Option<Item>, clock: &Clock) {
        match (kind, item) {
            (Kind::Marker(stage), _) => {
                self.run.on(Event::Marker(stage), clock.now());
            }
            (Kind::Data(stage), Some(item)) => {
                self.record.stage(stage).received += 1;
                if Some(stage) > self.open {
                    self.held.push((stage, item));
                } else {
                    if Some(stage) < self.open {
                        self.record.stage(stage).late += 1;
                    }
                    self.merge_in(&item);
                }
            }
            _ => {}
        }
    }

    /// Applies a change to the documents. What can never be applied was refused before it came here.
    pub(crate) fn merge_in(&mut self, item: &Item) {
        if let Some(merge) = &mut self.merge {
            merge.apply(&item.change, item.order.as_ref()).ok();
        }
    }

    /// From now on data of `stage` is applied when it comes; what came before is applied now.
    pub(crate) fn open(&mut self, stage: Stage) {
        self.open = self.open.max(Some(stage));
        let (mut due, held): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|(of, _)| *of <= stage);
        self.held = held;
        due.sort_by_key(|(of, _)| *of); // after a restart they are of several stages: a log may have come before its doctor
        for (_, item) in due {
            self.merge_in(&item);
        }
    }
}

/// The name of the log of a run.
pub(crate) fn log_of(run: &str) -> String {
    format!("run/{run}")
}

/// Where the run sits, if there is one, and the gate of the intake.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// The run.
    pub(crate) active: Mutex<Option<Active>>,
    /// Held for reading by whoever takes messages in, for writing while intake is paused.
    pub(crate) gate: Arc<RwLock<()>>,
    /// Held while intake is paused.
    pub(crate) paused: Mutex<Option<OwnedRwLockWriteGuard<()>>>,
}

impl Seat {
    /// Waits until nothing is taken in, and pauses.
    pub(crate) async fn pause(&self) {
        let mut paused = self.paused.lock().await;
        if paused.is_none() {
            *paused = Some(Arc::clone(&self.gate).write_owned().await);
        }
    }

    /// Ends the pause.
    pub(crate) async fn resume(&self) {
        *self.paused.lock().await = None;
    }
}
