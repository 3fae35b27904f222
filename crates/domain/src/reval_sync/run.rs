//! A run, from its request to its swap, as a state machine without any I/O (specification 14.3, 14.4).
//!
//! Whoever drives a run tells it what happened ([`Event`]); [`Run::on`] changes what has to be remembered and says what to do next ([`Command`]).
//! The driver makes the run durable first and then carries the commands out, in order. After a crash it asks [`Run::restart`] instead: everything
//! that was acknowledged is in the log, whatever was only in memory is made again, and nothing that readers see is done twice.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};

#[cfg(test)]
mod tests;

/// A stage that brings data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Trainees, always from their queue.
    Tcs,
    /// Doctors and the outcomes of their recommendations.
    Gmc,
    /// Connection logs.
    ConnectionLogs,
    /// Hidden discrepancies.
    HiddenDiscrepancies,
}

impl Stage {
    /// All stages in the order of a run.
    pub const ALL: [Self; 4] = [Self::Tcs, Self::Gmc, Self::ConnectionLogs, Self::HiddenDiscrepancies];

    fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| *stage > self)
    }
}

/// Where the data of a stage comes from (`sources.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Its sender is told to send, and its queue is read up to the end marker.
    Queue,
    /// The store is read.
    Store,
    /// The stage is left out, without signal.
    Off,
}

/// How a run is carried out; fixed when it is requested.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Source of [`Stage::Gmc`], [`Stage::ConnectionLogs`], [`Stage::HiddenDiscrepancies`].
    pub sources: [Source; 3],
    /// Whether derived indices are built (`layout = physical`).
    pub derived: bool,
    /// Whether a small result is accepted.
    pub force: bool,
    /// The least share of the live count (R-RUN-6).
    pub min_ratio: f64,
    /// The live count from which on the share counts.
    pub min_baseline: u64,
    /// The longest time without progress (R-RUN-7, 18b).
    pub idle_limit: Duration,
}

impl Plan {
    /// Where the data of a stage comes from.
    #[must_use]
    pub fn source(&self, stage: Stage) -> Source {
        let [gmc, logs, hidden] = self.sources;
        match stage {
            Stage::Tcs => Source::Queue,
            Stage::Gmc => gmc,
            Stage::ConnectionLogs => logs,
            Stage::HiddenDiscrepancies => hidden,
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The trainee queue is emptied and `syncStart` is sent.
    Requested,
    /// Data arrives.
    In(Stage),
    /// The journal is folded in and the new generation is written.
    Replay,
    /// The derived indices are built.
    Derive,
    /// Intake is paused, the tail is written, documents are counted.
    Verify,
    /// The aliases are being moved.
    Swap,
    /// Readers see the new generation.
    Completed,
    /// It ended before the swap; readers see what they saw.
    Failed(Failure),
    /// It was stopped before the swap.
    Cancelled,
}

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `stage-timeout`: nothing moved for the idle limit.
    StageTimeout,
    /// `verification-failed`: the counts do not fit.
    VerificationFailed,
    /// `swap-refused`: the engine refused the alias call for good.
    SwapRefused,
}

/// What the driver saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The trainee queue is empty and quiet; what was in it is logged as late data.
    Emptied,
    /// The broker confirmed the signal of the stage.
    Sent(Stage),
    /// An end marker of the stage was logged.
    Marker(Stage),
    /// The queue of the stage is empty and quiet and nobody else reads it (R-RUN-3, 14.3 no. 13).
    Quiet(Stage),
    /// The store of the stage was read to its end.
    Read(Stage),
    /// Every document is in the new generation.
    Written,
    /// The derived indices, replicas and health are as wanted.
    Derived,
    /// Intake is paused and the rest of the journal is written.
    Tailed,
    /// The rest of the journal would take longer than a pause may last: intake goes on.
    TailTooLong,
    /// The new generation is refreshed and counted.
    Counted {
        /// Documents that the run made, without those that the engine refused.
        expected: u64,
        /// Documents in the new generation.
        built: u64,
        /// Documents that readers see now.
        live: u64,
    },
    /// Whether the aliases name the new generation: as the alias call says, or as they were read.
    Aliases {
        /// They do.
        moved: bool,
    },
    /// The answer of the alias call is not known.
    AliasesUnknown,
    /// The engine refused the alias call.
    AliasesRefused,
    /// Somebody wants it to stop.
    Cancel,
    /// Something durable moved: a message was logged, a document read, a bulk answered, a task went on.
    Progress,
    /// Time passed.
    Tick,
}

