//! How the parts are: flags that they set while they work. Reading them does no I/O.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The flags of all parts. A clone shows the same.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    parts: Vec<Arc<State>>,
    stage: Stage,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Starting,
    Running,
    Stopping,
}

impl Health {
    /// Whether every part makes the progress that it promised.
    ///
    /// # Errors
    /// One sentence for each part that does not.
    pub fn is_live(&self) -> Result<(), Vec<String>> {
        let now = Instant::now();
        none(self.all().parts.iter().filter_map(|part| part.standstill(now)).collect())
    }

    /// Whether the process is assembled, not stopping, and every part can do its work.
    ///
    /// # Errors
    /// One sentence for each reason why not.
    pub fn is_ready(&self) -> Result<(), Vec<String>> {
        let all = self.all();
        let stage = match all.stage {
            Stage::Starting => Some("the process is starting".to_owned()),
            Stage::Running => None,
            Stage::Stopping => Some("the process is stopping".to_owned()),
        };
        none(stage.into_iter().chain(all.parts.iter().filter_map(|part| part.obstacle())).collect())
    }

    /// Whether the process is assembled and every part has been ready once.
    ///
    /// # Errors
    /// One sentence for each part that has not.
    pub fn is_started(&self) -> Result<(), Vec<String>> {
        let all = self.all();
        let stage = (all.stage == Stage::Starting).then(|| "the process is starting".to_owned());
        none(stage.into_iter().chain(all.parts.iter().filter_map(|part| part.start_missing())).collect())
    }

    pub(super) fn add(&self, name: &'static str) -> Arc<State> {
        let state = Arc::new(State { name, flags: Mutex::default() });
        self.all().parts.push(Arc::clone(&state));
        state
    }

    pub(super) fn assembled(&self) {
        self.all().stage = Stage::Running;
    }

    pub(super) fn stopping(&self) {
        self.all().stage = Stage::Stopping;
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn none(reasons: Vec<String>) -> Result<(), Vec<String>> {
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

/// What one part has said of itself.
#[derive(Debug)]
pub(super) struct State {
    name: &'static str,
    flags: Mutex<Flags>,
}

#[derive(Debug)]
struct Flags {
    /// Why it cannot do its work.
    obstacle: Option<Cow<'static, str>>,
    was_ready: bool,
    /// The progress it promised: how often, and by when the next.
    promise: Option<(Duration, Instant)>,
}

impl Default for Flags {
    fn default() -> Self {
        Self { obstacle: Some(Cow::Borrowed("starting")), was_ready: false, promise: None }
    }
}

impl State {
    pub(super) fn ready(&self) {
        let mut flags = self.flags();
        flags.obstacle = None;
        flags.was_ready = true;
    }

    pub(super) fn not_ready(&self, reason: Cow<'static, str>) {
        self.flags().obstacle = Some(reason);
    }

    pub(super) fn progress_within(&self, within: Duration) {
        self.flags().promise = Some((within, Instant::now() + within));
    }

    pub(super) fn progressed(&self) {
        let mut flags = self.flags();
        flags.promise = flags.promise.map(|(within, _)| (within, Instant::now() + within));
    }

    pub(super) fn idle(&self) {
        self.flags().promise = None;
    }

    /// It has ended: not ready, and without a promise.
    pub(super) fn end(&self) {
        let mut flags = self.flags();
        flags.obstacle = Some(Cow::Borrowed("ended"));
        flags.promise = None;
    }

    fn standstill(&self, now: Instant) -> Option<String> {
        let (within, until) = self.flags().promise?;
        (now > until).then(|| format!("{}: no progress within {} ms", self.name, within.as_millis()))
    }

    fn obstacle(&self) -> Option<String> {
        self.flags().obstacle.as_ref().map(|reason| format!("{}: {reason}", self.name))
    }

    fn start_missing(&self) -> Option<String> {
        (!self.flags().was_ready).then(|| format!("{}: not ready yet", self.name))
    }

    fn flags(&self) -> MutexGuard<'_, Flags> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
