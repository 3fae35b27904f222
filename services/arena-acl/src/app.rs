//! Wiring: the only file that names the real adapters.

use std::{error::Error, fmt, io, sync::Arc};

use chassis::{
    admin,
    clock::Clock,
    dead_letters::{self, commands::CommandError},
    exit::{self, Done},
    http::{
        Client,
        tokens::{KeyError, PrivateJwk, Tokens},
        transport::{BuildError, Observed, Reqwest, Transport},
    },
    listener,
    metrics::Metrics,
    parts::{Parts, PartsError, stop_signal},
    settings, telemetry,
};
use clap::{CommandFactory as _, error::ErrorKind};
use futures::future;
use kafka::{Group, Limits, Producer, probe, reread::Reread, source::SourceError};
use tokio::net::TcpListener;

use crate::{
    auth::Auth,
    cli::{Cli, Command},
    commands::{
        self,
        check::{Check, Dependencies},
    },
    inbox::StoreError,
    kafka::{GROUP, IMPORT_GROUP, PRODUCER},
    neighbours::{LIMITS, Neighbours},
    postgres::Postgres,
    service::{SchemaError, Service, Wiring},
    settings::Settings,
    standalone, terminal,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const NAME: &str = "arena-acl";

/// Carries out a command.
///
/// # Errors
/// With the exit code of the process.
pub async fn run(command: Command) -> Result<Done, exit::Error> {
    match command {
        Command::Serve { standalone: true } => standalone::run().await,
        Command::Settings => {
            terminal::print(&settings::markdown(&settings::describe(Settings::declare)));
            Ok(Done::All)
        }
        Command::Serve { standalone: false } => {
            let settings = Settings::load()?;
            let telemetry = telemetry::init(&settings.telemetry, NAME, VERSION);
            telemetry.close(serve(settings).await.map(|()| Done::All))
        }
        Command::Migrate => {
            let settings = command_settings()?;
            Postgres::new(&settings.database).migrate().await.map_err(AppError::Schema)?;
            Ok(Done::All)
        }
        Command::Check(asked) => check(&command_settings()?, &asked).await,
        Command::Explain(asked) => commands::explain::run(&*command_service(&command_settings()?)?, asked).await,
        Command::Verify(asked) => commands::verify::run(&*command_service(&command_settings()?)?, asked).await,
        Command::Job(job) => {
            commands::job::run(&*command_service(&command_settings()?)?, job).await.map_err(exit::Error::failed)
        }
        Command::DeadLetters(command) => {
            let service = command_service(&command_settings()?)?;
            commands::dead_letters::run(&*service, command).await.map_err(|error| match error {
                CommandError::NoneChosen => usage(&error),
                error => exit::Error::failed(error),
            })
        }
        Command::RequeueLatest(asked) => {
            done(commands::requeue_latest::run(command_service(&command_settings()?)?.store(), asked).await)
        }
        Command::CheckLatest(asked) => {
            done(commands::check_latest::run(command_service(&command_settings()?)?.store(), asked).await)
        }
        Command::Relast(asked) => {
            done(commands::relast::run(command_service(&command_settings()?)?.store(), asked).await)
        }
        Command::Backfill(asked) => {
            let until = asked.until().ok_or_else(|| usage(&"a partition is named twice"))?;
            let settings = command_settings()?;
            let service = command_service(&settings)?;
            let group = Group {
                id: IMPORT_GROUP.into(),
                topics: vec![settings.topics.participants.clone()],
                client_id: NAME.into(),
            };
            let source =
                Reread::open(&settings.kafka, group, until, asked.begin()).await.map_err(exit::Error::failed)?;
            commands::backfill::run(service.records(), source).await.map_err(exit::Error::failed)
        }
        Command::Eval(asked) => {
            commands::eval::run(&asked, io::stdin().lock(), &mut io::stdout()).map_err(exit::Error::failed)
        }
    }
}

/// Why the service could not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The key of the settings.
    #[error("AZURE_APP_JWK cannot be used")]
    Key(#[from] KeyError),
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made")]
    Transport(#[from] BuildError),
    /// A Kafka client could not be made.
    #[error("the Kafka client cannot be made")]
    Kafka(#[from] SourceError),
    /// The service port cannot be had.
    #[error("the service port cannot be had")]
    Listen(#[from] std::io::Error),
    /// A part failed.
    #[error("the service ended")]
    Parts(#[from] PartsError),
    /// The schema could not be brought up to date.
    #[error("migration failed")]
    Schema(#[source] SchemaError),
}

impl From<AppError> for exit::Error {
    /// A database that must not be taken over is a setting that leads to the wrong place (specification 3.9), whoever found it.
    fn from(error: AppError) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(found) = cause {
            if matches!(found.downcast_ref(), Some(SchemaError::OldVersion { .. })) {
                return Self::refused(error);
            }
            cause = found.source();
        }
        Self::failed(error)
    }
}

async fn serve(settings: Settings) -> Result<(), AppError> {
    let metrics = Metrics::new();
    metrics.build_info(VERSION, option_env!("TRUECOPY_COMMIT").unwrap_or("unknown"));
    let service = service(&settings, metrics.clone())?;
    let producer = Producer::new(&settings.kafka, PRODUCER)?;
    let listener = TcpListener::bind(settings.listen).await?;
    let group = Group { id: GROUP.into(), topics: settings.topics.inputs(), client_id: NAME.into() };
    let mut parts = Parts::new(stop_signal());
    let health = parts.health();
    let operators = dead_letters::routes::routes(service.letters());
    parts.spawn_last("admin", settings.drain, |part| admin::serve(settings.admin, health, metrics, operators, part));
    let routes = service.routes(settings.test_mode);
    parts.spawn("http", settings.drain, |part| listener::serve(listener, routes, part));
    if !settings.test_mode {
        service.spawn_jobs(&mut parts, settings.drain);
    }
    let kafka = settings.kafka;
    service.spawn_census(&mut parts, settings.drain);
    service.spawn(&mut parts, settings.drain, move || kafka::Consumer::new(&kafka, &group), producer);
    Ok(parts.run().await?)
}

/// The settings of a command, whose log lines go to standard error.
fn command_settings() -> Result<Settings, exit::Error> {
    let settings = Settings::load()?;
    telemetry::beside_output(&settings.telemetry, NAME);
    Ok(settings)
}

/// The service for one command.
fn command_service(settings: &Settings) -> Result<Arc<Service<Postgres>>, exit::Error> {
    service(settings, Metrics::new()).map_err(exit::Error::failed)
}

fn done(result: Result<(), StoreError>) -> Result<Done, exit::Error> {
    result.map(|()| Done::All).map_err(exit::Error::failed)
}

/// A command line that clap understands and we do not.
fn usage(why: &dyn fmt::Display) -> exit::Error {
    Cli::command().error(ErrorKind::ValueValidation, why).into()
}

/// The service over real servers; it connects when it is used.
fn service(settings: &Settings, metrics: Metrics) -> Result<Arc<Service<Postgres>>, AppError> {
    let ThirdParties { neighbours, auth, tokens: _ } = third_parties(settings, &metrics)?;
    let handling = &settings.handling;
    Ok(Service::new(Wiring {
        store: Arc::new(Postgres::new(&settings.database)),
        neighbours,
        auth,
        clock: Clock::system(),
        metrics,
        handling: handling.clone(),
        topics: settings.topics.clone(),
        limits: Limits::from(&settings.kafka),
        spacing: if settings.test_mode { handling.spacing.unwrap_or_default() } else { handling.spacing() },
        migrate: settings.migrate_on_start,
    }))
}

/// Who is asked over HTTP.
struct ThirdParties {
    neighbours: Neighbours,
    auth: Arc<Auth>,
    tokens: Tokens,
}

fn third_parties(settings: &Settings, metrics: &Metrics) -> Result<ThirdParties, AppError> {
    let transport: Arc<dyn Transport> = Arc::new(Reqwest::new(LIMITS)?);
    let Settings { azure, neighbours, .. } = settings;
    let key = PrivateJwk::read(&azure.jwk)?;
    let observed =
        |dependency| -> Arc<dyn Transport> { Arc::new(Observed::new(transport.clone(), metrics.clone(), dependency)) };
    let tokens = Tokens::new(azure.token_endpoint.clone(), azure.client_id.clone(), key, observed("azure"));
    let client = |neighbour: &crate::settings::Neighbour, name| {
        Client::new(neighbour.url.clone(), observed(name)).with_tokens(tokens.clone(), neighbour.scope.as_str())
    };
    // a stub that changes its answer must be seen at once (section 12)
    let calls = if settings.test_mode { neighbours.calls.without_caches() } else { neighbours.calls.clone() };
    Ok(ThirdParties {
        neighbours: Neighbours::new(
            client(&neighbours.persons, "amt-arena-ords-proxy"),
            client(&neighbours.courses, "mulighetsrommet-api"),
            client(&neighbours.downstream, "amt-tiltak"),
            &calls,
        ),
        auth: Arc::new(Auth::new(observed("azure"), azure.well_known.clone(), azure.client_id.clone())),
        tokens,
    })
}

/// Looks at what the service needs, and takes nothing.
async fn check(settings: &Settings, asked: &Check) -> Result<Done, exit::Error> {
    let ThirdParties { neighbours, auth, tokens } =
        third_parties(settings, &Metrics::new()).map_err(exit::Error::failed)?;
    let database = Postgres::new(&settings.database);
    let group = Group { id: GROUP.into(), topics: settings.topics.inputs(), client_id: NAME.into() };
    let topics = settings.topics.all();
    let scopes = [
        ("amt-arena-ords-proxy", &settings.neighbours.persons.scope),
        ("mulighetsrommet-api", &settings.neighbours.courses.scope),
        ("amt-tiltak", &settings.neighbours.downstream.scope),
    ];
    let tokens = &tokens;
    let given = scopes.map(|(neighbour, scope)| async move { (neighbour, tokens.bearer(scope).await.map(drop)) });
    let dependencies = Dependencies {
        database: Box::pin(database.examine()),
        kafka: probe::look(settings.kafka.clone(), group, topics, commands::check::LIMIT),
        tokens: future::join_all(given),
        neighbours: Box::pin(neighbours.reachable()),
        identity: Box::pin(auth.reachable()),
    };
    commands::check::run(asked, dependencies).await.map_err(exit::Error::failed)
}