/// What the driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Read the trainee queue until it is quiet.
    Empty,
    /// Send the signal of the stage; tell [`Event::Sent`] once it is confirmed.
    Send(Stage),
    /// Watch the queue of the stage for its barrier.
    Watch(Stage),
    /// Make the documents in memory anew from the log.
    Load,
    /// Read the store of the stage.
    Read(Stage),
    /// Fold the journal in, create the generation and write it.
    Write,
    /// Build the derived indices, if there are any; set replicas and wait for health.
    Derive,
    /// Pause intake and write the rest of the journal.
    Tail,
    /// Refresh and count.
    Count,
    /// Move all aliases in one call.
    MoveAliases,
    /// Read what the aliases name.
    ReadAliases,
    /// Free names of ours that are held by empty indices.
    FreeNames,
    /// Intake goes on.
    Resume,
    /// Delete the generation that was being built, if it is there.
    Drop,
}

/// How often a refused alias call is repeated after names were freed (18f).
const FREED: u8 = 3;

/// A run as it is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    plan: Plan,
    state: State,
    sent: BTreeSet<Stage>,
    marked: BTreeSet<Stage>,
    freed: u8,
    progress_at: DateTime<Utc>,
}

/// What has to be remembered of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// How it is carried out.
    pub plan: Plan,
    /// Where it is.
    pub state: State,
    /// Stages whose signal was confirmed.
    pub sent: BTreeSet<Stage>,
    /// Stages whose end marker came.
    pub marked: BTreeSet<Stage>,
    /// How often names were freed for the alias call.
    pub freed: u8,
    /// When something last moved (UTC).
    pub progress_at: DateTime<Utc>,
}

impl From<Remembered> for Run {
    fn from(remembered: Remembered) -> Self {
        let Remembered { plan, state, sent, marked, freed, progress_at } = remembered;
        Self { plan, state, sent, marked, freed, progress_at }
    }
}

