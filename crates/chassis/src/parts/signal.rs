//! The signals that stop the process.

#[cfg(test)]
mod tests;

use std::{future::pending, process::exit};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, warn};

/// The exit code of a process that did not wait for its parts.
const AT_ONCE: i32 = 130;

/// Comes with the first SIGTERM or SIGINT after this call. A second signal ends the process at once with code 130.
///
/// Must be called inside a tokio runtime.
pub fn stop_signal() -> impl Future<Output = ()> + Send + 'static {
    let mut signals =
        Signals { terminate: listen(SignalKind::terminate()), interrupt: listen(SignalKind::interrupt()) };
    async move {
        signals.next().await;
        #[expect(clippy::disallowed_methods, reason = "it listens until the process ends, whatever its parts do")]
        drop(tokio::spawn(async move {
            signals.next().await;
            warn!("a second signal: ending at once");
            exit(AT_ONCE);
        }));
    }
}

struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            () = received(&mut self.terminate) => {}
            () = received(&mut self.interrupt) => {}
        }
    }
}

/// A signal that cannot be listened to keeps its default effect: the process is killed, and its unsettled work comes again.
fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| error!("signal {} cannot be listened to: {error}", kind.as_raw_value())).ok()
}

async fn received(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        pending().await
    }
}
