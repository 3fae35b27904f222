//! The servers, the stubs and the process that live cases share.

use std::{io, net::Ipv4Addr, time::Duration};

use arena_acl::{
    neighbours::LIMITS,
    scripted::{PARTICIPATIONS, Stubs},
    settings::Topics,
};
use chassis::http::transport::Reqwest;
use serde_json::{Value, json};
use testkit::{
    process::{Process, free_port},
    servers::{self, TestTopics},
    stub::Stub,
    vectors::BadCase,
};

use super::database::Database;
use crate::identity::{self, CLIENT};

/// Of every topic.
const PARTITIONS: i32 = 4;
/// Bound of a start: the group may have to wait for a member that was killed.
const START: Duration = Duration::from_secs(30);
/// Bound of a stop, above the drain of the service.
const STOP: Duration = Duration::from_secs(15);

/// What live cases share.
pub(super) struct Setup {
    pub(super) topics: TestTopics,
    /// The full names of the topics that the service reads and writes.
    pub(super) names: Topics,
    pub(super) database: Database,
    /// All third parties; they share no path.
    pub(super) neighbours: Stub,
    pub(super) transport: Reqwest,
    /// Where the service listens, on every address.
    pub(super) port: u16,
    admin_port: u16,
    process: Option<Process>,
    /// Whether a case began here and did not come to its end.
    pub(super) in_use: bool,
}

impl Setup {
    /// Fresh topics, a fresh database, and the service, which is ready.
    pub(super) async fn start() -> Result<Self, BadCase> {
        let topics = servers::kafka().await;
        let create = async |name: &str| {
            let created = topics.create(name, PARTITIONS).await;
            created.map_err(|error| BadCase::because("a topic", &error))
        };
        let names = Topics {
            courses: create("gjennomforing").await?,
            participants: create("deltaker").await?,
            history: create("histdeltaker").await?,
            group: create("amt-tiltak").await?,
            single_place: create("enkeltplass").await?,
        };
        let failed = |error: io::Error| BadCase::because("the setup", &error);
        let mut setup = Self {
            topics,
            names,
            database: Database::fresh(servers::postgres().await).await?,
            neighbours: Stub::start().map_err(failed)?,
            transport: Reqwest::new(LIMITS).map_err(|error| BadCase::because("the HTTP client", &error))?,
            port: free_port().map_err(failed)?,
            admin_port: free_port().map_err(failed)?,
            process: None,
            in_use: false,
        };
        setup.serve().await?;
        Ok(setup)
    }

    /// Starts the service and waits until it is ready.
    pub(super) async fn serve(&mut self) -> Result<(), BadCase> {
        let problem = |error| BadCase::because("the service", &error);
        let process = Process::start(env!("CARGO_BIN_EXE_arena-acl"), self.environment()?, ["serve"]);
        let process = self.process.insert(process.map_err(problem)?);
        let admin = format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.admin_port);
        process.wait_ready(&admin, START).await.map_err(problem)
    }

    /// Stops the service; it must end well.
    pub(super) async fn stop(&mut self) -> Result<(), BadCase> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let status = process.sigterm(STOP).await.map_err(|error| BadCase::because("the service", &error))?;
        if status.success() {
            return Ok(());
        }
        Err(BadCase::new(format!("the service ended with {status} when it was told to stop")))
    }

    /// Stops the service and gives everything back; what fails is left to the servers, which are those of tests.
    pub(super) async fn end(mut self) {
        self.stop().await.unwrap_or_default();
    }

    /// Adds what third parties answer.
    pub(super) fn script(&self, stubs: &Stubs) -> Result<(), BadCase> {
        for (target, status, body) in stubs.gets() {
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let mut script = self.neighbours.on("GET", path);
            for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
                script = script.query(&name, &value);
            }
            if body.is_empty() {
                script.answers_empty(status);
            } else {
                let body: Value =
                    serde_json::from_str(&body).map_err(|error| BadCase::because("the body of a stub", &error))?;
                script.answers(status, body);
            }
        }
        for (person, stub) in &stubs.amt_tiltak {
            let asked = json!({ "personIdent": person });
            let script = self.neighbours.on("POST", PARTICIPATIONS).when(move |request| request.json() == asked);
            script.answers(stub.status, stub.body.clone().unwrap_or_default());
        }
        Ok(())
    }

    fn environment(&self) -> Result<Vec<(&'static str, String)>, BadCase> {
        let issuer = identity::issuer()?;
        let Topics { courses, participants, history, group, single_place } = self.names.clone();
        Ok(vec![
            ("ARENA_ACL_TEST_MODE", "true".to_owned()),
            ("ARENA_ACL_LISTEN", format!("0.0.0.0:{}", self.port)),
            ("TRUECOPY_ADMIN_LISTEN", format!("127.0.0.1:{}", self.admin_port)),
            ("KAFKA_BROKERS", self.topics.brokers().to_owned()),
            ("DB_JDBC_URL", self.database.jdbc_url()),
            ("ARENA_TILTAKGJENNOMFORING_TOPIC", courses),
            ("ARENA_TILTAK_DELTAKER_TOPIC", participants),
            ("ARENA_HIST_TILTAK_DELTAKER_TOPIC", history),
            ("AMT_TOPIC", group),
            ("AMT_ENKELTPLASS_TOPIC", single_place),
            ("AMT_ARENA_ORDS_PROXY_URL", self.neighbours.url().to_owned()),
            ("AMT_ARENA_ORDS_PROXY_SCOPE", "api://ords/.default".to_owned()),
            ("MULIGHETSROMMET_API_URL", self.neighbours.url().to_owned()),
            ("MULIGHETSROMMET_API_SCOPE", "api://mulighetsrommet/.default".to_owned()),
            ("AMTTILTAK_URL", self.neighbours.url().to_owned()),
            ("AMTTILTAK_SCOPE", "api://amt-tiltak/.default".to_owned()),
            ("AZURE_APP_CLIENT_ID", CLIENT.to_owned()),
            ("AZURE_APP_JWK", issuer.client_jwk()),
            ("AZURE_OPENID_CONFIG_TOKEN_ENDPOINT", issuer.token_endpoint()),
            ("AZURE_APP_WELL_KNOWN_URL", issuer.well_known_url()),
        ])
    }
}