impl Run {
    /// What has to be remembered of it.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        let Self { plan, state, sent, marked, freed, progress_at } = self.clone();
        Remembered { plan, state, sent, marked, freed, progress_at }
    }

    /// Whether the end marker of the stage came.
    #[must_use]
    pub fn is_marked(&self, stage: Stage) -> bool {
        self.marked.contains(&stage)
    }

    /// A run that is requested at `now`, and what to do first.
    #[must_use]
    pub fn new(plan: Plan, now: DateTime<Utc>) -> (Self, Vec<Command>) {
        let run = Self {
            plan,
            state: State::Requested,
            sent: BTreeSet::new(),
            marked: BTreeSet::new(),
            freed: 0,
            progress_at: now,
        };
        (run, vec![Command::Empty])
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it has ended, however.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Completed | State::Failed(_) | State::Cancelled)
    }

    /// Takes what happened at `now`. What does not belong to the state, as a late answer or a repeated marker, changes nothing (R-RUN-4).
    pub fn on(&mut self, event: Event, now: DateTime<Utc>) -> Vec<Command> {
        if self.is_over() {
            return Vec::new();
        }
        let before = self.state;
        let commands = match (self.state, event) {
            (State::Requested, Event::Emptied) => vec![Command::Send(Stage::Tcs)],
            (State::Requested, Event::Sent(Stage::Tcs)) => {
                self.sent.insert(Stage::Tcs);
                self.enter(Stage::Tcs)
            }
            (State::In(stage), Event::Sent(sent)) if stage == sent => {
                self.sent.insert(stage);
                vec![Command::Watch(stage)]
            }
            (State::In(stage), Event::Marker(marked))
                if stage == marked && self.plan.source(stage) == Source::Queue =>
            {
                self.marked.insert(stage);
                Vec::new()
            }
            (State::In(stage), Event::Quiet(quiet)) if stage == quiet && self.marked.contains(&stage) => {
                self.after(stage)
            }
            (State::In(stage), Event::Read(read)) if stage == read && self.plan.source(stage) == Source::Store => {
                self.after(stage)
            }
            (State::Replay, Event::Written) => {
                self.state = State::Derive;
                vec![Command::Derive]
            }
            (State::Derive, Event::Derived) => {
                self.state = State::Verify;
                vec![Command::Tail]
            }
            (State::Verify, Event::TailTooLong) => vec![Command::Tail],
            (State::Verify, Event::Tailed) => vec![Command::Count],
            (State::Verify, Event::Counted { expected, built, live }) => self.judge(expected, built, live),
            (State::Swap, Event::Aliases { moved: true }) => {
                self.state = State::Completed;
                vec![Command::Resume]
            }
            (State::Swap, Event::Aliases { moved: false }) => vec![Command::MoveAliases],
            (State::Swap, Event::AliasesUnknown) => vec![Command::ReadAliases],
            (State::Swap, Event::AliasesRefused) if self.freed < FREED => {
                self.freed += 1;
                vec![Command::FreeNames, Command::ReadAliases]
            }
            (State::Swap, Event::AliasesRefused) => self.end(State::Failed(Failure::SwapRefused)),
            (State::Swap, Event::Cancel | Event::Tick) => Vec::new(), // it is recorded: the state of the aliases decides
            (_, Event::Cancel) => self.end(State::Cancelled),
            (_, Event::Tick) if self.is_idle(now) => self.end(State::Failed(Failure::StageTimeout)),
            _ => Vec::new(),
        };
        if event == Event::Progress || self.state != before || !commands.is_empty() {
            self.progress_at = self.progress_at.max(now);
        }
        commands
    }

    /// What to do after the driver died, given what the aliases name (18e). The documents in memory are gone: they come from the log and, from the
    /// first store on, from the stores, so the run goes back to that stage at most.
    pub fn restart(&mut self, aliases_moved: bool) -> Vec<Command> {
        match self.state {
            _ if self.is_over() => match self.state {
                State::Completed => Vec::new(),
                _ => vec![Command::Drop], // recorded first, carried out perhaps not
            },
            State::Requested => vec![Command::Empty],
            State::Swap if aliases_moved => {
                self.state = State::Completed;
                Vec::new()
            }
            _ => {
                let stores = Stage::ALL.into_iter().filter(|stage| self.plan.source(*stage) == Source::Store);
                let reached = if let State::In(stage) = self.state { Some(stage) } else { None };
                let from = stores.into_iter().find(|store| reached.is_none_or(|reached| *store <= reached));
                let commands = match from.or(reached) {
                    Some(stage) => self.enter(stage),
                    None => self.write(),
                };
                [Command::Load].into_iter().chain(commands).collect()
            }
        }
    }

    fn is_idle(&self, now: DateTime<Utc>) -> bool {
        (now - self.progress_at).to_std().is_ok_and(|idle| idle > self.plan.idle_limit)
    }

    /// Begins `stage`, or the next one that is not left out.
    fn enter(&mut self, stage: Stage) -> Vec<Command> {
        self.state = State::In(stage);
        match self.plan.source(stage) {
            Source::Queue if self.sent.contains(&stage) => vec![Command::Watch(stage)],
            Source::Queue => vec![Command::Send(stage)],
            Source::Store => vec![Command::Read(stage)],
            Source::Off => self.after(stage),
        }
    }

    fn after(&mut self, stage: Stage) -> Vec<Command> {
        match stage.next() {
            Some(next) => self.enter(next),
            None => self.write(),
        }
    }

    /// What a driver that died began is deleted first; until then nothing is asked of the engine, so a run collects also while that is away.
    fn write(&mut self) -> Vec<Command> {
        self.state = State::Replay;
        vec![Command::Drop, Command::Write]
    }

    /// R-RUN-6.
    #[expect(clippy::cast_precision_loss, reason = "a share of a count; indices hold fewer than 2^52 documents")]
    fn judge(&mut self, expected: u64, built: u64, live: u64) -> Vec<Command> {
        let large_enough =
            self.plan.force || live < self.plan.min_baseline || built as f64 >= self.plan.min_ratio * live as f64;
        if built == expected && large_enough {
            self.state = State::Swap;
            return vec![Command::MoveAliases];
        }
        self.end(State::Failed(Failure::VerificationFailed))
    }

    /// The end is recorded, then the generation goes (18h).
    fn end(&mut self, state: State) -> Vec<Command> {
        self.state = state;
        vec![Command::Resume, Command::Drop]
    }
}
