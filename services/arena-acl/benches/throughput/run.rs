//! What all measurements of a round use: topics, one migrated database, the settings of the service.

use std::{collections::BTreeMap, time::Duration};

use chassis::settings;

use sqlx::{PgPool, postgres::PgPoolOptions};
use testkit::{
    process::{Process, free_port},
    servers::{self, FreshDatabase, TestTopics},
};
use tokio::time::{Instant, sleep};

use crate::{
    cpu::{self, Cpu},
    load::Load,
    neighbours::Neighbours,
};

pub(crate) const PARTITIONS: i32 = 4;
/// Bound of whatever is waited for.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

pub(crate) struct Run {
    pub(crate) courses: String,
    pub(crate) participants: String,
    pub(crate) group: String,
    pub(crate) single_place: String,
    pub(crate) topics: TestTopics,
    pub(crate) admin: String,
    /// As many connections as the service has workers.
    pub(crate) pool: PgPool,
    /// As many as there are partitions.
    pub(crate) lanes: PgPool,
    /// The process of the broker.
    pub(crate) broker: u32,
    pub(crate) kafka: kafka::Settings,
    _database: FreshDatabase,
    settings: BTreeMap<&'static str, String>,
}

impl Run {
    pub(crate) async fn new(neighbours: &Neighbours) -> Self {
        let (topics, database) = (servers::kafka().await, servers::postgres().await);
        let courses = topics.create("gjennomforing", 1).await.unwrap();
        let participants = topics.create("deltaker", PARTITIONS).await.unwrap();
        let history = topics.create("histdeltaker", 1).await.unwrap();
        let group = topics.create("amt", PARTITIONS).await.unwrap();
        let single_place = topics.create("enkeltplass", 1).await.unwrap();
        let admin = format!("127.0.0.1:{}", free_port().unwrap());
        let port = topics.brokers().rsplit_once(':').unwrap().1.parse().unwrap();
        let mut settings = BTreeMap::from([
            ("DB_JDBC_URL", database.jdbc_url()),
            ("KAFKA_BROKERS", topics.brokers().to_owned()),
            ("ARENA_TILTAKGJENNOMFORING_TOPIC", courses.clone()),
            ("ARENA_TILTAK_DELTAKER_TOPIC", participants.clone()),
            ("ARENA_HIST_TILTAK_DELTAKER_TOPIC", history),
            ("AMT_TOPIC", group.clone()),
            ("AMT_ENKELTPLASS_TOPIC", single_place.clone()),
            ("ARENA_ACL_LISTEN", format!("127.0.0.1:{}", free_port().unwrap())),
            ("TRUECOPY_ADMIN_LISTEN", admin.clone()),
            ("MALLOC_ARENA_MAX", "1".to_owned()), // as in the image
            // ten changes of a participant would take five seconds by rule (IMP-12)
            ("ARENA_ACL_SPACING_MILLISECONDS", "0".to_owned()),
        ]);
        settings.extend(neighbours.settings());
        let connections = |count| PgPoolOptions::new().max_connections(count).connect(database.url());
        let run = Self {
            courses,
            participants,
            group,
            single_place,
            kafka: settings::read([("KAFKA_BROKERS", topics.brokers())], kafka::Settings::declare).unwrap(),
            topics,
            admin: format!("http://{admin}"),
            pool: connections(2).await.unwrap(),
            lanes: connections(PARTITIONS.unsigned_abs()).await.unwrap(),
            broker: cpu::listener(port).unwrap(),
            _database: database,
            settings,
        };
        let mut migrate = run.process("migrate");
        assert!(migrate.wait_end(BOUND).await.unwrap().success(), "{:?}", migrate.errors());
        run
    }

    pub(crate) fn process(&self, command: &str) -> Process {
        Process::start(env!("CARGO_BIN_EXE_arena-acl"), &self.settings, [command]).unwrap()
    }

    /// Empties the tables and writes what is dirty, so that a measurement pays for itself only.
    pub(crate) async fn settle(&self) {
        const EMPTY: &str =
            "TRUNCATE arena_data, arena_data_id_translation, deltaker, gjennomforing, outbox, quarantine";
        for statement in [EMPTY, "CHECKPOINT"] {
            sqlx::query(statement).execute(&self.pool).await.unwrap();
        }
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// The address of the third parties.
    pub(crate) fn neighbours(&self) -> &str {
        &self.settings["AMT_ARENA_ORDS_PROXY_URL"]
    }

    /// How long `work` takes, and whose work it is; `service` is the process of the service where it runs.
    pub(crate) async fn measure<T>(&self, service: Option<u32>, work: impl Future<Output = T>) -> Measured {
        let before = Cpu::now(self, service).await;
        let begin = Instant::now();
        work.await;
        let time = begin.elapsed();
        Measured { time, cpu: Cpu::now(self, service).await - before }
    }

    /// That every table of a participant has each change, or each participant, once, and each message was published.
    pub(crate) async fn assert_published(&self, load: &Load) {
        self.assert_stored(load).await;
        const PUBLISHED: &str = "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL AND payload IS NULL";
        self.assert_count(PUBLISHED, load.changes.len()).await;
    }

    /// The same without the messages.
    pub(crate) async fn assert_stored(&self, load: &Load) {
        const HANDLED: &str = "SELECT count(DISTINCT (operation_type, operation_pos)) FROM arena_data \
             WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND ingest_status = 'HANDLED'";
        self.assert_count(HANDLED, load.changes.len()).await;
        self.assert_count(ROWS, load.changes.len()).await;
        self.assert_count("SELECT count(*) FROM arena_data_id_translation", load.participants).await;
        self.assert_count("SELECT count(*) FROM deltaker", load.participants).await;
    }

    /// That each change is in the inbox once, with its row, and waits.
    pub(crate) async fn assert_kept(&self, load: &Load) {
        const KEPT: &str = "SELECT count(DISTINCT operation_pos) FROM arena_data \
             WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND ingest_status = 'RETRY' AND after IS NOT NULL AND note IS NOT NULL";
        self.assert_count(KEPT, load.changes.len()).await;
        self.assert_count(ROWS, load.changes.len()).await;
    }

    async fn assert_count(&self, query: &'static str, expected: usize) {
        assert_eq!(self.count(query).await, i64::try_from(expected).unwrap(), "{query}");
    }
}

const ROWS: &str = "SELECT count(*) FROM arena_data WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER'";

/// What a measurement took.
pub(crate) struct Measured {
    pub(crate) time: Duration,
    pub(crate) cpu: Cpu,
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, every: Duration, holds: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        sleep(every).await;
    }
}
