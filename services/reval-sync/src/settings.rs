//! Every setting of the service, declared once (chapter 8).

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use chassis::{
    admin,
    settings::{self, Problems, Setting, Slot, Table},
    telemetry,
};
use chrono_tz::Tz;
use domain::reval_sync::run::Source;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    deliveries::Queue,
    handling::{Handling, Roles, Routes},
    index::{Bulk, Layout, Shape},
    mongo, rabbit,
    record::source_named,
    sqs,
};

/// All settings of `serve` and of the commands that work on its stores.
pub struct Settings {
    /// Logging.
    pub telemetry: telemetry::Settings,
    /// The admin listener.
    pub admin: admin::Settings,
    /// RabbitMQ.
    pub rabbit: rabbit::Settings,
    /// SQS.
    pub sqs: sqs::Settings,
    /// MongoDB.
    pub mongo: mongo::Settings,
    /// The search engine.
    pub engine: Engine,
    /// How the work is done.
    pub handling: Handling,
    /// The service port.
    pub api: Api,
    /// How long a stop waits for what is in flight.
    pub drain: Duration,
}

/// The search engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Its addresses; the first one is used.
    pub urls: Vec<Url>,
    /// The login, where it wants one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// PEM file of an authority to trust.
    pub authority: Option<PathBuf>,
}

/// The service port.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What all its paths begin with.
    pub base: String,
    /// Who may call it.
    pub auth: Auth,
}

/// Who may call the service port.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Anybody.
    Anybody,
    /// Whoever has one of these tokens.
    Bearer(Vec<SecretString>),
}

/// Where the service answers, for the commands that call it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Logging.
    pub telemetry: telemetry::Settings,
    /// Its address.
    pub url: Url,
    /// What is shown to it.
    pub token: Option<SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Orchestrator,
    Indexer,
    Cdc,
    Exporter,
}

impl Setting for Role {
    const EXPECTS: &'static str = "orchestrator, indexer, cdc or exporter";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "orchestrator" => Self::Orchestrator,
            "indexer" => Self::Indexer,
            "cdc" => Self::Cdc,
            "exporter" => Self::Exporter,
            _ => return None,
        })
    }
}

struct From(Source);

impl Setting for From {
    const EXPECTS: &'static str = "mongo, queue or off";

    fn parse(text: &str) -> Option<Self> {
        source_named(text).map(Self)
    }
}

impl Setting for Layout {
    const EXPECTS: &'static str = "aliases or physical";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "aliases" => Some(Self::Aliases),
            "physical" => Some(Self::Physical),
            _ => None,
        }
    }
}

struct Ratio(f64);

impl Setting for Ratio {
    const EXPECTS: &'static str = "a number from 0 to 1";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Self)
    }
}

struct Zone(Tz);

impl Setting for Zone {
    const EXPECTS: &'static str = "a time zone, such as UTC or Europe/London";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    None,
    Bearer,
}

impl Setting for Mode {
    const EXPECTS: &'static str = "none or bearer";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "bearer" => Some(Self::Bearer),
            _ => None,
        }
    }
}

impl Settings {
    /// The one table of settings.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        table.prefix("REVAL_SYNC_");
        let telemetry = telemetry::Settings::declare(table);
        let admin = admin::Settings::declare(table);
        let rabbit = rabbit::Settings::declare(table);
        let sqs = sqs::Settings::declare(table);
        let mongo = mongo::Settings::declare(table);
        let engine = Engine::declare(table);
        let handling = handling(table);
        let api = Api::declare(table);
        let drain = table.seconds("REVAL_SYNC_DRAIN_SECONDS", "how long a stop waits for what is in flight").or("8");
        // of the commands that call a service that runs; named here so that they are no unknown ones
        let _url: Slot<Option<Url>> = table.value("REVAL_SYNC_URL", "for `sync`: where the service answers").optional();
        let _token = table.secret("REVAL_SYNC_TOKEN", "for `sync`: the bearer token that is shown to it").optional();
        table.all(|ok| {
            let rabbit: rabbit::Settings = ok.take(rabbit);
            let routes = Routes {
                exchange: rabbit.exchange.clone(),
                tcs_start: rabbit.keys.sync_start.clone(),
                gmc_start: rabbit.keys.gmc_start.clone(),
                connection_logs_start: rabbit.keys.connection_log_start.clone(),
                hidden_discrepancies_start: rabbit.keys.hidden_discrepancy_start.clone(),
                gmc_data: rabbit.keys.gmc_data.clone(),
                connection_log_data: rabbit.keys.connection_log_data.clone(),
                hidden_discrepancy_data: rabbit.keys.hidden_discrepancy_data.clone(),
                trainee_update: rabbit.keys.trainee_request.clone(),
            };
            Self {
                telemetry: ok.take(telemetry),
                admin: ok.take(admin),
                rabbit,
                sqs: ok.take(sqs),
                mongo: ok.take(mongo),
                engine: ok.take(engine),
                handling: Handling { routes, ..ok.take(handling) },
                api: ok.take(api),
                drain: ok.take(drain),
            }
        })
    }

    /// The settings of the process environment.
    ///
    /// # Errors
    /// Every problem at once, without values.
    pub fn load() -> Result<Self, Problems> {
        settings::load(Self::declare)
    }

    /// The queues that this instance reads.
    #[must_use]
    pub fn queues(&self) -> Vec<Queue> {
        let roles = self.handling.roles;
        let is_read = |queue: &Queue| match queue {
            Queue::TcsData | Queue::GmcData | Queue::ConnectionLogData | Queue::HiddenDiscrepancyData => roles.indexer,
            Queue::TcsUpdated | Queue::Changes(_) => roles.cdc,
            Queue::GmcStart => roles.exporter,
        };
        Queue::ALL.into_iter().filter(is_read).collect()
    }
}

