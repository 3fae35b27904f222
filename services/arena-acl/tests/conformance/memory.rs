//! The service over memory: store, broker and third parties.

mod rows;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arena_acl::{
    auth::Auth,
    kafka::GROUP,
    memory::Memory,
    neighbours::Neighbours,
    scripted::{Script, Stubs},
    service::{Service, Wiring},
    settings::{Calls, Handling, Topics},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
};
use chassis::{
    clock::Clock,
    http::Client,
    metrics::Metrics,
    parts::{Parts, PartsError},
    settings,
};
use domain::delivery::Message;
use http::{
    Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use kafka::{
    ConsumeError, Limits, Outgoing,
    memory::Broker,
    source::{Partition, Position},
};
use serde_json::{Map, Value};
use testkit::vectors::BadCase;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::ServiceExt as _;
use url::Url;

use crate::{
    identity::{self, CLIENT},
    observed::End,
    steps::{Call, Record},
    world::{Answer, Place, Stage},
};

/// Of every topic.
const PARTITIONS: u16 = 4;
/// Bound of becoming idle, in paused time.
const IDLE: Duration = Duration::from_secs(60);
/// Of an answer's body.
const BODY_BYTES: usize = 1 << 20;

/// The service, and what outlives it.
pub(crate) struct InMemory {
    outside: Outside,
    running: Running,
}

/// Stores, topics and third parties.
struct Outside {
    store: Memory,
    broker: Broker,
    script: Script,
    clock: Clock,
    topics: Topics,
}

/// The service.
struct Running {
    service: Arc<Service<Memory>>,
    router: Router,
    stop: oneshot::Sender<()>,
    /// The parts, as one task.
    parts: JoinSet<Result<(), PartsError>>,
}

impl Stage for InMemory {
    async fn new(tables: &Map<String, Value>, clock: Clock) -> Result<Self, BadCase> {
        let topics = Topics {
            courses: "gjennomforing".to_owned(),
            participants: "deltaker".to_owned(),
            history: "histdeltaker".to_owned(),
            group: "amt_tiltak".to_owned(),
            single_place: "enkeltplass".to_owned(),
        };
        let broker = Broker::new(clock.clone());
        for topic in [&topics.courses, &topics.participants, &topics.history, &topics.group, &topics.single_place] {
            broker.create_topic(topic, PARTITIONS);
        }
        let script = Script::new();
        for (path, document) in identity::issuer()?.documents() {
            script.set(path, StatusCode::OK, document.to_string());
        }
        let store = Memory::with(rows::state(tables)?);
        let outside = Outside { store, broker, script, clock, topics };
        Ok(Self { running: outside.start()?, outside })
    }

    fn script(&mut self, stubs: &Stubs) -> Result<(), BadCase> {
        self.outside.script.add(stubs);
        Ok(())
    }

    async fn produce(&mut self, record: Record) -> Result<Place, BadCase> {
        let Outside { broker, topics, .. } = &self.outside;
        let topic = match record.topic.as_str() {
            "gjennomforing" => &topics.courses,
            "deltaker" => &topics.participants,
            _ => &topics.history,
        };
        let outgoing =
            Outgoing { topic: topic.as_str().into(), key: record.key, payload: record.payload, headers: Vec::new() };
        let (partition, offset) =
            broker.append(outgoing, None).map_err(|error| BadCase::because("producing", &error))?;
        Ok(Place { topic: topic.clone(), partition, offset })
    }

    async fn redeliver(&mut self, place: &Place) -> Result<(), BadCase> {
        self.running.stop().await?;
        let partition = Partition::new(place.topic.as_str(), place.partition);
        self.outside.broker.commit(GROUP, &[Position { partition, next: place.offset }]);
        self.running = self.outside.start()?;
        Ok(())
    }

    async fn call(&mut self, call: &Call, authorization: Option<String>) -> Result<Answer, BadCase> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .extension(ConnectInfo(SocketAddr::new(call.remote, 50_000)));
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = match &call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| BadCase::because("a request", &error))?;
        let Ok(response) = self.running.router.clone().oneshot(request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), BODY_BYTES).await;
        let body = body.map_err(|error| BadCase::because("an answer", &error))?;
        Ok(Answer { status, body: body.to_vec() })
    }

    async fn idle(&mut self) -> Result<(), BadCase> {
        let until = Instant::now() + IDLE;
        while !self.running.service.is_idle().await {
            if let Some(ended) = self.running.parts.try_join_next() {
                return Err(ended_with(ended));
            }
            if Instant::now() >= until {
                return Err(BadCase::new("the service did not become idle"));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn restart(&mut self) -> Result<(), BadCase> {
        self.running.stop().await?;
        self.running = self.outside.start()?;
        Ok(())
    }

    async fn look(&mut self) -> Result<End, BadCase> {
        let Outside { store, topics, .. } = &self.outside;
        let state = store.state();
        Ok(End {
            tables: rows::tables(&state),
            amt_tiltak: self.outside.messages(&topics.group),
            enkeltplass: self.outside.messages(&topics.single_place),
            topics: topics.clone(),
        })
    }
}

impl Outside {
    /// A service over all this.
    fn start(&self) -> Result<Running, BadCase> {
        let Self { store, broker, script, clock, topics } = self;
        let unusable = |error| BadCase::because("settings", &error);
        let no_caches = [("ARENA_ACL_PERSON_CACHE_SECONDS", "0"), ("ARENA_ACL_COURSE_CACHE_SECONDS", "0")];
        let calls = settings::read(no_caches, Calls::declare).map_err(unusable)?;
        let handling = settings::read([("", ""); 0], Handling::declare).map_err(unusable)?;
        let url = |text: &str| Url::parse(text).map_err(|error| BadCase::because("an address", &error));
        let nobody = url("http://neighbour.invalid/")?;
        let client = || Client::new(nobody.clone(), script.transport());
        let well_known = url(&identity::issuer()?.well_known_url())?;
        let service = Service::new(Wiring {
            store: Arc::new(store.clone()),
            neighbours: Neighbours::new(client(), client(), client(), &calls),
            auth: Arc::new(Auth::new(script.transport(), well_known, CLIENT.to_owned())),
            clock: clock.clone(),
            metrics: Metrics::new(),
            handling,
            topics: topics.clone(),
            limits: Limits::default(),
            spacing: Duration::ZERO,
            migrate: true,
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let mut parts = Parts::new(async move { stopped.await.unwrap_or_default() });
        let member = broker.member(GROUP, &topics.inputs());
        let drain = Duration::from_secs(8);
        service.spawn(&mut parts, drain, || Ok::<_, ConsumeError<_>>(member), broker.clone());
        let mut running = JoinSet::new();
        running.spawn(parts.run());
        Ok(Running { router: service.routes(true).into_router(), service, stop, parts: running })
    }

    /// All messages of a topic, partition by partition.
    fn messages(&self, topic: &str) -> Vec<Message> {
        let ends = self.broker.ends(topic);
        ends.into_iter().flat_map(|end| self.broker.read(&end.partition, 0, usize::MAX)).collect()
    }
}

impl Running {
    /// Ends it as SIGTERM does.
    async fn stop(&mut self) -> Result<(), BadCase> {
        let (unused, _) = oneshot::channel();
        std::mem::replace(&mut self.stop, unused).send(()).ok();
        match self.parts.join_next().await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(ended) => Err(ended_with(ended)),
            None => Err(BadCase::new("the service ended before")),
        }
    }
}

fn ended_with(ended: Result<Result<(), PartsError>, tokio::task::JoinError>) -> BadCase {
    match ended {
        Ok(Ok(())) => BadCase::new("the service ended by itself"),
        Ok(Err(error)) => BadCase::because("the service ended", &error),
        Err(error) => BadCase::because("the service ended", &error),
    }
}
