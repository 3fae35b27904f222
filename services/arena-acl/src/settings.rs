//! Every setting of the service, declared once. Names without our prefix are a contract with the deployment
//! (docs/spec/arena-acl.md section 9).

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use chassis::{
    admin,
    http::tokens::PrivateJwk,
    settings::{self, Problems, Slot, Table},
    telemetry,
};
use secrecy::SecretString;
use url::Url;

use crate::postgres;

/// All settings of `serve` and of the commands that work on its store.
pub struct Settings {
    /// Logging.
    pub telemetry: telemetry::Settings,
    /// The admin listener.
    pub admin: admin::Settings,
    /// The database.
    pub database: postgres::Settings,
    /// The broker.
    pub kafka: kafka::Settings,
    /// Names of the topics.
    pub topics: Topics,
    /// Third parties.
    pub neighbours: Neighbours,
    /// The identity provider.
    pub azure: Azure,
    /// Where the service port listens.
    pub listen: SocketAddr,
    /// How messages are handled.
    pub handling: Handling,
    /// Whether `serve` migrates the database first.
    pub migrate_on_start: bool,
    /// How long each part may take to finish what is in flight.
    pub drain: Duration,
    /// Whether the routes of test mode exist.
    pub test_mode: bool,
}

/// Names of the topics.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Course changes.
    pub courses: String,
    /// Participant changes.
    pub participants: String,
    /// Historised participant changes.
    pub history: String,
    /// Participants of group measures.
    pub group: String,
    /// Participants of single-place measures.
    pub single_place: String,
}

/// Base URLs and scopes of third parties, and how they are called.
#[derive(Debug, Clone)]
pub struct Neighbours {
    /// amt-arena-ords-proxy.
    pub persons: Neighbour,
    /// mulighetsrommet-api.
    pub courses: Neighbour,
    /// amt-tiltak.
    pub downstream: Neighbour,
    /// How they are called.
    pub calls: Calls,
}

/// How third parties are called.
#[derive(Debug, Clone)]
pub struct Calls {
    /// How long a national id is remembered; 0 = not at all.
    pub person_cache: Duration,
    /// How long a course's details are remembered; 0 = not at all.
    pub course_cache: Duration,
    /// How many calls are under way at once.
    pub at_once: NonZeroUsize,
}

/// One third party.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Its base URL.
    pub url: Url,
    /// The scope of the token for it.
    pub scope: String,
}

/// The identity provider, for tokens in and out.
#[derive(Debug, Clone)]
pub struct Azure {
    /// Our client id, also the audience of tokens for us.
    pub client_id: String,
    /// Our private key.
    pub jwk: SecretString,
    /// Where tokens are fetched.
    pub token_endpoint: Url,
    /// The discovery document of those who call us.
    pub well_known: Url,
}

/// How messages are handled.
#[derive(Debug, Clone)]
pub struct Handling {
    /// Failed attempts before a row is FAILED; inclusive.
    pub max_attempts: NonZeroU32,
    /// Failed attempts that a delete waits for its history row.
    pub delete_wait: u32,
    /// What becomes of a history row whose participation downstream does not know.
    pub unknown_match: UnknownMatch,
    /// What happens to a HANDLED record that comes again.
    pub redelivery: Redelivery,
    /// From the end of one run of the retry job to the next, and the longest wait for a technical failure to be tried again.
    pub retry_interval: Duration,
    /// The shortest wait for a technical failure to be tried again.
    pub backoff: Duration,
    /// Rows on one page of the retry job.
    pub retry_rows: NonZeroU32,
    /// Rows on one page of the failed job.
    pub failed_rows: NonZeroU32,
    /// Batches that are handled at once.
    pub workers: NonZeroUsize,
    /// The shortest time between two messages of one key, where it is set.
    pub spacing: Option<Duration>,
    /// How often the store is counted.
    pub counting: Counting,
}

/// How often the store is counted, for the gauges.
#[derive(Debug, Clone, Copy)]
pub struct Counting {
    /// What is not finished.
    pub open: Duration,
    /// What is.
    pub finished: Duration,
}

/// What becomes of a history row whose participation downstream does not know, or which has no UUID (4.9 step 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownMatch {
    /// It is INVALID for good.
    Invalid,
    /// It waits in RETRY: downstream may only be late.
    Waits,
}

impl settings::Setting for UnknownMatch {
    const EXPECTS: &'static str = "invalid or waits";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "invalid" => Some(Self::Invalid),
            "waits" => Some(Self::Waits),
            _ => None,
        }
    }
}

/// What happens to a HANDLED record that comes again (IMP-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// Nothing.
    Skip,
    /// It is handled again, for a deliberate re-read.
    Reprocess,
}

impl settings::Setting for Redelivery {
    const EXPECTS: &'static str = "skip or reprocess";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "skip" => Some(Self::Skip),
            "reprocess" => Some(Self::Reprocess),
            _ => None,
        }
    }
}

