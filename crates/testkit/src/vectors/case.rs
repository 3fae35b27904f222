//! The words of the runner.

use std::{error::Error, fmt, path::PathBuf};

use serde_json::Value;

/// One case of a file, with its fixtures already in it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file it came from.
    pub file: PathBuf,
    /// Its name, unique in the file.
    pub name: String,
    /// What it is a case of, in the service's own words.
    pub kind: String,
    /// All that the service's harness needs of it.
    pub body: Value,
}

/// What stands behind the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Memory adapters, scripted HTTP, paused time.
    Memory,
    /// The built binary and real servers.
    Live,
}

/// What is done to a case beside what it says. The end must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stress {
    /// Every delivery comes again (Kafka: same topic, partition and offset); other steps happen once.
    pub twice: bool,
    /// The service is restarted between any two steps.
    pub restart: bool,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as expected.
    Passed,
    /// What was not; never empty.
    Failed(Vec<Mismatch>),
    /// It cannot run with real servers, for this reason. In memory it is a failure.
    NotHere(&'static str),
}

/// One place where the end is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where, seen from the expectation: `amt_tiltak[0].payload.status`.
    pub path: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

impl Mismatch {
    /// The place `path`, where `actual` is and `expected` should be.
    #[must_use]
    pub fn new(path: impl Into<String>, expected: impl fmt::Display, actual: impl fmt::Display) -> Self {
        Self { path: path.into(), expected: expected.to_string(), actual: actual.to_string() }
    }
}

/// A file that cannot be read as vectors of this service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFile(String);

impl BadFile {
    /// A file with this problem.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// A problem inside one case is a problem of its file when it is met while the file is read.
impl From<BadCase> for BadFile {
    fn from(error: BadCase) -> Self {
        Self(error.0)
    }
}

/// A case that cannot be run: a kind, step or member that is not known, or a world that could not be built or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCase(String);

impl BadCase {
    /// A case with this problem.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }

    /// A case whose world failed at `what`, with all causes of `error`.
    #[must_use]
    pub fn because(what: &str, error: &dyn Error) -> Self {
        let mut problem = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            problem.push_str(": ");
            problem.push_str(&error.to_string());
            cause = error.source();
        }
        Self(problem)
    }
}
