//! The full path of arena-acl as a ratio to its limit: how fast records become acknowledged messages, against how fast the same rows can be
//! written to the same Postgres by `unnest` alone. `just bench arena-acl`; what came out last is in `docs/benchmarks.md`.
//!
//! The service is this build's own binary, a process; its neighbours are stubs in this process that answer at once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and whatever fails ends it"
)]

#[path = "../../tests/live/feed.rs"]
mod feed;
mod figures;
mod limit;
#[path = "../../tests/live/neighbours.rs"]
mod neighbours;
mod path;
mod run;

use self::{feed::Change, figures::Figures, neighbours::Neighbours, run::Run};

/// Participants, one change each.
const CHANGES: i64 = 20_000;
const COURSES: i64 = 20;
/// Of the full path and the limit, one after the other; which goes first alternates.
const PAIRS: usize = 9;

#[tokio::main]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only asks whether it can be built
    }
    let courses: Vec<feed::Course> = (3001..3001 + COURSES).map(feed::Course::group).collect();
    let ids: Vec<i64> = courses.iter().map(|course| course.id).collect();
    let changes = Change::all(70_000..70_000 + CHANGES, 1, &ids, 101);
    let neighbours = Neighbours::start(&courses);
    let mut figures = Figures::default();
    for pair in 0..PAIRS {
        let run = Run::new(&neighbours).await;
        let limit_first = if pair % 2 == 0 { None } else { Some(limit::measure(&run, &changes).await) };
        let path = path::measure(&run, &courses, &changes).await;
        let limit = match limit_first {
            Some(limit) => limit,
            None => limit::measure(&run, &changes).await,
        };
        println!("{}", figures.add(&path, limit, changes.len()));
    }
    println!("\n{}", figures.table());
    figures.lines().iter().for_each(|line| println!("{line}"));
}
