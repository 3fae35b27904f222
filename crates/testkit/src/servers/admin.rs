//! Work for the end of a test, from `Drop`, inside or outside a runtime.

use std::thread;

/// Runs what `work` makes on a thread and a runtime of its own, and waits for it. What fails is left: the server is a test server.
pub(super) fn finish<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send) {
    thread::scope(|scope| {
        scope.spawn(|| {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(work());
            }
        });
    });
}
