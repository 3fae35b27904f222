//! The failpoint that the environment names.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use rustix::process::{Signal, getpid, kill_process};

const VARIABLE: &str = "TRUECOPY_FAILPOINT";

static FAILPOINT: LazyLock<Option<Failpoint>> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "no setting of a service: shipped builds do not read it")]
    let text = std::env::var(VARIABLE).ok()?;
    Failpoint::parse(&text)
});

static HITS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, PartialEq, Eq)]
struct Failpoint {
    name: String,
    at: u64,
}

impl Failpoint {
    /// Reads `name` or `name:n`, with `n` from 1; anything else names no failpoint.
    fn parse(text: &str) -> Option<Self> {
        let (name, at) = match text.split_once(':') {
            Some((name, at)) => (name, at.parse().ok().filter(|at| *at > 0)?),
            None => (text, 1),
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), at })
    }
}

/// A place to be killed at: SIGKILL to this process when the environment names it and this is the hit that it asks for.
pub fn hit(name: &'static str) {
    let Some(failpoint) = FAILPOINT.as_ref().filter(|failpoint| failpoint.name == name) else { return };
    if HITS.fetch_add(1, Ordering::SeqCst) + 1 == failpoint.at {
        kill_process(getpid(), Signal::KILL).unwrap_or_else(|_| std::process::abort());
        loop {
            std::thread::park(); // nothing of the process may go on while the signal is on its way
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::child::child;

    #[test]
    fn a_failpoint_has_a_name_and_a_count_from_one() {
        let failpoint = |name: &str, at| Some(Failpoint { name: name.to_owned(), at });
        assert_eq!(Failpoint::parse("committed"), failpoint("committed", 1));
        assert_eq!(Failpoint::parse("committed:3"), failpoint("committed", 3));
        for text in ["", ":1", "committed:0", "committed:x"] {
            assert_eq!(Failpoint::parse(text), None, "{text}");
        }
    }

    /// The signal that ended a process in which `first` is hit once and `second` twice.
    fn signal_of(failpoint: &str) -> Option<i32> {
        let mut child = child("failpoints::armed::tests::the_child_hits_its_failpoints");
        let status = child.env(VARIABLE, failpoint).output().unwrap().status;
        assert!(status.signal().is_some() || status.success());
        status.signal()
    }

    #[test]
    #[ignore = "run in a process of its own by the test below"]
    fn the_child_hits_its_failpoints() {
        hit("first");
        hit("second");
        hit("second");
    }

    #[test]
    fn the_process_is_killed_at_the_named_hit_and_nowhere_else() {
        assert_eq!(signal_of("first"), Some(9));
        assert_eq!(signal_of("second:2"), Some(9));
        assert_eq!(signal_of("second:3"), None);
        assert_eq!(signal_of("third"), None);
    }
}
