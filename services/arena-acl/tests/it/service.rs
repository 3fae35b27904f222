//! The service over memory, with its jobs, in paused time.

use std::{sync::Arc, time::Duration};

use arena_acl::{
    auth::Auth,
    kafka::GROUP,
    memory::{ArenaData, Memory},
    neighbours::Neighbours,
    scripted::{Script, Stub, Stubs},
    service::{Service, Wiring},
    settings::{Calls, Handling, Topics},
};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    http::Client,
    metrics::Metrics,
    parts::{Parts, PartsError},
    settings,
};
use kafka::{ConsumeError, Limits, Outgoing, memory::Broker};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinSet, time::sleep};
use url::Url;
use uuid::Uuid;

pub(crate) const COURSE: i64 = 3001;
const PERSON: i64 = 5001;
const NATIONAL_ID: &str = "90000005001";

/// What outlives a process.
pub(crate) struct World {
    pub(crate) store: Memory,
    broker: Broker,
    script: Script,
    clock: Clock,
    topics: Topics,
}

/// One process.
pub(crate) struct Process {
    pub(crate) service: Arc<Service<Memory>>,
    stop: oneshot::Sender<()>,
    parts: JoinSet<Result<(), PartsError>>,
}

impl Process {
    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        self.stop.send(()).unwrap();
        self.parts.join_next().await.unwrap().unwrap().unwrap();
    }
}

impl World {
    /// At noon in Oslo; everybody knows the course and the person.
    pub(crate) fn new() -> Self {
        Self::at("2025-03-10T11:00:00Z")
    }

    pub(crate) fn at(now: &str) -> Self {
        let clock = Clock::starting_at(now.parse().unwrap());
        let broker = Broker::new(clock.clone());
        let topics = Topics {
            courses: "gjennomforing".to_owned(),
            participants: "deltaker".to_owned(),
            history: "histdeltaker".to_owned(),
            group: "amt".to_owned(),
            single_place: "enkeltplass".to_owned(),
        };
        for topic in [&topics.courses, &topics.participants, &topics.history, &topics.group, &topics.single_place] {
            broker.create_topic(topic, 1);
        }
        let world = Self { store: Memory::default(), broker, script: Script::new(), clock, topics };
        let uuid = Uuid::from_u128(0x3001);
        let course = json!({
            "id": uuid, "tiltakskode": "OPPFOLGING", "arrangor": { "organisasjonsnummer": "999000111" },
            "oppstart": "LOPENDE",
        });
        world.script.add(&Stubs {
            mr_id: [(COURSE.to_string(), ok(json!({ "id": uuid })))].into(),
            mr_v2: [(uuid.to_string(), ok(course))].into(),
            ..Stubs::default()
        });
        world.person_is(ok(json!({ "fnr": NATIONAL_ID })));
        world
    }

    /// What is answered about the person from now on.
    pub(crate) fn person_is(&self, answer: Stub) {
        self.script.add(&Stubs { ords_fnr: [(PERSON.to_string(), answer)].into(), ..Stubs::default() });
    }

    /// What downstream knows of the person's participations from now on.
    pub(crate) fn participation_is(&self, id: Uuid, status: &str) {
        let known = ok(json!([{ "id": id, "status": status }]));
        self.script.add(&Stubs { amt_tiltak: [(NATIONAL_ID.to_owned(), known)].into(), ..Stubs::default() });
    }

