//! Model runs: a world with queues, stores, a log and an engine, in which the driver dies between any two steps.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;

const LIMIT: Duration = Duration::from_secs(900);

fn plan(sources: [Source; 3]) -> Plan {
    Plan { sources, derived: false, force: false, min_ratio: 0.9, min_baseline: 100, idle_limit: LIMIT }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// What stands outside the driver, and what it holds in memory.
struct World {
    run: Run,
    /// Commands that are not carried out yet; lost with the driver.
    todo: VecDeque<Command>,
    /// Documents in memory, by stage; lost with the driver.
    slots: Option<BTreeSet<Stage>>,
    /// Acknowledged data and markers.
    log: BTreeSet<Stage>,
    queues: BTreeMap<Stage, bool>,
    signals: Vec<Stage>,
    generation: Option<BTreeSet<Stage>>,
    live: BTreeSet<Stage>,
    swaps: u32,
    paused: bool,
    clock: i64,
}

impl World {
    fn new(sources: [Source; 3]) -> Self {
        let (run, todo) = Run::new(plan(sources), at(0));
        Self {
            run,
            todo: todo.into(),
            slots: Some(BTreeSet::new()),
            log: BTreeSet::new(),
            queues: BTreeMap::new(),
            signals: Vec::new(),
            generation: None,
            live: BTreeSet::new(),
            swaps: 0,
            paused: false,
            clock: 0,
        }
    }

    /// Makes the change of the run durable, and remembers what is to be done.
    fn tell(&mut self, event: Event) {
        self.clock += 1;
        self.todo.extend(self.run.on(event, at(self.clock)));
    }

    /// The driver dies and another one goes on.
    fn die(&mut self) {
        self.slots = None;
        self.paused = false;
        let moved = self.swaps > 0;
        self.todo = self.run.restart(moved).into();
        self.slots.get_or_insert_default();
    }

    /// Carries out one command. `answer` says whether its answer arrives: without it the driver dies after the effect.
    fn step(&mut self, answer: bool) {
        let Some(command) = self.todo.pop_front() else { return };
        let event = match command {
            Command::Empty => Some(Event::Emptied),
            Command::Send(stage) => {
                self.signals.push(stage);
                self.queues.insert(stage, true);
                Some(Event::Sent(stage))
            }
            Command::Watch(stage) => {
                // data and marker are logged before they are acknowledged
                if self.queues.remove(&stage).is_some() {
                    self.log.insert(stage);
                }
                assert!(self.log.contains(&stage), "a queue is watched to which nobody sends");
                self.slots.get_or_insert_default().insert(stage);
                self.tell(Event::Marker(stage));
                Some(Event::Quiet(stage))
            }
            Command::Load => {
                self.slots.get_or_insert_default().extend(&self.log);
                None
            }
            Command::Read(stage) => {
                self.slots.get_or_insert_default().insert(stage);
                Some(Event::Read(stage))
            }
            Command::Write => {
                assert_eq!(self.generation, None, "a half-known generation is written again");
                self.generation.clone_from(&self.slots);
                Some(Event::Written)
            }
            Command::Derive => Some(Event::Derived),
            Command::Tail => {
                self.paused = true;
                Some(Event::Tailed)
            }
            Command::Count => {
                let count = |documents: Option<&BTreeSet<Stage>>| documents.map_or(0, BTreeSet::len) as u64;
                let (expected, built) = (count(self.slots.as_ref()), count(self.generation.as_ref()));
                Some(Event::Counted { expected, built, live: 0 })
            }
            Command::MoveAliases => {
                self.live.clone_from(self.generation.as_ref().unwrap());
                self.swaps += 1;
                Some(Event::Aliases { moved: true })
            }
            Command::ReadAliases => Some(Event::Aliases { moved: self.swaps > 0 }),
            Command::FreeNames => None,
            Command::Resume => {
                self.paused = false;
                None
            }
            Command::Drop => {
                assert_eq!(self.swaps, 0, "what readers see is deleted");
                self.generation = None;
                None
            }
        };
        match event {
            _ if !answer => self.die(),
            Some(event) => self.tell(event),
            None => {}
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Goes,
    DiesBefore,
    DiesAfter,
}

fn sources() -> impl Strategy<Value = [Source; 3]> {
    let source = || prop_oneof![Just(Source::Queue), Just(Source::Store), Just(Source::Off)];
    [source(), source(), source()]
}

proptest! {
    #[test]
    fn a_run_ends_with_everything_and_one_swap_wherever_its_driver_dies(
        sources in sources(),
        fates in proptest::collection::vec(
            prop_oneof![3 => Just(Fate::Goes), 1 => Just(Fate::DiesBefore), 1 => Just(Fate::DiesAfter)], 0..60),
    ) {
        let mut world = World::new(sources);
        for fate in fates.into_iter().chain(std::iter::repeat_n(Fate::Goes, 60)) {
            match fate {
                Fate::Goes => world.step(true),
                Fate::DiesBefore => world.die(),
                Fate::DiesAfter => world.step(false),
            }
        }
        prop_assert_eq!(world.run.state(), State::Completed);
        prop_assert_eq!(world.swaps, 1);
        prop_assert!(!world.paused);
        let wanted = Stage::ALL.into_iter().filter(|stage| world.run.plan.source(*stage) != Source::Off);
        prop_assert_eq!(&world.live, &wanted.collect::<BTreeSet<_>>());
        // a signal is sent again only where the driver died between its confirmation and its record
        let order: Vec<Stage> = world.signals.iter().copied().fold(Vec::new(), |mut order, stage| {
            if order.last() != Some(&stage) { order.push(stage); }
            order
        });
        let signalled = Stage::ALL.into_iter().filter(|stage| world.run.plan.source(*stage) == Source::Queue);
        prop_assert_eq!(order, signalled.collect::<Vec<_>>());
    }

    #[test]
    fn a_run_that_is_cancelled_anywhere_before_its_swap_leaves_nothing(steps in 0_usize..12, dies in any::<bool>()) {
        let mut world = World::new([Source::Store; 3]);
        (0..steps).for_each(|_| world.step(true));
        let swapping = matches!(world.run.state(), State::Swap | State::Completed);
        world.tell(Event::Cancel);
        if dies { world.die(); }
        (0..20).for_each(|_| world.step(true));
        if swapping {
            prop_assert_eq!(world.run.state(), State::Completed);
        } else {
            prop_assert_eq!(world.run.state(), State::Cancelled);
            prop_assert_eq!((world.swaps, world.generation.is_some(), world.paused), (0, false, false));
        }
    }
}

#[test]
fn the_stage_ends_with_its_marker_and_quiet_and_with_nothing_less() {
    let (mut run, _) = Run::new(plan([Source::Off; 3]), at(0));
    run.on(Event::Emptied, at(0));
    run.on(Event::Marker(Stage::Tcs), at(0)); // a stray one, before the stage
    assert_eq!(run.on(Event::Sent(Stage::Tcs), at(0)), [Command::Watch(Stage::Tcs)]);
    assert_eq!(run.on(Event::Quiet(Stage::Tcs), at(1)), []);
    assert_eq!(run.on(Event::Marker(Stage::Gmc), at(1)), []);
    assert_eq!(run.on(Event::Marker(Stage::Tcs), at(1)), []);
    assert_eq!(run.state(), State::In(Stage::Tcs));
    assert_eq!(run.on(Event::Quiet(Stage::Tcs), at(2)), [Command::Drop, Command::Write]);
}

#[test]
fn a_run_in_which_nothing_moves_fails_after_the_limit_and_not_at_it() {
    let (mut run, _) = Run::new(plan([Source::Store; 3]), at(0));
    run.on(Event::Progress, at(100));
    assert_eq!(run.on(Event::Tick, at(1000)), []);
    assert_eq!(run.on(Event::Tick, at(1001)), [Command::Resume, Command::Drop]);
    assert_eq!(run.state(), State::Failed(Failure::StageTimeout));
}

#[test]
fn a_result_that_is_too_small_or_incomplete_is_not_swapped_in() {
    for (expected, built, live, force, swapped) in [
        (90, 90, 100, false, true),
        (89, 89, 100, false, false),
        (0, 0, 99, false, true),
        (0, 0, 100, false, false),
        (0, 0, 100, true, true),
        (90, 91, 90, true, false),
    ] {
        let (mut run, _) = Run::new(Plan { force, ..plan([Source::Off; 3]) }, at(0));
        run.state = State::Verify;
        run.on(Event::Counted { expected, built, live }, at(0));
        let state = if swapped { State::Swap } else { State::Failed(Failure::VerificationFailed) };
        assert_eq!(run.state(), state, "{built} of {live}");
    }
}

#[test]
fn an_alias_call_without_an_answer_is_judged_by_the_aliases() {
    let (mut run, _) = Run::new(plan([Source::Off; 3]), at(0));
    run.state = State::Swap;
    assert_eq!(run.on(Event::AliasesUnknown, at(0)), [Command::ReadAliases]);
    assert_eq!(run.on(Event::Aliases { moved: false }, at(0)), [Command::MoveAliases]);
    for _attempt in 0..3 {
        assert_eq!(run.on(Event::AliasesRefused, at(0)), [Command::FreeNames, Command::ReadAliases]);
    }
    assert_eq!(run.on(Event::AliasesRefused, at(0)), [Command::Resume, Command::Drop]);
    assert_eq!(run.state(), State::Failed(Failure::SwapRefused));
}
