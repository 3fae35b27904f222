//! One run's own topics, database, third parties and processes, and what was produced.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use arena_acl::{kafka::GROUP, memory::State};
use domain::delivery::Message;
use sqlx::PgPool;
use testkit::{
    http1,
    process::{Process, free_port},
    servers::{FreshDatabase, Record, TestTopics},
};
use tokio::time::{Instant, sleep};

use crate::{
    records::{Input, PARTITIONS, Sent, course},
    stack::Stack,
    store::{Live, World as _},
    third::{COURSES, LATE, Third},
};

/// How long the group waits for a member that is gone.
pub(crate) const SESSION: Duration = Duration::from_secs(6);
/// Bound of what takes as long as the machine takes.
pub(crate) const BOUND: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// Full names of the topics.
pub(crate) struct Names {
    courses: String,
    participants: String,
    history: String,
    pub(crate) group: String,
    pub(crate) single_place: String,
}

/// A record, and where it stands.
pub(crate) struct Produced {
    pub(crate) sent: Sent,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

pub(crate) struct World {
    pub(crate) names: Names,
    pub(crate) third: Third,
    pub(crate) pool: PgPool,
    pub(crate) produced: Vec<Produced>,
    topics: TestTopics,
    database: FreshDatabase,
}

/// A process of the service and where it is asked.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) started: Instant,
    admin: String,
    service: String,
}

impl World {
    /// A world in which the courses of the load are known.
    pub(crate) async fn new(stack: &Stack) -> Self {
        let (topics, database) = (stack.topics().await, stack.database().await);
        let names = Names {
            courses: topics.create("gjennomforing", 1).await.unwrap(),
            participants: topics.create("deltaker", PARTITIONS).await.unwrap(),
            history: topics.create("histdeltaker", PARTITIONS).await.unwrap(),
            group: topics.create("amt", PARTITIONS).await.unwrap(),
            single_place: topics.create("enkeltplass", 1).await.unwrap(),
        };
        let pool = PgPool::connect(database.url()).await.unwrap();
        let mut world = Self { names, third: Third::start(), pool, produced: Vec::new(), topics, database };
        let mut idle = world.start(&[]).await;
        let courses = COURSES.iter().zip(1..).filter(|(course, _)| course.id != LATE);
        let courses: Vec<Sent> = courses.map(|(known, position)| Sent::course(&course(known, position))).collect();
        world.produce(courses).await;
        world.settled().await;
        assert_eq!(idle.process.sigterm(BOUND).await.unwrap().code(), Some(0));
        world
    }