impl Settings {
    /// The one table of settings.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        table.prefix("ARENA_ACL_");
        let telemetry = telemetry::Settings::declare(table);
        let admin = admin::Settings::declare(table);
        let database = postgres::Settings::declare(table);
        let kafka = kafka::Settings::declare(table);
        let topics = Topics::declare(table);
        let neighbours = Neighbours::declare(table);
        let azure = Azure::declare(table);
        let listen = table.value("ARENA_ACL_LISTEN", "where the service port listens").or("0.0.0.0:8080");
        let handling = Handling::declare(table);
        let migrate_on_start =
            table.value("MIGRATE_ON_START", "whether `serve` migrates the database first").or("true");
        let drain = table.seconds("ARENA_ACL_DRAIN_SECONDS", "how long a stop waits for what is in flight").or("8");
        let test_mode = table.value("ARENA_ACL_TEST_MODE", "whether the routes of test mode exist").or("false");
        table.rule(
            test_mode.get().zip(kafka.get()),
            |(test_mode, kafka)| !(*test_mode && kafka.tls.is_some()),
            "ARENA_ACL_TEST_MODE is refused together with KAFKA_CERTIFICATE_PATH, KAFKA_PRIVATE_KEY_PATH and KAFKA_CA_PATH",
        );
        table.all(|ok| Self {
            telemetry: ok.take(telemetry),
            admin: ok.take(admin),
            database: ok.take(database),
            kafka: ok.take(kafka),
            topics: ok.take(topics),
            neighbours: ok.take(neighbours),
            azure: ok.take(azure),
            listen: ok.take(listen),
            handling: ok.take(handling),
            migrate_on_start: ok.take(migrate_on_start),
            drain: ok.take(drain),
            test_mode: ok.take(test_mode),
        })
    }

    /// The settings of the process environment.
    ///
    /// # Errors
    /// Every problem at once, without values.
    pub fn load() -> Result<Self, Problems> {
        settings::load(Self::declare)
    }
}

impl Topics {
    /// The topics that are read, in one group.
    #[must_use]
    pub fn inputs(&self) -> Vec<String> {
        vec![self.courses.clone(), self.participants.clone(), self.history.clone()]
    }

    /// The topic that has the changes of `table`.
    #[must_use]
    pub fn of(&self, table: domain::arena_acl::Table) -> &str {
        match table {
            domain::arena_acl::Table::Courses => &self.courses,
            domain::arena_acl::Table::Participants => &self.participants,
            domain::arena_acl::Table::History => &self.history,
        }
    }

    /// All five.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let outputs = [self.group.clone(), self.single_place.clone()];
        self.inputs().into_iter().chain(outputs).collect()
    }

    fn declare(table: &mut Table) -> Slot<Self> {
        let courses = table.value("ARENA_TILTAKGJENNOMFORING_TOPIC", "topic of course changes").required();
        let participants = table.value("ARENA_TILTAK_DELTAKER_TOPIC", "topic of participant changes").required();
        let history =
            table.value("ARENA_HIST_TILTAK_DELTAKER_TOPIC", "topic of historised participant changes").required();
        let group = table.value("AMT_TOPIC", "topic for participants of group measures").required();
        let single_place =
            table.value("AMT_ENKELTPLASS_TOPIC", "topic for participants of single-place measures").required();
        table.all(|ok| Self {
            courses: ok.take(courses),
            participants: ok.take(participants),
            history: ok.take(history),
            group: ok.take(group),
            single_place: ok.take(single_place),
        })
    }
}

impl Neighbours {
    fn declare(table: &mut Table) -> Slot<Self> {
        let persons = table.value("AMT_ARENA_ORDS_PROXY_URL", "base URL of amt-arena-ords-proxy").required();
        let persons_scope = table.value("AMT_ARENA_ORDS_PROXY_SCOPE", "token scope of amt-arena-ords-proxy").required();
        let courses = table.value("MULIGHETSROMMET_API_URL", "base URL of mulighetsrommet-api").required();
        let courses_scope = table.value("MULIGHETSROMMET_API_SCOPE", "token scope of mulighetsrommet-api").required();
        let downstream = table.value("AMTTILTAK_URL", "base URL of amt-tiltak").required();
        let downstream_scope = table.value("AMTTILTAK_SCOPE", "token scope of amt-tiltak").required();
        let calls = Calls::declare(table);
        table.all(|ok| Self {
            persons: Neighbour { url: ok.take(persons), scope: ok.take(persons_scope) },
            courses: Neighbour { url: ok.take(courses), scope: ok.take(courses_scope) },
            downstream: Neighbour { url: ok.take(downstream), scope: ok.take(downstream_scope) },
            calls: ok.take(calls),
        })
    }
}

impl Calls {
    /// The same, remembering nothing.
    #[must_use]
    pub fn without_caches(&self) -> Self {
        Self { person_cache: Duration::ZERO, course_cache: Duration::ZERO, ..self.clone() }
    }

