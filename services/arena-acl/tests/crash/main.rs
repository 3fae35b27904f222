//! The service under faults, against a sequential model (docs/faults.md): killed, without its servers, two at once, and fed with poison.
//!
//! `just crash arena-acl [--short] [--seed N] [--only NAME]`. The last line counts the runs: `N passed, N failed`.
#![cfg(test)]

mod account;
mod away;
mod failpoints;
mod kills;
mod load;
mod model;
mod poison;
mod records;
mod replicas;
mod rng;
mod stack;
#[allow(dead_code, reason = "the contracts of the store use the rest")]
#[path = "../it/store.rs"]
mod store;
mod table;
mod third;
mod world;

use std::{
    collections::VecDeque,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Mutex,
    thread,
};

use clap::Parser;
use tokio::{runtime::Builder, time::Instant};
use uuid::Uuid;

use self::{kills::Kill, rng::Rng, stack::Stack, table::Row};

/// Kills at each failpoint in the long form.
const EACH: usize = 20;
/// Kills at random moments in the long form, half of them of static members.
const RANDOM: usize = 100;
/// Runs at once, each with servers of its own.
const LANES: u16 = 4;

/// The service under faults. Needs Kafka and Postgres, and the cargo feature `failpoints`: `just crash arena-acl`.
#[derive(Parser)]
struct Arguments {
    /// Each failpoint once, a few random moments, no long outages
    #[arg(long)]
    short: bool,
    /// Repeats a run; without it every run is another
    #[arg(long)]
    seed: Option<u64>,
    /// Runs whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// A fault run.
struct Run {
    name: String,
    seed: u64,
    what: What,
}

enum What {
    Kills(Vec<Kill>),
    Away(away::Server),
    Frozen,
    JobsAndLive,
    DeletesAndHistory,
    Poison,
}

/// Says on standard output how far a run is.
pub(crate) struct Progress {
    run: String,
    begin: Instant,
}

impl Progress {
    pub(crate) fn say(&self, what: &str) {
        println!("{:>6.1} s  {:<40} {what}", self.begin.elapsed().as_secs_f64(), self.run);
    }
}

fn main() -> ExitCode {
    let Arguments { short, seed, only } = Arguments::parse();
    if !cfg!(feature = "failpoints") {
        eprintln!("built without the feature `failpoints`: just crash arena-acl");
        return ExitCode::FAILURE;
    }
    failpoints::assert_complete();
    let seed = seed.unwrap_or_else(|| u64::from(Uuid::new_v4().as_fields().0));
    let runs: VecDeque<Run> = plan(short, seed).into_iter().filter(|run| run.name.contains(&only)).collect();
    let repeat = if short { " --short" } else { "" };
    println!("{} runs; again: just crash arena-acl{repeat} --seed {seed}", runs.len());
    let lanes = if short { 2 } else { LANES }.min(u16::try_from(runs.len()).unwrap());
    let rows = all(runs, lanes);

    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/crash.jsonl");
    let lines: String = rows.iter().map(|row| format!("{}\n", row.json())).collect();
    fs::write(file, &lines).unwrap();
    println!("\n{}", table::table(&rows));
    for row in rows.iter().filter(|row| !row.is_clean()) {
        println!("{}: {}", row.name, row.problems.join("\n  "));
    }
    println!("seed {seed}; the lines are in {file}");
    let passed = rows.iter().filter(|row| row.is_clean()).count();
    println!("{passed} passed, {} failed", rows.len() - passed);
    if passed == rows.len() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(short: bool, seed: u64) -> Vec<Run> {
    let mut rng = Rng::new(seed);
    let mut runs = Vec::new();
    let mut add = |rng: &mut Rng, name: String, what| runs.push(Run { name, seed: rng.next(), what });
    if short {
        let once = failpoints::ALL.iter().enumerate().map(|(number, failpoint)| {
            let mut kill = kills::at(failpoint, 2, &mut rng);
            kill.swap_remove(2 * number / failpoints::ALL.len()) // first dynamic members, then static ones
        });
        let once: Vec<Kill> = once.collect();
        add(&mut rng, "every failpoint once".to_owned(), What::Kills(once));
    } else {
        for failpoint in failpoints::ALL {
            let kills = kills::at(failpoint, EACH, &mut rng);
            add(&mut rng, format!("killed at {failpoint}"), What::Kills(kills));
        }
    }
    let count = if short { 4 } else { RANDOM / 2 };
    for (member, is_static) in [("dynamic", false), ("static", true)] {
        let kills = kills::random(count, is_static, &mut rng);
        add(&mut rng, format!("killed at random moments, {member}"), What::Kills(kills));
    }
    if !short {
        add(&mut rng, "broker away for 30 s".to_owned(), What::Away(away::Server::Kafka));
        add(&mut rng, "Postgres away for 30 s".to_owned(), What::Away(away::Server::Postgres));
        add(&mut rng, "one of two replicas frozen".to_owned(), What::Frozen);
    }
    add(&mut rng, "two replicas: jobs and live".to_owned(), What::JobsAndLive);
    add(&mut rng, "two replicas: deletes and history".to_owned(), What::DeletesAndHistory);
    add(&mut rng, "poison".to_owned(), What::Poison);
    runs
}

/// Runs all of them, several at once, and gives their rows in the order of the plan.
fn all(runs: VecDeque<Run>, lanes: u16) -> Vec<Row> {
    let begin = Instant::now();
    let queue: Mutex<VecDeque<(usize, Run)>> = Mutex::new(runs.into_iter().enumerate().collect());
    let rows = Mutex::new(Vec::new());
    let work = &|lane: u16| {
        let stack = if lane == 0 { Stack::given() } else { Stack::start(lane) };
        loop {
            let next = queue.lock().unwrap().pop_front();
            let Some((number, run)) = next else { break };
            stack.restored();
            let row = one(&stack, run, begin);
            rows.lock().unwrap().push((number, row));
        }
    };
    thread::scope(|lanes_of| {
        for lane in 0..lanes {
            lanes_of.spawn(move || work(lane));
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(number, _)| *number);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// One run. A panic in it is a problem of its row.
fn one(stack: &Stack, run: Run, begin: Instant) -> Row {
    let Run { name, seed, what } = run;
    let progress = Progress { run: name.clone(), begin };
    let from = Instant::now();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let run = async {
        match what {
            What::Kills(kills) => kills::run(stack, &progress, seed, &kills).await,
            What::Away(server) => away::run(stack, &progress, seed, server).await,
            What::Frozen => replicas::frozen(stack, &progress, seed).await,
            What::JobsAndLive => replicas::jobs_and_live(stack, &progress, seed).await,
            What::DeletesAndHistory => replicas::deletes_and_history(stack, &progress, seed).await,
            What::Poison => poison::run(stack, &progress).await,
        }
    };
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run)));
    let row = ended.unwrap_or_else(|_said_above| Row { problems: vec!["it panicked".to_owned()], ..Row::default() });
    let row = Row { name, took: from.elapsed(), ..row };
    println!("{}", row.json());
    row
}
