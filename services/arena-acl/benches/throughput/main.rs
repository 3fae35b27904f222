//! How fast the service is, as ratios to limits of the same servers: `just bench arena-acl`, or some of it with `-- --only PART
//! --rounds N`. What each part measures and what came out last is in `docs/benchmarks.md`.
//!
//! The service is this build's own binary, a process; its neighbours are stubs in this process that answer at once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::large_futures,
    reason = "a bench prints, and whatever fails ends it"
)]

mod cpu;
#[path = "../../tests/live/feed.rs"]
mod feed;
mod figures;
mod limit;
mod load;
#[path = "../../tests/live/neighbours.rs"]
mod neighbours;
mod one_by_one;
mod parts;
mod pipe;
mod replay;
mod run;
mod service;

use self::{figures::Figures, load::Load, neighbours::Neighbours, parts::Part, run::Run};

/// Of each part; what goes first alternates.
const ROUNDS: usize = 7;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only asks whether it can be built
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments[at + 1].as_str())
    };
    let rounds = value("--rounds").map_or(ROUNDS, |count| count.parse().unwrap());
    let only = value("--only");
    assert!(
        only.is_none_or(|only| Part::ALL.iter().any(|part| part.name() == only)),
        "--only takes one of {:?}",
        Part::ALL
    );

    let neighbours = Neighbours::start(&Load::of_new_persons(1).courses);
    let mut figures = Figures::default();
    for part in Part::ALL.into_iter().filter(|part| only.is_none_or(|only| part.name() == only)) {
        for round in 0..rounds {
            println!("{}, round {} of {rounds}", part.name(), round + 1);
            let run = Run::new(&neighbours).await;
            part.measure(&run, round % 2 == 1, &mut figures).await;
        }
    }
    println!("\n{}", figures.table());
    figures.lines().iter().for_each(|line| println!("{line}"));
}