    /// The settings of calls to third parties.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let person_cache =
            table.seconds("ARENA_ACL_PERSON_CACHE_SECONDS", "how long a national id is remembered, 0 = not").or("60");
        let course_cache =
            table.seconds("ARENA_ACL_COURSE_CACHE_SECONDS", "how long course details are remembered, 0 = not").or("60");
        let at_once = table.value("ARENA_ACL_NEIGHBOUR_CALLS", "calls to third parties under way at once").or("64");
        table.all(|ok| Self {
            person_cache: ok.take(person_cache),
            course_cache: ok.take(course_cache),
            at_once: ok.take(at_once),
        })
    }
}

impl Azure {
    fn declare(table: &mut Table) -> Slot<Self> {
        let client_id =
            table.value("AZURE_APP_CLIENT_ID", "our client id, and the audience of tokens for us").required();
        let jwk = table.secret("AZURE_APP_JWK", "our private RSA key as a JWK").required();
        let token_endpoint = table.value("AZURE_OPENID_CONFIG_TOKEN_ENDPOINT", "where tokens are fetched").required();
        let well_known = table.value("AZURE_APP_WELL_KNOWN_URL", "discovery document of those who call us").required();
        table.rule(
            jwk.get(),
            |jwk| PrivateJwk::read(jwk).is_ok(),
            "AZURE_APP_JWK is not a private RSA key as a JWK, of at least 2048 bits",
        );
        table.all(|ok| Self {
            client_id: ok.take(client_id),
            jwk: ok.take(jwk),
            token_endpoint: ok.take(token_endpoint),
            well_known: ok.take(well_known),
        })
    }
}

impl Handling {
    /// The shortest time between two messages of one key; what is not set is the 500 ms of IMP-12.
    #[must_use]
    pub fn spacing(&self) -> Duration {
        self.spacing.unwrap_or(Duration::from_millis(500))
    }

    /// The settings of how messages are handled.
    pub fn declare(table: &mut Table) -> Slot<Self> {
        let max_attempts =
            table.value("ARENA_ACL_MAX_ATTEMPTS", "failed attempts before a row is FAILED, inclusive").or("10");
        let delete_wait = table
            .value("ARENA_ACL_DELETE_WAIT_ATTEMPTS", "failed attempts that a delete waits for its history row")
            .or("2");
        let unknown_match = table
            .value(
                "ARENA_ACL_UNKNOWN_MATCH",
                "what becomes of a history row whose participation downstream does not know",
            )
            .or("invalid");
        let redelivery =
            table.value("ARENA_ACL_REDELIVERY", "what happens to a HANDLED record that comes again").or("skip");
        let retry_interval = table
            .seconds("ARENA_ACL_RETRY_INTERVAL_SECONDS", "from the end of one run of the retry job to the next")
            .or("600");
        let backoff = table
            .seconds("ARENA_ACL_BACKOFF_SECONDS", "shortest wait before a technical failure is tried again; it doubles")
            .or("30");
        let retry_rows = table.value("ARENA_ACL_RETRY_BATCH_ROWS", "rows on one page of the retry job").or("5000");
        let failed_rows =
            table.value("ARENA_ACL_FAILED_BATCH_ROWS", "rows on one page of the job over rows in FAILED").or("500");
        let workers = table.value("ARENA_ACL_WORKERS", "batches that are handled at once").or("2");
        let spacing = table
            .millis(
                "ARENA_ACL_SPACING_MILLISECONDS",
                "shortest time between two messages of one key, 0 = none; 500 unless set, in test mode 0",
            )
            .optional();
        let counting = Counting::declare(table);
        table.all(|ok| Self {
            max_attempts: ok.take(max_attempts),
            delete_wait: ok.take(delete_wait),
            unknown_match: ok.take(unknown_match),
            redelivery: ok.take(redelivery),
            retry_interval: ok.take(retry_interval),
            backoff: ok.take(backoff),
            retry_rows: ok.take(retry_rows),
            failed_rows: ok.take(failed_rows),
            workers: ok.take(workers),
            spacing: ok.take(spacing),
            counting: ok.take(counting),
        })
    }
}

impl Counting {
    fn declare(table: &mut Table) -> Slot<Self> {
        let open = table
            .seconds(
                "ARENA_ACL_COUNT_SECONDS",
                "pause between two counts of what is unhandled, given up or waits to leave",
            )
            .or("60");
        let finished = table
            .seconds("ARENA_ACL_COUNT_FINISHED_SECONDS", "pause between two counts of all other stored changes")
            .or("3600");
        table.rule(
            open.get().zip(finished.get()),
            |(open, finished)| !open.is_zero() && !finished.is_zero(),
            "ARENA_ACL_COUNT_SECONDS and ARENA_ACL_COUNT_FINISHED_SECONDS are not above 0",
        );
        table.all(|ok| Self { open: ok.take(open), finished: ok.take(finished) })
    }
}
