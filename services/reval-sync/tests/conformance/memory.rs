//! The service over memory: engine, queues, stores and collections outlive it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    parts::{Parts, PartsError},
};
use http::Request;
use reval_sync::{
    board::{Board, Desk},
    deliveries::{Queue, Settled},
    handling::Handling,
    http as api,
    memory::{Memory, Queues, Sources, Store},
    run_store::Runs as _,
    service::Service,
    settings::Auth,
    shared::Wiring,
};
use search::memory::Memory as Engine;
use serde_json::{Map, Value, json};
use testkit::vectors::{BadCase, Case, Compare, Mismatch, Mode, list};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::ServiceExt as _;

use crate::{compare, config, given, steps::Step};

/// Beyond the quiet period, below every idle limit.
const SETTLE: Duration = Duration::from_secs(8);
/// Bound of becoming idle, in paused time.
const IDLE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// The same while another instance may still hold the lease.
const STAND_BY: Duration = Duration::from_millis(500);
/// Looks in a row at which nothing may be under way.
const LOOKS: u32 = 4;
/// The longest pause between two tries, and more.
const RETRY: Duration = Duration::from_secs(35);
/// From here on time jumps.
const JUMP: u64 = 7200;

/// A case that is played.
pub(crate) struct World {
    outside: Outside,
    running: Option<Running>,
    trainees: Vec<Value>,
    last: Option<(Queue, Bytes)>,
    /// What steps found to be otherwise than they expected.
    problems: Vec<Mismatch>,
    step: usize,
}

/// What outlives the service.
struct Outside {
    engine: Arc<Engine>,
    store: Arc<Store>,
    queues: Arc<Queues>,
    sources: Arc<Sources>,
    clock: Clock,
    handling: Handling,
}

struct Running {
    service: Arc<Service<Memory>>,
    router: Router,
    parts: JoinSet<Result<(), PartsError>>,
}

impl testkit::vectors::World for World {
    async fn given(case: &Case, _mode: Mode, clock: Clock) -> Result<Self, BadCase> {
        let given = &case.body["given"];
        testkit::vectors::object("given", given, &[], &["tcs", "mongo", "indices"])?;
        let handling = config::handling(&case.body["config"])?;
        let sources = given::collections(given)?;
        let engine = Engine::default();
        given::live(&engine, given, &handling, &sources, clock.now()).await?;
        let trainees = match &given["tcs"] {
            Value::Null => Vec::new(),
            tcs => {
                testkit::vectors::object("given.tcs", tcs, &[], &["trainees"])?;
                list("trainees", &tcs["trainees"])?.to_vec()
            }
        };
        let outside = Outside {
            engine: Arc::new(engine),
            store: Arc::default(),
            queues: Arc::default(),
            sources: Arc::new(sources),
            clock,
            handling,
        };
        let running = Some(outside.start());
        let mut world = Self { outside, running, trainees, last: None, problems: Vec::new(), step: 0 };
        world.idle().await?;
        Ok(world)
    }

    async fn step(&mut self, step: &Value) -> Result<Value, BadCase> {
        self.last = None;
        match Step::read("the step", step)? {
            Step::Http { method, path, body, expect } => self.call(&method, &path, body, expect).await?,
            Step::Deliver { queue, body, redelivered, expect } => {
                let how = self.deliver(queue, body.clone(), redelivered).await?;
                self.last = Some((queue, body));
                self.expect("expect", expect.map(Value::from), &how.into());
            }
            Step::Settle => self.settle().await?,
            Step::RunSync => {
                self.call("GET", "/api/sync", None, Some(202)).await?;
                for trainee in self.trainees.clone().into_iter().chain([json!({"syncEnd": true})]) {
                    self.deliver(Queue::TcsData, Bytes::from(trainee.to_string()), false).await?;
                }
                self.settle().await?;
            }
            Step::Check(indices) => {
                let mut compare = Compare::default();
                let now = self.outside.indices(&indices);
                compare::indices(&mut compare, &format!("when[{}]", self.step), &indices, &now)?;
                self.problems.extend_from_slice(compare.mismatches());
            }
            Step::Advance(seconds) => {
                if let Some(jump) = seconds.checked_sub(JUMP) {
                    self.outside.clock.advance(Duration::from_secs(jump));
                }
                sleep(Duration::from_secs(seconds.min(JUMP))).await;
                self.idle().await?;
            }
            Step::Crash(None) => self.outside.kill(self.running.take()).await,
            Step::Crash(Some(during)) => {
                if let Some(running) = &self.running {
                    running.service.shared.halts.arm(&during);
                }
                sleep(SETTLE).await;
                self.outside.kill(self.running.take()).await;
            }
            Step::Restart => {
                self.outside.kill(self.running.take()).await;
                self.running = Some(self.outside.start());
                self.idle().await?;
            }
            Step::Fault => self.outside.engine.set_unavailable(true),
            Step::Restore => {
                self.outside.engine.set_unavailable(false);
                sleep(RETRY).await; // whoever waits to try again has tried then
                self.idle().await?;
            }
        }
        self.step += 1;
        Ok(Value::Null)
    }

    async fn redeliver(&mut self) -> Result<(), BadCase> {
        // a signal that comes twice asks for two exports (specification 13 no. 2)
        if let Some((queue, body)) = self.last.take().filter(|(queue, _)| *queue != Queue::GmcStart) {
            self.deliver(queue, body, true).await?;
        }
        Ok(())
    }

