//! Wiring: the only file that names the real adapters.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
    time::Duration,
};

use chassis::{
    admin,
    clock::Clock,
    dead_letters::{
        self,
        commands::{CommandError, Form},
    },
    exit::{self, Done},
    http::{
        Client,
        transport::{BuildError, Limits, Observed, Reqwest, Transport},
    },
    listener,
    metrics::Metrics,
    parts::{Parts, PartsError, stop_signal},
    settings, telemetry,
};
use clap::{CommandFactory as _, error::ErrorKind};
use tokio::net::TcpListener;

use crate::{
    cli::{Cli, Command},
    commands::{
        check, explain,
        sync::{self, Caller},
        verify,
    },
    http, metrics as counted, mongo,
    queues::Queues,
    rabbit::Rabbit,
    service::Service,
    settings::{Engine, Remote, Settings},
    shared::{Ports, Shared, Wiring},
    sources::StoreError,
    sqs::Sqs,
    standalone, terminal,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const NAME: &str = "reval-sync";

/// Of one request to the search engine: a bulk may take long.
const ENGINE: Limits = Limits {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(60),
    total: Duration::from_secs(120),
    answer_bytes: 64 << 20,
};

/// The service over real servers.
#[derive(Debug)]
pub struct Real;

impl Ports for Real {
    type Engine = search::Http;
    type Store = mongo::Store;
    type Queues = Queues;
    type Sources = mongo::Sources;
}

/// Why the service could not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made")]
    Transport(#[from] BuildError),
    /// The settings of MongoDB make no client.
    #[error("the client of MongoDB cannot be made")]
    Store(#[from] StoreError),
    /// The service port cannot be had, or a file of the settings not read.
    #[error("a port or a file cannot be had")]
    Io(#[from] io::Error),
    /// A part failed.
    #[error("the service ended")]
    Parts(#[from] PartsError),
    /// There is no address of a search engine.
    #[error("ES_URLS names no search engine")]
    NoEngine,
}

/// Carries out a command.
///
/// # Errors
/// With the exit code of the process.
pub async fn run(command: Command) -> Result<Done, exit::Error> {
    match command {
        Command::Serve { standalone: true } => standalone::run().await,
        Command::Serve { standalone: false } => {
            let settings = Settings::load()?;
            let telemetry = telemetry::init(&settings.telemetry, NAME, VERSION);
            let served = Box::pin(serve(settings)).await;
            telemetry.close(served.map(|()| Done::All).map_err(exit::Error::failed))
        }
        Command::Settings => {
            terminal::print(&settings::markdown(&settings::describe(Settings::declare)));
            Ok(Done::All)
        }
        Command::Sync(asked) => {
            let remote = settings::load(Remote::declare)?;
            telemetry::beside_output(&remote.telemetry, NAME);
            let limits = Limits { read: Duration::from_secs(10), total: Duration::from_secs(20), ..ENGINE };
            let transport = Reqwest::new(limits).map_err(exit::Error::failed)?;
            let caller = Caller::new(Client::new(remote.url, Arc::new(transport)), remote.token);
            sync::run(&caller, asked).await.map_err(exit::Error::failed)
        }
        Command::Check(asked) => {
            let settings = command_settings()?;
            if asked.offline {
                terminal::print("ok    settings: complete and readable");
                return Ok(Done::All);
            }
            let Wiring { engine, store, queues, sources, handling, .. } =
                wiring(&settings, &Metrics::new()).await.map_err(exit::Error::failed)?;
            check::run(&*engine, &*queues, &*store, &*sources, handling.layout).await.map_err(exit::Error::failed)
        }
        Command::Explain(asked) => {
            let settings = command_settings()?;
            let wiring = wiring(&settings, &Metrics::new()).await.map_err(exit::Error::failed)?;
            explain::run(&*Shared::new(wiring), asked).await
        }
        Command::Verify(asked) => {
            let settings = command_settings()?;
            let wiring = wiring(&settings, &Metrics::new()).await.map_err(exit::Error::failed)?;
            verify::run(&*Shared::new(wiring), asked).await
        }
        Command::DeadLetters(command) => {
            let settings = command_settings()?;
            let wiring = wiring(&settings, &Metrics::new()).await.map_err(exit::Error::failed)?;
            let service = Service::new(wiring);
            let form = if io::stdout().is_terminal() { Form::Table } else { Form::Lines };
            let now = service.shared.clock.now();
            let done = dead_letters::commands::run(&service.letters(), command, now, form, &mut io::stdout()).await;
            done.map_err(|error| match error {
                CommandError::NoneChosen => Cli::command().error(ErrorKind::ValueValidation, error).into(),
                error => exit::Error::failed(error),
            })
        }
    }
}

async fn serve(settings: Settings) -> Result<(), AppError> {
    let metrics = Metrics::new();
    metrics.build_info(VERSION, option_env!("TRUECOPY_COMMIT").unwrap_or("unknown"));
    let wiring = wiring(&settings, &metrics).await?;
    let (store, queues) = (Arc::clone(&wiring.store), Arc::clone(&wiring.queues));
    let service = Service::new(wiring);
    let listener = TcpListener::bind(settings.api.listen).await?;
    let mut parts = Parts::new(stop_signal());
    let health = parts.health();
    let operators = dead_letters::routes::routes(Arc::new(service.letters()));
    parts.spawn_last("admin", settings.drain, |part| admin::serve(settings.admin, health, metrics, operators, part));
    let routes = http::routes(Arc::clone(&service.shared), &settings.api.base, settings.api.auth);
    parts.spawn("http", settings.drain, |part| listener::serve(listener, routes, part));
    parts.spawn("run store", settings.drain, |part| async move {
        // asked once; without it tokens of long ago stay, which costs room and nothing else
        if let Err(error) = store.prepare().await {
            tracing::warn!(%error, "old tokens will not be forgotten: {error}");
        }
        part.ready();
        part.stopping().await;
        Ok::<_, std::convert::Infallible>(())
    });
    queues.spawn(&mut parts, settings.drain);
    service.spawn(&mut parts, settings.drain);
    Ok(parts.run().await?)
}

/// The settings of a command, whose log lines go to standard error.
fn command_settings() -> Result<Settings, exit::Error> {
    let settings = Settings::load()?;
    telemetry::beside_output(&settings.telemetry, NAME);
    Ok(settings)
}

/// The real adapters; they connect when they are used.
async fn wiring(settings: &Settings, metrics: &Metrics) -> Result<Wiring<Real>, AppError> {
    let client = mongo::client(&settings.mongo).await?;
    let read = settings.queues();
    let of_sqs: Vec<_> = settings.sqs.queues().filter(|queue| read.contains(queue)).collect();
    let of_rabbit: Vec<_> = read.iter().filter(|queue| !of_sqs.contains(queue)).copied().collect();
    let queues = Queues::new(Rabbit::new(settings.rabbit.clone(), &of_rabbit), Sqs::new(&settings.sqs, &of_sqs).await);
    Ok(Wiring {
        engine: Arc::new(engine(&settings.engine, metrics)?),
        store: Arc::new(mongo::Store::new(&client, &settings.mongo)),
        queues: Arc::new(queues),
        sources: Arc::new(mongo::Sources::new(&client, &settings.mongo)),
        clock: Clock::system(),
        handling: settings.handling.clone(),
        metrics: counted::Metrics::new(metrics.clone()),
    })
}

fn engine(settings: &Engine, metrics: &Metrics) -> Result<search::Http, AppError> {
    let transport = match &settings.authority {
        Some(path) => Reqwest::trusting(ENGINE, &std::fs::read(path)?)?,
        None => Reqwest::new(ENGINE)?,
    };
    let transport: Arc<dyn Transport> = Arc::new(Observed::new(Arc::new(transport), metrics.clone(), "search"));
    let url = settings.urls.first().cloned().ok_or(AppError::NoEngine)?;
    let engine = search::Http::new(Client::new(url, transport));
    Ok(match (&settings.user, &settings.password) {
        (Some(user), Some(password)) => engine.with_login(user, password),
        _ => engine,
    })
}
