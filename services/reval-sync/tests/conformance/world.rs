//! The service of a case, over whatever stands around it.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    dead_letters::{Filter, Show},
    parts::{Parts, PartsError},
};
use http::Request;
use reval_sync::{
    board::{Board, Desk},
    deliveries::{Queue, Settled},
    handling::Handling,
    http as api,
    run_store::{Letters as _, Runs as _},
    service::Service,
    settings::Auth,
    shared::{Ports, Wiring},
    signals::Outgoing,
};
use serde_json::{Map, Value, json};
use testkit::vectors::{BadCase, Case, Compare, Mismatch, Mode, World};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::ServiceExt as _;

use crate::{compare, config, given::Given, steps::Step};

/// Looks in a row at which nothing may be under way.
const LOOKS: u32 = 4;
/// Open dead letters that are counted at most.
const LETTERS: usize = 1000;

/// What stands around the service, and outlives it.
pub(crate) trait Outside: Sized + Send + Sync + 'static {
    /// Its adapters.
    type Ports: Ports;
    /// What goes with the service.
    type Attached: Send + Sync;
    /// How time passes here.
    const PACE: Pace;

    /// Everything as the case begins with it.
    fn given(given: &Given, handling: Handling, clock: Clock) -> impl Future<Output = Result<Self, BadCase>> + Send;

    /// What a new service is made of; parts of adapters start among `parts`.
    fn wiring(
        &self,
        parts: &mut Parts,
    ) -> impl Future<Output = Result<(Wiring<Self::Ports>, Self::Attached), BadCase>> + Send;

    /// The service is gone from one moment to the next.
    fn killed(&self, attached: Self::Attached) -> impl Future<Output = ()> + Send;

    /// What the service remembers.
    fn store(&self) -> &Arc<<Self::Ports as Ports>::Store>;

    /// Puts a message into a queue and says by what it is known again.
    fn put(&self, queue: Queue, body: Bytes, redelivered: bool) -> impl Future<Output = Result<u64, BadCase>> + Send;

    /// How a message was settled; `None` while it is not.
    fn settled(&self, message: u64) -> Option<Settled>;

    /// Whether some message is on its way to the service.
    fn is_carrying(&self) -> bool;

    /// Time passes without messages.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// From now on the search engine cannot be reached, or it can again.
    fn set_engine(&self, available: bool);

    /// What readers see under a name, refreshed.
    fn documents(&self, name: &str) -> impl Future<Output = Result<Vec<Value>, BadCase>> + Send;

    /// What the service sent so far, in order.
    fn published(&self) -> impl Future<Output = Result<Vec<Outgoing>, BadCase>> + Send;

    /// The case is over.
    fn clear(&self) -> impl Future<Output = Result<(), BadCase>> + Send;
}

/// How time passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Beyond the quiet period, below every idle limit.
    pub(crate) settle: Duration,
    /// Bound of becoming idle.
    pub(crate) idle: Duration,
    /// Between two looks.
    pub(crate) look: Duration,
    /// The same while another instance may still hold the lease.
    pub(crate) stand_by: Duration,
    /// Before a message counts as one that comes again: servers fail for a moment too.
    pub(crate) doubt: Duration,
    /// The longest pause between two tries, and more.
    pub(crate) retry: Duration,
}

/// A case that is played.
pub(crate) struct Scene<O: Outside> {
    outside: O,
    running: Option<Running<O>>,
    trainees: Vec<Value>,
    last: Option<(Queue, Bytes)>,
    /// What steps found to be otherwise than they expected.
    problems: Vec<Mismatch>,
    step: usize,
}

struct Running<O: Outside> {
    service: Arc<Service<O::Ports>>,
    router: Router,
    parts: JoinSet<Result<(), PartsError>>,
    attached: O::Attached,
}

