//! Whether something we depend on works, as told by the calls that are made anyway; nothing is asked for its own sake.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

/// This many failed calls in a row mark a dependency down (`docs/reliability.md`, section 3).
const FAILURES_UNTIL_DOWN: u32 = 5;

/// One dependency. Clones share its state.
///
/// Adapters tell it how each call ended; whoever must not work without the dependency waits on it. It begins up: before
/// the first call nothing speaks against it.
#[derive(Clone)]
pub struct Dependency(Arc<Shared>);

struct Shared {
    name: &'static str,
    state: watch::Sender<State>,
    report: Box<dyn Fn(&'static str, bool) + Send + Sync>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    up: bool,
    failures: u32,
}

impl Dependency {
    /// A dependency that is up. `report` is told that at once, and each change after it, in order.
    ///
    /// It is called while the state is locked: it sets a gauge or writes a line, and must not use the dependency.
    pub fn new(name: &'static str, report: impl Fn(&'static str, bool) + Send + Sync + 'static) -> Self {
        report(name, true);
        let (state, _) = watch::channel(State { up: true, failures: 0 });
        Self(Arc::new(Shared { name, state, report: Box::new(report) }))
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// A call succeeded: up, and the row of failures is over.
    pub fn succeeded(&self) {
        self.change(|_| State { up: true, failures: 0 });
    }

    /// A call failed, after its own retries, in a way that lies with the dependency. The fifth in a row means down.
    pub fn failed(&self) {
        self.change(|state| {
            let failures = state.failures.saturating_add(1);
            State { up: state.up && failures < FAILURES_UNTIL_DOWN, failures }
        });
    }

    /// The connection is gone or cannot be had: down at once.
    pub fn lost(&self) {
        self.change(|state| State { up: false, failures: state.failures.saturating_add(1) });
    }

    /// Whether it is up now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.state.borrow().up
    }

    /// Returns when it is up, at once if it is. While it is down somebody has to probe it, or this never returns.
    pub async fn until_up(&self) {
        self.until(true).await;
    }

    /// Returns when it is down, at once if it is.
    pub async fn until_down(&self) {
        self.until(false).await;
    }

    async fn until(&self, up: bool) {
        let mut state = self.0.state.subscribe();
        // The sender lives in `self`, so the channel is not closed while this waits.
        if state.wait_for(|state| state.up == up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn change(&self, next: impl FnOnce(State) -> State) {
        self.0.state.send_if_modified(|state| {
            let was_up = state.up;
            *state = next(*state);
            if state.up != was_up {
                (self.0.report)(self.0.name, state.up);
            }
            state.up != was_up
        });
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency").field("name", &self.0.name).field("up", &self.is_up()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    fn observed() -> (Dependency, Arc<Mutex<Vec<bool>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&seen);
        let dependency = Dependency::new("database", move |name, up| {
            assert_eq!(name, "database");
            writer.lock().unwrap_or_else(PoisonError::into_inner).push(up);
        });
        (dependency, seen)
    }

    #[test]
    fn the_fifth_failure_in_a_row_means_down_and_the_first_success_up() {
        let (dependency, seen) = observed();
        for _ in 0..4 {
            dependency.failed();
        }
        assert!(dependency.is_up());
        dependency.failed();
        assert!(!dependency.is_up());
        dependency.failed();
        dependency.succeeded();
        assert!(dependency.is_up());
        assert_eq!(*seen.lock().unwrap(), [true, false, true], "each change is reported once");
    }

    #[test]
    fn a_success_ends_the_row_of_failures() {
        let (dependency, seen) = observed();
        for _ in 0..3 {
            for _ in 0..4 {
                dependency.failed();
            }
            dependency.succeeded();
        }
        assert!(dependency.is_up());
        assert_eq!(*seen.lock().unwrap(), [true]);
    }

    #[test]
    fn a_lost_connection_means_down_at_once() {
        let (dependency, seen) = observed();
        dependency.lost();
        dependency.lost();
        assert!(!dependency.clone().is_up());
        assert_eq!(*seen.lock().unwrap(), [true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_by_the_first_success() {
        let (dependency, _) = observed();
        dependency.until_up().await;
        dependency.lost();
        dependency.until_down().await;
        assert!(timeout(Duration::from_secs(60), dependency.until_up()).await.is_err());
        let (woken, ()) = tokio::join!(timeout(Duration::from_secs(60), dependency.until_up()), async {
            tokio::task::yield_now().await;
            dependency.succeeded();
        });
        woken.unwrap();
    }
}
