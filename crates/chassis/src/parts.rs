//! The long-lived parts of a process: they start together, tell how they are, and stop together.
//!
//! The first part to end ends all. Each hears the stop through its [`Part`], has its own budget to drain, and is cut off and named when it does
//! not keep to it.

mod health;
mod signal;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap, error::Error, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::health::State;
pub use self::{health::Health, signal::stop_signal};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a process with parts did not end well.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// A part failed first.
    #[error("part {part} failed")]
    Failed {
        /// Its name.
        part: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A part panicked first.
    #[error("part {part} panicked")]
    Panicked {
        /// Its name.
        part: &'static str,
    },
    /// Parts had not drained when their budgets ended and were cut off; none failed before.
    #[error("not drained in time: {}", parts.join(", "))]
    NotDrained {
        /// Their names.
        parts: Vec<&'static str>,
    },
}

/// The parts of a process, and the stop that ends them.
pub struct Parts {
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    tasks: JoinSet<Result<(), BoxError>>,
    running: HashMap<Id, Running>,
    health: Health,
    /// Heard by the parts that do not wait for others.
    stopping: CancellationToken,
    /// Heard by the others, once those have ended.
    closing: CancellationToken,
}

struct Running {
    name: &'static str,
    drain: Duration,
    last: bool,
    state: Arc<State>,
    handle: AbortHandle,
    /// By when it must have ended, once it was told to stop.
    deadline: Option<Instant>,
}

impl Parts {
    /// No parts yet; they stop when `stop` comes, or when the first of them ends.
    pub fn new(stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            stop: Box::pin(stop),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            health: Health::default(),
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Starts a part. Told to stop, it has `drain` to finish what it began and settle it.
    ///
    /// It is not ready before it says so. Must be called inside a tokio runtime.
    pub fn spawn<F, E>(&mut self, name: &'static str, drain: Duration, start: impl FnOnce(Part) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.start(name, drain, false, start);
    }

    /// Starts a part that hears the stop only when all parts of [`spawn`](Self::spawn) have ended: what tells how the others drain.
    pub fn spawn_last<F, E>(&mut self, name: &'static str, drain: Duration, start: impl FnOnce(Part) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.start(name, drain, true, start);
    }

    fn start<F, E>(&mut self, name: &'static str, drain: Duration, last: bool, start: impl FnOnce(Part) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let state = self.health.add(name);
        let stop = if last { &self.closing } else { &self.stopping };
        let part = Part { state: Arc::clone(&state), stop: stop.clone() };
        let work = start(part);
        let handle = self.tasks.spawn(async move { work.await.map_err(Into::into) });
        self.running.insert(handle.id(), Running { name, drain, last, state, handle, deadline: None });
    }

    /// The flags of all parts, for probes.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs until the stop or until the first part ends, then has all parts drain. Nothing is ready before this is awaited.
    ///
    /// A part that ends without an error before the stop ends the others too; that alone is no failure.
    ///
    /// # Errors
    /// The first failure or panic of a part, during the run or the drain; otherwise the parts that did not drain in time. Further failures are
    /// logged.
    pub async fn run(mut self) -> Result<(), PartsError> {
        self.health.assembled();
        let mut failure = None;
        tokio::select! {
            () = &mut self.stop => info!("told to stop"),
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended, &mut failure),
        }
        self.health.stopping();
        let mut late = self.drain(false, &mut failure).await;
        late.extend(self.drain(true, &mut failure).await);
        match failure {
            Some(failure) => Err(failure),
            None if late.is_empty() => Ok(()),
            None => Err(PartsError::NotDrained { parts: late }),
        }
    }

    /// Stops the parts of one stage and waits for them; gives the names of those that were cut off.
    async fn drain(&mut self, last: bool, failure: &mut Option<PartsError>) -> Vec<&'static str> {
        if last { &self.closing } else { &self.stopping }.cancel();
        let now = Instant::now();
        for part in self.running.values_mut().filter(|part| part.last == last) {
            part.deadline = Some(now + part.drain);
        }
        let mut late = Vec::new();
        while let Some(deadline) = self.running.values().filter_map(|part| part.deadline).min() {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended, failure),
                () = sleep_until(deadline) => late.extend(self.cut_off(deadline)),
            }
        }
        late
    }

    /// Ends the parts whose budget is over at `now`.
    fn cut_off(&mut self, now: Instant) -> Vec<&'static str> {
        let late = self.running.extract_if(|_, part| part.deadline.is_some_and(|deadline| deadline <= now));
        let mut names: Vec<_> = late.map(|(_, part)| part.cut_off()).collect();
        names.sort_unstable();
        names
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>, failure: &mut Option<PartsError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(Running { name: part, state, .. }) = self.running.remove(&id) else { return }; // cut off before
        state.end();
        let error = match ended {
            Ok((_, Ok(()))) => return info!(part, "part {part} ended"),
            Ok((_, Err(source))) => PartsError::Failed { part, source },
            Err(_) => PartsError::Panicked { part },
        };
        if failure.is_none() {
            *failure = Some(error);
        } else {
            error!(part, "{}, after another part", crate::exit::causes(&error));
        }
    }
}

impl Running {
    fn cut_off(self) -> &'static str {
        self.handle.abort();
        self.state.end();
        error!(
            part = self.name,
            "part {} did not drain within {} ms and was cut off",
            self.name,
            self.drain.as_millis()
        );
        self.name
    }
}

/// What a part says of itself, and how it hears the stop. A clone is the same part.
#[derive(Debug, Clone)]
pub struct Part {
    state: Arc<State>,
    stop: CancellationToken,
}

impl Part {
    /// It can do its work.
    pub fn ready(&self) {
        self.state.ready();
    }

    /// It cannot do its work for now; `reason` is shown by the probe and quotes no data.
    pub fn not_ready(&self, reason: impl Into<Cow<'static, str>>) {
        self.state.not_ready(reason.into());
    }

    /// From now on it must make progress at least every `within`, or the process counts as dead. Progress of now is included.
    pub fn progress_within(&self, within: Duration) {
        self.state.progress_within(within);
    }

    /// It has moved something on, or waits for something named. Without [`progress_within`](Self::progress_within) before, nothing changes.
    pub fn progressed(&self) {
        self.state.progressed();
    }

    /// It stands by: no progress is expected until [`progress_within`](Self::progress_within) is said again.
    pub fn idle(&self) {
        self.state.idle();
    }

    /// Comes when it must stop taking work, at once if that was said before.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Whether it must stop taking work.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}
