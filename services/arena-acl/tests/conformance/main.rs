//! The vectors published for arena-acl (docs/spec/arena-acl/README.md), played in memory or with real servers.
#![expect(
    clippy::indexing_slicing,
    reason = "only JSON values are indexed, and they answer null for what they have not"
)]

mod expect;
mod identity;
mod live;
mod memory;
mod observed;
mod shapes;
mod steps;
mod tables;
mod world;

use std::{path::Path, process::ExitCode};

use arena_acl::OSLO;
use chassis::clock::{self, Clock};
use chrono::NaiveDateTime;
use serde_json::Value;
use testkit::vectors::{BadCase, BadFile, Case, Harness, Mode, Stress, Verdict, list, play, text};

use self::{steps::Step, world::Scene};

fn main() -> ExitCode {
    testkit::vectors::main(ArenaAcl, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}

struct ArenaAcl;

impl Harness for ArenaAcl {
    fn cases(&self, file: &Path, json: Value) -> Result<Vec<Case>, BadFile> {
        shapes::cases(file, &json)
    }

    async fn run_case(&self, case: &Case, mode: Mode, stress: Stress) -> Result<Verdict, BadCase> {
        match case.kind.as_str() {
            shapes::TABLE => tables::run(&case.body),
            shapes::SCENARIO => scenario(case, mode, stress).await,
            other => Err(BadCase::new(format!("kind {other:?} is not known"))),
        }
    }

    async fn finish(&self) {
        live::finish().await;
    }
}

async fn scenario(case: &Case, mode: Mode, stress: Stress) -> Result<Verdict, BadCase> {
    let body = &case.body;
    let steps = list("when", &body["when"])?;
    if let Some(reason) = refusal(steps, mode)? {
        return Ok(Verdict::NotHere(reason));
    }
    let start: NaiveDateTime =
        text("clock", &body["clock"])?.parse().map_err(|error| BadCase::because("clock", &error))?;
    let clock = Clock::system();
    clock.freeze(clock::to_utc(start, OSLO));
    let played = match mode {
        Mode::Memory => play::<Scene<memory::InMemory>>(case, steps, mode, stress, clock).await?,
        Mode::Live => play::<Scene<live::Live>>(case, steps, mode, stress, clock).await?,
    };
    expect::compare(&body["then"], &played)
}

/// Why the case cannot run here; nothing is started for a step that is not known.
fn refusal(steps: &[Value], mode: Mode) -> Result<Option<&'static str>, BadCase> {
    for (at, step) in steps.iter().enumerate() {
        match Step::read(&format!("when[{at}]"), step)? {
            Step::Http(call) if mode == Mode::Live && !call.remote.is_loopback() && live::outside().is_none() => {
                return Ok(Some("this machine has no address but loopback"));
            }
            _ => {}
        }
    }
    Ok(None)
}
