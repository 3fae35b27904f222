//! Finds files, runs their cases one after another, bounded in real time, and counts.

use std::{
    any::Any,
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{
    BadCase, BadFile, Case, Harness, Mode, Stress, Verdict,
    args::Asked,
    not_yet::NotYet,
    report::{self, Ended, Tally},
};

/// Bound of [`Harness::finish`].
const FINISH: Duration = Duration::from_secs(30);
/// Bound of letting go, for a live case that was given up.
const ABORT: Duration = Duration::from_secs(5);
/// A case builds whole services on its thread.
const STACK_BYTES: usize = 8 << 20;

/// Runs what was asked for, `own` where no folder was named, each case at most `limit` long (real time).
///
/// Only a report that cannot be written is an error; everything else is a failure in the tally.
pub(super) fn run<H: Harness>(
    harness: H,
    own: &Path,
    asked: &Asked,
    limit: Duration,
    out: &mut impl Write,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    if asked.nothing {
        report::totals(out, tally)?;
        return Ok(tally);
    }
    let mut not_yet = NotYet::default();
    if let Some(file) = &asked.not_yet {
        match NotYet::read(file) {
            Ok(list) => not_yet = list,
            Err(error) => tally.add(report::failure(out, &file.display().to_string(), &error.to_string())?),
        }
    }
    match Cases::new(harness, asked.mode, asked.stress, limit) {
        Ok(cases) => {
            let dir = asked.dir.as_deref().unwrap_or(own);
            tally.add(folder(&cases, dir, asked.only.as_deref(), &mut not_yet, out)?);
            cases.finish();
        }
        Err(error) => tally.add(report::failure(out, "runtime", &error.to_string())?),
    }
    for name in not_yet.unmet(asked.only.as_deref()) {
        tally.add(report::failure(out, name, "it is listed as not yet passing, but there is no such case")?);
    }
    report::totals(out, tally)?;
    Ok(tally)
}

fn folder<H: Harness>(
    cases: &Cases<H>,
    dir: &Path,
    only: Option<&str>,
    not_yet: &mut NotYet,
    out: &mut impl Write,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut files = Vec::new();
    if let Err(error) = find(dir, &mut files) {
        return report::failure(out, &dir.display().to_string(), &error.to_string());
    }
    files.sort();
    for file in files {
        let relative = file.strip_prefix(dir).unwrap_or(&file);
        let stem = relative.with_extension("").display().to_string();
        let mut of_file = Tally::default();
        match read(&cases.harness, &file) {
            Ok(found) => {
                for case in found {
                    let name = format!("{stem}/{}", case.name);
                    if only.is_none_or(|only| name.contains(only)) {
                        let listed = not_yet.meet(&name);
                        of_file.add(report::case(out, &name, &cases.run(case), listed)?);
                    }
                }
            }
            Err(problem) => of_file.add(report::failure(out, &stem, &problem.to_string())?),
        }
        if !of_file.is_empty() {
            writeln!(out, "{}: {of_file}", relative.display())?;
        }
        tally.add(of_file);
    }
    if tally.is_empty() {
        let problem = only.map_or_else(|| "no case".to_owned(), |only| format!("no case with {only:?} in its name"));
        return report::failure(out, &dir.display().to_string(), &problem);
    }
    Ok(tally)
}

/// Every `*.json` below `dir`.
fn find(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn read<H: Harness>(harness: &Arc<H>, file: &Path) -> Result<Vec<Case>, BadFile> {
    let bytes = fs::read(file).map_err(|error| BadFile::new(error.to_string()))?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|error| BadFile::new(error.to_string()))?;
    let cases = harness.cases(file, json)?;
    let mut names = BTreeSet::new();
    match cases.iter().find(|case| !names.insert(case.name.as_str())) {
        Some(twin) => Err(BadFile::new(format!("two cases are named {:?}", twin.name))),
        None if cases.is_empty() => Err(BadFile::new("it has no case")),
        None => Ok(cases),
    }
}

/// Runs one case after another.
struct Cases<H> {
    harness: Arc<H>,
    stress: Stress,
    limit: Duration,
    /// What live cases share; without it each case runs in memory.
    live: Option<Runtime>,
}

impl<H: Harness> Cases<H> {
    fn new(harness: H, mode: Mode, stress: Stress, limit: Duration) -> io::Result<Self> {
        let live = match mode {
            Mode::Memory => None,
            Mode::Live => Some(Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?),
        };
        Ok(Self { harness: Arc::new(harness), stress, limit, live })
    }

    fn run(&self, case: Case) -> Ended {
        match &self.live {
            None => match self.in_memory(case) {
                Ended::NotHere(_) => Ended::Broken("it says that it cannot run in memory".to_owned()),
                ended => ended,
            },
            Some(runtime) => self.live(runtime, case),
        }
    }

    /// On a thread of its own: one that hangs is left behind, the others go on.
    fn in_memory(&self, case: Case) -> Ended {
        let (harness, stress) = (Arc::clone(&self.harness), self.stress);
        let (done, result) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("vector case".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
            let ended = match runtime {
                Ok(runtime) => ended(runtime.block_on(harness.run_case(&case, Mode::Memory, stress))),
                Err(error) => Ended::Broken(error.to_string()),
            };
            done.send(ended).ok();
        });
        match (thread, result.recv_timeout(self.limit)) {
            (Err(error), _) => Ended::Broken(error.to_string()),
            (Ok(_), Ok(ended)) => ended,
            (Ok(_), Err(mpsc::RecvTimeoutError::Timeout)) => self.hanging(),
            (Ok(thread), Err(mpsc::RecvTimeoutError::Disconnected)) => match thread.join() {
                Ok(()) => Ended::Broken("it ended without a result".to_owned()),
                Err(panic) => panicked(panic.as_ref()),
            },
        }
    }

    fn live(&self, runtime: &Runtime, case: Case) -> Ended {
        let (harness, stress) = (Arc::clone(&self.harness), self.stress);
        runtime.block_on(async {
            let mut task = runtime.spawn(async move { harness.run_case(&case, Mode::Live, stress).await });
            match tokio::time::timeout(self.limit, &mut task).await {
                Ok(Ok(result)) => ended(result),
                Ok(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => panicked(panic.as_ref()),
                    Err(error) => Ended::Broken(error.to_string()),
                },
                Err(_) => {
                    task.abort();
                    tokio::time::timeout(ABORT, task).await.ok(); // the next case may need what this one holds
                    self.hanging()
                }
            }
        })
    }

    fn hanging(&self) -> Ended {
        Ended::Broken(format!("it did not end within {:?}", self.limit))
    }

    fn finish(self) {
        let Some(runtime) = self.live else { return };
        runtime.block_on(async {
            tokio::time::timeout(FINISH, self.harness.finish()).await.ok();
            drop(self.harness); // what it holds may need the runtime to end
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

fn ended(result: Result<Verdict, BadCase>) -> Ended {
    match result {
        Ok(Verdict::Passed) => Ended::Passed,
        Ok(Verdict::Failed(found)) => Ended::Mismatched(found),
        Ok(Verdict::NotHere(reason)) => Ended::NotHere(reason),
        Err(error) => Ended::Broken(error.to_string()),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Ended {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Ended::Broken(format!("it panicked: {}", text.unwrap_or("no text")))
}

#[cfg(test)]
mod tests;
