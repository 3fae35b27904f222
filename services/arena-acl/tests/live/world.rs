//! One test's own topics, database, third parties and processes.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    process::{Command, Output},
    time::Duration,
};

use arena_acl::kafka::GROUP;
use domain::delivery::Message;
use serde_json::Value;
use sqlx::PgPool;
use testkit::{
    http1,
    process::{Process, free_port},
    servers::{self, FreshDatabase, Record, TestTopics},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::{
    feed::{Change, Course},
    metrics::Metrics,
    neighbours::Neighbours,
};

/// As Arena has them.
pub(crate) const PARTITIONS: i32 = 4;
/// After a kill the group waits so long for the member that is gone. The least that a broker allows by default.
pub(crate) const SESSION: Duration = Duration::from_secs(6);
/// Bound of what takes as long as the machine takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// There is one consumer group.
static ALONE: Mutex<()> = Mutex::const_new(());

pub(crate) struct World {
    pub(crate) courses: String,
    pub(crate) participants: String,
    /// Historised participant changes.
    pub(crate) history: String,
    pub(crate) group: String,
    pub(crate) single_place: String,
    pub(crate) admin: String,
    pub(crate) topics: TestTopics,
    pub(crate) pool: PgPool,
    pub(crate) database: FreshDatabase,
    pub(crate) neighbours: Neighbours,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// On the test broker.
    pub(crate) async fn new(courses: &[Course]) -> Self {
        let alone = ALONE.lock().await;
        Self::on(servers::kafka().await, courses, alone).await
    }

    /// On a broker of its own.
    pub(crate) async fn at(brokers: &str, courses: &[Course]) -> Self {
        let alone = ALONE.lock().await;
        Self::on(servers::kafka_at(brokers).await, courses, alone).await
    }

    async fn on(topics: TestTopics, courses: &[Course], alone: MutexGuard<'static, ()>) -> Self {
        let database = servers::postgres().await;
        Self {
            courses: topics.create("gjennomforing", 1).await.unwrap(),
            participants: topics.create("deltaker", PARTITIONS).await.unwrap(),
            history: topics.create("histdeltaker", PARTITIONS).await.unwrap(),
            group: topics.create("amt", PARTITIONS).await.unwrap(),
            single_place: topics.create("enkeltplass", 1).await.unwrap(),
            admin: format!("http://127.0.0.1:{}", free_port().unwrap()),
            topics,
            pool: PgPool::connect(database.url()).await.unwrap(),
            database,
            neighbours: Neighbours::start(courses),
            _alone: alone,
        }
    }

    /// Starts the service and waits until it is ready.
    pub(crate) async fn start(&self) -> Process {
        self.start_with(&[]).await
    }

    /// The same with further settings, which win.
    pub(crate) async fn start_with(&self, settings: &[(&'static str, String)]) -> Process {
        let mut process = self.launch(settings);
        if let Err(error) = process.wait_ready(&self.admin, BOUND).await {
            panic!("{error}\n{}", process.output().join("\n"));
        }
        process
    }

    /// Runs a command to its end: its exit code and the lines of its result.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        self.command_with(&[], arguments).await
    }

    /// The same with further settings.
    pub(crate) async fn command_with(
        &self,
        settings: &[(&'static str, String)],
        arguments: &[&str],
    ) -> (i32, Vec<Value>) {
        let ended = self.ended(settings, arguments).await;
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{}", String::from_utf8_lossy(&ended.stderr)))
        };
        let lines = String::from_utf8(ended.stdout.clone()).unwrap().lines().map(line).collect();
        (ended.status.code().unwrap(), lines)
    }

    /// Runs a command to its end: its exit code, and all that it printed, the result first.
    pub(crate) async fn said(&self, settings: &[(&'static str, String)], arguments: &[&str]) -> (i32, String) {
        let ended = self.ended(settings, arguments).await;
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        (ended.status.code().unwrap(), said)
    }

    async fn ended(&self, settings: &[(&'static str, String)], arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arena-acl"));
        command.args(arguments).env_clear().envs(self.environment(settings));
        timeout(BOUND, spawn_blocking(move || command.output())).await.unwrap().unwrap().unwrap()
    }

    /// Starts the service and does not wait.
    pub(crate) fn launch(&self, settings: &[(&'static str, String)]) -> Process {
        self.process(settings, &["serve"])
    }

    /// Starts a command with the settings of the service.
    pub(crate) fn process(&self, settings: &[(&'static str, String)], arguments: &[&str]) -> Process {
        Process::start(env!("CARGO_BIN_EXE_arena-acl"), self.environment(settings), arguments).unwrap()
    }

    fn environment(&self, settings: &[(&'static str, String)]) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("DB_JDBC_URL", self.database.jdbc_url()),
            ("KAFKA_BROKERS", self.topics.brokers().to_owned()),
            ("KAFKA_SESSION_TIMEOUT_SECONDS", SESSION.as_secs().to_string()),
            ("ARENA_TILTAKGJENNOMFORING_TOPIC", self.courses.clone()),
            ("ARENA_TILTAK_DELTAKER_TOPIC", self.participants.clone()),
            ("ARENA_HIST_TILTAK_DELTAKER_TOPIC", self.history.clone()),
            ("AMT_TOPIC", self.group.clone()),
            ("AMT_ENKELTPLASS_TOPIC", self.single_place.clone()),
            ("ARENA_ACL_LISTEN", format!("127.0.0.1:{}", free_port().unwrap())),
            ("TRUECOPY_ADMIN_LISTEN", self.admin.trim_start_matches("http://").to_owned()),
        ]);
        all.extend(self.neighbours.settings());
        all.extend(settings.iter().cloned());
        all
    }

    /// amt-tiltak says from now on that every person has this participation, and that it goes on.
    pub(crate) fn downstream_knows(&self, participant: Uuid) {
        let answer = serde_json::json!([{ "id": participant, "status": "DELTAR" }]);
        self.neighbours.stub.on("POST", "/api/external/deltakelser").answers(200, answer);
    }

    /// `DB_JDBC_URL` for the same database on another port of this machine.
    pub(crate) fn database_through(&self, port: u16) -> (&'static str, String) {
        let jdbc = self.database.jdbc_url();
        let mut url: url::Url = jdbc.trim_start_matches("jdbc:").parse().unwrap();
        url.set_ip_host(Ipv4Addr::LOCALHOST.into()).unwrap();
        url.set_port(Some(port)).unwrap();
        ("DB_JDBC_URL", format!("jdbc:{url}"))
    }

    /// `DB_JDBC_URL` for the same database as another user.
    pub(crate) fn database_as(&self, user: &str, password: &str) -> (&'static str, String) {
        let jdbc = self.database.jdbc_url();
        let mut url: url::Url = jdbc.trim_start_matches("jdbc:").parse().unwrap();
        url.query_pairs_mut().clear().extend_pairs([("user", user), ("password", password)]);
        ("DB_JDBC_URL", format!("jdbc:{url}"))
    }

    /// Produces in this order; the places are for [`handled`](Self::handled).
    pub(crate) async fn produce(&self, records: &[Record]) -> Vec<(String, i32, i64)> {
        let places = self.topics.produce_all(records).await.unwrap();
        records
            .iter()
            .zip(places)
            .map(|(record, (partition, offset))| (record.topic.clone(), partition, offset))
            .collect()
    }

    pub(crate) async fn produce_changes(&self, changes: &[Change]) -> Vec<(String, i32, i64)> {
        let records: Vec<Record> = changes.iter().map(|change| change.record(&self.participants, PARTITIONS)).collect();
        self.produce(&records).await
    }

    /// Produces `courses` and waits until they are known, so that participants find them.
    pub(crate) async fn know(&self, courses: &[Course]) {
        let records: Vec<Record> =
            courses.iter().zip(1..).map(|(course, position)| course.record(&self.courses, position)).collect();
        let places = self.produce(&records).await;
        self.handled(&places).await;
    }

    /// Waits until these records are settled and committed and no message waits to leave.
    pub(crate) async fn handled(&self, places: &[(String, i32, i64)]) {
        self.topics.wait_committed(GROUP, places, BOUND).await.unwrap();
        eventually("the outbox is empty", BOUND, async || self.unpublished().await == 0).await;
    }

    /// Messages that are committed and wait to leave.
    pub(crate) async fn unpublished(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await
    }

    /// A count; 0 while there is no schema yet.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        match sqlx::query_scalar(query).fetch_one(&self.pool).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => 0,
            count => count.unwrap(),
        }
    }

    /// Stored changes of participants: id, operation, position, status; by position.
    pub(crate) async fn rows(&self) -> Vec<(String, String, String, String)> {
        sqlx::query_as(
            "SELECT arena_id, operation_type, operation_pos, ingest_status FROM arena_data \
             WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' ORDER BY operation_pos",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// UUIDs by participant.
    pub(crate) async fn uuids(&self) -> BTreeMap<i64, Uuid> {
        let rows: Vec<(String, Uuid)> = sqlx::query_as("SELECT arena_id, amt_id FROM arena_data_id_translation")
            .fetch_all(&self.pool)
            .await
            .unwrap();
        rows.into_iter().map(|(participant, uuid)| (participant.parse().unwrap(), uuid)).collect()
    }

    /// What is in the group topic, partition by partition.
    pub(crate) async fn published(&self) -> Vec<Message> {
        self.topics.read(&self.group, &[]).await.unwrap()
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::of(&self.admin).await
    }

    /// The status of a probe; `None` when nothing answers.
    pub(crate) async fn probe(&self, path: &str) -> Option<u16> {
        http1::call("GET", &format!("{}{path}", self.admin), "").await.ok().map(|(status, _)| status)
    }
}

/// The payload as JSON.
pub(crate) fn json(message: &Message) -> Value {
    serde_json::from_slice(message.payload.as_deref().unwrap()).unwrap()
}

/// Waits until `holds`, and fails after `within`; how long it took.
pub(crate) async fn eventually(what: &str, within: Duration, holds: impl AsyncFn() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < within, "not within {within:?}: {what}");
        sleep(LOOK).await;
    }
    begin.elapsed()
}
