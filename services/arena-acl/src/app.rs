//! Wiring: the only file that names the real adapters.

use std::sync::Arc;

use chassis::{
    admin,
    clock::Clock,
    exit::{self, Done},
    http::{
        Client,
        tokens::{KeyError, PrivateJwk, Tokens},
        transport::{BuildError, Reqwest, Transport},
    },
    listener,
    metrics::Metrics,
    parts::{Parts, PartsError, stop_signal},
    settings, telemetry,
};
use kafka::{Group, Limits, Producer, source::SourceError};
use tokio::net::TcpListener;

use crate::{
    auth::Auth,
    cli::Command,
    commands,
    kafka::{GROUP, PRODUCER},
    neighbours::{LIMITS, Neighbours},
    postgres::Postgres,
    service::{Service, Wiring},
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
            let settings = Settings::load()?;
            Postgres::new(&settings.database).migrate().await.map_err(exit::Error::failed)?;
            Ok(Done::All)
        }
        Command::Job(job) => commands::job::run(&*command_service()?, job).await.map_err(exit::Error::failed),
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
    parts.spawn_last("admin", settings.drain, |part| admin::serve(settings.admin, health, metrics, part));
    let routes = service.routes(settings.test_mode);
    parts.spawn("http", settings.drain, |part| listener::serve(listener, routes, part));
    if !settings.test_mode {
        service.spawn_jobs(&mut parts, settings.drain);
    }
    let kafka = settings.kafka;
    service.spawn(&mut parts, settings.drain, move || kafka::Consumer::new(&kafka, &group), producer);
    Ok(parts.run().await?)
}

/// The service for one command, over the servers of the environment.
fn command_service() -> Result<Arc<Service<Postgres>>, exit::Error> {
    service(&Settings::load()?, Metrics::new()).map_err(exit::Error::failed)
}

/// The service over real servers; it connects when it is used.
fn service(settings: &Settings, metrics: Metrics) -> Result<Arc<Service<Postgres>>, AppError> {
    let transport: Arc<dyn Transport> = Arc::new(Reqwest::new(LIMITS)?);
    let Settings { azure, neighbours, handling, .. } = settings;
    let key = PrivateJwk::read(&azure.jwk)?;
    let tokens = Tokens::new(azure.token_endpoint.clone(), azure.client_id.clone(), key, transport.clone());
    let client = |neighbour: &crate::settings::Neighbour| {
        Client::new(neighbour.url.clone(), transport.clone()).with_tokens(tokens.clone(), neighbour.scope.as_str())
    };
    // a stub that changes its answer must be seen at once (section 12)
    let calls = if settings.test_mode { neighbours.calls.without_caches() } else { neighbours.calls.clone() };
    Ok(Service::new(Wiring {
        store: Arc::new(Postgres::new(&settings.database)),
        neighbours: Neighbours::new(
            client(&neighbours.persons),
            client(&neighbours.courses),
            client(&neighbours.downstream),
            &calls,
        ),
        auth: Arc::new(Auth::new(transport.clone(), azure.well_known.clone(), azure.client_id.clone())),
        clock: Clock::system(),
        metrics,
        handling: handling.clone(),
        topics: settings.topics.clone(),
        limits: Limits::from(&settings.kafka),
        spacing: if settings.test_mode { handling.spacing.unwrap_or_default() } else { handling.spacing() },
        migrate: settings.migrate_on_start,
    }))
}
