//! The vectors published for reval-sync (docs/spec/reval-sync/README.md), played in memory or with real servers.
#![expect(
    clippy::indexing_slicing,
    reason = "only JSON values are indexed, and they answer null for what they have not"
)]

mod compare;
mod config;
mod given;
mod live;
mod memory;
mod steps;
mod world;

use std::{path::Path, process::ExitCode};

use chassis::clock::Clock;
use serde_json::Value;
use testkit::vectors::{BadCase, BadFile, Case, Harness, Mode, Stress, Verdict, list, object, play, text};

use self::world::Scene;

fn main() -> ExitCode {
    testkit::vectors::main(RevalSync, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}

struct RevalSync;

impl Harness for RevalSync {
    fn cases(&self, file: &Path, json: Value) -> Result<Vec<Case>, BadFile> {
        let required = ["name", "title", "rules", "basis", "clock", "given", "when", "then"];
        object("the file", &json, &required, &["config", "note"])?;
        let name = text("name", &json["name"])?.to_owned();
        if file.file_stem().and_then(|stem| stem.to_str()) != Some(name.as_str()) {
            return Err(BadFile::new(format!("the name {name:?} is not that of the file")));
        }
        for (at, step) in list("when", &json["when"])?.iter().enumerate() {
            steps::Step::read(&format!("when[{at}]"), step)?;
        }
        config::handling(&json["config"])?;
        Ok(vec![Case { file: file.to_owned(), name, kind: "scenario".to_owned(), body: json }])
    }

    async fn run_case(&self, case: &Case, mode: Mode, stress: Stress) -> Result<Verdict, BadCase> {
        let start = text("clock", &case.body["clock"])?.parse().map_err(|error| BadCase::because("clock", &error))?;
        let steps = list("when", &case.body["when"])?;
        let clock = Clock::starting_at(start);
        let played = match mode {
            Mode::Memory => play::<Scene<memory::InMemory>>(case, steps, mode, stress, clock).await?,
            Mode::Live => play::<Scene<live::Live>>(case, steps, mode, stress, clock).await?,
        };
        compare::verdict(&case.body["then"], &played)
    }
}