    /// Starts the service and waits until it is ready.
    pub(crate) async fn start(&self, settings: &[(&'static str, String)]) -> Replica {
        let mut replica = self.launch(settings);
        if let Err(error) = replica.process.wait_ready(&replica.admin, BOUND).await {
            panic!("{error}\n{}", replica.process.output().join("\n"));
        }
        replica
    }

    /// Starts the service and does not wait.
    pub(crate) fn launch(&self, settings: &[(&'static str, String)]) -> Replica {
        let address = || format!("127.0.0.1:{}", free_port().unwrap());
        let (admin, service) = (address(), address());
        let mut all = self.settings();
        all.extend([("TRUECOPY_ADMIN_LISTEN", admin.clone()), ("ARENA_ACL_LISTEN", service.clone())]);
        all.extend(settings.iter().cloned());
        Replica {
            process: Process::start(env!("CARGO_BIN_EXE_arena-acl"), all, ["serve"]).unwrap(),
            started: Instant::now(),
            admin: format!("http://{admin}"),
            service: format!("http://{service}"),
        }
    }

    fn settings(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("DB_JDBC_URL", self.database.jdbc_url()),
            ("KAFKA_BROKERS", self.topics.brokers().to_owned()),
            ("KAFKA_SESSION_TIMEOUT_SECONDS", SESSION.as_secs().to_string()),
            ("ARENA_TILTAKGJENNOMFORING_TOPIC", self.names.courses.clone()),
            ("ARENA_TILTAK_DELTAKER_TOPIC", self.names.participants.clone()),
            ("ARENA_HIST_TILTAK_DELTAKER_TOPIC", self.names.history.clone()),
            ("AMT_TOPIC", self.names.group.clone()),
            ("AMT_ENKELTPLASS_TOPIC", self.names.single_place.clone()),
            ("ARENA_ACL_SPACING_MILLISECONDS", "0".to_owned()), // it would only make every run longer
        ]);
        all.extend(self.third.settings());
        all
    }

    /// Produces in this order.
    pub(crate) async fn produce(&mut self, records: Vec<Sent>) {
        let out: Vec<Record> = records
            .iter()
            .map(|sent| Record {
                topic: self.topic(sent.input).to_owned(),
                partition: Some(sent.partition),
                payload: sent.payload.clone(),
                ..Record::default()
            })
            .collect();
        let places = self.topics.produce_all(&out).await.unwrap();
        for ((sent, record), (partition, offset)) in records.into_iter().zip(out).zip(places) {
            self.produced.push(Produced { sent, topic: record.topic, partition, offset });
        }
    }

    fn topic(&self, input: Input) -> &str {
        match input {
            Input::Courses => &self.names.courses,
            Input::Participants => &self.names.participants,
            Input::History => &self.names.history,
        }
    }

    /// Waits until every record is settled and committed and no message waits to leave.
    pub(crate) async fn settled(&self) {
        let places: Vec<_> = self.produced.iter().map(|at| (at.topic.clone(), at.partition, at.offset)).collect();
        if let Err(error) = self.topics.wait_committed(GROUP, &places, BOUND).await {
            let open = self.open().await;
            panic!(
                "{error}: {} records, {} of them with an effect",
                open.len(),
                open.iter().filter(|(_, done)| *done).count()
            );
        }
        self.published_all().await;
    }

    /// Waits until no message waits to leave.
    pub(crate) async fn published_all(&self) {
        eventually("the outbox is empty", BOUND, async || self.unpublished().await == 0).await;
    }

    /// Runs the retry job, in a process of its own, until nothing is left to retry.
    pub(crate) async fn retried(&self) {
        const RETRY: &str = "SELECT count(*) FROM arena_data WHERE ingest_status = 'RETRY'";
        for _ in 0..12 {
            if self.count(RETRY).await == 0 {
                break;
            }
            let mut job = Process::start(env!("CARGO_BIN_EXE_arena-acl"), self.settings(), ["job", "retry"]).unwrap();
            let status = job.wait_end(BOUND).await.unwrap();
            assert_eq!(status.code(), Some(0), "{}", job.output().join("\n"));
        }
        assert_eq!(self.count(RETRY).await, 0, "rows that nothing brings on");
        self.published_all().await;
    }

    pub(crate) async fn unpublished(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await
    }

    /// Rows stored, records quarantined and messages that have left: what moves when the service does.
    pub(crate) async fn effects(&self) -> i64 {
        self.count(
            "SELECT (SELECT count(*) FROM arena_data) + (SELECT count(*) FROM quarantine) \
             + (SELECT count(*) FROM outbox WHERE published_at IS NOT NULL)",
        )
        .await
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// Records whose effect is durable and whose offset is not committed: they come again.
    pub(crate) async fn coming_again(&self) -> usize {
        self.open().await.iter().filter(|(_, done)| *done).count()
    }

    /// The places of records whose offset is not committed, and whether their effect is durable.
    async fn open(&self) -> Vec<(String, bool)> {
        let mut committed = BTreeMap::new();
        for topic in [&self.names.courses, &self.names.participants, &self.names.history] {
            committed.insert(topic.as_str(), self.topics.committed(GROUP, topic).await.unwrap());
        }
        let stored: Vec<(String, String, String)> =
            sqlx::query_as("SELECT arena_table_name, operation_type, operation_pos FROM arena_data")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let stored: std::collections::HashSet<_> = stored.into_iter().collect();
        let quarantined: Vec<(String, i32, i64)> =
            sqlx::query_as("SELECT topic, partition, record_offset FROM quarantine")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let is_open = |at: &&Produced| {
            let next = committed[at.topic.as_str()][usize::try_from(at.partition).unwrap()];
            next.is_none_or(|next| at.offset >= next)
        };
        let has_effect = |at: &&Produced| {
            let Some(payload) = &at.sent.payload else { return false };
            match arena_acl::wire::read(payload) {
                Ok(item) => {
                    let change = item.change;
                    let key = (
                        change.table.name().to_owned(),
                        change.operation.name().to_owned(),
                        change.position.to_string(),
                    );
                    stored.contains(&key)
                }
                Err(_) => quarantined.contains(&(at.topic.clone(), at.partition, at.offset)),
            }
        };
        let place = |at: &Produced| format!("{}/{}/{}", at.topic, at.partition, at.offset);
        self.produced.iter().filter(is_open).map(|at| (place(at), has_effect(&at))).collect()
    }

    /// All tables.
    pub(crate) async fn state(&self) -> State {
        Live { store: Live::process(&self.database), reader: self.pool.clone() }.state().await
    }

    /// What is in both output topics, partition by partition.
    pub(crate) async fn published(&self) -> Vec<Message> {
        let mut published = self.topics.read(&self.names.group, &[]).await.unwrap();
        published.extend(self.topics.read(&self.names.single_place, &[]).await.unwrap());
        published
    }
}

impl Replica {
    /// The status of a probe; `None` when nothing answers.
    pub(crate) async fn probe(&self, path: &str) -> Option<u16> {
        http1::call("GET", &format!("{}{path}", self.admin), "").await.ok().map(|(status, _)| status)
    }

    /// Runs the retry job in this process; `false` where it ran already.
    pub(crate) async fn retry(&self) -> bool {
        let url = format!("{}/internal/api/jobs/retry", self.service);
        let (status, body) = http1::call("POST", &url, "").await.unwrap();
        assert!([200, 409].contains(&status), "{status} {}", String::from_utf8_lossy(&body));
        status == 200
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        let status = self.process.sigterm(BOUND).await.unwrap();
        assert_eq!(status.code(), Some(0), "{:?}", self.process.output().last());
    }
}

/// What a process has said is kept when its run fails.
impl Drop for Replica {
    fn drop(&mut self) {
        if thread::panicking() {
            let file = format!("{}/crash-{}.log", env!("CARGO_TARGET_TMPDIR"), self.process.id());
            fs::write(&file, self.process.output().join("\n")).unwrap_or_default();
            println!("the log of {} is in {file}", self.process);
        }
    }
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