    /// A process with these settings.
    pub(crate) fn start(&self, pairs: &[(&'static str, &'static str)]) -> Process {
        let calls = settings::read([("ARENA_ACL_PERSON_CACHE_SECONDS", "0")], Calls::declare).unwrap();
        let nobody = Url::parse("http://neighbour.invalid/").unwrap();
        let client = || Client::new(nobody.clone(), self.script.transport());
        let service = Service::new(Wiring {
            store: Arc::new(self.store.clone()),
            neighbours: Neighbours::new(client(), client(), client(), &calls),
            auth: Arc::new(Auth::new(self.script.transport(), nobody.clone(), String::new())),
            clock: self.clock.clone(),
            metrics: Metrics::new(),
            handling: settings::read(pairs.to_vec(), Handling::declare).unwrap(),
            topics: self.topics.clone(),
            limits: Limits::default(),
            spacing: Duration::ZERO,
            migrate: true,
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let mut parts = Parts::new(async move { stopped.await.unwrap_or_default() });
        let drain = Duration::from_secs(8);
        service.spawn_jobs(&mut parts, drain);
        let member = self.broker.member(GROUP, &self.topics.inputs());
        service.spawn(&mut parts, drain, || Ok::<_, ConsumeError<_>>(member), self.broker.clone());
        let mut running = JoinSet::new();
        running.spawn(parts.run());
        Process { service, stop, parts: running }
    }

    /// A complete course, at this position.
    pub(crate) fn produce_course(&self, position: u64) {
        let after = json!({
            "TILTAKGJENNOMFORING_ID": COURSE, "SAK_ID": 880_001, "TILTAKSKODE": "INDOPPFAG",
            "DATO_FRA": "2025-01-06 00:00:00", "DATO_TIL": "2035-12-19 00:00:00", "REG_DATO": "2024-11-15 13:45:10",
            "LOKALTNAVN": "Oppfølging", "TILTAKSTATUSKODE": "GJENNOMFOR", "ARBGIV_ID_ARRANGOR": 45_001,
        });
        self.produce(&self.topics.courses, "SIAMO.TILTAKGJENNOMFORING", "I", position, after);
    }

    /// A change of a participant of the course: `I`, `U` or `D`.
    pub(crate) fn produce_participant(&self, id: i64, operation: &str, position: u64) {
        let row = participation("TILTAKDELTAKER_ID", id, position);
        self.produce(&self.topics.participants, "SIAMO.TILTAKDELTAKER", operation, position, row);
    }

    /// The participation as Arena moves it to its history table.
    pub(crate) fn produce_history(&self, id: i64, position: u64) {
        let row = participation("HIST_TILTAKDELTAKER_ID", id, position);
        self.produce(&self.topics.history, "SIAMO.HIST_TILTAKDELTAKER", "I", position, row);
    }

    fn produce(&self, topic: &str, table: &str, operation: &str, position: u64, row: Value) {
        let (before, after) = if operation == "D" { (row, Value::Null) } else { (Value::Null, row) };
        let record = json!({
            "table": table, "op_type": operation, "op_ts": "2025-03-10 11:59:58.000000",
            "current_ts": "2025-03-10 12:00:00.548000", "pos": format!("{position:020}"), "before": before, "after": after,
        });
        let payload = Some(Bytes::from(record.to_string()));
        let outgoing = Outgoing { topic: topic.into(), key: None, payload, headers: Vec::new() };
        self.broker.append(outgoing, Some(0)).unwrap();
    }

    /// The stored change at this position.
    pub(crate) fn row(&self, position: u64) -> Option<ArenaData> {
        let text = format!("{position:020}");
        self.store.state().arena_data.into_iter().find(|row| row.operation_pos.as_str() == text)
    }

    /// Positions of the changes whose messages are in the group topic, in their order.
    pub(crate) fn published(&self) -> Vec<u64> {
        let end = self.broker.ends(&self.topics.group).remove(0);
        let messages = self.broker.read(&end.partition, 0, usize::MAX);
        let mark = |bytes: &Bytes| {
            let value: Value = serde_json::from_slice(bytes).unwrap();
            value["payload"]["innsokBegrunnelse"].as_str().unwrap().parse().unwrap()
        };
        messages.iter().map(|message| mark(message.payload.as_ref().unwrap())).collect()
    }

    /// Waits until `holds`, and fails after `within`.
    pub(crate) async fn eventually(&self, within: Duration, holds: impl Fn(&Self) -> bool) {
        let reached = async {
            while !holds(self) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(within, reached).await;
        assert!(reached.is_ok(), "not within {within:?}: {:#?}", self.store.state().arena_data);
    }
}

pub(crate) fn ok(body: Value) -> Stub {
    Stub { status: 200, body: Some(body) }
}

/// The position travels as the order text.
fn participation(id_column: &str, id: i64, position: u64) -> Value {
    json!({
        id_column: id, "PERSON_ID": PERSON, "TILTAKGJENNOMFORING_ID": COURSE,
        "DELTAKERSTATUSKODE": "FULLF", "DELTAKERTYPEKODE": "INNSOKT", "AARSAKVERDIKODE_STATUS": null,
        "REG_DATO": "2025-01-20 08:00:00", "MOD_DATO": "2025-03-01 09:15:00", "DATO_FRA": "2025-02-01 00:00:00",
        "DATO_TIL": "2025-02-28 00:00:00", "DATO_STATUSENDRING": "2025-03-01 09:15:00", "PROSENT_DELTID": 80,
        "ANTALL_DAGER_PR_UKE": 2.5, "BEGRUNNELSE_BESTILLING": position.to_string(), "EKSTERN_ID": null,
    })
}