impl<O: Outside> World for Scene<O> {
    async fn given(case: &Case, _mode: Mode, clock: Clock) -> Result<Self, BadCase> {
        let given = Given::read(&case.body["given"])?;
        let handling = config::handling(&case.body["config"])?;
        let outside = O::given(&given, handling, clock).await?;
        let trainees = given.trainees;
        let mut scene = Self { outside, running: None, trainees, last: None, problems: Vec::new(), step: 0 };
        scene.start().await?;
        Ok(scene)
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
                let now = self.indices(&indices).await?;
                compare::indices(&mut compare, &format!("when[{}]", self.step), &indices, &now)?;
                self.problems.extend_from_slice(compare.mismatches());
            }
            Step::Advance(seconds) => {
                self.outside.pass(Duration::from_secs(seconds)).await;
                self.idle().await?;
            }
            Step::Crash(None) => self.kill().await,
            Step::Crash(Some(during)) => {
                if let Some(running) = &self.running {
                    running.service.shared.halts.arm(&during);
                }
                sleep(O::PACE.settle).await;
                self.kill().await;
            }
            Step::Restart => {
                self.kill().await;
                self.start().await?;
            }
            Step::Fault => self.outside.set_engine(false),
            Step::Restore => {
                self.outside.set_engine(true);
                sleep(O::PACE.retry).await; // whoever waits to try again has tried then
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
            self.kill().await;
            self.start().await?;
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
        let board = self.board().await?;
        let store = self.outside.store();
        let run = store.newest(1).await.map_err(|error| BadCase::because("runs", &error))?;
        let run = run.first().map(|run| json!({"state": run["state"], "reason": run["failure"]["code"]}));
        let letters = store.open(&Filter::default(), None, LETTERS, Show::Summary).await;
        let letters = letters.map_err(|error| BadCase::because("dead letters", &error))?;
        let published = self.outside.published().await?;
        let published = published.iter().map(|sent| {
            let body: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
            json!({"exchange": sent.exchange, "routingKey": sent.routing_key, "body": body})
        });
        let problem = |mismatch: &Mismatch| json!({"path": mismatch.path, "expected": mismatch.expected, "actual": mismatch.actual});
        let end = json!({
            "indices": self.indices(&names).await?,
            "published": published.collect::<Vec<_>>(),
            "run": run,
            "runsStarted": board.runs,
            "deadLettered": letters.len(),
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
        });
        self.kill().await;
        self.outside.clear().await?;
        Ok(end)
    }
}

impl<O: Outside> Scene<O> {
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
        let message = self.outside.put(queue, body, redelivered).await?;
        self.idle().await?;
        if self.outside.settled(message).is_none() && !O::PACE.doubt.is_zero() {
            sleep(O::PACE.doubt).await;
            self.idle().await?;
        }
        Ok(match self.outside.settled(message) {
            Some(Settled::Done) => "ack",
            Some(Settled::DeadLettered) => "dead-letter",
            None => "retry",
        })
    }

    async fn settle(&mut self) -> Result<(), BadCase> {
        sleep(O::PACE.settle).await;
        self.idle().await
    }

    /// Returns when nothing is under way and a run that was asked for has sent its signal.
    async fn idle(&mut self) -> Result<(), BadCase> {
        let desk = Desk::new(Arc::clone(self.outside.store()));
        let Some(running) = &mut self.running else { return Ok(()) };
        let until = Instant::now() + O::PACE.idle;
        let mut looks = 0;
        while looks < LOOKS {
            sleep(if running.service.is_working() { O::PACE.look } else { O::PACE.stand_by }).await;
            if let Some(ended) = running.parts.try_join_next() {
                return Err(BadCase::new(format!("the service ended: {ended:?}")));
            }
            let idle = running.service.is_idle() && !self.outside.is_carrying() && !look(&desk).await?.is_requested();
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

    /// Starts a service and waits until it works.
    async fn start(&mut self) -> Result<(), BadCase> {
        let mut parts = Parts::new(std::future::pending());
        let (wiring, attached) = self.outside.wiring(&mut parts).await?;
        let service = Service::new(wiring);
        service.spawn(&mut parts, Duration::from_secs(8));
        let router = api::routes(Arc::clone(&service.shared), "", Auth::Anybody).into_router();
        let mut running = JoinSet::new();
        running.spawn(parts.run());
        self.running = Some(Running { service, router, parts: running, attached });
        self.idle().await
    }

    /// Ends the service as SIGKILL does.
    async fn kill(&mut self) {
        if let Some(Running { mut parts, attached, .. }) = self.running.take() {
            parts.shutdown().await;
            self.outside.killed(attached).await;
        }
    }

    async fn board(&self) -> Result<Board, BadCase> {
        look(&Desk::new(Arc::clone(self.outside.store()))).await
    }

    /// What readers see under the names of `wanted`.
    async fn indices(&self, wanted: &Value) -> Result<Value, BadCase> {
        let mut seen = Map::new();
        for name in wanted.as_object().into_iter().flat_map(Map::keys) {
            seen.insert(name.clone(), self.outside.documents(name).await?.into());
        }
        Ok(Value::Object(seen))
    }
}

async fn look<S: reval_sync::run_store::Control>(desk: &Desk<S>) -> Result<Board, BadCase> {
    desk.look().await.map_err(|error| BadCase::because("the board", &error))
}
