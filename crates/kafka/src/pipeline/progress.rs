//! How far the loop is, for whoever waits until all is done.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::source::Drained;

/// How far a loop is. Clones tell of the same loop; until it runs, nothing is idle.
#[derive(Clone, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Default)]
struct Inner {
    drained: OnceLock<Drained>,
    in_flight: AtomicUsize,
    committed: AtomicBool,
}

impl Progress {
    /// How many messages are received and not settled.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    /// Whether all that was fetched is settled and its offsets are confirmed, and the source has nothing on its way.
    ///
    /// A memory broker knows that its topics hold nothing more; of a real one only what was fetched is known, so whoever produced waits
    /// until the committed offsets have passed that before asking here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        // In this order: a message leaves the source after it counts as in flight, and is in flight until its offset is uncommitted.
        self.0.drained.get().is_some_and(|drained| drained())
            && self.in_flight() == 0
            && self.0.committed.load(Ordering::SeqCst)
    }

    /// The first loop that runs is the one that is told of.
    pub(super) fn attach(&self, drained: Drained) {
        self.0.drained.get_or_init(|| drained);
    }

    pub(super) fn tell(&self, in_flight: usize, committed: bool) {
        self.0.committed.store(committed, Ordering::SeqCst);
        self.0.in_flight.store(in_flight, Ordering::SeqCst);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("in_flight", &self.in_flight()).field("idle", &self.is_idle()).finish()
    }
}
