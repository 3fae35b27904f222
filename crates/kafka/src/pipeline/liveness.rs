//! Whether every partition with messages moves.

use std::{collections::HashMap, time::Duration};

use chassis::parts::Part;
use tokio::time::Instant;

use crate::source::Partition;

const CHECK: Duration = Duration::from_secs(1);

/// Tells the part that it progresses, as long as no partition stands with messages before it.
///
/// A partition may stand for half of the limit before this falls silent, and the part may be silent for the other half. So a step that
/// waits in long calls can speak for itself through its part.
#[derive(Debug)]
pub(super) struct Liveness {
    half: Duration,
    moved: HashMap<Partition, Standing>,
    check: Instant,
}

#[derive(Debug)]
struct Standing {
    since: Instant,
    unread: bool,
}

impl Liveness {
    pub(super) fn new(part: &Part, limit: Duration) -> Self {
        let half = limit / 2;
        part.progress_within(half);
        Self { half, moved: HashMap::new(), check: Instant::now() }
    }

    pub(super) fn begin(&mut self, partition: Partition) {
        self.moved.insert(partition, Standing { since: Instant::now(), unread: false });
    }

    pub(super) fn end(&mut self, partition: &Partition) {
        self.moved.remove(partition);
    }

    /// A message of it was settled, or waits for something named.
    pub(super) fn moved(&mut self, partition: &Partition) {
        if let Some(standing) = self.moved.get_mut(partition) {
            standing.since = Instant::now();
        }
    }

    /// Whether its source has messages that are not in the loop.
    pub(super) fn unread(&mut self, partition: &Partition, unread: bool) {
        if let Some(standing) = self.moved.get_mut(partition) {
            if !standing.unread {
                standing.since = Instant::now(); // until now there was nothing to move
            }
            standing.unread = unread;
        }
    }

    /// When to check next.
    pub(super) fn due(&self) -> Instant {
        self.check
    }

    /// `is_due` says whether a partition has to move: with messages in the loop, or, by its second argument, in the source alone.
    pub(super) fn check(&mut self, part: &Part, is_due: impl Fn(&Partition, bool) -> bool) {
        let now = Instant::now();
        if now < self.check {
            return;
        }
        self.check = now + CHECK;
        let mut stalled = false;
        for (partition, standing) in &mut self.moved {
            if is_due(partition, standing.unread) {
                stalled |= now.duration_since(standing.since) > self.half;
            } else {
                standing.since = now;
            }
        }
        if !stalled {
            part.progressed();
        }
    }
}
