//! What the runner is asked to do.

use std::path::PathBuf;

use super::{Mode, Stress};

/// One run, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) dir: Option<PathBuf>,
    pub(super) mode: Mode,
    pub(super) stress: Stress,
    pub(super) only: Option<String>,
    pub(super) not_yet: Option<PathBuf>,
    /// `--ignored`: only ignored cases, of which there is none.
    pub(super) nothing: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self { dir: None, mode: Mode::Memory, stress: Stress::default(), only: None, not_yet: None, nothing: false }
    }
}

/// An argument that is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadArgument {
    #[error("unknown argument {0}; known: [DIR] [--live] [--twice] [--restart] [--only TEXT] [--not-yet FILE]")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("two folders: {0} and {1}")]
    TwoFolders(String, String),
}

/// Reads the arguments after the program's name. Both `--name value` and `--name=value` are fine.
pub(super) fn read(arguments: impl IntoIterator<Item = String>) -> Result<Asked, BadArgument> {
    let mut asked = Asked::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (name, given) = match argument.split_once('=') {
            Some((name, given)) if name.starts_with("--") => (name.to_owned(), Some(given.to_owned())),
            _ => (argument, None),
        };
        let mut value = || given.clone().or_else(|| arguments.next()).ok_or_else(|| BadArgument::NoValue(name.clone()));
        match name.as_str() {
            "--only" => asked.only = Some(value()?),
            "--not-yet" => asked.not_yet = Some(value()?.into()),
            // libtest's, given to every target of a `cargo test`
            "--test-threads" | "--format" | "--color" => {
                value()?;
            }
            _ if given.is_some() => return Err(BadArgument::Unknown(name)),
            "--live" => asked.mode = Mode::Live,
            "--twice" => asked.stress.twice = true,
            "--restart" => asked.stress.restart = true,
            "--ignored" => asked.nothing = true,
            "--include-ignored" | "--nocapture" | "--no-capture" | "--show-output" | "--quiet" | "-q" => {}
            _ if name.starts_with('-') => return Err(BadArgument::Unknown(name)),
            _ => {
                if let Some(first) = asked.dir.replace(PathBuf::from(&name)) {
                    return Err(BadArgument::TwoFolders(first.display().to_string(), name));
                }
            }
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Asked, BadArgument> {
        read(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn without_arguments_the_own_cases_run_in_memory() {
        assert_eq!(asked(&[]), Ok(Asked::default()));
    }

    #[test]
    fn every_argument_is_understood() {
        let all = asked(&["cases", "--live", "--twice", "--restart", "--only", "a=b", "--not-yet=list.txt"]).unwrap();
        let expected = Asked {
            dir: Some("cases".into()),
            mode: Mode::Live,
            stress: Stress { twice: true, restart: true },
            only: Some("a=b".to_owned()),
            not_yet: Some("list.txt".into()),
            nothing: false,
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn what_cargo_passes_to_all_targets_changes_nothing() {
        let passed = ["--test-threads", "1", "--nocapture", "--format=terse", "--color", "never", "--include-ignored"];
        assert_eq!(asked(&passed), Ok(Asked::default()));
    }

    #[test]
    fn ignored_alone_asks_for_nothing() {
        assert!(asked(&["--ignored"]).unwrap().nothing);
    }

    #[test]
    fn an_unknown_argument_is_an_error() {
        for (given, name) in [("--liev", "--liev"), ("--live=yes", "--live"), ("-x", "-x")] {
            assert_eq!(asked(&[given]), Err(BadArgument::Unknown(name.to_owned())));
        }
        assert_eq!(asked(&["--only"]), Err(BadArgument::NoValue("--only".to_owned())));
        assert!(matches!(asked(&["a", "b"]), Err(BadArgument::TwoFolders(..))));
    }
}
