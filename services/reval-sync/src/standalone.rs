//! The service without any server: memory in their place, and a scripted trainee service that shows what a run and single changes do.

mod messages;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::{
    admin,
    clock::Clock,
    dead_letters,
    exit::{self, Done},
    listener,
    metrics::Metrics,
    parts::{Part, Parts, PartsError, stop_signal},
    settings::{self, Slot, Table},
    telemetry,
};
use search::memory::Memory as Engine;
use serde_json::Value;
use tokio::{net::TcpListener, time::sleep};

use crate::{
    deliveries::{Queue, Settled},
    handling::Handling,
    http,
    memory::{Memory, Queues, Sources, Store},
    service::Service,
    settings::{Auth, handling},
    shared::Wiring,
    sources::Collection,
    terminal,
};

/// How long anything of the sample may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// The names that readers use.
const NAMES: [&str; 4] = ["masterdoctorindex", "current_connections", "discrepancies", "recommendations"];

/// What the demonstration takes from the environment; it needs none of it.
struct Settings {
    telemetry: telemetry::Settings,
    admin: admin::Settings,
    listen: SocketAddr,
    handling: Handling,
}

impl Settings {
    fn declare(table: &mut Table) -> Slot<Self> {
        let telemetry = telemetry::Settings::declare(table);
        let admin = admin::Settings::declare(table);
        let listen = table.value("REVAL_SYNC_HTTP_LISTEN", "where the service port listens").or("127.0.0.1:8088");
        let handling = handling(table);
        table.all(|ok| Self {
            telemetry: ok.take(telemetry),
            admin: ok.take(admin),
            listen: ok.take(listen),
            handling: ok.take(handling),
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum StandaloneError {
    #[error("the service port cannot be had")]
    Listen(#[from] std::io::Error),
    #[error("the service ended")]
    Parts(#[from] PartsError),
    #[error("the sample cannot be read")]
    Sample(#[from] serde_json::Error),
}

/// The sample did not go on.
#[derive(Debug, thiserror::Error)]
#[error("the sample came to a halt: {0}")]
struct Halted(String);

pub(crate) async fn run() -> Result<Done, exit::Error> {
    // what happens is shown by the sample; a log in between would only hide it
    let quiet = [("LOG_LEVEL", "off"), ("LOG_FORMAT", "text"), ("REVAL_SYNC_STAGE_QUIET_PERIOD_SECONDS", "1")];
    let settings = settings::overlay(quiet, Settings::declare)?;
    let _telemetry = telemetry::init(&settings.telemetry, "reval-sync", env!("CARGO_PKG_VERSION"));
    Box::pin(serve(settings)).await.map(|()| Done::All).map_err(exit::Error::failed)
}

async fn serve(settings: Settings) -> Result<(), StandaloneError> {
    let Settings { admin, listen, handling, telemetry: _ } = settings;
    let sample: Value = serde_json::from_str(include_str!("../sample/sample.json"))?;
    let world = World { engine: Engine::default(), queues: Queues::default(), store: Store::default() };
    let sources = Sources::default();
    for collection in Collection::ALL {
        sources.add(collection, sample.get(collection.name()).and_then(Value::as_array).cloned().unwrap_or_default());
    }
    let metrics = Metrics::new();
    let service: Arc<Service<Memory>> = Service::new(Wiring {
        engine: Arc::new(world.engine.clone()),
        store: Arc::new(world.store.clone()),
        queues: Arc::new(world.queues.clone()),
        sources: Arc::new(sources),
        clock: Clock::system(),
        handling,
        metrics: crate::metrics::Metrics::new(metrics.clone()),
    });
    let listener = TcpListener::bind(listen).await?;
    let drain = Duration::from_secs(2);
    let mut parts = Parts::new(stop_signal());
    let health = parts.health();
    let look = [
        format!("http://{listen}/api/v1/sync/runs/current"),
        format!("POST http://{listen}/api/v1/sync/runs   (one more run; the script answers it)"),
        format!("POST http://{listen}/api/v1/sync/runs/current/rollback"),
        format!("POST http://{}/standalone/messages   (a message of your own)", admin.listen),
        format!("http://{}/readyz", admin.listen),
    ];
    let operators =
        dead_letters::routes::routes(Arc::new(service.letters())).merge(messages::routes(world.queues.clone()));
    parts.spawn_last("admin", drain, |part| admin::serve(admin, health, metrics, operators, part));
    let routes = http::routes(Arc::clone(&service.shared), "", Auth::Anybody);
    parts.spawn("http", drain, |part| listener::serve(listener, routes, part));
    service.spawn(&mut parts, drain);
    let trainees = sample.get("trainees").and_then(Value::as_array).cloned().unwrap_or_default();
    let queues = world.queues.clone();
    parts.spawn("trainees", drain, |part| answer(queues, trainees, part));
    parts.spawn("sample", drain, |part| show(service, world, sample, look, part));
    Ok(parts.run().await?)
}

/// What the sample is shown in.
struct World {
    engine: Engine,
    queues: Queues,
    store: Store,
}

/// The trainee service: answers each `syncStart` with the extract and its end marker.
async fn answer(queues: Queues, trainees: Vec<Value>, part: Part) -> Result<(), std::convert::Infallible> {
    part.ready();
    let mut answered = 0;
    while !part.is_stopping() {
        let asked = queues.published().iter().filter(|sent| sent.body.as_ref() == br#""syncStart""#).count();
        if asked > answered {
            answered += 1;
            for trainee in &trainees {
                queues.deliver(Queue::TcsData, Bytes::from(trainee.to_string()), false);
            }
            queues.deliver(Queue::TcsData, Bytes::from_static(br#"{"syncEnd":true}"#), false);
        }
        tokio::select! { () = part.stopping() => {} () = sleep(LOOK) => {} }
    }
    Ok(())
}

async fn show(
    service: Arc<Service<Memory>>,
    world: World,
    sample: Value,
    look: [String; 5],
    part: Part,
) -> Result<(), Halted> {
    part.ready();
    terminal::print(
        "reval-sync, standalone: search engine, queues and stores are memory, the trainee service is a script.\n",
    );
    until(|| service.is_idle(), "the start").await?;
    terminal::print(
        " 1. A run is requested; the trainee service sends its extract, doctors and the rest are read from their stores",
    );
    let run = http::accept(&service.shared, "standalone", false, None).await;
    let run = run.map_err(|refused| Halted(format!("the run was refused: {refused:?}")))?;
    loop {
        let board = service.shared.desk.look().await.map_err(|error| Halted(error.to_string()))?;
        if board.active.is_none() {
            break;
        }
        sleep(LOOK).await;
    }
    terminal::print(&format!("      run {} is over; {} dead letters", run.id, world.store.open_letters()));
    for document in world.engine.shown_now("masterdoctorindex").unwrap_or_default() {
        let text = |name: &str| document.source.get(name).map_or_else(|| "–".to_owned(), Value::to_string);
        terminal::print(&format!(
            "      {:<10} number {:<11} TIS body {:<11} GMC body {:<11} status {}",
            document.id,
            text("gmcReferenceNumber"),
            text("tcsDesignatedBody"),
            text("designatedBody"),
            text("gmcStatus"),
        ));
    }
    counts(&world);
    let later = sample.get("later").and_then(Value::as_array).cloned().unwrap_or_default();
    for (number, step) in (2..).zip(&later) {
        if part.is_stopping() {
            return Ok(());
        }
        let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
        terminal::print(&format!("{number:>2}. {}", text("say")));
        let queue = Queue::named(text("queue")).ok_or_else(|| Halted(format!("step {number}: no such queue")))?;
        let body = step.get("body").map(Value::to_string).unwrap_or_default();
        let receipt = world.queues.deliver(queue, Bytes::from(body), false);
        until(|| world.queues.settled(receipt).is_some(), text("say")).await?;
        let how = match world.queues.settled(receipt) {
            Some(Settled::DeadLettered) => "rejected; kept as a dead letter",
            _ => "acknowledged",
        };
        terminal::print(&format!("      {how}"));
        counts(&world);
    }
    terminal::print("\nWhere to look further, while this runs:");
    for place in look {
        terminal::print(&format!("      {place}"));
    }
    terminal::print("Ctrl-C stops it.");
    part.stopping().await;
    Ok(())
}

/// How many documents readers see under each name.
fn counts(world: &World) {
    let count = |name: &str| world.engine.shown_now(name).map_or(0, |documents| documents.len());
    let counts: Vec<String> = NAMES.into_iter().map(|name| format!("{name} {}", count(name))).collect();
    terminal::print(&format!("      documents: {}", counts.join(", ")));
}

async fn until(done: impl Fn() -> bool + Send, what: &str) -> Result<(), Halted> {
    let waiting = async {
        while !done() {
            sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.map_err(|_elapsed| Halted(format!("{what} took too long")))
}
