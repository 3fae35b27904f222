//! What the runner prints.

use std::{
    fmt,
    io::{self, Write},
};

use super::Mismatch;

/// How a case ended, as the runner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    Mismatched(Vec<Mismatch>),
    /// It could not be run to its end, for this reason: a bad case, a panic, a hang.
    Broken(String),
    NotHere(&'static str),
}

/// Cases by how they ended. Errors of the list of cases not yet passing are in `failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) not_yet: usize,
    pub(super) not_here: usize,
    pub(super) failed: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.not_yet += other.not_yet;
        self.not_here += other.not_here;
        self.failed += other.failed;
    }

    /// Whether no case was met at all.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, ", self.passed)?;
        if self.not_yet > 0 {
            write!(f, "{} not yet (listed), ", self.not_yet)?;
        }
        if self.not_here > 0 {
            write!(f, "{} not runnable here, ", self.not_here)?;
        }
        write!(f, "{} failed", self.failed)
    }
}

/// Prints case `name` unless it simply passed, and counts it. `listed`: it is on the list of those not yet passing.
pub(super) fn case(out: &mut impl Write, name: &str, ended: &Ended, listed: bool) -> io::Result<Tally> {
    let mut tally = Tally::default();
    match ended {
        Ended::Passed if listed => {
            tally.failed = 1;
            writeln!(out, "FAILED {name}\n  it passes, but is listed as not yet passing")?;
        }
        Ended::Passed => tally.passed = 1,
        Ended::NotHere(reason) => {
            tally.not_here = 1;
            writeln!(out, "not runnable here {name}: {reason}")?;
        }
        Ended::Mismatched(found) if listed => {
            tally.not_yet = 1;
            let first = found.first().map_or_else(String::new, |first| first.path.clone());
            writeln!(out, "not yet {name}: {first} and {} more", found.len().saturating_sub(1))?;
        }
        Ended::Broken(problem) if listed => {
            tally.not_yet = 1;
            writeln!(out, "not yet {name}: {problem}")?;
        }
        Ended::Mismatched(found) => {
            tally.failed = 1;
            writeln!(out, "FAILED {name}")?;
            for Mismatch { path, expected, actual } in found {
                writeln!(out, "  {path}\n    expected {expected}\n    actual   {actual}")?;
            }
        }
        Ended::Broken(problem) => {
            tally.failed = 1;
            writeln!(out, "FAILED {name}\n  {problem}")?;
        }
    }
    Ok(tally)
}

/// Prints a failure that belongs to no case, and counts it.
pub(super) fn failure(out: &mut impl Write, name: &str, problem: &str) -> io::Result<Tally> {
    case(out, name, &Ended::Broken(problem.to_owned()), false)
}

/// The last lines; the very last is always `N passed, N failed`.
pub(super) fn totals(out: &mut impl Write, tally: Tally) -> io::Result<()> {
    if tally.not_yet > 0 || tally.not_here > 0 {
        writeln!(out, "{tally}")?;
    }
    writeln!(out, "{} passed, {} failed", tally.passed, tally.failed)
}
