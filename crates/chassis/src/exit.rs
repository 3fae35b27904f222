//! How a process ends, told truly by its exit code.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done, or help was asked for |
//! | 1 | failed |
//! | 3 | done in part |
//! | 64 | the command line is not understood |
//! | 78 | the settings are not complete or not readable, or name what the process must not work on |
//! | 130 | a second signal ended the process at once ([`crate::parts::stop_signal`]) |

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::error::ErrorKind;

use crate::settings::Problems;

/// How a command ended well.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Everything that was asked for is done.
    All,
    /// Some of it is done; what is not was reported.
    InPart,
}

/// Why a command ended without doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line: not understood, or a question for help or version.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The settings.
    #[error("settings are not complete or not readable")]
    Settings(#[from] Problems),
    /// What the settings name is not what the process may work on, and waiting will not change that.
    #[error("refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error("failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A failure that telemetry has logged already, with its causes; its exit code.
    #[error("failed, as logged")]
    Logged(u8),
}

impl Error {
    /// The settings lead to what the process must not work on: code 78.
    #[must_use]
    pub fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Refused(Box::new(error))
    }

    /// A failure of the command itself: code 1.
    #[must_use]
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }

    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => 0,
            Self::Usage(_) => 64,
            Self::Settings(_) | Self::Refused(_) => 78,
            Self::Failed(_) => 1,
            Self::Logged(code) => *code,
        }
    }

    /// Help and version go to standard output, everything else once to standard error.
    fn print(&self) {
        let printed = match self {
            Self::Usage(error) => error.print(),
            Self::Settings(problems) => writeln!(io::stderr(), "{problems}"),
            Self::Refused(error) | Self::Failed(error) => writeln!(io::stderr(), "error: {}", causes(error.as_ref())),
            Self::Logged(_) => Ok(()),
        };
        // the exit code still tells what a closed standard error cannot
        printed.unwrap_or_default();
    }
}

/// Prints what went wrong and gives the exit code of the process.
#[must_use]
pub fn report(result: Result<Done, Error>) -> ExitCode {
    match result {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::InPart) => ExitCode::from(3),
        Err(error) => {
            error.print();
            ExitCode::from(error.code())
        }
    }
}

/// An error and what caused it, on one line.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::{Command, error::ErrorKind};

    use super::*;
    use crate::settings;

    #[derive(Debug, thiserror::Error)]
    #[error("inbox failed")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Inner;

    fn problems() -> Problems {
        settings::read([("", ""); 0], |table| table.value::<u16>("PORT", "the port").required()).unwrap_err()
    }

    #[test]
    fn each_end_has_its_code() {
        let usage = |kind| Error::from(Command::new("x").error(kind, "y")).code();
        assert_eq!(usage(ErrorKind::UnknownArgument), 64);
        assert_eq!(usage(ErrorKind::DisplayHelp), 0);
        assert_eq!(usage(ErrorKind::DisplayVersion), 0);
        assert_eq!(Error::from(problems()).code(), 78);
        assert_eq!(Error::refused(Inner).code(), 78);
        assert_eq!(Error::failed(Inner).code(), 1);
        assert_eq!(Error::Logged(78).code(), 78);
    }

    #[test]
    fn a_command_without_its_subcommand_is_not_a_question_for_help() {
        let command =
            Command::new("x").subcommand_required(true).arg_required_else_help(true).subcommand(Command::new("serve"));
        let error = command.try_get_matches_from(["x"]).unwrap_err();
        assert_eq!(Error::from(error).code(), 64);
    }

    #[test]
    fn done_in_part_is_told_apart_from_done() {
        assert_eq!(report(Ok(Done::All)), ExitCode::SUCCESS);
        assert_eq!(report(Ok(Done::InPart)), ExitCode::from(3));
        assert_eq!(report(Err(Error::Logged(1))), ExitCode::from(1));
    }

    #[test]
    fn causes_are_told_outermost_first() {
        assert_eq!(causes(&Outer(Inner)), "inbox failed: connection refused");
    }
}