impl Engine {
    fn declare(table: &mut Table) -> Slot<Self> {
        let urls = table
            .list("ES_URLS", "the search engine; of several addresses the first is used")
            .or("http://localhost:9200");
        let user = table.value("REVAL_SYNC_SEARCH_USER", "login at the search engine; absent: none").optional();
        let password = table.secret("REVAL_SYNC_SEARCH_PASSWORD", "its password").optional();
        let authority = table
            .value("REVAL_SYNC_SEARCH_CA_PATH", "PEM file of the authority of the engine's certificate")
            .optional();
        table.all(|ok| Self {
            urls: ok.take(urls),
            user: ok.take(user),
            password: ok.take(password),
            authority: ok.take(authority),
        })
    }
}

impl Api {
    fn declare(table: &mut Table) -> Slot<Self> {
        let listen = table.value("REVAL_SYNC_HTTP_LISTEN", "where the service port listens").or("0.0.0.0:8088");
        let base = table.value::<String>("REVAL_SYNC_HTTP_BASE_PATH", "what all its paths begin with").optional();
        let mode = table.value::<Mode>("REVAL_SYNC_AUTH_MODE", "who may call it").or("none");
        let tokens = table.secret("REVAL_SYNC_AUTH_TOKENS", "bearer tokens, separated by commas").optional();
        table.rule(
            mode.get().zip(tokens.get()),
            |(mode, tokens)| *mode == Mode::None || tokens.is_some(),
            "REVAL_SYNC_AUTH_TOKENS is needed with REVAL_SYNC_AUTH_MODE bearer",
        );
        table.all(|ok| {
            let tokens: Option<SecretString> = ok.take(tokens);
            let tokens = tokens.iter().flat_map(|tokens| tokens.expose_secret().split(','));
            let tokens = tokens.map(str::trim).filter(|token| !token.is_empty()).map(SecretString::from).collect();
            let auth = if ok.take(mode) == Mode::Bearer { Auth::Bearer(tokens) } else { Auth::Anybody };
            Self { listen: ok.take(listen), base: ok.take(base).unwrap_or_default(), auth }
        })
    }
}

impl Remote {
    /// Where the service answers.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let telemetry = telemetry::Settings::declare(table);
        let url = table.value("REVAL_SYNC_URL", "where the service answers").or("http://127.0.0.1:8088");
        let token = table.secret("REVAL_SYNC_TOKEN", "the bearer token that is shown to it").optional();
        table.all(|ok| Self { telemetry: ok.take(telemetry), url: ok.take(url), token: ok.take(token) })
    }
}

