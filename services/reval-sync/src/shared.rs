//! What all parts of the service share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::clock::Clock;
use chrono::NaiveDate;
use search::engine::Engine;
use tokio::time::sleep;
use tracing::warn;

use crate::{
    board::Desk,
    deliveries::Deliveries,
    halts::Halts,
    handling::Handling,
    metrics::Metrics,
    run_store::RunStore,
    signals::Signals,
    sources::Sources,
    trouble::{Patience, Trouble},
};

/// Which adapters the service is made of.
pub trait Ports: Send + Sync + 'static {
    /// The search engine.
    type Engine: Engine;
    /// What the service remembers.
    type Store: RunStore;
    /// Where messages come from, and go.
    type Queues: Deliveries + Signals;
    /// What other teams hold.
    type Sources: Sources;
}

/// What the service is made of.
pub struct Wiring<P: Ports> {
    /// The search engine.
    pub engine: Arc<P::Engine>,
    /// What the service remembers.
    pub store: Arc<P::Store>,
    /// Where messages come from, and go.
    pub queues: Arc<P::Queues>,
    /// What other teams hold.
    pub sources: Arc<P::Sources>,
    /// The time of day.
    pub clock: Clock,
    /// How the work is done.
    pub handling: Handling,
    /// What is counted.
    pub metrics: Metrics,
}

/// What all parts of the service share.
pub struct Shared<P: Ports> {
    pub(crate) engine: Arc<P::Engine>,
    pub(crate) store: Arc<P::Store>,
    pub(crate) queues: Arc<P::Queues>,
    pub(crate) sources: Arc<P::Sources>,
    pub(crate) clock: Clock,
    pub(crate) handling: Handling,
    pub(crate) metrics: Metrics,
    pub(crate) desk: Desk<P::Store>,
    pub(crate) work: Work,
    /// This instance holds the lease and has looked at the index.
    pub(crate) working: AtomicBool,
    /// Points at which a test ends the work.
    pub halts: Halts,
}

impl<P: Ports> Shared<P> {
    /// All of it over its adapters.
    pub fn new(wiring: Wiring<P>) -> Arc<Self> {
        let Wiring { engine, store, queues, sources, clock, handling, metrics } = wiring;
        let desk = Desk::new(Arc::clone(&store));
        Arc::new(Self {
            engine,
            store,
            queues,
            sources,
            clock,
            handling,
            metrics,
            desk,
            work: Work::default(),
            working: AtomicBool::new(false),
            halts: Halts::default(),
        })
    }

    /// The day that it is now where the settings say.
    pub(crate) fn today(&self) -> NaiveDate {
        self.clock.local(self.handling.zone).date()
    }

    /// Tries until it succeeds; only a lost lease ends it.
    pub(crate) async fn patiently<T, E, F>(
        &self,
        what: &'static str,
        mut attempt: impl FnMut() -> F + Send,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, E>> + Send,
        E: Into<Trouble>,
    {
        let mut patience = Patience::default();
        loop {
            match attempt().await.map_err(Into::into) {
                Ok(done) => return Ok(done),
                Err(Trouble::Lost) => return Err(Trouble::Lost),
                Err(trouble) => self.rest(what, &trouble, &mut patience).await,
            }
        }
    }

    /// Waits before the same is tried again.
    pub(crate) async fn rest(&self, what: &'static str, trouble: &Trouble, patience: &mut Patience) {
        let pause = patience.pause();
        let (error, millis) = (chassis::exit::causes(trouble), pause.as_millis());
        warn!(what, error, millis, "{what}: {error}; again in {millis} ms");
        self.work.resting(pause).await;
    }
}

/// How much is under way, for whoever waits until nothing is: what waits for something that is down is not.
#[derive(Debug, Default, Clone)]
pub struct Work(Arc<AtomicUsize>);

impl Work {
    /// Something begins, until the guard goes.
    #[must_use]
    pub fn begin(&self) -> Busy {
        self.0.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(&self.0))
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    /// Sleeps; what waits is not under way meanwhile. Called by what began.
    pub async fn resting(&self, pause: Duration) {
        let _resting = Resting::new(&self.0);
        sleep(pause).await;
    }
}

/// Something is under way.
#[derive(Debug)]
pub struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Resting<'a>(&'a AtomicUsize);

impl<'a> Resting<'a> {
    fn new(busy: &'a AtomicUsize) -> Self {
        busy.fetch_sub(1, Ordering::SeqCst);
        Self(busy)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
