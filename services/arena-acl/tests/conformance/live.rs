//! The built service over real servers: one process and one database for all cases, topics of one run.

mod database;
mod setup;

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    time::Duration,
};

use arena_acl::{OSLO, kafka::GROUP, scripted::Stubs};
use bytes::Bytes;
use chassis::{clock::Clock, http::transport::Transport as _};
use http::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};
use testkit::{servers, vectors::BadCase};
use tokio::{
    sync::{MappedMutexGuard, Mutex, MutexGuard},
    time::{Instant, sleep},
};

use self::setup::Setup;
use crate::{
    observed::End,
    steps::{Call, Record},
    world::{Answer, CLOCK, Place, Stage, expect_ok},
};

/// Bound of a commit of the group, and of becoming idle.
const WAIT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// What live cases share, once the first of them needs it.
static SETUP: Mutex<Option<Setup>> = Mutex::const_new(None);

/// Ends what live cases shared.
pub(crate) async fn finish() {
    if let Some(setup) = SETUP.lock().await.take() {
        setup.end().await;
    }
}

/// An address of this machine that is not loopback, if it has one: what the service sees of a call over it.
pub(crate) fn outside() -> Option<IpAddr> {
    // connecting a UDP socket sends nothing; it chooses the way to an address of documentation (RFC 5737)
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// One case in the shared setup.
pub(crate) struct Live {
    setup: MappedMutexGuard<'static, Setup>,
    /// What was said to the clock of the service; a new process is told again.
    clock: Vec<Value>,
    /// Where the outputs of this case begin, per partition.
    group_from: Vec<i64>,
    single_place_from: Vec<i64>,
}

impl Stage for Live {
    async fn new(tables: &Map<String, Value>, clock: Clock) -> Result<Self, BadCase> {
        let mut guard = SETUP.lock().await;
        // what a case left behind that did not come to its end, nobody knows
        if let Some(used) = guard.take_if(|setup| setup.in_use) {
            used.end().await;
        }
        if guard.is_none() {
            *guard = Some(Setup::start().await?);
        }
        let setup = MutexGuard::try_map(guard, Option::as_mut).map_err(|_nothing| BadCase::new("there is no setup"))?;
        let clock = vec![json!({ "now": clock.local(OSLO) })];
        let mut live = Self { setup, clock, group_from: Vec::new(), single_place_from: Vec::new() };
        live.setup.in_use = true;
        live.idle().await?;
        live.setup.database.fill(tables).await?;
        live.setup.neighbours.forget();
        live.set_clock().await?;
        let Setup { topics, names, .. } = &*live.setup;
        let (group, single_place) = (names.group.clone(), names.single_place.clone());
        let group_from = topics.end_offsets(&group).await.map_err(|error| BadCase::because("outputs", &error))?;
        let single_place_from =
            topics.end_offsets(&single_place).await.map_err(|error| BadCase::because("outputs", &error))?;
        live.group_from = group_from;
        live.single_place_from = single_place_from;
        Ok(live)
    }

    fn script(&mut self, stubs: &Stubs) -> Result<(), BadCase> {
        self.setup.script(stubs)
    }

    async fn produce(&mut self, record: Record) -> Result<Place, BadCase> {
        let Setup { topics, names, .. } = &*self.setup;
        let topic = match record.topic.as_str() {
            "gjennomforing" => &names.courses,
            "deltaker" => &names.participants,
            _ => &names.history,
        };
        let record = servers::Record {
            topic: topic.clone(),
            key: record.key,
            payload: record.payload,
            ..servers::Record::default()
        };
        let (partition, offset) =
            topics.produce(&record).await.map_err(|error| BadCase::because("producing", &error))?;
        let place = Place { topic: topic.clone(), partition, offset };
        self.passed(&place).await?;
        Ok(place)
    }

    async fn redeliver(&mut self, place: &Place) -> Result<(), BadCase> {
        self.setup.stop().await?;
        let Place { topic, partition, offset } = place.clone();
        let rewound = self.setup.topics.rewind(GROUP, &[(topic, partition, offset)]).await;
        rewound.map_err(|error| BadCase::because("delivering again", &error))?;
        self.setup.serve().await?;
        self.set_clock().await?;
        self.passed(place).await
    }

    async fn call(&mut self, call: &Call, authorization: Option<String>) -> Result<Answer, BadCase> {
        let host = if call.remote.is_loopback() { Some(Ipv4Addr::LOCALHOST.into()) } else { outside() };
        let host = host.ok_or_else(|| BadCase::new("this machine has no address but loopback"))?;
        let uri = format!("http://{host}:{}{}", self.setup.port, call.path);
        let mut request = Request::builder().method(&call.method).uri(uri);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = match &call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(body).map_err(|error| BadCase::because("a request", &error))?;
        let response = self.setup.transport.send(request).await.map_err(|error| BadCase::because("a call", &error))?;
        let answer = Answer { status: response.status().as_u16(), body: response.into_body().to_vec() };
        if call.path == CLOCK
            && let Some(body) = &call.body
        {
            self.clock.push(body.clone());
        }
        Ok(answer)
    }

    async fn idle(&mut self) -> Result<(), BadCase> {
        let until = Instant::now() + WAIT;
        loop {
            if self.call(&Call::local(Method::GET, "/internal/test/idle"), None).await?.status == 200 {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(BadCase::new("the service did not become idle"));
            }
            sleep(LOOK).await;
        }
    }

    async fn restart(&mut self) -> Result<(), BadCase> {
        self.setup.stop().await?;
        self.setup.serve().await?;
        self.set_clock().await
    }

    async fn look(&mut self) -> Result<End, BadCase> {
        let Setup { topics, names, database, .. } = &*self.setup;
        let problem = |error| BadCase::because("outputs", &error);
        Ok(End {
            tables: database.tables().await?,
            amt_tiltak: topics.read(&names.group, &self.group_from).await.map_err(problem)?,
            enkeltplass: topics.read(&names.single_place, &self.single_place_from).await.map_err(problem)?,
            topics: names.clone(),
        })
    }

    fn over(&mut self) {
        self.setup.in_use = false;
    }
}

impl Live {
    /// Waits until the group has committed past the record at `place`.
    async fn passed(&self, place: &Place) -> Result<(), BadCase> {
        let places = [(place.topic.clone(), place.partition, place.offset)];
        let passed = self.setup.topics.wait_committed(GROUP, &places, WAIT).await;
        passed.map_err(|error| BadCase::because("after a record", &error))
    }

    /// Tells the service all that was said to its clock.
    async fn set_clock(&mut self) -> Result<(), BadCase> {
        for body in std::mem::take(&mut self.clock) {
            let call = Call { body: Some(body), ..Call::local(Method::POST, CLOCK) };
            let answer = self.call(&call, None).await?;
            expect_ok(&call, answer)?;
        }
        Ok(())
    }
}
