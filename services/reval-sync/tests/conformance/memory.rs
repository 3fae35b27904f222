//! Memory: engine, queues, stores and collections outlive the service.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::{clock::Clock, parts::Parts};
use reval_sync::{
    deliveries::{Queue, Settled},
    handling::Handling,
    memory::{Memory, Queues, Sources, Store},
    metrics::Metrics,
    shared::Wiring,
    signals::Outgoing,
};
use search::memory::Memory as Engine;
use serde_json::Value;
use testkit::vectors::BadCase;
use tokio::time::sleep;

use crate::{
    given::{self, Given},
    world::{Outside, Pace},
};

/// From here on time jumps.
const JUMP: Duration = Duration::from_secs(7200);

/// What stands in memory.
pub(crate) struct InMemory {
    engine: Arc<Engine>,
    store: Arc<Store>,
    queues: Arc<Queues>,
    sources: Arc<Sources>,
    clock: Clock,
    handling: Handling,
}

impl Outside for InMemory {
    type Ports = Memory;
    type Attached = ();
    const PACE: Pace = Pace {
        settle: Duration::from_secs(8),
        idle: Duration::from_secs(120),
        look: Duration::from_millis(5),
        stand_by: Duration::from_millis(500),
        doubt: Duration::ZERO,
        retry: Duration::from_secs(35),
    };

    async fn given(given: &Given, handling: Handling, clock: Clock) -> Result<Self, BadCase> {
        let (engine, sources) = (Engine::default(), given.sources());
        given::live(&engine, given, &handling, clock.now()).await?;
        Ok(Self {
            engine: Arc::new(engine),
            store: Arc::default(),
            queues: Arc::default(),
            sources: Arc::new(sources),
            clock,
            handling,
        })
    }

    async fn wiring(&self, _parts: &mut Parts) -> Result<(Wiring<Memory>, ()), BadCase> {
        let Self { engine, store, queues, sources, clock, handling } = self;
        let wiring = Wiring {
            engine: Arc::clone(engine),
            store: Arc::clone(store),
            queues: Arc::clone(queues),
            sources: Arc::clone(sources),
            clock: clock.clone(),
            handling: handling.clone(),
            metrics: Metrics::new(chassis::metrics::Metrics::new()),
        };
        Ok((wiring, ()))
    }

    async fn killed(&self, (): ()) {
        self.queues.give_back();
    }

    fn store(&self) -> &Arc<Store> {
        &self.store
    }

    async fn put(&self, queue: Queue, body: Bytes, redelivered: bool) -> Result<u64, BadCase> {
        Ok(self.queues.deliver(queue, body, redelivered))
    }

    fn settled(&self, message: u64) -> Option<Settled> {
        self.queues.settled(message)
    }

    fn is_carrying(&self) -> bool {
        false
    }

    async fn pass(&self, time: Duration) {
        if let Some(jump) = time.checked_sub(JUMP) {
            self.clock.advance(jump);
        }
        sleep(time.min(JUMP)).await;
    }

    fn set_engine(&self, available: bool) {
        self.engine.set_unavailable(!available);
    }

    async fn documents(&self, name: &str) -> Result<Vec<Value>, BadCase> {
        let documents = self.engine.shown_now(name).unwrap_or_default();
        Ok(documents.into_iter().map(|document| Value::Object(document.source)).collect())
    }

    async fn published(&self) -> Result<Vec<Outgoing>, BadCase> {
        Ok(self.queues.published())
    }

    async fn clear(&self) -> Result<(), BadCase> {
        Ok(())
    }
}
