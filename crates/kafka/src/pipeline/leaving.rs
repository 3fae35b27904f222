//! Partitions that were revoked and not released yet.

use tokio::time::Instant;

use crate::source::Partition;

/// One revoke: its partitions are released together.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) partitions: Vec<Partition>,
    pub(super) deadline: Instant,
    /// Whether the last commit for them was asked for.
    pub(super) asked: bool,
}

/// What becomes of one revoke now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Work still runs, or the commit is on its way.
    Wait,
    /// All is settled, or it is too late for more: commit what is settled.
    Commit,
    /// Give them up.
    Release,
}

impl Leaving {
    pub(super) fn next(&self, settled: bool, committed: bool) -> Next {
        let late = Instant::now() >= self.deadline;
        match (settled || late, self.asked) {
            (false, _) => Next::Wait,
            (true, false) => Next::Commit,
            (true, true) if committed || late => Next::Release,
            (true, true) => Next::Wait,
        }
    }
}
