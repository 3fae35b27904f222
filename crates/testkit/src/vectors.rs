//! Runs the vectors published for a service: the same cases in memory and with real servers behind.
//!
//! The runner knows files, names, filters, comparison and reporting; a service knows its own shapes and gives a [`Harness`].
//! What is not built yet fails, under its name, and nothing is skipped in silence.
//!
//! A test target without libtest's harness runs them. `test = false` keeps it out of a plain `cargo test`, where nobody
//! could say which names may fail:
//!
//! ```toml
//! [[test]]
//! name = "vectors"
//! harness = false
//! test = false
//! ```
//!
//! ```no_run
//! # use std::{path::Path, process::ExitCode};
//! # use testkit::vectors::{BadCase, BadFile, Case, Harness, Mode, Stress, Verdict};
//! # struct ArenaAcl;
//! # impl Harness for ArenaAcl {
//! #     fn cases(&self, _: &Path, _: serde_json::Value) -> Result<Vec<Case>, BadFile> { Ok(Vec::new()) }
//! #     async fn run_case(&self, _: &Case, _: Mode, _: Stress) -> Result<Verdict, BadCase> { Ok(Verdict::Passed) }
//! # }
//! fn main() -> ExitCode {
//!     testkit::vectors::main(ArenaAcl, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
//! }
//! ```
//!
//! Its arguments are those of [`main`].

mod args;
mod bindings;
mod case;
mod compare;
mod matching;
mod not_yet;
mod play;
mod report;
mod run;
mod shape;

use std::{future::Future, io::Write, path::Path, process::ExitCode, time::Duration};

use serde_json::Value;

pub use self::{
    bindings::{Bindings, Refused, Unbound},
    case::{BadCase, BadFile, Case, Mismatch, Mode, Stress, Verdict},
    compare::{Compare, Rule, same_number},
    play::{Played, World, play},
    shape::{list, object, text},
};

/// How one service reads and runs its cases.
pub trait Harness: Send + Sync + 'static {
    /// The cases of one file, with names unique in it. The one place that knows a file's shape.
    ///
    /// # Errors
    /// An unknown format, kind, member or fixture.
    fn cases(&self, file: &Path, json: Value) -> Result<Vec<Case>, BadFile>;

    /// Runs `case` in a fresh world and compares.
    ///
    /// With [`Mode::Memory`] it runs on paused time (`tokio::time`), each case on a runtime of its own; with [`Mode::Live`]
    /// on real time, all cases on one runtime, one after another, so that they may share a process.
    ///
    /// # Errors
    /// An unknown kind, step or member, or a world that could not be built or asked. It counts as failed.
    fn run_case(
        &self,
        case: &Case,
        mode: Mode,
        stress: Stress,
    ) -> impl Future<Output = Result<Verdict, BadCase>> + Send;

    /// Ends what live cases shared; called once after the last of them, at most 30 s long.
    fn finish(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Runs the cases of `own` (every `*.json` below it), or of the folder that the process arguments name.
///
/// | argument | meaning |
/// | --- | --- |
/// | `DIR` | run this folder instead; a relative one is seen from the working directory (under cargo: the package) |
/// | `--live` | with the real servers; a case that cannot run there is listed with its reason and is in neither count |
/// | `--twice` | each delivery comes a second time |
/// | `--restart` | the service is restarted between any two steps |
/// | `--only TEXT` | only cases whose full name, `FILE/CASE`, contains this |
/// | `--not-yet FILE` | the full names that are not yet passing, one a line, `#` begins a comment |
///
/// With a list, a listed case that passes, an unlisted one that fails and a listed name that does not exist are errors, and
/// the last lines are `N passed, N not yet (listed), N failed` and `N passed, N failed`. Without one, every failure counts.
/// The last line is always `N passed, N failed`; a folder without a case, or a filter that fits none, is a failure.
///
/// What `cargo test` passes to every target (`--nocapture`, `--test-threads`, …) is accepted and means nothing here, except
/// `--ignored` alone: no case is ignored, so nothing runs and the line is `0 passed, 0 failed`.
///
/// Exit codes: 0 all passed, 1 something failed, 64 an argument is not known.
#[must_use]
pub fn main<H: Harness>(harness: H, own: impl AsRef<Path>) -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    ExitCode::from(code(harness, own.as_ref(), arguments, &mut std::io::stdout()))
}

fn code<H: Harness>(harness: H, own: &Path, arguments: impl Iterator<Item = String>, out: &mut impl Write) -> u8 {
    let asked = match args::read(arguments) {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("{problem}");
            return 64;
        }
    };
    match run::run(harness, own, &asked, case_limit(asked.mode), out) {
        Ok(tally) => u8::from(tally.failed > 0),
        Err(error) => {
            eprintln!("the report could not be written: {error}");
            1
        }
    }
}

/// How long (real time) a case may take before it counts as hanging. A live case may restart a process at every step.
fn case_limit(mode: Mode) -> Duration {
    match mode {
        Mode::Memory => Duration::from_secs(60),
        Mode::Live => Duration::from_secs(300),
    }
}
