//! Drives runs: tells the state machine of `domain` what happened and does what it says, each step durable first (14.4).

mod building;
mod collecting;
mod names;
mod rollback;
mod swapping;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use domain::reval_sync::run::{Command, Event, Failure, Run, State};
use search::engine::Engine as _;
use tokio::{
    sync::{MappedMutexGuard, MutexGuard},
    time::{Instant, sleep},
};
use tracing::{info, warn};

use crate::{
    active::{Active, Seat, log_of},
    board::{self, Board},
    index::{self, MASTER},
    live::Live,
    record::{failure_name, state_name},
    run_store::{Logs as _, Runs as _},
    shared::{Ports, Shared},
    trouble::Trouble,
};

/// How often a run is looked at while something long goes on.
const LOOK: Duration = Duration::from_secs(1);
/// How long a journal is kept beyond the time for a rollback.
const SLACK: Duration = Duration::from_secs(3600);

/// Drives runs while this instance holds the lease.
pub(crate) struct Runner<P: Ports> {
    shared: Arc<Shared<P>>,
    live: Arc<Live<P>>,
    seat: Arc<Seat>,
    epoch: u64,
}

impl<P: Ports> Runner<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, live: Arc<Live<P>>, seat: Arc<Seat>, epoch: u64) -> Self {
        Self { shared, live, seat, epoch }
    }

    /// Works until the lease is lost.
    ///
    /// # Errors
    /// The lease is lost.
    pub(crate) async fn run(&self) -> Result<(), Trouble> {
        let mut is_prepared = false;
        loop {
            let changed = self.shared.desk.changed();
            let busy = self.shared.work.begin();
            let board = self.shared.patiently("looking for a run", || self.shared.desk.look()).await?;
            if !is_prepared {
                self.resume_intake(&board).await;
                // a run that collects does not need the engine, so it goes on while that is away
                if !board.active.as_ref().is_some_and(is_collecting) {
                    self.prepare().await?;
                    is_prepared = true;
                }
            }
            match board {
                Board { rolling_back: true, last: Some(last), .. } => self.roll_back(last).await?,
                Board { active: Some(record), .. } => self.drive(record).await?,
                _ => {
                    drop(busy);
                    tokio::select! { () = changed => {} () = sleep(LOOK) => {} }
                    continue;
                }
            }
            drop(busy);
        }
    }

    /// Puts a run that was collecting into its seat before anything else: its data is logged while the engine is not asked yet.
    async fn resume_intake(&self, board: &Board) {
        if let Some(record) = &board.active {
            let active = Active::new(record.clone());
            if active.accepting {
                *self.seat.active.lock().await = Some(active);
            }
        }
    }

    /// Carries a run to its end, from wherever it is.
    async fn drive(&self, record: crate::record::Record) -> Result<(), Trouble> {
        let id = record.id.clone();
        let mut todo = self.take_up(record).await?;
        loop {
            let Some(command) = todo.pop_front() else {
                if self.over().await {
                    return self.finish(&id).await;
                }
                // nothing to do without being over: as after a restart
                let moved = self.is_moved().await?;
                todo.extend(self.active().await?.run.restart(moved));
                continue;
            };
            let swapping = self.active().await?.run.state() == State::Swap || self.over().await;
            let event = if swapping {
                self.carry_out(command).await?
            } else {
                tokio::select! {
                    biased;
                    event = self.interrupted() => Some(event?),
                    event = self.carry_out(command) => event?,
                }
            };
            if let Some(event) = event {
                self.tell(event, command, &mut todo).await?;
            }
        }
    }

    /// Puts a run into its seat, and says what is to be done first.
    async fn take_up(&self, record: crate::record::Record) -> Result<VecDeque<Command>, Trouble> {
        let mut active = Active::new(record);
        let log = active.log();
        let store = &self.shared.store;
        let end = self.shared.patiently("reading the log", || store.end(&log)).await?;
        let log_is_there = end > 0;
        if log_is_there {
            // silence counts from what was logged last, not from when the run was remembered last (14.3 no. 16)
            let last = self.shared.patiently("reading the log", || store.pages(&log, end - 1, 1)).await?;
            for page in last {
                active.run.on(Event::Progress, page.at);
            }
        }
        let is_new = active.run.state() == State::Requested && !log_is_there && active.record.generation.is_none();
        if is_new {
            self.begin(&mut active).await?;
        }
        let state = active.run.state();
        {
            // what was taken in since the start is in the log
            let mut seat = self.seat.active.lock().await;
            *seat = Some(active);
        }
        let moved = state == State::Swap && self.is_moved().await?;
        let mut active = self.active().await?;
        info!(runId = active.record.id, stage = state_name(state), "run {} is taken up", active.record.id);
        let mut todo: VecDeque<Command> = active.run.restart(moved).into();
        if log_is_there && !todo.contains(&Command::Load) && !active.run.is_over() {
            todo.push_front(Command::Load); // sent, but not recorded: what came of it is in the log
        }
        if state == State::Swap && moved {
            // the pause went with the process; what is live moved
            drop(active);
            self.live.look_again().await;
        }
        Ok(todo)
    }

    /// What is done once for a run: its generation gets a name, what others left behind goes.
    async fn begin(&self, active: &mut Active) -> Result<(), Trouble> {
        let shared = &self.shared;
        let engine = &*shared.engine;
        self.tidy().await;
        let requested_at = active.record.requested_at;
        let generation =
            shared.patiently("naming the generation", || index::free_generation(engine, requested_at)).await?;
        let before = requested_at - chrono::TimeDelta::minutes(2);
        let journal =
            shared.patiently("reading the journal", || shared.store.since(crate::live::JOURNAL, before)).await?;
        active.record.generation = Some(generation.master());
        active.record.journal_from = journal;
        let live = shared.patiently("counting", || self.count_live()).await?;
        active.record.documents.live_before = Some(live);
        self.save(active).await
    }

    /// Tells the machine, makes it durable, and remembers what is to be done.
    async fn tell(&self, event: Event, command: Command, todo: &mut VecDeque<Command>) -> Result<(), Trouble> {
        let mut active = self.active().await?;
        let now = self.shared.clock.now();
        if std::mem::take(&mut active.moved) {
            active.run.on(Event::Progress, now);
        }
        let before = active.run.state();
        let commands = active.run.on(event, now);
        let state = active.run.state();
        if state != before {
            self.entered(&mut active, before, state, command);
        }
        self.save(&mut active).await?;
        if active.run.is_over() {
            todo.clear();
        }
        todo.extend(commands);
        Ok(())
    }

    fn entered(&self, active: &mut Active, before: State, state: State, command: Command) {
        let now = self.shared.clock.now();
        let record = &mut active.record;
        if let State::In(stage) = before {
            record.stage(stage).finished_at = Some(now);
        }
        if let State::In(stage) = state {
            record.stage(stage).started_at.get_or_insert(now);
        }
        if let State::Failed(failure) = state {
            let text = match failure {
                Failure::StageTimeout => {
                    format!("nothing moved in {} while waiting for {command:?}", state_name(before))
                }
                Failure::VerificationFailed => record.failure.take().unwrap_or_default(),
                Failure::SwapRefused => "the search engine refuses to move the aliases".to_owned(),
            };
            warn!(runId = record.id, reason = failure_name(failure), "run {} failed: {text}", record.id);
            record.failure = Some(text);
        }
        if active.run.is_over() {
            active.record.finished_at = Some(now);
            self.shared.metrics.run_ended(active.record.requested_at, now);
            active.accepting = false;
        }
        info!(
            runId = active.record.id,
            stage = state_name(state),
            "run {} is now in {}",
            active.record.id,
            state_name(state)
        );
    }

    /// Comes when somebody wants the run to stop, or nothing moved for too long; remembers progress meanwhile.
    async fn interrupted(&self) -> Result<Event, Trouble> {
        loop {
            let changed = self.shared.desk.changed();
            let board = match self.shared.desk.look().await {
                Ok(board) => Some(board),
                Err(error) => {
                    warn!(%error, "the run store cannot be asked: {error}");
                    None
                }
            };
            if board.as_ref().is_some_and(|board| board.command == Some(board::Command::Cancel)) {
                return Ok(Event::Cancel);
            }
            {
                let mut active = self.active().await?;
                let now = self.shared.clock.now();
                let mut probe: Run = active.run.clone();
                if std::mem::take(&mut active.moved) {
                    active.run.on(Event::Progress, now);
                    self.show(&mut active).await;
                } else if !probe.on(Event::Tick, now).is_empty() {
                    return Ok(Event::Tick);
                }
            }
            // what the store says is looked at once a second; nobody else is held up by that
            tokio::select! { () = changed => {} () = sleep(LOOK) => {} }
        }
    }

    async fn carry_out(&self, command: Command) -> Result<Option<Event>, Trouble> {
        let event = match command {
            Command::Empty => self.empty().await?,
            Command::Send(stage) => self.send(stage).await?,
            Command::Watch(stage) => self.watch(stage).await?,
            Command::Load => return self.load().await.map(|()| None),
            Command::Read(stage) => self.read(stage).await?,
            Command::Write => self.write().await?,
            Command::Derive => self.derive().await?,
            Command::Tail => self.tail().await?,
            Command::Count => self.count().await?,
            Command::MoveAliases => self.move_aliases().await?,
            Command::ReadAliases => Event::Aliases { moved: self.is_moved().await? },
            Command::FreeNames => return Ok(None), // the alias call looks at them anew and frees what is empty
            Command::Resume => return self.resume().await.map(|()| None),
            Command::Drop => return self.drop_generation().await.map(|()| None),
        };
        Ok(Some(event))
    }

    /// The run that is under way.
    async fn active(&self) -> Result<MappedMutexGuard<'_, Active>, Trouble> {
        let seat = self.seat.active.lock().await;
        MutexGuard::try_map(seat, Option::as_mut).map_err(|_empty| Trouble::Lost)
    }

    async fn over(&self) -> bool {
        self.seat.active.lock().await.as_ref().is_none_or(|active| active.run.is_over())
    }

    /// Makes the run durable.
    async fn save(&self, active: &mut Active) -> Result<(), Trouble> {
        let record = active.remembered(&self.shared.clock);
        let shared = &self.shared;
        shared
            .patiently("keeping the run", || async {
                let record = record.clone();
                shared.desk.change_as(self.epoch, move |board| board.active = Some(record.clone())).await
            })
            .await?;
        self.show(active).await;
        Ok(())
    }

    /// Shows the run to whoever asks; that this fails holds nothing up.
    async fn show(&self, active: &mut Active) {
        let record = active.remembered(&self.shared.clock);
        self.shared.metrics.run(&record, active.run.state());
        if let Err(error) = self.shared.store.keep(&record.id, &record.shown()).await {
            warn!(%error, "the run could not be shown: {error}");
        }
    }

    /// Says that something moved.
    async fn moved(&self) -> Result<(), Trouble> {
        self.active().await?.moved = true;
        Ok(())
    }

    /// The run leaves its seat.
    async fn finish(&self, id: &str) -> Result<(), Trouble> {
        let mut active = self.active().await?;
        let record = active.remembered(&self.shared.clock);
        let completed = active.run.state() == State::Completed;
        self.show(&mut active).await;
        let shared = &self.shared;
        shared
            .patiently("ending the run", || async {
                let record = record.clone();
                let end = move |board: &mut Board| {
                    (board.active, board.command) = (None, None);
                    if completed {
                        board.last = Some(record.clone());
                    }
                };
                shared.desk.change_as(self.epoch, end).await
            })
            .await?;
        drop(active);
        *self.seat.active.lock().await = None;
        if let Err(error) = shared.store.remove(&log_of(id)).await {
            warn!(%error, "the log of run {id} is left behind: {error}");
        }
        if completed {
            self.tidy().await;
        }
        Ok(())
    }

    /// Documents that readers see now; none where there is no live index.
    async fn count_live(&self) -> Result<u64, Trouble> {
        let engine = &*self.shared.engine;
        match engine.refresh(MASTER).await {
            Ok(()) => Ok(engine.count(MASTER, &search::engine::Query::All).await?),
            Err(search::engine::Error::NoIndex(_)) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Since when `at` is quiet.
    fn since(at: Instant) -> Duration {
        at.elapsed()
    }
}

/// Whether a run is in a stage that brings data.
fn is_collecting(record: &crate::record::Record) -> bool {
    matches!(record.machine.run().state(), State::In(_))
}
