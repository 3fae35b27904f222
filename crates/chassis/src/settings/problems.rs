//! What can be wrong with settings, by name and never with a value.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is required and neither set nor defaulted.
    #[error("{name} is missing: {expects} is expected")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What it would hold.
        expects: String,
    },
    /// It is set to something else than it can hold.
    #[error("{name} is not {expects}")]
    Unreadable {
        /// The variable.
        name: String,
        /// What it would hold.
        expects: String,
    },
    /// It is set in more than one way.
    #[error("{} are set, but only one of them may be", names.join(" and "))]
    Several {
        /// The variables.
        names: Vec<String>,
    },
    /// The file that it names gives no secret.
    #[error("{name} names a file that {wrong}")]
    File {
        /// The variable.
        name: String,
        /// What is wrong with the file.
        wrong: String,
    },
    /// It has the service's prefix, but is no setting.
    #[error("{0} is not a setting")]
    Unknown(String),
    /// A rule across settings is broken.
    #[error("{0}")]
    Rule(&'static str),
}

/// Everything that is wrong with the settings of a process, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// Each problem, in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