/// How the work is done, but for the names of the broker.
pub fn handling(table: &mut Table) -> Slot<Handling> {
    let default = Handling::default();
    let roles = table.list("REVAL_SYNC_ROLES", "what this instance does; also exporter").or("orchestrator,indexer,cdc");
    let gmc = table.value::<From>("REVAL_SYNC_SOURCES_GMC", "where doctors come from in a run").or("mongo");
    let logs = table.value::<From>("REVAL_SYNC_SOURCES_CONNECTION_LOGS", "the same of connection logs").or("mongo");
    let hidden =
        table.value::<From>("REVAL_SYNC_SOURCES_HIDDEN_DISCREPANCIES", "the same of hidden discrepancies").or("mongo");
    let layout = table.value("REVAL_SYNC_LAYOUT", "whether derived indices are kept: physical").or("aliases");
    let quiet =
        table.seconds("REVAL_SYNC_STAGE_QUIET_PERIOD_SECONDS", "how long a queue is silent before it is quiet").or("2");
    let idle =
        table.seconds("REVAL_SYNC_STAGE_IDLE_TIMEOUT_SECONDS", "the longest time of a run without progress").or("900");
    let ratio = table
        .value::<Ratio>("REVAL_SYNC_VERIFY_MIN_RATIO", "the least share of the live documents that a run swaps in")
        .or("0.9");
    let baseline =
        table.value::<u64>("REVAL_SYNC_VERIFY_MIN_BASELINE", "live documents from which on the share counts").or("100");
    let actions = table.value::<NonZeroUsize>("REVAL_SYNC_BULK_MAX_ACTIONS", "documents of a bulk request").or("2000");
    let bytes =
        table.value::<NonZeroUsize>("REVAL_SYNC_BULK_MAX_BYTES", "about the bytes of a bulk request").or("8388608");
    let concurrency =
        table.value::<NonZeroUsize>("REVAL_SYNC_BULK_CONCURRENCY", "bulk requests under way at once").or("4");
    let shards = table.value::<NonZeroU32>("REVAL_SYNC_INDEX_SHARDS", "primary shards of a new index").or("1");
    let replicas = table.value::<u32>("REVAL_SYNC_INDEX_REPLICAS", "its replicas after the swap").or("1");
    let refresh = table.value::<String>("REVAL_SYNC_INDEX_REFRESH_INTERVAL", "its refresh interval then").or("1s");
    let keep_failed = table
        .value("REVAL_SYNC_INDEX_KEEP_FAILED", "whether an index that failed verification stays until the next run")
        .or("false");
    let retention = table
        .seconds("REVAL_SYNC_INDEX_ROLLBACK_RETENTION_SECONDS", "for how long a run can be rolled back")
        .or("86400");
    let zone = table.value::<Zone>("REVAL_SYNC_CLOCK_ZONE", "where \"today\" is").or("UTC");
    let export = table.value::<NonZeroUsize>("ESSYNC_BATCH_SIZE", "doctors in one message of the exporter").or("9000");
    table.all(|ok| {
        let roles: Vec<Role> = ok.take(roles);
        let has = |role| roles.contains(&role);
        Handling {
            roles: Roles {
                orchestrator: has(Role::Orchestrator),
                indexer: has(Role::Indexer),
                cdc: has(Role::Cdc),
                exporter: has(Role::Exporter),
            },
            sources: [gmc, logs, hidden].map(|source| ok.take(source).0),
            layout: ok.take(layout),
            quiet_period: ok.take(quiet),
            idle_limit: ok.take(idle),
            min_ratio: ok.take(ratio).0,
            min_baseline: ok.take(baseline),
            bulk: Bulk {
                max_actions: ok.take(actions).get(),
                max_bytes: ok.take(bytes).get(),
                concurrency: ok.take(concurrency).get(),
            },
            shape: Shape {
                shards: ok.take(shards).get(),
                replicas: ok.take(replicas),
                refresh_interval: ok.take(refresh),
            },
            keep_failed: ok.take(keep_failed),
            rollback_retention: ok.take(retention),
            zone: ok.take(zone).0,
            export_batch: ok.take(export).get(),
            ..default
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Problems> {
        settings::read(pairs.iter().copied(), Settings::declare)
    }

    #[test]
    fn without_any_setting_the_defaults_of_the_specification_hold() {
        let settings = read(&[]).unwrap();
        let handling = settings.handling;
        assert_eq!((handling.sources, handling.layout), ([Source::Store; 3], Layout::Aliases));
        assert_eq!(handling.idle_limit, Duration::from_secs(900));
        assert_eq!(handling.routes.signal(domain::reval_sync::run::Stage::Gmc).0, "reval.recommendation.syncstart");
        assert!(handling.roles.cdc && !handling.roles.exporter);
        assert_eq!(settings.api.listen.port(), 8088);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let problems = read(&[
            ("REVAL_SYNC_LAYOUT", "flat"),
            ("REVAL_SYNC_VERIFY_MIN_RATIO", "2"),
            ("REVAL_SYNC_AUTH_MODE", "bearer"),
        ]);
        let text = problems.map(|_| ()).unwrap_err().to_string();
        for name in ["REVAL_SYNC_LAYOUT", "REVAL_SYNC_VERIFY_MIN_RATIO", "REVAL_SYNC_AUTH_TOKENS"] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn an_instance_reads_the_queues_of_its_roles() {
        let queues = |roles| read(&[("REVAL_SYNC_ROLES", roles)]).unwrap().queues();
        assert_eq!(queues("exporter"), [Queue::GmcStart]);
        assert_eq!(queues("orchestrator"), []);
        assert_eq!(queues("cdc").len(), 5);
    }
}
