//! What both measurements of a pair use: topics, one migrated database, the settings of the service.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{PgPool, postgres::PgPoolOptions};
use testkit::{
    process::{Process, free_port},
    servers::{self, FreshDatabase, TestTopics},
};
use tokio::time::{Instant, sleep};

use crate::neighbours::Neighbours;

pub(crate) const PARTITIONS: i32 = 4;
/// Bound of whatever is waited for.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

pub(crate) struct Run {
    pub(crate) courses: String,
    pub(crate) participants: String,
    pub(crate) group: String,
    pub(crate) topics: TestTopics,
    pub(crate) admin: String,
    /// As many connections as the service has workers.
    pub(crate) pool: PgPool,
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
        let mut settings = BTreeMap::from([
            ("DB_JDBC_URL", database.jdbc_url()),
            ("KAFKA_BROKERS", topics.brokers().to_owned()),
            ("ARENA_TILTAKGJENNOMFORING_TOPIC", courses.clone()),
            ("ARENA_TILTAK_DELTAKER_TOPIC", participants.clone()),
            ("ARENA_HIST_TILTAK_DELTAKER_TOPIC", history),
            ("AMT_TOPIC", group.clone()),
            ("AMT_ENKELTPLASS_TOPIC", single_place),
            ("ARENA_ACL_LISTEN", format!("127.0.0.1:{}", free_port().unwrap())),
            ("TRUECOPY_ADMIN_LISTEN", admin.clone()),
        ]);
        settings.extend(neighbours.settings());
        let pool = PgPoolOptions::new().max_connections(2).connect(database.url()).await.unwrap();
        let run = Self {
            courses,
            participants,
            group,
            topics,
            admin: format!("http://{admin}"),
            pool,
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

    /// That every table of a participant has each change once.
    pub(crate) async fn assert_complete(&self, changes: usize) {
        const ROWS: [&str; 5] = [
            "SELECT count(DISTINCT operation_pos) FROM arena_data \
             WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER' AND ingest_status = 'HANDLED'",
            "SELECT count(*) FROM arena_data WHERE arena_table_name = 'SIAMO.TILTAKDELTAKER'",
            "SELECT count(*) FROM arena_data_id_translation",
            "SELECT count(*) FROM deltaker",
            "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL AND payload IS NULL",
        ];
        for query in ROWS {
            assert_eq!(self.count(query).await, i64::try_from(changes).unwrap(), "{query}");
        }
    }
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, every: Duration, holds: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        sleep(every).await;
    }
}