    async fn restart(mut self) -> Result<Self, BadCase> {
        if self.running.is_some() {
            self.outside.kill(self.running.take()).await;
            self.running = Some(self.outside.start());
            self.idle().await?;
        }
        Ok(self)
    }

    async fn observe(&mut self) -> Result<Value, BadCase> {
        self.idle().await?;
        let names = [
            "masterdoctorindex",
            "recommendations",
            "current_connections",
            "discrepancies",
            "recommendationindex",
            "connectedindex",
            "disconnectedindex",
            "exceptionindex",
        ];
        let names = Value::Object(names.into_iter().map(|name| (name.to_owned(), Value::Null)).collect());
        let board = self.outside.board().await?;
        let run = self.outside.store.newest(1).await.map_err(|error| BadCase::because("runs", &error))?;
        let run = run.first().map(|run| json!({"state": run["state"], "reason": run["failure"]["code"]}));
        let published = self.outside.queues.published();
        let published = published.iter().map(|sent| {
            let body: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
            json!({"exchange": sent.exchange, "routingKey": sent.routing_key, "body": body})
        });
        let problem = |mismatch: &Mismatch| json!({"path": mismatch.path, "expected": mismatch.expected, "actual": mismatch.actual});
        let end = json!({
            "indices": self.outside.indices(&names),
            "published": published.collect::<Vec<_>>(),
            "run": run,
            "runsStarted": board.runs,
            "deadLettered": self.outside.store.open_letters(),
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
        });
        self.outside.kill(self.running.take()).await;
        Ok(end)
    }
}

impl World {
    async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
        expect: Option<u64>,
    ) -> Result<(), BadCase> {
        let Some(running) = &self.running else { return Err(BadCase::new("the service does not run")) };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).body(body);
        let request = request.map_err(|error| BadCase::because("a request", &error))?;
        let Ok(response) = running.router.clone().oneshot(request).await;
        let status = u64::from(response.status().as_u16());
        to_bytes(response.into_body(), 1 << 20).await.map_err(|error| BadCase::because("an answer", &error))?;
        self.expect("status", expect.map(Value::from), &status.into());
        self.idle().await
    }

    /// Delivers a message and says how it ended: `ack`, `dead-letter`, or `retry` when it is not settled though nothing else is under way.
    async fn deliver(&mut self, queue: Queue, body: Bytes, redelivered: bool) -> Result<&'static str, BadCase> {
        let receipt = self.outside.queues.deliver(queue, body, redelivered);
        self.idle().await?;
        Ok(match self.outside.queues.settled(receipt) {
            Some(Settled::Done) => "ack",
            Some(Settled::DeadLettered) => "dead-letter",
            None => "retry",
        })
    }

    async fn settle(&mut self) -> Result<(), BadCase> {
        sleep(SETTLE).await;
        self.idle().await
    }

    /// Returns when nothing is under way and a run that was asked for has sent its signal.
    async fn idle(&mut self) -> Result<(), BadCase> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let until = Instant::now() + IDLE;
        let mut looks = 0;
        while looks < LOOKS {
            sleep(if running.service.is_working() { LOOK } else { STAND_BY }).await;
            if let Some(ended) = running.parts.try_join_next() {
                return Err(BadCase::new(format!("the service ended: {ended:?}")));
            }
            let idle = running.service.is_idle() && !self.outside.board().await?.is_requested();
            looks = if idle { looks + 1 } else { 0 };
            if Instant::now() >= until {
                return Err(BadCase::new("the service did not become idle"));
            }
        }
        Ok(())
    }

    fn expect(&mut self, what: &str, expected: Option<Value>, actual: &Value) {
        if let Some(expected) = expected.filter(|expected| expected != actual) {
            self.problems.push(Mismatch::new(format!("when[{}].{what}", self.step), expected, actual));
        }
    }
}

impl Outside {
    /// A service over all this.
    fn start(&self) -> Running {
        let Self { engine, store, queues, sources, clock, handling } = self;
        let service = Service::new(Wiring {
            engine: Arc::clone(engine),
            store: Arc::clone(store),
            queues: Arc::clone(queues),
            sources: Arc::clone(sources),
            clock: clock.clone(),
            handling: handling.clone(),
        });
        let mut parts = Parts::new(std::future::pending());
        service.spawn(&mut parts, Duration::from_secs(8));
        let router = api::routes(Arc::clone(&service.shared), "", Auth::Anybody).into_router();
        let mut running = JoinSet::new();
        running.spawn(parts.run());
        Running { service, router, parts: running }
    }

    /// Ends a service as SIGKILL does.
    async fn kill(&self, running: Option<Running>) {
        if let Some(mut running) = running {
            running.parts.shutdown().await;
            self.queues.give_back();
        }
    }

    async fn board(&self) -> Result<Board, BadCase> {
        let desk = Desk::new(Arc::clone(&self.store));
        desk.look().await.map_err(|error| BadCase::because("the board", &error))
    }

    /// What readers see under the names of `wanted`, refreshed.
    fn indices(&self, wanted: &Value) -> Value {
        let names = wanted.as_object().into_iter().flat_map(Map::keys);
        let documents = |name: &String| {
            let documents = self.engine.shown_now(name).unwrap_or_default();
            documents.into_iter().map(|document| Value::Object(document.source)).collect::<Value>()
        };
        Value::Object(names.map(|name| (name.clone(), documents(name))).collect())
    }
}
