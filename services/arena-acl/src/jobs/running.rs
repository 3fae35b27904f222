//! Which runs are under way in this process.

use std::sync::atomic::{AtomicBool, Ordering};

/// What never overlaps itself; different ones may overlap (6.1).
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) retry: Run,
    pub(super) failed: Run,
    pub(super) purge: Run,
    pub(super) wake: Run,
}

impl Running {
    /// Whether any run is under way.
    pub(super) fn any(&self) -> bool {
        self.any_over_rows() || self.purge.is_under_way()
    }

    /// Whether a run is under way that goes through rows.
    pub(super) fn any_over_rows(&self) -> bool {
        [&self.retry, &self.failed, &self.wake].into_iter().any(Run::is_under_way)
    }
}

/// A flag rather than a lock: whoever looks must not keep a run from its start.
#[derive(Debug, Default)]
pub(super) struct Run(AtomicBool);

impl Run {
    /// Begins a run, which ends when what comes back is dropped; `None` while another one is under way.
    pub(super) fn begin(&self) -> Option<UnderWay<'_>> {
        (!self.0.swap(true, Ordering::AcqRel)).then_some(UnderWay(&self.0))
    }

    fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A run.
#[derive(Debug)]
#[must_use]
pub(super) struct UnderWay<'r>(&'r AtomicBool);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_never_overlaps_itself_and_looking_costs_nothing() {
        let running = Running::default();
        assert!(!running.any());
        let first = running.retry.begin().unwrap();
        assert!(running.any() && running.any_over_rows());
        assert!(running.retry.begin().is_none());
        let other = running.purge.begin();
        assert!(other.is_some(), "different jobs may overlap");
        drop(first);
        assert!(running.any() && !running.any_over_rows());
        assert!(running.retry.begin().is_some());
    }
}
